"""Find the encoders of a pipeline: in a component that others listen to, or inside the model that
uses them."""

from typing import Any, Iterator, List, NamedTuple, Optional

from spacy.language import Language
from thinc.api import Model
from thinc.shims import PyTorchShim

from ..errors import UserError
from ..model.encoder.settings import EncoderSettings, WindowSettings
from ..model.encoder.tokenizer import PieceTokenizer
from ..model.shims import get_module
from .listener_kinds import KINDS
from .listeners import find_upstream, get_listeners

OURS = "spacy-bert-ner.TransformerModel.v1"


class Found(NamedTuple):
    """An encoder.

    component (str): The component that it is a part of.
    node (Model): Its layer. A `TransformerModel.v1` and an `OnnxEncoder.v1` have the settings, the
        width, and the encoder itself as their shim.
    """

    component: str
    node: Any

    @property
    def is_ours(self) -> bool:
        """RETURNS (bool): Whether it is a `TransformerModel.v1` of this package."""
        return isinstance(self.node.attrs.get("settings"), EncoderSettings)

    @property
    def is_exported(self) -> bool:
        """RETURNS (bool): Whether it is an `OnnxEncoder.v1` of this package."""
        return type(self.node.attrs.get("settings")) is WindowSettings

    @property
    def is_stock(self) -> bool:
        """RETURNS (bool): Whether it is a TransformerModel of spacy-transformers."""
        return _is_stock(self.node)

    @property
    def shim(self) -> Any:
        """RETURNS (Shim): The shim with the module: an EncoderShim or OnnxShim, if it is of this
        package."""
        return (self.node.layers[0] if self.is_stock else self.node).shims[0]

    @property
    def module(self) -> Optional[Any]:
        """RETURNS (Optional[torch.nn.Module]): The module; None before it is initialized, and for
        exported encoders."""
        if self.is_ours:
            return None if self.shim.encoder is None else self.shim.encoder.model
        if self.is_stock:
            return self.node.transformer
        return get_module(self.shim)

    @property
    def tokenizer(self) -> Optional[Any]:
        """RETURNS (Optional[PreTrainedTokenizerBase]): Hugging Face's tokenizer; None before it is
        initialized, and for encoders without one."""
        if self.is_ours:
            return None if self.shim.encoder is None else self.shim.encoder.tokenizer
        return self.node.tokenizer if self.is_stock else None

    @property
    def pieces(self) -> Optional[PieceTokenizer]:
        """RETURNS (Optional[PieceTokenizer]): What splits text into its wordpieces; None before it
        is initialized, and for encoders that aren't of this package."""
        return getattr(self.shim, "pieces", None)

    @property
    def width(self) -> Optional[int]:
        """RETURNS (Optional[int]): Width of its vectors; None before it is initialized, and for
        encoders that aren't of this package."""
        if self.is_exported:
            return None if self.shim.export is None else int(self.shim.export.facts.width)
        is_known = self.is_ours and self.module is not None
        return int(self.module.config.hidden_size) if is_known else None  # type: ignore[union-attr]


def iter_encoders(
    model: Optional[Any], name: str = "", nlp: Optional[Language] = None
) -> Iterator[Found]:
    """Find the encoders that a component uses: those of this package, exported ones among them, and
    of spacy-transformers, and other PyTorch modules, such as those of curated transformers.

    model (Optional[Model]): The model of the component, None if it has none.
    name (str): Name of the component.
    nlp (Optional[Language]): The pipeline. If it is given, the encoders that the model listens to
        are included, after its own.
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
    inner: List[Any] = []  # layers of stock encoders, which have their shims
    for node in model.walk():
        found = Found(name, node)
        if found.is_ours or found.is_exported:
            yield found
        elif found.is_stock:
            inner += node.layers
            yield found
        elif any(isinstance(shim, PyTorchShim) for shim in node.shims) and node not in inner:
            yield found


def find_encoder(nlp: Optional[Language], name: str, model: Any) -> Found:
    """Find the `TransformerModel.v1` of a component: in itself, or in the transformer that it
    listens to.

    nlp (Optional[Language]): The pipeline, None for a component without one.
    name (str): Name of the component.
    model (Model): Its model.
    RETURNS (Found): The encoder.
    RAISES (ValueError): If it has no encoder, or another kind of encoder.
    """
    for found in iter_encoders(model, name):
        if found.is_ours:
            return found
        if found.is_exported:
            raise UserError(
                f"'{name}' uses an encoder that was exported to ONNX, which can only predict. Use "
                "the pipeline that it was exported from."
            )
    for listener in get_listeners(model):
        kind = KINDS[listener.name].factory
        upstream = None if nlp is None else find_upstream(nlp, listener)
        if nlp is None or upstream is None:
            raise UserError(
                f"'{name}' listens to a {kind}, but the pipeline has none: add it before '{name}'."
            )
        heard = iter_encoders(nlp.get_pipe(upstream).model, upstream)  # type: ignore[attr-defined]
        ours = next((found for found in heard if found.is_ours), None)
        if ours is not None:
            return ours
        if kind == "tok2vec":
            break
        raise UserError(
            f"'{name}' uses the encoder '{upstream}', which isn't a {OURS}, so its weights can't "
            f"be exported. Train it with {OURS} as [components.{upstream}.model]."
        )
    raise UserError(
        f"'{name}' uses no transformer: its vectors come from other layers "
        f"({', '.join(_get_names(model))}), which Hugging Face doesn't have. Train it with {OURS}."
    )


def get_pooling(model: Any) -> Optional[str]:
    """RETURNS (Optional[str]): The name of the pooling layer, None if there is none.

    model (Model): The model of a component.
    """
    for node in model.walk():
        if node.name in ("trfs2arrays", "onnx-encoder"):
            return str(node.layers[0].name)
    return None


def _is_stock(node: Any) -> bool:
    """Whether a layer is a TransformerModel of spacy-transformers, by its attributes: to check its
    class, torch would have to be imported."""
    return "set_transformer" in node.attrs and hasattr(node, "transformer")


def _get_names(model: Any) -> List[str]:
    tok2vec = model.get_ref("tok2vec") if model.has_ref("tok2vec") else model
    return sorted({node.name for node in tok2vec.walk() if not node.layers})
