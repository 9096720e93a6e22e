"""Heads: what a model's output layer gives, and what can be done with it. All that differs from one
head to another is told by its contract, a `Head`."""

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple, cast

import numpy
from spacy.tokens import Doc
from thinc.api import Dropout, Model, Ops, Softmax_v2, chain, with_array
from thinc.types import Floats2d, Shape

from ..errors import UserError
from ..types import Output
from .layers.fixed_dropout import fixed_dropout

# Standard deviation of new weights in the head, as in BERT's classification heads.
INIT_STD = 0.02
# The attribute of an output layer that has its contract.
HEAD = "head"
# What to call each kind of output.
OUTPUTS: Dict[Output, str] = {
    "probabilities": "probabilities of tags",
    "logits": "scores of tags without a softmax",
    "emissions": "log-scores of tags, and transitions between them",
}

# Log-scores of a tag (row) before another, (n_tags, n_tags), and what takes their gradient.
TransitionsT = Tuple[Floats2d, Callable[[Floats2d], None]]
# Documents to what the head gives for each token, (n_tokens, n_tags); and any model or layer.
ModelT = Model[List[Doc], List[Floats2d]]
AnyModel = Model[Any, Any]


@dataclass(frozen=True)
class Head:
    """The contract of an output layer. The layer has it among its attributes from when it is built;
    thinc doesn't save it with them.

    Attributes
    ----------
    name (str): What to call a model with this layer, such as "a CRF".
    output (Output): What the layer gives for each tag of a token, and what the gradient that goes
        back into it is taken by:
        "probabilities": softmax probabilities, and the inputs of the softmax;
        "logits": what a softmax makes probabilities of, and themselves;
        "emissions": log-scores of a chain, next to `transitions`, and themselves.
    loss (str): The registered name of a loss that trains it.
    make_layer (Callable[[AnyModel, int], AnyModel]): Makes another layer like one, not initialized,
        with a number of tags: for labels that are added.
    rows (Tuple[str, ...]): The parameters with a row for each tag.
    begin_transitions (Optional[Callable[[AnyModel], TransitionsT]]): Of a layer that gives
        emissions, the log-scores of a tag (row) before another, (n_tags, n_tags), and the function
        that takes the gradient of a loss with respect to them, as a layer's `backprop` does.
    no_export (Optional[str]): Why Hugging Face has no class with these weights; None if it has.
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
        """RETURNS (bool): Whether it can learn to predict what it did before: rehearsal compares
        probabilities."""
        return self.output == "probabilities"

    def to_scores(self, outputs: List[Any]) -> List[Any]:
        """Outputs as they are decoded.

        outputs (List[ndarray]): What the layer gave, on the CPU, (n_tokens, n_tags).
        RETURNS (List[ndarray]): Probabilities of tags, or emissions, (n_tokens, n_tags).
        """
        if self.output != "logits":
            return outputs
        exps = [numpy.exp(X - X.max(axis=1, keepdims=True)) for X in outputs]
        return [exp / exp.sum(axis=1, keepdims=True) for exp in exps]


def get_head(model: AnyModel) -> Head:
    """Find the contract of a model.

    model (AnyModel): A model with a reference "output_layer".
    RETURNS (Head): That of its output layer. A model that has none is taken to give probabilities.
    """
    layer = model.maybe_get_ref("output_layer")
    return SOFTMAX if layer is None else layer.attrs.get(HEAD, SOFTMAX)


def get_transitions(model: AnyModel) -> Any:
    """RETURNS (Optional[ndarray]): Log-score of a tag (row) before another, on the CPU,
    (n_tags, n_tags); None of a model without transitions.

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
    output (Output): What the loss takes, and gives a gradient for.
    architecture (str): The registered name of a model that gives that.
    RAISES (ValueError): If the model gives something else.
    """
    head = get_head(model)
    if head.output != output:
        raise UserError(
            f"{loss} trains {OUTPUTS[output]}, and {head.name} gives {OUTPUTS[head.output]}. Use "
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
    """Put a head on token vectors.

    tok2vec (ModelT): A vector for each token, (n_tokens, width).
    nO (Optional[int]): Number of tags, which can't grow; None takes it from the component's labels.
    dropout (Optional[float]): Rate of dropout before the last layer; None follows `[training]
        dropout`.
    layers (AnyModel): The layers of the head. The last gives the tags, and has a contract.
    RETURNS (ModelT): What the last layer gives, (n_tokens, nO).
    """
    *inner, output_layer = layers
    rate = Dropout() if dropout is None else fixed_dropout(dropout)
    model: ModelT = chain(tok2vec, with_array(chain(*inner, rate, output_layer)))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("output_layer", output_layer)
    if nO is None:  # a number in the config has to hold when it is loaded
        model.attrs["resize_output"] = resize_output
    return model


def resize_output(model: AnyModel, new_nO: int) -> AnyModel:
    """Give the head more tags, behind those it has. Their rows keep what they have learned.

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
        # Those around it: layers before it have widths of their own.
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
    """New weights of a head.

    ops (Ops): Where to make them.
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
