"""Make a pipeline of an exported encoder from a trained one."""

from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, NamedTuple

from spacy.language import Language

from ..errors import UserError
from ..model.onnx.layer import NAME
from ..pipeline.bert_ner import BertNER
from ..pipeline.encoders import Found, find_encoder
from ..pipeline.listener_kinds import KINDS
from ..pipeline.listeners import get_listeners

# Architectures of token vectors that an exported encoder replaces.
LISTENERS = (
    "spacy-transformers.TransformerListener.v1",
    "spacy-bert-ner.Tok2VecTransformer.v1",
    "spacy-bert-ner.Tok2VecTransformer.v2",
)
# The component that removes the output of a transformer, which the new pipeline doesn't have.
CLEANER, OUTPUT = "doc_cleaner", "_.trf_data"
# Created for the new pipeline.
OWN = ("vocab", "meta", "config")
# Settings with names of components.
LISTS = {
    "nlp": ("pipeline", "disabled"),
    "training": ("frozen_components", "annotating_components"),
}
# Settings of the encoder that the exported one has, too.
SETTINGS = ("window", "stride", "context", "batch_pieces")


class Made(NamedTuple):
    """A pipeline of an exported encoder.

    nlp (Language): The pipeline. Its encoder isn't set yet.
    users (List[str]): The components that use the encoder.
    layers (List[Model]): The layers that get the encoder, see `model.onnx.layer.set_export`.
    found (Found): The encoder of the original.
    """

    nlp: Language
    users: List[str]
    layers: List[Any]
    found: Found


def make_exported(nlp: Language) -> Made:
    """Make a pipeline like another, with layers for an exported encoder instead of the component
    `transformer`, or of the encoders inside other components. Everything else is the same: other
    components, their order, settings and weights, the tokenizer, and the vocabulary, which both
    share.

    nlp (Language): A trained pipeline.
    RETURNS (Made): The new pipeline.
    RAISES (ValueError): For a pipeline without `bert_ner`, and for one whose components use other
        encoders than one `TransformerModel.v1`.
    """
    users = _find_users(nlp)
    found = _find_one_encoder(nlp, users)
    config = _make_config(nlp, users, found)
    made = type(nlp).from_config(config, vocab=nlp.vocab, auto_fill=True)
    layers = [_find_layers(made, name) for name in users]
    with _replaced(nlp, users, layers):
        dropped = [name for name in nlp.component_names if name not in made.component_names]
        made.from_bytes(nlp.to_bytes(exclude=[*OWN, *dropped]), exclude=OWN)
    for name, pipe in made.components:
        if made.get_pipe_meta(name).factory == CLEANER:
            pipe.cfg["attrs"].pop(OUTPUT, None)  # type: ignore[attr-defined]
    left_out = ("lang", "vectors", "performance")  # scores are those of the original
    made.meta.update({key: value for key, value in nlp.meta.items() if key not in left_out})
    return Made(made, users, [layer for group in layers for layer in group], found)


def _find_users(nlp: Language) -> List[str]:
    """RETURNS (List[str]): The components that use a transformer, `bert_ner` among them.
    RAISES (ValueError): If there is none."""
    users = [
        name for name, pipe in nlp.components if isinstance(pipe, BertNER) or _find_poolings(pipe)
    ]
    if not any(isinstance(nlp.get_pipe(name), BertNER) for name in users):
        raise UserError(
            f"Can't export a pipeline without bert_ner, only with {nlp.component_names}. Add one, "
            "and train it with spacy-bert-ner.TransformerModel.v1."
        )
    return users


def _find_one_encoder(nlp: Language, users: List[str]) -> Found:
    encoders: Dict[int, Found] = {}
    for name in users:
        found = find_encoder(nlp, name, nlp.get_pipe(name).model)  # type: ignore[attr-defined]
        if found.shim.encoder is None:
            raise UserError(f"'{name}' has no weights to export: train or initialize it first.")
        encoders[id(found.shim)] = found
    if len(encoders) > 1:
        raise UserError(
            f"Can't export several encoders: {', '.join(users)} use {len(encoders)} of them. Save "
            "a pipeline for each, without the other components (nlp.remove_pipe), or let them use "
            "one encoder."
        )
    return next(iter(encoders.values()))


def _find_poolings(pipe: Any) -> List[Any]:
    """RETURNS (List[Model]): The layers of a component that give the vectors of an encoder for each
    token: a listener, or an encoder, with the pooling layer."""
    model: Any = getattr(pipe, "model", None)
    if not hasattr(model, "walk"):
        return []
    others = [node for node in get_listeners(model) if KINDS[node.name].factory != "transformer"]
    if others:
        return []
    return [node for node in model.walk() if any(kid.name == "trfs2arrays" for kid in node.layers)]


def _find_layers(nlp: Language, name: str) -> List[Any]:
    model: Any = nlp.get_pipe(name).model  # type: ignore[attr-defined]
    return [node for node in model.walk() if node.name == "onnx-encoder"]


def _make_config(nlp: Language, users: List[str], found: Found) -> Any:
    config = nlp.config.copy()
    settings = found.node.attrs["settings"]
    block = {"@architectures": NAME, **{key: getattr(settings, key) for key in SETTINGS}}
    for name in users:
        config["components"][name] = _replace_blocks(config["components"][name], block)
    if found.component in users:  # the encoder is inside
        return config
    del config["components"][found.component]
    config["initialize"]["components"].pop(found.component, None)
    for section, keys in LISTS.items():
        for key in keys:
            names = config[section][key]
            config[section][key] = [name for name in names if name != found.component]
    return config


def _replace_blocks(block: Any, new: Dict[str, Any]) -> Any:
    """RETURNS (Any): A block of a config, with exported encoders instead of listeners."""
    if not isinstance(block, dict):
        return block
    if block.get("@architectures") in LISTENERS:
        return {**new, "pooling": block["pooling"]}
    return {key: _replace_blocks(value, new) for key, value in block.items()}


@contextmanager
def _replaced(nlp: Language, users: List[str], layers: List[List[Any]]) -> Iterator[None]:
    """Put layers into the components of a pipeline, as long as they are saved."""
    changed = []
    try:
        for name, new in zip(users, layers):
            pipe: Any = nlp.get_pipe(name)
            for old, layer in zip(_find_poolings(pipe), new, strict=True):
                layer.set_dim("nO", old.maybe_get_dim("nO"), force=True)
                pipe.model.replace_node(old, layer)
                changed.append((pipe.model, old, layer))
        yield
    finally:
        for model, old, layer in reversed(changed):
            model.replace_node(layer, old)
