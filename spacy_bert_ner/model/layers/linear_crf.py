from functools import partial
from typing import Callable, Optional, Tuple, cast

from thinc.api import Model
from thinc.types import Floats1d, Floats2d
from thinc.util import get_width

InT = Floats2d
OutT = Floats2d


def linear_crf(
    nO: Optional[int] = None,
    nI: Optional[int] = None,
    *,
    init_W: Callable,
    learn_rate_factor: float = 1.0,
) -> Model[InT, OutT]:
    """The output layer of a linear-chain CRF: a linear layer, whose outputs are log-scores of tags,
    and a matrix of log-scores of a tag before another, which the loss trains.

    nO, nI (Optional[int]): Number of tags, and width of the inputs.
    init_W (Callable): Makes the weights of the linear layer. Transitions begin at zero.
    learn_rate_factor (float): Transitions are this many times the parameter "T", which makes their
        steps as many times larger, under Adam, whose steps don't depend on the size of a gradient.
    """
    return Model(
        "linear_crf",
        forward,
        init=partial(init, init_W),
        dims={"nO": nO, "nI": nI},
        params={"W": None, "b": None, "T": None},
        # Saved with the weights, which it belongs to.
        attrs={"learn_rate_factor": learn_rate_factor},
    )


def forward(model: Model[InT, OutT], X: InT, is_train: bool) -> Tuple[OutT, Callable]:
    W = cast(Floats2d, model.get_param("W"))
    b = cast(Floats1d, model.get_param("b"))
    Y = model.ops.gemm(X, W, trans2=True) + b

    def backprop(dY: OutT) -> InT:
        model.inc_grad("b", dY.sum(axis=0))
        model.inc_grad("W", model.ops.gemm(dY, X, trans1=True))
        return model.ops.gemm(dY, W)

    return Y, backprop


def init(
    init_W: Callable, model: Model[InT, OutT], X: Optional[InT] = None, Y: Optional[OutT] = None
) -> None:
    if X is not None:
        model.set_dim("nI", get_width(X))
    if Y is not None:
        model.set_dim("nO", get_width(Y))
    n_tags = model.get_dim("nO")
    model.set_param("W", init_W(model.ops, (n_tags, model.get_dim("nI"))))
    model.set_param("b", model.ops.alloc1f(n_tags))
    model.set_param("T", model.ops.alloc2f(n_tags, n_tags))


def has_transitions(model: Model) -> bool:
    """RETURNS (bool): Whether the output layer of a model is one of these."""
    layer = model.maybe_get_ref("output_layer")
    return layer is not None and "T" in layer.param_names


def get_transitions(layer: Model) -> Floats2d:
    """RETURNS (Floats2d): Log-score of a tag (row) before another, (n_tags, n_tags)."""
    return layer.get_param("T") * layer.attrs["learn_rate_factor"]


def add_gradient(layer: Model, gradient: Floats2d) -> None:
    """Add the gradient of a loss with respect to the transitions, (n_tags, n_tags)."""
    layer.inc_grad("T", layer.ops.asarray2f(gradient * layer.attrs["learn_rate_factor"]))
