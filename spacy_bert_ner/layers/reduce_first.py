from typing import Callable, Tuple, cast

import numpy
from thinc.api import Model
from thinc.types import Floats2d, Ragged
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
    Y = model.ops.alloc2f(len(lengths), X.shape[1])
    Y[tokens] = X[rows]
    array_info = ArrayInfo.from_array(Y)

    def backprop(dY: OutT) -> InT:
        array_info.check_consistency(dY)
        dX = model.ops.alloc2f(*X.shape)
        dX[rows] = dY[tokens]
        return Ragged(dX, Xr.lengths)

    return Y, backprop
