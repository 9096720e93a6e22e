from functools import partial
from typing import Any, Callable, Optional, Tuple, cast

from thinc.api import Model
from thinc.types import Floats1d, Floats2d
from thinc.util import get_width

from ..heads import HEAD, AnyModel, Head, TransitionsT, init_normal

InT = Floats2d
OutT = Floats2d


def linear_crf(
    nO: Optional[int] = None,
    nI: Optional[int] = None,
    *,
    init_W: Callable[..., Any] = init_normal,
    learn_rate_factor: float = 1.0,
) -> Model[InT, OutT]:
    """The output layer of a linear-chain CRF: a linear layer, whose outputs are log-scores of tags,
    and a matrix of log-scores of transitions, which the loss trains.

    nO, nI (Optional[int]): Number of tags, and width of the inputs.
    init_W (Callable): Makes the weights of the linear layer. Transitions begin at zero.
    learn_rate_factor (float): Transitions are the parameter "T" times this factor. This makes their
        steps larger by the same factor with Adam, whose steps don't depend on the size of a
        gradient.
    RETURNS (Model[InT, OutT]): Log-scores of tags, (n_tokens, nO).
    """
    return Model(
        "linear_crf",
        forward,
        init=partial(init, init_W),
        dims={"nO": nO, "nI": nI},
        params={"W": None, "b": None, "T": None},
        # The factor is saved with the weights, which depend on it.
        attrs={"learn_rate_factor": learn_rate_factor, HEAD: CRF},
    )


def forward(model: Model[InT, OutT], X: InT, is_train: bool) -> Tuple[OutT, Callable[..., Any]]:
    """Score tags.

    model (Model[InT, OutT]): The layer.
    X (InT): Vectors of tokens, (n_tokens, nI).
    is_train (bool): Not used: training only differs in the callback.
    RETURNS (Tuple[OutT, Callable]): Log-scores of tags, (n_tokens, nO), and the callback that takes
        their gradient and gives that of the vectors.
    """
    W = cast(Floats2d, model.get_param("W"))
    b = cast(Floats1d, model.get_param("b"))
    Y = model.ops.gemm(X, W, trans2=True) + b

    def backprop(dY: OutT) -> InT:
        model.inc_grad("b", dY.sum(axis=0))
        model.inc_grad("W", model.ops.gemm(dY, X, trans1=True))
        return model.ops.gemm(dY, W)

    return Y, backprop


def init(
    init_W: Callable[..., Any],
    model: Model[InT, OutT],
    X: Optional[InT] = None,
    Y: Optional[OutT] = None,
) -> None:
    """Allocate the parameters.

    init_W (Callable): Makes the weights of the linear layer.
    model (Model[InT, OutT]): The layer.
    X (Optional[InT]): Sample of the inputs, for their width.
    Y (Optional[OutT]): Sample of the outputs, for the number of tags.
    """
    if X is not None:
        model.set_dim("nI", get_width(X))
    if Y is not None:
        model.set_dim("nO", get_width(Y))
    n_tags = model.get_dim("nO")
    model.set_param("W", init_W(model.ops, (n_tags, model.get_dim("nI"))))
    model.set_param("b", model.ops.alloc1f(n_tags))
    model.set_param("T", model.ops.alloc2f(n_tags, n_tags))


def get_transitions(layer: AnyModel) -> Floats2d:
    """RETURNS (Floats2d): Log-scores of transitions from a tag (row) to the next (column), (n_tags,
    n_tags).

    layer (AnyModel): The layer.
    """
    return cast(Floats2d, layer.get_param("T") * layer.attrs["learn_rate_factor"])


def begin_transitions(layer: AnyModel) -> TransitionsT:
    """Begin an update of the transitions.

    layer (AnyModel): The layer.
    RETURNS (TransitionsT): Log-scores of transitions from a tag (row) to the next (column),
        (n_tags, n_tags), and the function that takes the gradient of a loss with respect to them.
    """

    def backprop(gradient: Floats2d) -> None:
        layer.inc_grad("T", layer.ops.asarray2f(gradient * layer.attrs["learn_rate_factor"]))

    return get_transitions(layer), backprop


def _make_like(layer: AnyModel, nO: int) -> Model[InT, OutT]:
    factor = layer.attrs["learn_rate_factor"]
    return linear_crf(nO, layer.maybe_get_dim("nI"), learn_rate_factor=factor)


CRF = Head(
    name="a CRF",
    output="emissions",
    loss="spacy-bert-ner.CRFLikelihood.v1",
    make_layer=_make_like,
    rows=("W", "b", "T"),
    begin_transitions=begin_transitions,
    no_export="Hugging Face's models have no transitions",
)
