"""Hugging Face models and tokenizers: find them by name, convert them to and from bytes, and get
their limits."""

from dataclasses import dataclass
from inspect import signature
from typing import Any, Dict, Iterator, Optional, Set

import numpy
import safetensors.torch
import srsly
import torch
from huggingface_hub.errors import HFValidationError
from transformers import MODEL_MAPPING

from ...damage import CHECKSUMS, DamagedPipelineError, check_checksums, get_checksums, reading
from ...errors import UserError
from .lookup import check_pretrained, find_pretrained
from .pretrained import (
    make_config,
    make_model,
    read_config,
    read_model,
    read_tokenizer,
    tokenizer_from_files,
    tokenizer_to_files,
)
from .tokenizer import PieceTokenizer

# For an encoder that states no length: the length that most are pretrained with.
DEFAULT_LIMIT = 512
WAY_OUT = (
    "Set another one with [components.transformer.model] name, or with --vars.encoder on the "
    "command line."
)
# Of an encoder that is saved.
PARTS = ("config", "tokenizer", "weights")


@dataclass
class Encoder:
    """A pre-trained encoder without a head (PreTrainedModel) and its tokenizer
    (PreTrainedTokenizerFast)."""

    model: Any
    tokenizer: Any


def load_pretrained(
    name: str, tokenizer_config: Dict[str, Any], transformer_config: Dict[str, Any]
) -> Encoder:
    """Load an encoder by name, in float32.

    name (str): A folder, an installed package, or a hub name, see `find_pretrained`.
    tokenizer_config (Dict[str, Any]): Arguments for AutoTokenizer. Tokens that it adds get vectors,
        which have to be trained.
    transformer_config (Dict[str, Any]): Arguments for AutoConfig.
    RETURNS (Encoder): The encoder, on the CPU.
    RAISES (ValueError): If there is no such encoder, if its config has no such settings, and for
        a tokenizer of another model.
    """
    source = find_pretrained(name)
    check_pretrained(name, source, WAY_OUT)
    try:
        config, unknown = read_config(source, return_unused_kwargs=True, **transformer_config)
        tokenizer = read_tokenizer(source, **tokenizer_config)
        model = read_model(source, config)
    except (OSError, HFValidationError) as error:
        raise UserError(
            f"Can't load the encoder '{name}': {str(error).strip().splitlines()[0]} {WAY_OUT}"
        ) from error
    if unknown:
        raise UserError(
            f"{type(config).__name__} of the encoder '{name}' has no settings {sorted(unknown)}: "
            "fix transformer_config in [components.transformer.model]."
        )
    if tokenizer.is_fast:
        _add_rows(model, tokenizer, set(_strings(tokenizer_config)))
        check_vocabulary(name, model, tokenizer)
        # As it will be loaded from a saved pipeline: what Hugging Face saves depends on the files
        # that a tokenizer was made from.
        tokenizer = tokenizer_from_files(tokenizer_to_files(tokenizer))
    return Encoder(model, tokenizer)


def _strings(value: Any) -> Iterator[str]:
    """All strings in the settings of a tokenizer, the tokens among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strings(inner)


def _add_rows(model: Any, tokenizer: Any, added: Set[str]) -> None:
    """Make a vector for each token that the settings add to a vocabulary: at random, with the mean
    and the covariance of the others."""
    n_rows = get_rows(model)
    vocab = tokenizer.get_vocab()
    new = {token for token, id_ in vocab.items() if n_rows is not None and id_ >= n_rows}
    if new and new <= added:
        model.resize_token_embeddings(max(vocab.values()) + 1)


def get_rows(model: Any) -> Optional[int]:
    """Count the wordpieces that an encoder has vectors for.

    model (PreTrainedModel): The encoder.
    RETURNS (Optional[int]): The number, None if it is unknown.
    """
    return getattr(model.get_input_embeddings(), "num_embeddings", None)


def check_vocabulary(name: str, model: Any, tokenizer: Any) -> None:
    """Check that a tokenizer fits an encoder, by the number of wordpieces.

    name (str): Name of both.
    model (PreTrainedModel): The encoder.
    tokenizer (PreTrainedTokenizerFast): The tokenizer.
    RAISES (ValueError): If it has more wordpieces than the encoder has vectors for.
    """
    n_rows = get_rows(model)
    n_pieces = max(tokenizer.get_vocab().values()) + 1
    if n_rows is not None and n_pieces > n_rows:
        raise UserError(
            f"The tokenizer of '{name}' has {n_pieces} wordpieces, but the encoder has vectors for "
            f"only {n_rows}: it belongs to another model. Use the tokenizer that was saved with "
            "the encoder."
        )


def encoder_to_bytes(encoder: Encoder) -> Dict[str, Any]:
    """Pack an encoder, with nothing pickled.

    encoder (Encoder): The encoder.
    RETURNS (Dict[str, Any]): Config as JSON, tokenizer files and safetensors as bytes, and
        checksums of all three.
    """
    config = encoder.model.config.to_diff_dict()
    config.pop("_name_or_path", None)
    data: Dict[str, Any] = {
        "config": srsly.json_dumps(config, sort_keys=True),
        "tokenizer": tokenizer_to_files(encoder.tokenizer),
        "weights": safetensors.torch.save(_distinct_weights(encoder.model)),
    }
    return {**data, CHECKSUMS: get_checksums(_as_bytes(data))}


def encoder_from_bytes(data: Dict[str, Any], transformer_config: Dict[str, Any]) -> Encoder:
    """Make an encoder from the result of `encoder_to_bytes`. Nothing is downloaded, and no code is
    run.

    data (Dict[str, Any]): The parts.
    transformer_config (Dict[str, Any]): The settings of the architecture. They override the saved
        ones, since dropout may change; `attn_implementation` isn't saved.
    RETURNS (Encoder): The encoder, on the CPU.
    RAISES (DamagedPipelineError): For a part that can't be read, was changed, or doesn't fit the
        others.
    """
    places = {part: get_place(part) for part in PARTS}
    with reading(get_place("parts")):
        parts = _as_bytes(data)
        check_checksums(data.get(CHECKSUMS), parts, places)
    with reading(places["config"]):
        config = make_config(srsly.json_loads(data["config"]))
        saved = config.to_dict()
        config.update({key: value for key, value in transformer_config.items() if key in saved})
    with reading(places["tokenizer"]):
        tokenizer = tokenizer_from_files(data["tokenizer"])
        if not tokenizer.is_fast:
            raise TypeError(f"{type(tokenizer).__name__} isn't a fast tokenizer")
    with reading(places["weights"]):
        weights = safetensors.torch.load(data["weights"])
    settings = {"attn_implementation": transformer_config.get("attn_implementation")}
    with reading(places["config"]):
        if not any(name.startswith("pooler.") for name in weights) and _pools(config):
            settings["add_pooling_layer"] = False  # as the classes for token classification do
        model = make_model(config, **settings)
    try:
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # of tensors with another shape
        raise DamagedPipelineError(_misfit(model, str(error))) from error
    lost = set(missing) & set(_distinct_weights(model))
    if lost or unexpected:
        details = f"missing {sorted(lost)}, unexpected {sorted(unexpected)}"
        raise DamagedPipelineError(_misfit(model, details))
    encoder = Encoder(model, tokenizer)
    if data.get(CHECKSUMS) is None:  # of an earlier version: damage may only show in use
        with reading(get_place("parts")):
            _try(encoder)
    return encoder


def get_place(part: str) -> str:
    """Name a part of a saved encoder for a message.

    part (str): One of PARTS, "bytes" or "parts".
    RETURNS (str): What to call it.
    """
    return f"the {part} of the encoder in the file 'model' of its component"


def _try(encoder: Encoder) -> None:
    """Read a text once, with all kinds of special tokens."""
    pieces = PieceTokenizer.from_huggingface(encoder.tokenizer, get_rows(encoder.model))
    (ids, _, _) = pieces(["A text"])
    pad_id = int(encoder.tokenizer.pad_token_id or 0)
    row = [*pieces.prefix, *ids.tolist(), pieces.filler, *pieces.suffix, pad_id]
    pieces.strings(numpy.array(row, dtype="int32"))
    encoder.model.eval()
    with torch.inference_mode():
        encoder.model(input_ids=torch.tensor([row]), attention_mask=torch.ones(1, len(row)))


def _as_bytes(data: Dict[str, Any]) -> Dict[str, bytes]:
    """The parts of an encoder, for checksums."""
    files = data["tokenizer"]
    return {
        "config": data["config"].encode("utf-8"),
        "tokenizer": b"".join(name.encode("utf-8") + files[name] for name in sorted(files)),
        "weights": data["weights"],
    }


def _misfit(model: Any, details: str) -> str:
    return (
        f"The saved weights don't fit {type(model).__name__}. Load the pipeline with the version "
        f"of transformers and the transformer_config that it was saved with. ({details})"
    )


def get_limit(encoder: Encoder) -> int:
    """Find the most wordpieces that an encoder can read at once: the lowest of the limits of the
    tokenizer, of the config, and of learned position embeddings, without the rows that RoBERTa and
    similar models never use (positions begin after the padding id).

    encoder (Encoder): The encoder.
    RETURNS (int): Wordpieces, special tokens included.
    """
    limits = [encoder.tokenizer.model_max_length, _stated_positions(encoder.model.config)]
    for name, module in encoder.model.named_modules():
        if name.rsplit(".", 1)[-1] == "position_embeddings" and hasattr(module, "num_embeddings"):
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            limits.append(module.num_embeddings - offset)
    # Unknown lengths are given as -1 or as very large numbers.
    limits = [limit for limit in limits if 0 < limit < 10**9]
    return int(min(limits, default=DEFAULT_LIMIT))


def _pools(config: Any) -> bool:
    """Whether the encoder of a config has a pooling layer that can be left out."""
    found = MODEL_MAPPING[type(config)]
    model_class: Any = found[0] if isinstance(found, tuple) else found
    return "add_pooling_layer" in signature(model_class.__init__).parameters


def _stated_positions(config: Any) -> int:
    return getattr(config, "max_position_embeddings", None) or -1


def _distinct_weights(model: Any) -> Dict[str, torch.Tensor]:
    """The state without the second names of tied weights, which safetensors doesn't accept."""
    seen = set()
    weights = {}
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen or tensor.numel() == 0:
            seen.add(tensor.data_ptr())
            weights[name] = tensor.contiguous()
    return weights
