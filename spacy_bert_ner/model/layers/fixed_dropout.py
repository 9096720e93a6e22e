from functools import partial
from typing import Callable, Tuple

from thinc.api import Model
from thinc.types import Floats2d

from ...errors import UserError
from ..types import TokenLayerT

InT = Floats2d
OutT = Floats2d


def fixed_dropout(rate: float) -> TokenLayerT:
    """Dropout at a rate of its own: thinc's `Dropout.v1` takes the rate of the training loop,
    which `set_dropout_rate` writes over any other.

    rate (float): Probability with which a cell is set to zero in training, from 0 up to, not
        including, 1.
    RETURNS (TokenLayerT): The layer.
    RAISES (ValueError): For a rate that is no probability.
    """
    if not 0.0 <= rate < 1.0:
        raise UserError(
            f"Can't drop out at a rate of {rate}: set dropout to a number from 0 up to, not "
            "including, 1, or to null for the rate of the training loop."
        )
    # Not in `attrs`, which are saved with the weights and would win over the config.
    return Model("fixed_dropout", partial(forward, rate=rate))


def forward(
    model: TokenLayerT, X: InT, is_train: bool, rate: float
) -> Tuple[OutT, Callable[[OutT], InT]]:
    """Run the layer.

    model (TokenLayerT): The layer.
    X (Floats2d): Vectors, (n_tokens, width).
    is_train (bool): Whether to drop cells.
    rate (float): How many of them, 0 to 1.
    RETURNS (Tuple[Floats2d, Callable]): Vectors of the same shape, and a callback for their
        gradient.
    """
    if not is_train or not rate:
        return X, lambda dY: dY
    mask = model.ops.get_dropout_mask(X.shape, rate)
    return X * mask, lambda dY: dY * mask
