from functools import partial
from typing import Callable, Tuple

from thinc.api import Model
from thinc.types import Floats2d

from ...errors import UserError
from ..types import TokenLayerT

InT = Floats2d
OutT = Floats2d


def fixed_dropout(rate: float) -> TokenLayerT:
    """Dropout at a fixed rate. Thinc's `Dropout.v1` uses the rate of the training loop, since
    `set_dropout_rate` overwrites any other.

    rate (float): Probability with which a cell is set to zero in training, 0 or more and below 1.
    RETURNS (TokenLayerT): The layer.
    RAISES (ValueError): For a rate out of this range.
    """
    if not 0.0 <= rate < 1.0:
        raise UserError(
            f"Can't use dropout = {rate}: set it to a number of 0 or more and below 1, or to null "
            "for the rate of the training loop."
        )
    # Not in `attrs`, which are saved with the weights and would override the config.
    return Model("fixed_dropout", partial(forward, rate=rate))


def forward(
    model: TokenLayerT, X: InT, is_train: bool, rate: float
) -> Tuple[OutT, Callable[[OutT], InT]]:
    """Run the layer.

    model (TokenLayerT): The layer.
    X (Floats2d): Vectors, (n_tokens, width).
    is_train (bool): Whether to drop cells.
    rate (float): Share of the cells to drop, 0 to 1.
    RETURNS (Tuple[Floats2d, Callable]): Vectors of the same shape, and a callback for their
        gradient.
    """
    if not is_train or not rate:
        return X, lambda dY: dY
    mask = model.ops.get_dropout_mask(X.shape, rate)
    return X * mask, lambda dY: dY * mask
