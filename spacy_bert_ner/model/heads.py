"""Heads: the output layers of models, and functions for them. Everything that differs between heads
is described by a `Head`, the contract of an output layer."""

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple, cast

import numpy
from spacy.tokens import Doc
from thinc.api import Dropout, Model, Ops, Softmax_v2, chain
from thinc.types import Floats2d, Shape

from ..errors import UserError
from ..types import Output
from .layers.fixed_dropout import fixed_dropout
from .layers.with_rows import with_rows

# Standard deviation of new weights in the head, as in BERT's classification heads.
INIT_STD = 0.02
# The attribute of an output layer with its contract.
HEAD = "head"
# Names of the kinds of output, for messages.
OUTPUTS: Dict[Output, str] = {
    "probabilities": "probabilities of tags",
    "logits": "scores of tags without a softmax",
    "emissions": "log-scores of tags, and transitions between them",
}

# Log-scores of transitions from a tag (row) to the next (column), (n_tags, n_tags), and the
# function that takes their gradient.
TransitionsT = Tuple[Floats2d, Callable[[Floats2d], None]]
# From documents to the outputs of a head for each token, (n_tokens, n_tags); and any model or
# layer.
ModelT = Model[List[Doc], List[Floats2d]]
AnyModel = Model[Any, Any]


@dataclass(frozen=True)
class Head:
    """The contract of an output layer, an attribute that is set when the layer is built. Thinc
    doesn't save it.

    Attributes
    ----------
    name (str): What to call a model with this layer, such as "a CRF".
    output (Output): What the layer outputs for each tag of a token:
        "probabilities": of a softmax; their gradient is given for the inputs of the softmax;
        "logits": the inputs of a softmax that isn't in the model;
        "emissions": log-scores of tags in a chain, used together with transitions.
    loss (str): The registered name of a loss that trains it.
    make_layer (Callable[[AnyModel, int], AnyModel]): Makes a layer like a given one with another
        number of tags, not initialized, for added labels.
    rows (Tuple[str, ...]): The parameters with a row for each tag.
    begin_transitions (Optional[Callable[[AnyModel], TransitionsT]]): For a layer that outputs
        emissions: gives the log-scores of transitions from a tag (row) to the next (column),
        (n_tags, n_tags), and the function that takes the gradient of a loss with respect to them,
        as `backprop` of a layer does.
    no_export (Optional[str]): Why Hugging Face has no class with these weights, None if it has one.
    """

    name: str
    output: Output
    loss: str
    make_layer: Callable[[AnyModel, int], AnyModel]
    rows: Tuple[str, ...] = ("W", "b")
    begin_transitions: Optional[Callable[[AnyModel], TransitionsT]] = None
    no_export: Optional[str] = None

    @property
    def rehearses(self) -> bool:
        """RETURNS (bool): Whether it supports rehearsal, which compares probabilities."""
        return self.output == "probabilities"

    def to_scores(self, outputs: List[Any]) -> List[Any]:
        """Convert outputs to the scores that are decoded.

        outputs (List[ndarray]): The outputs of the layer, on the CPU, (n_tokens, n_tags).
        RETURNS (List[ndarray]): Probabilities of tags, or emissions, (n_tokens, n_tags).
        """
        if self.output != "logits":
            return outputs
        exps = [numpy.exp(X - X.max(axis=1, keepdims=True)) for X in outputs]
        return [exp / exp.sum(axis=1, keepdims=True) for exp in exps]


def get_head(model: AnyModel) -> Head:
    """Get the contract of a model's output layer.

    model (AnyModel): A model with a reference "output_layer".
    RETURNS (Head): The contract; for a model without one, that of a softmax.
    """
    layer = model.maybe_get_ref("output_layer")
    return SOFTMAX if layer is None else layer.attrs.get(HEAD, SOFTMAX)


def get_transitions(model: AnyModel) -> Any:
    """RETURNS (Optional[ndarray]): Log-scores of transitions from a tag (row) to the next (column),
    on the CPU, (n_tags, n_tags); None for a model without transitions.

    model (AnyModel): A model with a reference "output_layer".
    """
    begin = get_head(model).begin_transitions
    if begin is None:
        return None
    transitions, _ = begin(model.get_ref("output_layer"))
    return model.ops.to_numpy(transitions)


def check_loss(model: AnyModel, loss: str, output: Output, architecture: str) -> None:
    """Check that a loss can train a model.

    model (AnyModel): A model with a reference "output_layer".
    loss (str): The registered name of the loss.
    output (Output): The kind of output that the loss takes.
    architecture (str): The registered name of an architecture with this output.
    RAISES (ValueError): If the model has another kind of output.
    """
    head = get_head(model)
    if head.output != output:
        raise UserError(
            f"{loss} needs {OUTPUTS[output]}, but {head.name} outputs {OUTPUTS[head.output]}. Use "
            f"the loss {head.loss}, or the model {architecture}."
        )


def is_initialized(layer: AnyModel) -> bool:
    """RETURNS (bool): Whether a layer has weights.

    layer (AnyModel): An output layer.
    """
    return all(layer.has_param(name) for name in layer.param_names)


def make_head(
    tok2vec: ModelT, nO: Optional[int], dropout: Optional[float], *layers: AnyModel
) -> ModelT:
    """Add a head to a model of token vectors.

    tok2vec (ModelT): A vector for each token, (n_tokens, width).
    nO (Optional[int]): Number of tags, to which none can be added; None takes it from the
        component's labels.
    dropout (Optional[float]): Rate of dropout before the last layer; None for `[training] dropout`.
    layers (AnyModel): The layers of the head. The last one outputs the tags, and has a contract.
    RETURNS (ModelT): The model, with the outputs of the last layer, (n_tokens, nO).
    """
    *inner, output_layer = layers
    rate = Dropout() if dropout is None else fixed_dropout(dropout)
    model: ModelT = chain(tok2vec, with_rows(chain(*inner, rate, output_layer)))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("output_layer", output_layer)
    if nO is None:  # a number in the config must be right when the pipeline is loaded
        model.attrs["resize_output"] = resize_output
    return model


def resize_output(model: AnyModel, new_nO: int) -> AnyModel:
    """Add tags to the head, after the existing ones, which keep their weights.

    model (AnyModel): A model of `make_head`. Changed.
    new_nO (int): Number of tags.
    RETURNS (AnyModel): The same model.
    """
    old = model.get_ref("output_layer")
    new = get_head(model).make_layer(old, new_nO)
    if is_initialized(old):
        new.initialize()
        for name in old.param_names:
            param, learned = cast(Any, new.get_param(name)), cast(Any, old.get_param(name))
            param[tuple(slice(n) for n in learned.shape)] = learned
            new.set_param(name, param)
    model.replace_node(old, new)
    for node in (model, *model.layers[-1].walk()):
        # Only the layers around it: those before it have other widths.
        if node is not new and node.has_dim("nO") and any(inner is new for inner in node.walk()):
            node.set_dim("nO", new_nO, force=True)
    return model


def softmax(nO: Optional[int] = None, nI: Optional[int] = None) -> Model[Floats2d, Floats2d]:
    """Thinc's linear layer with a softmax, and its contract.

    nO, nI (Optional[int]): Number of tags, and width of the inputs.
    RETURNS (Model[Floats2d, Floats2d]): Probabilities, (n_tokens, nO).
    """
    layer = Softmax_v2(nO, nI, init_W=init_normal)
    layer.attrs[HEAD] = SOFTMAX
    return layer


def init_normal(ops: Ops, shape: Shape) -> Floats2d:
    """Make new weights for a head.

    ops (Ops): Makes the array.
    shape (Shape): Their shape, (n_outputs, width).
    RETURNS (Floats2d): Normally distributed, as in BERT's classification heads.
    """
    return ops.asarray2f(numpy.random.normal(scale=INIT_STD, size=shape))  # type: ignore[arg-type]


def _make_like(layer: AnyModel, nO: int) -> AnyModel:
    return softmax(nO, layer.maybe_get_dim("nI"))


SOFTMAX = Head(
    name="a softmax",
    output="probabilities",
    loss="spacy-bert-ner.CrossEntropy.v1",
    make_layer=_make_like,
)
