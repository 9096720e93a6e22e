"""Thinc's reductions of the wordpieces of a token to one vector, (n_pieces, width) to (n_tokens,
width), for tokens without wordpieces as well: these get zeros and no gradient. The TransformerModel
of spacy-transformers has such tokens, for which thinc's own layers raise an error or return the
vector of another token."""

from functools import partial
from typing import Callable, Tuple, cast

from thinc import layers
from thinc.api import Model
from thinc.types import Floats2d, Ints1d, Ragged
from thinc.util import ArrayInfo

from ..types import PoolingT

InT = Ragged
OutT = Floats2d


def reduce_first() -> PoolingT:
    """Construct `spacy-bert-ner.reduce_first.v1`: the vector of a token is that of its first
    wordpiece (Devlin et al. 2019, section 5.3). Tokens without wordpieces get zeros.

    RETURNS (PoolingT): The layer.
    """
    return _stand_empty(layers.reduce_first())


def reduce_last() -> PoolingT:
    """Construct `spacy-bert-ner.reduce_last.v1`: the vector of a token is that of its last
    wordpiece. Tokens without wordpieces get zeros.

    RETURNS (PoolingT): The layer.
    """
    return _stand_empty(layers.reduce_last())


def reduce_mean() -> PoolingT:
    """Construct `spacy-bert-ner.reduce_mean.v1`: the vector of a token is the mean of its
    wordpieces. Tokens without wordpieces get zeros.

    RETURNS (PoolingT): The layer.
    """
    return _stand_empty(layers.reduce_mean())


def reduce_max() -> PoolingT:
    """Construct `spacy-bert-ner.reduce_max.v1`: the vector of a token has the largest value of its
    wordpieces in each dimension. Tokens without wordpieces get zeros.

    RETURNS (PoolingT): The layer.
    """
    return _stand_empty(layers.reduce_max())


def _stand_empty(layer: PoolingT) -> PoolingT:
    # Not nested, so that the layer has the name of its reduction.
    return Model(layer.name, partial(forward, reduce=layer))


def forward(
    model: PoolingT, Xr: InT, is_train: bool, reduce: PoolingT
) -> Tuple[OutT, Callable[[OutT], InT]]:
    """Run the layer.

    model (PoolingT): The layer.
    Xr (Ragged): Vectors of wordpieces, (n_pieces, width), and how many each token has.
    is_train (bool): Whether to learn from them.
    reduce (PoolingT): Thinc's layer.
    RETURNS (Tuple[Floats2d, Callable]): Vectors of tokens, (n_tokens, width), and a callback for
        their gradient.
    """
    X, lengths = cast(Floats2d, Xr.dataXd), cast(Ints1d, Xr.lengths)
    tokens = model.ops.xp.nonzero(lengths)[0]
    width = X.shape[1]
    if not len(tokens):
        return model.ops.alloc2f(len(lengths), width), lambda dY: Ragged(
            model.ops.alloc2f(0, width), lengths
        )
    filled, backprop_filled = reduce(Ragged(X, lengths[tokens]), is_train)
    if not is_train:  # thinc's layers keep all wordpieces for it, a copy of the encoder's output
        backprop_filled = _refuse
    if len(tokens) == len(lengths):
        return filled, backprop_filled
    Y = model.ops.alloc2f(len(lengths), width)
    Y[tokens] = filled
    array_info = ArrayInfo.from_array(Y)

    def backprop(dY: OutT) -> InT:
        array_info.check_consistency(dY)
        return Ragged(backprop_filled(dY[tokens]).data, lengths)

    return Y, backprop


def _refuse(dY: OutT) -> InT:
    raise ValueError("Can't backpropagate through a prediction: use model.begin_update.")
