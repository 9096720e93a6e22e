import numpy
import pytest
from thinc.api import NumpyOps, Ragged, get_current_ops, registry
from thinc.layers import reduce_first as thinc_reduce_first

from spacy_bert_ner.layers.reduce_first import reduce_first

PIECES = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]


def ragged(rows, lengths):
    rows = numpy.asarray(rows, dtype="float32").reshape(-1, 2)
    return Ragged(rows, numpy.asarray(lengths, dtype="int32"))


@pytest.mark.parametrize(
    ("rows", "lengths", "expected", "expected_gradient"),
    [
        (PIECES, [2, 3], [[1, 2], [5, 6]], [[10, 11], [0, 0], [12, 13], [0, 0], [0, 0]]),
        (PIECES[:2], [1, 1], [[1, 2], [3, 4]], [[10, 11], [12, 13]]),
        (PIECES[:3], [0, 3], [[0, 0], [1, 2]], [[12, 13], [0, 0], [0, 0]]),
        (PIECES[:3], [3, 0], [[1, 2], [0, 0]], [[10, 11], [0, 0], [0, 0]]),
        (
            PIECES[:3],
            [0, 1, 0, 0, 2, 0],
            [[0, 0], [1, 2], [0, 0], [0, 0], [3, 4], [0, 0]],
            [[12, 13], [18, 19], [0, 0]],
        ),
        ([], [0, 0], [[0, 0], [0, 0]], []),
        ([], [], [], []),
    ],
)
def test_values(rows, lengths, expected, expected_gradient):
    """The gradient of token i is (10 + 2i, 11 + 2i)."""
    Y, backprop = reduce_first()(ragged(rows, lengths), is_train=True)
    assert Y.shape == (len(lengths), 2)
    assert Y.dtype == "float32"
    assert Y.tolist() == expected
    dY = numpy.arange(10, 10 + 2 * len(lengths), dtype="float32").reshape(-1, 2)
    dX = backprop(dY)
    assert dX.dataXd.shape == (len(rows), 2)
    assert dX.dataXd.tolist() == expected_gradient
    assert dX.lengths.tolist() == lengths


def test_equals_thinc_without_empty_tokens():
    X = ragged(PIECES, [1, 3, 1])
    ours, backprop = reduce_first()(X, is_train=True)
    theirs, thinc_backprop = thinc_reduce_first()(X, is_train=True)
    assert ours.tolist() == theirs.tolist()
    dY = numpy.ones_like(ours)
    assert backprop(dY).dataXd.tolist() == thinc_backprop(dY).dataXd.tolist()


def test_input_untouched():
    """Neither by its output nor by its gradient."""
    X = ragged(PIECES, [2, 3])
    Y, backprop = reduce_first()(X, is_train=True)
    Y += 100
    backprop(Y).dataXd[:] = -1
    assert X.dataXd.tolist() == PIECES


def test_gradient_of_another_shape():
    _, backprop = reduce_first()(ragged(PIECES, [2, 3]), is_train=True)
    with pytest.raises(ValueError, match="Shape mismatch in backprop"):
        backprop(numpy.zeros((3, 2), dtype="float32"))


def test_registered():
    assert isinstance(get_current_ops(), NumpyOps)
    layer = registry.resolve({"layer": {"@layers": "spacy-bert-ner.reduce_first.v1"}})["layer"]
    assert layer.predict(ragged(PIECES, [5])).tolist() == [[1, 2]]
