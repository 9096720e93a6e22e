"""Read a Hugging Face checkpoint: encoder, tokenizer, classifier and the tags of its rows."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Dict, Iterator, List, Optional, Tuple

import transformers
from safetensors import SafetensorError

from ..errors import UserError, warn
from ..model.encoder.huggingface import Encoder, check_vocabulary
from ..model.encoder.lookup import check_pretrained, find_pretrained
from ..model.encoder.pretrained import (
    find_file,
    read_config,
    read_model,
    read_tokenizer,
    tokenizer_from_files,
    tokenizer_to_files,
)
from ..types import Floats2d
from .heads import (
    Head,
    check_family,
    find_head,
    get_head_settings,
    get_model_class,
    split_state,
)
from .rows import LabelsT, new_labels, place_rows, read_rows

# Key in the config.json of an exported pipeline with settings that Hugging Face doesn't have.
SETTINGS_KEY = "spacy_bert_ner"
# Errors of transformers, safetensors and torch for files that they can't read.
READ_ERRORS = (
    AttributeError,
    ImportError,
    KeyError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    UnpicklingError,
    ValueError,
)


@dataclass
class Checkpoint:
    """A token classifier that was read.

    Attributes
    ----------
    name (str): The name that was given.
    encoder (Encoder): The encoder without the classifier, and the tokenizer.
    head (Head): The kind of classifier.
    head_settings (Dict[str, Any]): Block of the config for such a classifier.
    scheme (str): The scheme of its tags.
    labels (List[str]): Entity labels.
    params (Dict[str, Floats2d]): Weights of the classifier by Hugging Face's names, with rows in
        the order of `TagSet(scheme, labels)`; empty if it had no classifier.
    settings (Dict[str, Any]): Settings of an exported pipeline: align, decoder, window and others.
    card (str): The model card, empty if there is none.
    """

    name: str
    encoder: Encoder
    head: Head
    head_settings: Dict[str, Any]
    scheme: str
    labels: List[str]
    params: Dict[str, Floats2d]
    settings: Dict[str, Any] = field(default_factory=dict)
    card: str = ""


def read_checkpoint(
    name: str, *, labels: LabelsT = None, scheme: Optional[str] = None
) -> Checkpoint:
    """Read a checkpoint: safetensors, or a `pytorch_model.bin` with only weights. No code in it is
    run.

    name (str): A folder, an installed Python package that contains a model, or a name on the
        Hugging Face hub.
    labels (LabelsT): A map from its label names (or their numbers) to others, e.g. {"LABEL_0": "O",
        "LABEL_1": "B-PER"}, None for those that should be ignored; or, for a model without a token
        classifier, the labels of a new one.
    scheme (Optional[str]): The scheme of a new classifier; "BIO" or "IOB1" for labels that fit
        both.
    RETURNS (Checkpoint): What was read.
    RAISES (UserError): For what can't be read or understood.
    """
    source = find_pretrained(name)
    check_pretrained(name, source)
    with quiet():
        config = _read_config(name, source)
        check_family(config, name)
        model_class = get_model_class(config)
        tokenizer = _read_tokenizer(name, source)
        model, is_trained = _read_model(name, source, config, model_class)
    encoder_model, weights = split_state(model)
    _check_encoder(name, encoder_model, tokenizer)
    head = find_head(list(weights), config.model_type)
    settings = dict(getattr(config, SETTINGS_KEY, {}))
    params: Dict[str, Floats2d] = {}
    if is_trained:
        reading = read_rows(name, config, labels, scheme, settings)
        params = {theirs: tensor.numpy() for theirs, tensor in weights.items()}
        for theirs in head.rows:
            params[theirs] = place_rows(params[theirs], reading)
    else:
        reading = new_labels(name, config, labels, scheme)
    return Checkpoint(
        name=name,
        encoder=Encoder(_without_labels(encoder_model), tokenizer),
        head=head,
        head_settings=get_head_settings(model, head),
        scheme=reading.scheme,
        labels=reading.labels,
        params=params,
        settings=settings,
        card=_read_card(source),
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from logging problems that this module reports itself.

    YIELDS (None): Until the end of the block.
    """
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)


def _read_config(name: str, source: str) -> Any:
    try:
        return read_config(source)
    except UserError:
        raise
    except READ_ERRORS as error:
        raise UserError(
            f"Can't read the model '{name}': its config.json is damaged, or of a kind that the "
            f"installed transformers doesn't know ({_first_line(error)}). Download it again, or "
            "install a newer transformers."
        ) from error


def _read_tokenizer(name: str, source: str) -> Any:
    try:
        tokenizer = read_tokenizer(source, use_fast=True)
    except UserError:
        raise
    except READ_ERRORS as error:
        raise UserError(
            f"Can't read the tokenizer of '{name}' ({_first_line(error)}). Put its files next to "
            "the weights: tokenizer.json, or a vocabulary that can be converted to a fast "
            "tokenizer."
        ) from error
    if not tokenizer.is_fast:
        raise UserError(
            f"Can't align the pieces of '{name}' with spaCy's tokens: {type(tokenizer).__name__} "
            "is a slow tokenizer, which gives no character offsets. Save a fast one next to the "
            "weights (tokenizer.json)."
        )
    # As it will be loaded from a saved pipeline, see `load_pretrained`.
    return tokenizer_from_files(tokenizer_to_files(tokenizer))


def _read_model(name: str, source: str, config: Any, model_class: Any) -> Tuple[Any, bool]:
    """RETURNS (Tuple[PreTrainedModel, bool]): The model, and whether its classifier was read."""
    try:
        model, info = read_model(
            source,
            config,
            model_class,
            ignore_mismatched_sizes=True,  # they are reported below
            output_loading_info=True,
        )
    except UserError:
        raise
    except READ_ERRORS as error:
        raise UserError(
            f"Can't read the weights of '{name}' ({_first_line(error)}). They must be a complete "
            "model.safetensors, or a pytorch_model.bin that only contains tensors: files with code "
            "in them are not opened. Download or save them again."
        ) from error
    prefix = f"{model.base_model_prefix}."
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    for entry in info["mismatched_keys"]:
        key = entry if isinstance(entry, str) else entry[0]  # depends on transformers
        is_encoder = key.startswith(prefix)
        # The classifier of whole texts has the same names as that of tokens.
        if is_encoder or _is_token_classifier(config):
            stated = (
                f"hidden_size = {config.hidden_size}"
                if is_encoder
                else (f"{config.num_labels} labels")
            )
            raise UserError(
                f"The weights of '{name}' don't fit its config.json, which states {stated}: {key} "
                f"doesn't have the shape {shapes.get(key)}. One of the files belongs to another "
                "model: download both again."
            )
    missing = [key for key in info["missing_keys"] if key.startswith(prefix)]
    if missing:
        raise UserError(
            f"The weights of '{name}' lack {len(missing)} of the encoder's, such as {missing[0]}: "
            f"they don't belong to a {model_class.__name__} with this config.json. Download both "
            "again."
        )
    names = list(split_state(model)[1])
    lost = [key for key in info["missing_keys"] if key in names]
    if lost and len(lost) < len(names) and _is_token_classifier(config):
        raise UserError(
            f"The weights of '{name}' have a classifier that lacks {sorted(lost)}. "
            "Download or save them again."
        )
    return model.eval(), _is_token_classifier(config) and not lost


def _is_token_classifier(config: Any) -> bool:
    classes = getattr(config, "architectures", None) or ["ForTokenClassification"]
    return any(str(name).endswith("ForTokenClassification") for name in classes)


def _check_encoder(name: str, model: Any, tokenizer: Any) -> None:
    params = signature(model.forward).parameters
    if not {"input_ids", "attention_mask"} <= set(params):
        raise UserError(
            f"Can't use '{name}': {type(model).__name__} doesn't read wordpieces with a mask. Use "
            "an encoder such as BERT, RoBERTa or DeBERTa."
        )
    check_vocabulary(name, model, tokenizer)


def _without_labels(model: Any) -> Any:
    """The encoder, whose config is no longer that of a token classifier."""
    config = model.config
    config.num_labels = 2  # what all configs have
    config.architectures = [type(model).__name__]
    if hasattr(config, SETTINGS_KEY):
        delattr(config, SETTINGS_KEY)
    return model


def _read_card(source: str) -> str:
    path = Path(source) / "README.md"
    if Path(source).is_dir():
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    try:
        found = find_file(source, "README.md")
    except OSError as error:
        warn(
            f"Can't read the model card of '{source}' ({_first_line(error)}): licence and sources "
            "aren't copied from it. Set them in meta.json of the pipeline."
        )
        return ""
    return found.read_text(encoding="utf-8", errors="replace") if found else ""


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0]
