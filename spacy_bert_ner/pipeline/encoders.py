"""The encoder that a component reads with, wherever it stands."""

from typing import Any, List, NamedTuple, Optional

from spacy.language import Language

from ..errors import UserError
from ..model.encoder.shim import EncoderShim
from .listeners import KINDS, find_upstream, get_listeners

OURS = "spacy-bert-ner.TransformerModel.v1"


class Found(NamedTuple):
    """An encoder of ours.

    component (str): The component that it is a part of.
    node (Model): The layer, with the width and the settings.
    shim (EncoderShim): Holds the encoder.
    """

    component: str
    node: Any
    shim: EncoderShim


def find_encoder(nlp: Optional[Language], name: str, model: Any) -> Found:
    """Find the encoder of a component: in itself, or in the transformer that it listens to.

    name (str): Of the component.
    RAISES (ValueError): If it has none, or none of ours.
    """
    found = _find_in(name, model)
    if found is not None:
        return found
    for listener in get_listeners(model):
        kind = KINDS[listener.name].factory
        upstream = None if nlp is None else find_upstream(nlp, name, listener)
        if nlp is None or upstream is None:
            raise UserError(f"'{name}' listens to a {kind} that isn't in the pipeline.")
        found = _find_in(upstream, nlp.get_pipe(upstream).model)  # type: ignore[attr-defined]
        if found is not None:
            return found
        if kind == "tok2vec":
            break
        raise UserError(
            f"'{name}' reads with '{upstream}', a {kind} of another kind than {OURS}, whose "
            f"weights and tokenizer we don't know. Train it with {OURS} as "
            f"[components.{upstream}.model]."
        )
    raise UserError(
        f"'{name}' reads with no transformer: its vectors are those of other layers "
        f"({', '.join(_get_names(model))}), which Hugging Face doesn't have."
    )


def _find_in(name: str, model: Any) -> Optional[Found]:
    for node in model.walk():
        for shim in node.shims:
            if isinstance(shim, EncoderShim):
                return Found(name, node, shim)
    return None


def _get_names(model: Any) -> List[str]:
    tok2vec = model.get_ref("tok2vec") if model.has_ref("tok2vec") else model
    return sorted({node.name for node in tok2vec.walk() if not node.layers})
