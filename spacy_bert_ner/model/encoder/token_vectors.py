"""The vectors of tokens, from those of their wordpieces, for all documents of a batch at once. It
does what `trfs2arrays` of spacy-transformers does document by document, which takes several copies
and launches of a GPU for each, and copies all wordpieces where only the first ones are needed."""

from functools import partial
from typing import Any, Callable, List, NamedTuple, Tuple, cast

import numpy
from spacy_transformers.data_classes import TransformerData
from thinc.api import Model, Ops
from thinc.types import Floats2d, Ragged
from thinc.util import to_numpy
from transformers.utils import ModelOutput

from ...characters import add_before
from ...types import Ints1d
from ..transfer import join, split_like
from ..types import PoolingT

InT = List[TransformerData]
OutT = List[Floats2d]
# The name of the layer that this one replaces, and has as well.
NAME = "trfs2arrays"
# The name of the poolings that need only the first wordpiece of a token.
FIRST = "reduce_first"


class Pieces(NamedTuple):
    """The wordpieces that a batch needs.

    hidden (List[Floats2d]): Vectors of wordpieces of each document, float32, (n_rows, width).
    rows (List[Ints1d]): For each document, the rows of the wordpieces to pool, int, (n_pieces,).
    lengths (Ints1d): How many of these each token of the batch has, int32, (n_tokens,).
    """

    hidden: List[Any]
    rows: List[Ints1d]
    lengths: Ints1d


def token_vectors(pooling: PoolingT, grad_factor: float = 1.0) -> Model[InT, OutT]:
    """Reduce the wordpieces of each token to one vector.

    pooling (PoolingT): The reduction, such as `spacy-bert-ner.reduce_first.v1`.
    grad_factor (float): Factor on the gradients that reach the encoder.
    RETURNS (Model[List[TransformerData], List[Floats2d]]): The layer.
    """
    return Model(NAME, forward, layers=[pooling], attrs={"grad_factor": grad_factor})


def use_token_vectors(model: Any) -> None:
    """Use this layer in the listeners of a model, instead of that of spacy-transformers.

    model (Model): The model of a component. Changed.
    """
    for node in list(model.walk()):
        if node.name == NAME:
            model.replace_node(node, token_vectors(node.layers[0], node.attrs["grad_factor"]))


def forward(
    model: Model[InT, OutT], batch: InT, is_train: bool
) -> Tuple[OutT, Callable[[OutT], InT]]:
    """Run the layer.

    model (Model[List[TransformerData], List[Floats2d]]): The layer.
    batch (List[TransformerData]): Outputs of an encoder for documents.
    is_train (bool): Whether to learn from them.
    RETURNS (Tuple[List[Floats2d], Callable]): Vectors of tokens, float32, (n_tokens, width), and a
        callback for their gradient, which gives that of documents with tokens.
    """
    read = [data for data in batch if _has_rows(data)]
    if not read:
        return [model.ops.alloc2f(0, 0) for _ in batch], lambda d_vectors: []
    ops, pooling = model.ops, cast(PoolingT, model.layers[0])
    pieces = _find_pieces(read, only_first=pooling.name == FIRST)
    pool = _keep_all if pooling.name == FIRST else partial(_pool, pooling, is_train)
    vectors, backprop_pool = pool(ops, _gather(ops, pieces), pieces.lengths)

    def backprop(d_vectors: OutT) -> InT:
        d_flat = backprop_pool(join(ops, d_vectors)) * model.attrs["grad_factor"]
        return [
            TransformerData(
                model_output=ModelOutput(last_hidden_state=d_hidden.reshape(_get(data).shape)),
                wordpieces=data.wordpieces,
                align=data.align,
            )
            for data, d_hidden in zip(read, _scatter(ops, pieces, d_flat))
        ]

    sizes = [range(len(data.align.lengths) if _has_rows(data) else 0) for data in batch]
    return split_like(vectors, sizes), backprop


def _get(data: TransformerData) -> Any:
    return cast(Any, data.model_output).last_hidden_state


def _has_rows(data: TransformerData) -> bool:
    """Whether a document has vectors: one without tokens has none."""
    return "last_hidden_state" in data.model_output and bool(_get(data).size)


def _find_pieces(read: List[TransformerData], *, only_first: bool) -> Pieces:
    hidden = [_get(data).reshape(-1, data.width) for data in read]
    rows = [to_numpy(data.align.dataXd).reshape(-1) for data in read]
    lengths = [to_numpy(data.align.lengths) for data in read]
    if only_first:
        rows = [own[add_before(counts)[:-1][counts > 0]] for own, counts in zip(rows, lengths)]
    return Pieces(hidden, rows, numpy.concatenate(lengths))


def _keep_all(ops: Ops, flat: Any, lengths: Ints1d) -> Tuple[Any, Callable[[Any], Any]]:
    """Give each token its only wordpiece, and zeros to tokens without any."""
    (filled,) = numpy.nonzero(lengths)
    if len(filled) == len(lengths):
        return flat, lambda d_vectors: d_vectors
    places = ops.xp.asarray(filled)
    vectors: Any = ops.alloc2f(len(lengths), flat.shape[1])
    vectors[places] = flat
    return vectors, lambda d_vectors: d_vectors[places]


def _pool(
    pooling: PoolingT, is_train: bool, ops: Ops, flat: Any, lengths: Ints1d
) -> Tuple[Any, Callable[[Any], Any]]:
    vectors, backprop = pooling(Ragged(flat, ops.asarray1i(cast(Any, lengths))), is_train)
    return vectors, lambda d_vectors: backprop(d_vectors).dataXd


def _gather(ops: Ops, pieces: Pieces) -> Any:
    """RETURNS (Floats2d): The vectors of the wordpieces, (n_pieces, width)."""
    hidden, rows, _ = pieces
    if ops.xp is numpy:  # no copy of all vectors
        shape = sum(map(len, rows)), hidden[0].shape[1]
        flat = numpy.empty(shape, dtype=hidden[0].dtype)
        for X, own, out in zip(hidden, rows, split_like(flat, rows)):
            X.take(own, axis=0, out=out, mode="clip")  # "raise" would copy once more
        return flat
    return ops.flatten(hidden)[_number(ops, pieces)]


def _scatter(ops: Ops, pieces: Pieces, d_flat: Any) -> List[Any]:
    """RETURNS (List[Floats2d]): The gradient of all vectors of each document."""
    d_hidden: Any = ops.alloc2f(sum(map(len, pieces.hidden)), d_flat.shape[1])
    ops.scatter_add(d_hidden, _number(ops, pieces), d_flat)
    return split_like(d_hidden, pieces.hidden)


def _number(ops: Ops, pieces: Pieces) -> Any:
    """RETURNS (Ints1d): The rows of the wordpieces among those of all documents, int32."""
    firsts = add_before([len(X) for X in pieces.hidden]).tolist()
    joined = numpy.concatenate([own + first for own, first in zip(pieces.rows, firsts)])
    return ops.asarray1i(joined.astype("int32"))
