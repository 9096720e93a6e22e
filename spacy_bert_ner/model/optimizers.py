"""Optimizers that a config names."""

from typing import Any, List, Union

from thinc.api import Optimizer
from thinc.optimizers import ADAM_DEFAULTS
from thinc.types import Generator

from ..errors import UserError

Rate = Union[float, List[float], Generator]


class LayeredAdam(Optimizer):
    """Thinc's Adam with a rate for each layer: the last block of a pre-trained encoder has the rate
    of the schedule, each block below `layer_decay` times that of the one above (Howard & Ruder
    2018), and whatever is no part of an encoder, such as a head, `head_factor` times the rate.

    learn_rate (Rate): Rate of the last block, a number or a schedule.
    head_factor (float): How many times this rate weights outside of encoders have, above 0.
    layer_decay (float): Rate of a block over that of the block above it, 0 to 1.
    settings (Any): Those of thinc's Optimizer.
    """

    __slots__ = ["head_factor", "layer_decay"]

    def __init__(
        self, learn_rate: Rate, *, head_factor: float, layer_decay: float, **settings: Any
    ):
        super().__init__(learn_rate, **settings)
        self.head_factor = head_factor
        self.layer_decay = layer_decay

    def __call__(self, key: Any, weights: Any, gradient: Any, *, lr_scale: float = 1.0) -> Any:
        """Step a weight outside of encoders, which are stepped in `encoder/fused_adam.py`.

        key (Any): What moments are kept under.
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
    """Construct `spacy-bert-ner.LayeredAdam.v1`: thinc's `Adam.v1` with two settings more.

    learn_rate (Rate): Rate of the last block, a number or a schedule.
    head_factor (float): How many times the learning rate the weights outside of encoders have.
    layer_decay (float): What part of the rate of the block above it a block of an encoder has; the
        embeddings are below the first block.
    beta1, beta2 (float): Decay of the two moments in a step, above 0 and below 1.
    eps (float): Added to the root of the second moment.
    L2 (float): Weight decay or L2 penalty.
    L2_is_weight_decay (bool): Which of the two it is (Loshchilov & Hutter 2019).
    grad_clip (float): The most that the norm of a gradient can be.
    use_averages (bool): Whether to keep running means of the weights, for `nlp.use_params`.
    RETURNS (LayeredAdam): The optimizer.
    RAISES (ValueError): For factors out of their range.
    """
    if not head_factor > 0.0:
        raise UserError(
            f"Can't train heads with head_factor = {head_factor}: set it to a number above 0, "
            "such as 5."
        )
    if not 0.0 < layer_decay <= 1.0:
        raise UserError(
            f"Can't decay learning rates with layer_decay = {layer_decay}: set it to 1 for the "
            "same rate in all blocks, or to a number between 0 and 1, such as 0.9."
        )
    if not (beta1 > 0.0 and beta2 > 0.0):
        raise UserError(
            f"spacy-bert-ner.LayeredAdam.v1 can't do without moments: set beta1 = {beta1} and "
            f"beta2 = {beta2} to numbers above 0, or take SGD.v1."
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
