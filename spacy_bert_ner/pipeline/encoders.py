"""The encoders of a pipeline, wherever they are: in a component that others listen to, or inside
the model that reads with them."""

from typing import Any, Iterator, List, NamedTuple, Optional

from spacy.language import Language
from thinc.api import Model
from thinc.shims import PyTorchShim

from ..errors import UserError
from ..model.encoder.settings import EncoderSettings
from .listener_kinds import KINDS
from .listeners import find_upstream, get_listeners

OURS = "spacy-bert-ner.TransformerModel.v1"


class Found(NamedTuple):
    """An encoder.

    component (str): The component that it is a part of.
    node (Model): Its layer. That of our own kind has the settings and the width, and as its shim
        the encoder itself.
    """

    component: str
    node: Any

    @property
    def is_ours(self) -> bool:
        """RETURNS (bool): Whether it is a `TransformerModel.v1` of ours."""
        return isinstance(self.node.attrs.get("settings"), EncoderSettings)

    @property
    def is_stock(self) -> bool:
        """RETURNS (bool): Whether it is a TransformerModel of spacy-transformers."""
        return _is_stock(self.node)

    @property
    def shim(self) -> Any:
        """RETURNS (Shim): What holds the module: an EncoderShim, if it is ours."""
        return (self.node.layers[0] if self.is_stock else self.node).shims[0]

    @property
    def module(self) -> Optional[Any]:
        """RETURNS (Optional[torch.nn.Module]): The module, None before it is initialized."""
        if self.is_ours:
            return None if self.shim.encoder is None else self.shim.encoder.model
        if self.is_stock:
            return self.node.transformer
        return _get_module(self.shim)

    @property
    def tokenizer(self) -> Optional[Any]:
        """RETURNS (Optional[PreTrainedTokenizerBase]): Hugging Face's tokenizer; None before it is
        initialized, and of encoders that have none of that kind."""
        if self.is_ours:
            return None if self.shim.encoder is None else self.shim.encoder.tokenizer
        return self.node.tokenizer if self.is_stock else None


def iter_encoders(
    model: Optional[Any], name: str = "", nlp: Optional[Language] = None
) -> Iterator[Found]:
    """Find the encoders that a component reads with: ours, those of spacy-transformers, and other
    modules of PyTorch, such as those of curated transformers.

    model (Optional[Model]): The model of the component, None if it has none.
    name (str): Name of the component.
    nlp (Optional[Language]): The pipeline. With it, encoders that the model listens to come too,
        after its own; without it, they don't.
    YIELDS (Found): The encoders.
    """
    if not isinstance(model, Model):
        return
    yield from _iter_own(model, name)
    for listener in get_listeners(model) if nlp is not None else ():
        upstream = None if nlp is None else find_upstream(nlp, listener)
        if nlp is not None and upstream is not None:
            yield from _iter_own(nlp.get_pipe(upstream).model, upstream)  # type: ignore[attr-defined]


def _iter_own(model: Model[Any, Any], name: str) -> Iterator[Found]:
    inner: List[Any] = []  # of stock encoders, where their shims are
    for node in model.walk():
        found = Found(name, node)
        if found.is_ours:
            yield found
        elif found.is_stock:
            inner += node.layers
            yield found
        elif any(isinstance(shim, PyTorchShim) for shim in node.shims) and node not in inner:
            yield found


def find_encoder(nlp: Optional[Language], name: str, model: Any) -> Found:
    """Find our encoder of a component: in itself, or in the transformer that it listens to.

    nlp (Optional[Language]): The pipeline, None for a component that stands alone.
    name (str): Of the component.
    model (Model): Of the component.
    RETURNS (Found): The encoder.
    RAISES (ValueError): If it has none, or none of ours.
    """
    found = next((found for found in iter_encoders(model, name) if found.is_ours), None)
    if found is not None:
        return found
    for listener in get_listeners(model):
        kind = KINDS[listener.name].factory
        upstream = None if nlp is None else find_upstream(nlp, listener)
        if nlp is None or upstream is None:
            raise UserError(f"'{name}' listens to a {kind} that isn't in the pipeline.")
        heard = iter_encoders(nlp.get_pipe(upstream).model, upstream)  # type: ignore[attr-defined]
        found = next((found for found in heard if found.is_ours), None)
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


def _is_stock(node: Any) -> bool:
    """Whether a layer is a TransformerModel of spacy-transformers, by what it has. Its class would
    have to be imported, and with it torch."""
    return "set_transformer" in node.attrs and hasattr(node, "transformer")


def _get_module(shim: Any) -> Optional[Any]:
    """The module of a shim of thinc's, which has no other name for it than this one. Without it,
    the encoder counts as one that isn't initialized."""
    return getattr(shim, "_model", None)


def _get_names(model: Any) -> List[str]:
    tok2vec = model.get_ref("tok2vec") if model.has_ref("tok2vec") else model
    return sorted({node.name for node in tok2vec.walk() if not node.layers})
