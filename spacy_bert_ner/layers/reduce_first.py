from typing import Callable, Tuple, cast

import numpy
from thinc.api import Model
from thinc.types import Floats2d, Ints1d, Ragged
from thinc.util import ArrayInfo

InT = Ragged
OutT = Floats2d


def reduce_first() -> Model[InT, OutT]:
    """Reduce each token's wordpieces to the first: (n_pieces, width) to (n_tokens, width).
    Differs from thinc's `reduce_first.v1` for tokens without wordpieces, which the stock
    TransformerModel yields: these get zeros and no gradient, where thinc raises."""
    return Model("reduce_first", forward)


def forward(model: Model[InT, OutT], Xr: InT, is_train: bool) -> Tuple[OutT, Callable[[OutT], InT]]:
    X = cast(Floats2d, Xr.dataXd)
    lengths = model.ops.to_numpy(Xr.lengths)
    tokens = numpy.nonzero(lengths)[0]
    rows = (numpy.cumsum(lengths) - lengths)[tokens]
    Y = X[rows]
    if len(tokens) < len(lengths):
        filled, Y = Y, model.ops.alloc2f(len(lengths), X.shape[1])
        Y[cast(Ints1d, tokens)] = filled
    shape = X.shape  # all that the callback keeps of the wordpieces
    array_info = ArrayInfo.from_array(Y)

    def backprop(dY: OutT) -> InT:
        array_info.check_consistency(dY)
        dX = model.ops.alloc2f(*shape)
        dX[cast(Ints1d, rows)] = dY[cast(Ints1d, tokens)]
        return Ragged(dX, lengths)

    return Y, backprop
