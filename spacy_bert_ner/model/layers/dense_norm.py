from functools import partial
from typing import Any, Callable, Dict, Optional, Tuple, cast

from thinc.api import Model, Ops
from thinc.types import Floats1d, Floats2d, Shape
from thinc.util import ArrayInfo, get_width

from ...errors import UserError
from ..types import TokenLayerT

InT = Floats2d
OutT = Floats2d

# By their names in transformers: the function, and the function that gives the gradient of its
# input from the gradient of its output, the input and the output.
ACTIVATIONS: Dict[str, Tuple[Callable[..., Any], Callable[..., Any]]] = {
    "gelu": (lambda ops, X: ops.gelu(X), lambda ops, dY, X, Y: ops.backprop_gelu(dY, X)),
    "relu": (lambda ops, X: ops.relu(X), lambda ops, dY, X, Y: ops.backprop_relu(dY, Y)),
    "silu": (lambda ops, X: ops.swish(X), lambda ops, dY, X, Y: ops.backprop_swish(dY, X, Y)),
    "tanh": (lambda ops, X: ops.xp.tanh(X), lambda ops, dY, X, Y: dY * (1 - Y * Y)),
}


def dense_norm(
    nI: Optional[int] = None,
    *,
    init_W: Callable[[Ops, Shape], Floats2d],
    activation: str = "gelu",
    bias: bool = False,
    norm_bias: bool = False,
    eps: float = 1e-5,
) -> TokenLayerT:
    """The layers before the classifier in ModernBERT's head: linear, activation and normalization
    (Ba et al. 2016), (n_tokens, width) to (n_tokens, width). Differs from thinc's own layers in
    having no biases unless asked, and in `eps`.

    nI (Optional[int]): The width.
    init_W (Callable[[Ops, Shape], Floats2d]): Makes the weights of the linear layer.
    activation (str): A name in ACTIVATIONS.
    bias, norm_bias (bool): Whether the linear layer and the normalization have biases.
    eps (float): Added to variances.
    RETURNS (TokenLayerT): The layer.
    RAISES (ValueError): For an unknown activation.
    """
    if activation not in ACTIVATIONS:
        raise UserError(
            f"Can't use the activation '{activation}' in a classifier: set it to one of "
            f"{', '.join(ACTIVATIONS)}."
        )
    params: Dict[str, Optional[Any]] = {"W": None, "G": None}
    params.update({"b": None} if bias else {}, **({"norm_b": None} if norm_bias else {}))
    return Model(
        "dense_norm",
        # Not in `attrs`, which are saved with the weights and would override the config.
        partial(forward, activation=activation, eps=eps),
        init=partial(init, init_W),
        dims={"nI": nI},
        params=params,
    )


def forward(
    model: TokenLayerT, X: InT, is_train: bool, activation: str, eps: float
) -> Tuple[OutT, Callable[[OutT], InT]]:
    """Run the layer.

    model (TokenLayerT): The layer.
    X (Floats2d): Vectors of tokens, (n_tokens, width).
    is_train (bool): Whether to learn from them.
    activation (str): A name in ACTIVATIONS.
    eps (float): Added to variances.
    RETURNS (Tuple[Floats2d, Callable]): Vectors, (n_tokens, width), and a callback for their
        gradient.
    """
    ops, xp = model.ops, model.ops.xp
    activate, backprop_activation = ACTIVATIONS[activation]
    W, G = cast(Floats2d, model.get_param("W")), cast(Floats1d, model.get_param("G"))
    hidden = ops.gemm(X, W, trans2=True)
    if model.has_param("b"):
        hidden += cast(Floats1d, model.get_param("b"))
    active = activate(ops, hidden)
    centred = active - active.mean(axis=1, keepdims=True)
    deviation = xp.sqrt((centred**2).mean(axis=1, keepdims=True) + eps)
    normed = centred / deviation
    Y = normed * G
    if model.has_param("norm_b"):
        Y += cast(Floats1d, model.get_param("norm_b"))
    array_info = ArrayInfo.from_array(Y)

    def backprop(dY: OutT) -> InT:
        array_info.check_consistency(dY)
        model.inc_grad("G", (dY * normed).sum(axis=0))
        if model.has_param("norm_b"):
            model.inc_grad("norm_b", dY.sum(axis=0))
        d_normed = dY * G
        mean, slope = (part.mean(axis=1, keepdims=True) for part in (d_normed, d_normed * normed))
        d_active = (d_normed - mean - normed * slope) / deviation
        d_hidden = backprop_activation(ops, d_active, hidden, active)
        model.inc_grad("W", ops.gemm(d_hidden, X, trans1=True))
        if model.has_param("b"):
            model.inc_grad("b", d_hidden.sum(axis=0))
        return ops.gemm(d_hidden, W)

    return Y, backprop


def init(
    init_W: Callable[[Ops, Shape], Floats2d],
    model: TokenLayerT,
    X: Optional[InT] = None,
    Y: Optional[OutT] = None,
) -> None:
    """Make the weights.

    init_W (Callable[[Ops, Shape], Floats2d]): Makes those of the linear layer.
    model (TokenLayerT): The layer.
    X (Optional[Floats2d]): A sample of vectors, for the width.
    Y (Optional[Floats2d]): Not used.
    """
    if X is not None and model.has_dim("nI") is None:
        model.set_dim("nI", get_width(X))
    width = model.get_dim("nI")
    model.set_param("W", init_W(model.ops, (width, width)))
    model.set_param("G", model.ops.alloc1f(width) + 1)
    for name in ("b", "norm_b"):
        if name in model.param_names:
            model.set_param(name, model.ops.alloc1f(width))
