"""Optimizers that a config names."""

from typing import Any, List, Union

from thinc.api import Optimizer
from thinc.optimizers import ADAM_DEFAULTS
from thinc.types import Generator

from ..errors import UserError

Rate = Union[float, List[float], Generator]


class LayeredAdam(Optimizer):
    """Thinc's Adam with learning rates by layer. The last layer of a pretrained encoder has the
    rate of the schedule, each other layer has `layer_decay` times the rate of the layer above it
    (Howard & Ruder 2018), and weights outside of encoders, such as heads, have `head_factor` times
    the rate of the schedule.

    learn_rate (Rate): Learning rate of the last layer, a number or a schedule.
    head_factor (float): Factor on this rate for weights outside of encoders, above 0.
    layer_decay (float): Rate of a layer divided by that of the layer above it, above 0, at most 1.
    settings (Any): Other arguments of thinc's Optimizer.
    """

    __slots__ = ["head_factor", "layer_decay"]

    def __init__(
        self, learn_rate: Rate, *, head_factor: float, layer_decay: float, **settings: Any
    ):
        super().__init__(learn_rate, **settings)
        self.head_factor = head_factor
        self.layer_decay = layer_decay

    def __call__(self, key: Any, weights: Any, gradient: Any, *, lr_scale: float = 1.0) -> Any:
        """Update a weight outside of encoders; those of encoders are updated in
        `encoder/fused_adam.py`.

        key (Any): The key of its moments.
        weights, gradient (FloatsXd): The weight and its gradient, of one shape.
        lr_scale (float): Factor on the learning rate.
        RETURNS (Tuple[FloatsXd, FloatsXd]): The new weight, and zeros in place of the gradient.
        """
        return super().__call__(key, weights, gradient, lr_scale=self.head_factor * lr_scale)


def make_layered_adam(
    learn_rate: Rate = ADAM_DEFAULTS["learn_rate"],
    *,
    head_factor: float = 1.0,
    layer_decay: float = 1.0,
    beta1: float = ADAM_DEFAULTS["beta1"],
    beta2: float = ADAM_DEFAULTS["beta2"],
    eps: float = ADAM_DEFAULTS["eps"],
    L2: float = ADAM_DEFAULTS["L2"],
    L2_is_weight_decay: bool = True,
    grad_clip: float = ADAM_DEFAULTS["grad_clip"],
    use_averages: bool = True,
) -> LayeredAdam:
    """Construct `spacy-bert-ner.LayeredAdam.v1`: thinc's `Adam.v1` with two more settings, which
    set learning rates by layer (Howard & Ruder 2018).

    learn_rate (Rate): Learning rate of the last layer of an encoder, a number or a schedule.
    head_factor (float): Factor on this rate for weights outside of encoders, such as heads, above
        0.
    layer_decay (float): Learning rate of a layer of an encoder divided by that of the layer above
        it, above 0, at most 1. The embeddings are below the first layer.
    beta1 (float): Decay of the first moment (the mean of gradients) in a step, above 0, below 1.
    beta2 (float): Decay of the second moment (the mean of their squares) in a step, above 0, below
        1.
    eps (float): Added to the root of the second moment.
    L2 (float): Rate of weight decay, or factor of the L2 penalty.
    L2_is_weight_decay (bool): Whether `L2` is weight decay (Loshchilov & Hutter 2019), not a
        penalty.
    grad_clip (float): The largest norm of a gradient; larger gradients are scaled down to it.
    use_averages (bool): Whether to keep running means of the weights, for `nlp.use_params`.
    RETURNS (LayeredAdam): The optimizer.
    RAISES (ValueError): For settings out of their range.
    """
    if not head_factor > 0.0:
        raise UserError(
            f"Can't train heads with head_factor = {head_factor}: set it to a number above 0, "
            "such as 5."
        )
    if not 0.0 < layer_decay <= 1.0:
        raise UserError(
            f"Can't decay learning rates with layer_decay = {layer_decay}: set it to 1 for the "
            "same rate in all layers, or to a number between 0 and 1, such as 0.9."
        )
    if not (beta1 > 0.0 and beta2 > 0.0):
        raise UserError(
            f"spacy-bert-ner.LayeredAdam.v1 needs moments: set beta1 = {beta1} and beta2 = {beta2} "
            "to numbers above 0, or use SGD.v1."
        )
    return LayeredAdam(
        learn_rate,
        head_factor=head_factor,
        layer_decay=layer_decay,
        beta1=beta1,
        beta2=beta2,
        eps=eps,
        L2=L2,
        L2_is_weight_decay=L2_is_weight_decay,
        grad_clip=grad_clip,
        use_averages=use_averages,
    )
