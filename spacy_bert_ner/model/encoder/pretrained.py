"""The only module that loads with transformers. No code of a checkpoint is run."""

from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, Iterator, Mapping, Optional

import torch
import transformers
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, AutoTokenizer, PretrainedConfig

from ...damage import DamagedPipelineError
from ...errors import UserError

# Settings that make transformers download and run code of a checkpoint.
CODE_SETTINGS = ("trust_remote_code", "code_revision", "auto_map")
# The name of a repository in it does too, where the package `kernels` is installed.
ATTENTION = "attn_implementation"
# The setting of a config, and the argument, that state the type of the weights. In transformers
# 5, the old name is deprecated.
DTYPE = "dtype" if hasattr(PretrainedConfig(), "dtype") else "torch_dtype"
# The cache of transformers 4. transformers 5 has none of its own: None is huggingface_hub's.
CACHE = getattr(transformers.utils, "TRANSFORMERS_CACHE", None)
TOKENIZER_FILE = "tokenizer.json"
# The files that transformers saves for a fast tokenizer, and the vocabularies of slow ones.
TOKENIZER_FILES = (
    TOKENIZER_FILE,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
)


def read_config(source: str, **settings: Any) -> Any:
    """Read the config of a folder, or of a name on the Hugging Face hub.

    source (str): The folder or the name.
    settings (Any): Settings of the config. With `return_unused_kwargs=True`, unknown ones are
        returned too.
    RETURNS (PretrainedConfig): The config.
    RAISES (ValueError): For a config that needs code of its own, or is of an unknown kind.
        OSError: If there is none.
    """
    if Path(source).is_dir() and not (Path(source) / "config.json").exists():
        raise OSError(f"no config.json in {source}")  # AutoConfig would guess by its name
    settings = _without_code("transformer_config", settings)
    with _refusing_code(source):
        result = AutoConfig.from_pretrained(source, trust_remote_code=False, **settings)
    config = result[0] if isinstance(result, tuple) else result
    _without_code(f"the config.json of '{source}'", {ATTENTION: get_attention(config)})
    return result


def get_attention(config: Any) -> Optional[str]:
    """Get the attention implementation of a config. transformers 4 stores it under a private name.

    config (PretrainedConfig): The config.
    RETURNS (Optional[str]): A name, or a repository with code for it; None if it isn't set.
    """
    return getattr(config, f"_{ATTENTION}", getattr(config, ATTENTION, None))


def read_tokenizer(source: str, **settings: Any) -> Any:
    """Read the tokenizer of a folder, or of a name on the hub.

    source (str): The folder or the name.
    settings (Any): Arguments for AutoTokenizer.
    RETURNS (PreTrainedTokenizerBase): The tokenizer.
    RAISES (ValueError): For settings that would run code, or are invalid. OSError: If there is
        none.
    """
    settings = _without_code("tokenizer_config", settings)
    if isinstance(settings.get("extra_special_tokens"), (list, tuple)):
        # transformers would ask for protobuf.
        raise UserError(
            "Can't use a list as extra_special_tokens in tokenizer_config: it must map names to "
            "tokens. Use additional_special_tokens for a list."
        )
    with _refusing_code(source):
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **settings)
    if len(tokenizer) <= len(tokenizer.all_special_tokens):  # transformers 5 accepts this
        raise OSError(f"no vocabulary of a tokenizer in {source}")
    if isinstance(getattr(tokenizer, "chat_template", None), dict):
        # Several ones, each of which would be saved to a file with its name, at any path.
        tokenizer.chat_template = None
    prefix = settings.get("add_prefix_space")
    pieces: Any = tokenizer.backend_tokenizer.pre_tokenizer if tokenizer.is_fast else None
    if prefix is not None and getattr(pieces, "add_prefix_space", prefix) != prefix:
        pieces.add_prefix_space = prefix  # transformers 5 ignores it where it knows no class
    return tokenizer


def read_model(source: str, config: Any, model_class: Any = AutoModel, **settings: Any) -> Any:
    """Read the model of a folder, or of a name on the hub, see `read_config`: from safetensors, or
    from a file from which only tensors are unpickled. Weights of any type become float32.

    source (str): The folder or the name.
    config (PretrainedConfig): Its config, which states float32 from then on.
    model_class (type): An Auto class, or one of a kind of model.
    settings (Any): Arguments for `from_pretrained`.
    RETURNS (PreTrainedModel): The model, and with `output_loading_info=True` what wasn't loaded.
    RAISES (ValueError): For a model that needs code of its own. OSError: If there is none.
    """
    setattr(config, DTYPE, torch.float32)
    bars = without_bars() if Path(source).is_dir() else nullcontext()
    with _refusing_code(source), bars:
        return model_class.from_pretrained(
            source, config=config, weights_only=True, trust_remote_code=False, **settings
        )


@contextmanager
def without_bars() -> Iterator[None]:
    """Keep transformers 5 from showing the progress of reading and writing weights on stderr,
    unless the user asks for it with HF_HUB_DISABLE_PROGRESS_BARS=0.

    YIELDS (None): Until the end of the block.
    """
    logging = transformers.utils.logging
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is False or not logging.is_progress_bar_enabled():
        yield
        return
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


def find_file(source: str, name: str, *, local_files_only: bool = False) -> Optional[Path]:
    """Find a file of a model on the hub.

    source (str): A name on the hub.
    name (str): Name of the file.
    local_files_only (bool): Only look in the cache.
    RETURNS (Optional[Path]): The file; None if there is none, or if the hub can't be reached and it
        isn't in the cache.
    RAISES (OSError): If there is no such model, and for other errors of the hub.
    """
    try:
        found = hf_hub_download(source, name, cache_dir=CACHE, local_files_only=local_files_only)
    except EntryNotFoundError:
        return None
    return Path(found)


def make_config(settings: Dict[str, Any]) -> Any:
    """Make the config of a saved encoder.

    settings (Dict[str, Any]): All settings, with its "model_type". Those of attention are left out.
    RETURNS (PretrainedConfig): The config.
    """
    # transformers 4.48 saves that it has chosen, and not what.
    settings = {key: settings[key] for key in settings if ATTENTION not in key}
    return CONFIG_MAPPING[settings["model_type"]].from_dict(settings)


def make_model(config: Any, **settings: Any) -> Any:
    """Make an encoder with random weights.

    config (PretrainedConfig): Its config.
    settings (Any): Arguments for `from_config`.
    RETURNS (PreTrainedModel): The encoder, on the CPU.
    """
    # Overrides what the config may name.
    settings = {ATTENTION: None, **_without_code("transformer_config", settings)}
    return AutoModel.from_config(config, trust_remote_code=False, **settings)


def tokenizer_to_files(tokenizer: Any) -> Dict[str, bytes]:
    """Save a tokenizer to memory.

    tokenizer (PreTrainedTokenizerFast): The tokenizer.
    RETURNS (Dict[str, bytes]): The files that Hugging Face saves for it, by name.
    """
    with TemporaryDirectory() as folder:
        # Without the files of the slow version, which are only saved at the first time.
        tokenizer.save_pretrained(folder, legacy_format=False)
        return {
            path.name: path.read_bytes()
            for path in sorted(Path(folder).iterdir())
            if path.name in TOKENIZER_FILES
        }


def tokenizer_from_files(files: Dict[str, bytes]) -> Any:
    """Make a tokenizer from saved files. Nothing else is written, read or downloaded.

    files (Dict[str, bytes]): Their contents, by file name.
    RETURNS (PreTrainedTokenizerFast): The tokenizer of these files.
    RAISES (DamagedPipelineError): For files that don't belong to a tokenizer.
    """
    for name in files:
        if name not in TOKENIZER_FILES:
            raise DamagedPipelineError(
                f"Can't load a tokenizer with a file {name!r}: its files can only be "
                f"{', '.join(TOKENIZER_FILES)}. Don't use this pipeline: it was changed after it "
                "was saved."
            )
    if TOKENIZER_FILE not in files:
        raise DamagedPipelineError(f"Can't load a tokenizer without a file '{TOKENIZER_FILE}'.")
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        # The config of a tokenizer could name another file.
        path = str(Path(folder, TOKENIZER_FILE))
        return read_tokenizer(folder, local_files_only=True, tokenizer_file=path)


def _without_code(place: str, settings: Mapping[str, Any]) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): Settings without those whose only use is to run code.
    RAISES (ValueError): If they would run code.
    """
    for key, value in settings.items():
        if (key in CODE_SETTINGS and value) or (key == ATTENTION and "/" in str(value)):
            raise UserError(
                f"Can't use {key} = {value!r} in {place}: it would run code that comes with "
                "weights or from the Hugging Face hub. Remove it, and use an encoder whose code is "
                "part of transformers."
            )
    return {key: value for key, value in settings.items() if key not in CODE_SETTINGS}


@contextmanager
def _refusing_code(source: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise UserError(
            f"Can't load '{source}': it needs Python code that comes with it (auto_map in its "
            "files), which is never run. Use an encoder whose code is part of transformers."
        ) from error
