"""Hugging Face models and tokenizers: found by name, read from and written to bytes, measured."""

import importlib.util
from dataclasses import dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, Tuple

import safetensors.torch
import srsly
import torch
from huggingface_hub.errors import HFValidationError
from transformers import CONFIG_MAPPING, MODEL_MAPPING, AutoConfig, AutoModel, AutoTokenizer

from ..errors import UserError
from .pretrained import check_pretrained

# For an encoder that states no length at all: what most are pre-trained with.
DEFAULT_LIMIT = 512
WAY_OUT = (
    "Set another one with [components.transformer.model] name, or with --vars.encoder on the "
    "command line."
)


@dataclass
class Encoder:
    """A pre-trained encoder without a head (PreTrainedModel) and its tokenizer
    (PreTrainedTokenizerFast)."""

    model: Any
    tokenizer: Any


def find_pretrained(name: str) -> str:
    """Resolve the name of an encoder: a folder, an installed Python package that holds one (in
    itself or in its folder `model`), or else a name on the Hugging Face hub.

    RETURNS (str): A path, or the name itself.
    """
    if not Path(name).exists() and name.isidentifier():
        spec = importlib.util.find_spec(name)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for path in (Path(folder), Path(folder) / "model"):
                if (path / "config.json").exists():
                    return str(path)
    return name


def load_pretrained(
    name: str, tokenizer_config: Dict[str, Any], transformer_config: Dict[str, Any]
) -> Encoder:
    """Load an encoder by name, in float32.

    name (str): A folder, an installed package, or a hub name, see `find_pretrained`.
    tokenizer_config (Dict[str, Any]): Arguments for AutoTokenizer.
    transformer_config (Dict[str, Any]): Arguments for AutoConfig.
    RAISES (ValueError): If there is no such encoder, or if its config has no such settings.
    """
    source = find_pretrained(name)
    check_pretrained(name, source, WAY_OUT)
    try:
        config, unknown = AutoConfig.from_pretrained(
            source, return_unused_kwargs=True, **transformer_config
        )
        tokenizer = AutoTokenizer.from_pretrained(source, **tokenizer_config)
        config.torch_dtype = torch.float32
        model = AutoModel.from_pretrained(source, config=config)
    except (OSError, HFValidationError) as error:
        raise UserError(
            f"Can't load the encoder '{name}': {str(error).strip().splitlines()[0]} {WAY_OUT}"
        ) from error
    if unknown:
        raise UserError(
            f"{type(config).__name__} of the encoder '{name}' has no settings {sorted(unknown)}: "
            "mend transformer_config in [components.transformer.model]."
        )
    if tokenizer.is_fast:
        # As it will come back from a saved pipeline: what Hugging Face saves depends on the files
        # that a tokenizer was made from.
        tokenizer = tokenizer_from_files(tokenizer_to_files(tokenizer))
    return Encoder(model, tokenizer)


def encoder_to_bytes(encoder: Encoder) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): Config as a dict, tokenizer files and safetensors as bytes."""
    config = encoder.model.config.to_diff_dict()
    config.pop("_name_or_path", None)
    return {
        "config": srsly.json_dumps(config, sort_keys=True),
        "tokenizer": tokenizer_to_files(encoder.tokenizer),
        "weights": safetensors.torch.save(_distinct_weights(encoder.model)),
    }


def encoder_from_bytes(data: Dict[str, Any], transformer_config: Dict[str, Any]) -> Encoder:
    """Build an encoder from what `encoder_to_bytes` gave. Asks no hub.

    transformer_config (Dict[str, Any]): The settings of the architecture. They hold against those
        saved, as dropout may change; `attn_implementation` isn't saved.
    """
    config_dict = srsly.json_loads(data["config"])
    config = CONFIG_MAPPING[config_dict["model_type"]].from_dict(config_dict)
    saved = config.to_dict()
    config.update({key: value for key, value in transformer_config.items() if key in saved})
    tokenizer = tokenizer_from_files(data["tokenizer"])
    weights = safetensors.torch.load(data["weights"])
    settings = {"attn_implementation": transformer_config.get("attn_implementation")}
    if not any(name.startswith("pooler.") for name in weights) and _pools(config):
        settings["add_pooling_layer"] = False  # as the classes for token classification do
    model = AutoModel.from_config(config, **settings)
    try:
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # of tensors that have another shape
        raise UserError(_misfit(model, str(error))) from error
    lost = set(missing) & set(_distinct_weights(model))
    if lost or unexpected:
        details = f"missing {sorted(lost)}, unexpected {sorted(unexpected)}"
        raise UserError(_misfit(model, details))
    return Encoder(model, tokenizer)


def _misfit(model: Any, details: str) -> str:
    return (
        f"The saved weights don't fit {type(model).__name__}. Load the pipeline with the version "
        f"of transformers and the transformer_config that it was saved with. ({details})"
    )


def get_limit(encoder: Encoder) -> int:
    """The most wordpieces that the encoder can read at once, special tokens included: what the
    tokenizer states, what the config states, and the rows of learned position embeddings, less
    those that RoBERTa and its kin never use (positions begin after the padding id)."""
    limits = [encoder.tokenizer.model_max_length, _stated_positions(encoder.model.config)]
    for name, module in encoder.model.named_modules():
        if name.rsplit(".", 1)[-1] == "position_embeddings" and hasattr(module, "num_embeddings"):
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            limits.append(module.num_embeddings - offset)
    # Unknown lengths are given as -1 or as very large numbers.
    limits = [limit for limit in limits if 0 < limit < 10**9]
    return int(min(limits, default=DEFAULT_LIMIT))


def freeze(model: Any, n_layers: int) -> None:
    """Exclude the embeddings and the first n blocks of an encoder from training.

    RAISES (ValueError): If the encoder has fewer blocks, or shares them.
    """
    path, blocks = _find_blocks(model, f"freeze {n_layers} layers", "freeze_layers = null")
    if not 0 <= n_layers <= len(blocks):
        raise UserError(
            f"Can't freeze {n_layers} layers of {type(model).__name__}, which has {len(blocks)}. "
            f"Set freeze_layers to null (train all), or to 0 (embeddings) up to {len(blocks)}."
        )
    for name, child in model.named_children():
        if name == path.split(".")[0]:
            break
        child.requires_grad_(False)
    parent = model.get_submodule(path.rpartition(".")[0])
    siblings = [child for child in parent.children() if child is not blocks]
    # Relative positions, which all blocks read (DeBERTa, MPNet), and their normalisation.
    if parent is not model and any(isinstance(child, torch.nn.Embedding) for child in siblings):
        for child in siblings:
            child.requires_grad_(False)
    for block in blocks[:n_layers]:
        block.requires_grad_(False)


def add_noise(model: Any, size: float) -> None:
    """Have the embeddings of wordpieces changed at random in training: by uniform noise whose norm
    is about `size` / 3 ** 0.5 for a sequence (NEFTune, Jain et al. 2023)."""
    # A function of the module, since pipelines are pickled.
    model.get_input_embeddings().register_forward_hook(partial(_disturb, size=size))


def _disturb(module: Any, inputs: Any, X: torch.Tensor, *, size: float) -> torch.Tensor:
    if not module.training:
        return X
    n_pieces, width = X.shape[-2:]
    return X + torch.empty_like(X).uniform_(-1.0, 1.0) * size / (n_pieces * width) ** 0.5


def check_mixed_layers(model: Any, n_layers: int) -> None:
    """RAISES (ValueError): If the encoder has fewer outputs than are to be averaged."""
    n_blocks, name = model.config.num_hidden_layers, type(model).__name__
    if n_layers > n_blocks:
        raise UserError(
            f"Can't mix the last {n_layers} layers of {name}, which has {n_blocks}. Set "
            f"mixed_layers to 1 (the last alone), or up to {n_blocks}."
        )


def get_depths(model: Any) -> Dict[str, int]:
    """How many blocks of an encoder are above each of its weights: none for the last block and
    what follows it, all for the embeddings.

    RETURNS (Dict[str, int]): By name.
    RAISES (ValueError): If the encoder shares its blocks.
    """
    path, blocks = _find_blocks(model, "decay the rates of the layers", "layer_decay = 1.0")
    embeddings = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Embedding)
    }
    depths = {}
    depth = len(blocks)
    for name, _ in model.named_parameters():
        if name.startswith(f"{path}."):
            depth = len(blocks) - 1 - int(name[len(path) + 1 :].split(".")[0])
            depths[name] = depth
        else:  # embeddings of relative positions may be behind the blocks
            depths[name] = len(blocks) if name in embeddings else depth
    return depths


def _find_blocks(model: Any, what: str, way_out: str) -> Tuple[str, torch.nn.ModuleList]:
    """The blocks of an encoder, and where they are.

    RAISES (ValueError): If there is no list of them, since they are shared.
    """
    n_blocks = model.config.num_hidden_layers
    for path, module in model.named_modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == n_blocks:
            return path, module
    raise UserError(
        f"Can't {what} of {type(model).__name__}: it has no list of {n_blocks} blocks. Set "
        f"{way_out}."
    )


def tokenizer_to_files(tokenizer: Any) -> Dict[str, bytes]:
    """RETURNS (Dict[str, bytes]): What Hugging Face saves of a fast tokenizer, by file name."""
    with TemporaryDirectory() as folder:
        # Without the files of the slow twin, which are there only at the first time.
        tokenizer.save_pretrained(folder, legacy_format=False)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def tokenizer_from_files(files: Dict[str, bytes]) -> Any:
    """RETURNS (PreTrainedTokenizerFast): The tokenizer of these files."""
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        return AutoTokenizer.from_pretrained(folder)


def _pools(config: Any) -> bool:
    """Whether the encoder of a config has a layer over the first piece that can be left out."""
    found = MODEL_MAPPING[type(config)]
    model_class: Any = found[0] if isinstance(found, tuple) else found
    return "add_pooling_layer" in signature(model_class.__init__).parameters


def _stated_positions(config: Any) -> int:
    return getattr(config, "max_position_embeddings", None) or -1


def _distinct_weights(model: Any) -> Dict[str, torch.Tensor]:
    """The state without the second names of tied weights, which safetensors doesn't take."""
    seen = set()
    weights = {}
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen or tensor.numel() == 0:
            seen.add(tensor.data_ptr())
            weights[name] = tensor.contiguous()
    return weights
