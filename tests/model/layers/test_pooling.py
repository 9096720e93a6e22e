import numpy
import pytest
from thinc import layers
from thinc.api import NumpyOps, Ragged, get_current_ops, registry

from spacy_bert_ner.model.layers import pooling

PIECES = [[1, 8], [3, 4], [5, 6], [7, 2], [9, 0]]
KINDS = ["first", "last", "mean", "max"]


def make(kind):
    return getattr(pooling, f"reduce_{kind}")()


def ragged(rows, lengths):
    rows = numpy.asarray(rows, dtype="float32").reshape(-1, 2)
    return Ragged(rows, numpy.asarray(lengths, dtype="int32"))


REDUCE = {
    "first": lambda rows: rows[0],
    "last": lambda rows: rows[-1],
    "mean": lambda rows: rows.mean(axis=0),
    "max": lambda rows: rows.max(axis=0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "lengths", [[2, 3], [1, 1], [5], [0, 3], [3, 0], [0, 1, 0, 0, 2, 0], [0, 0], []]
)
def test_values(kind, lengths):
    """The outputs, and the gradients by differences, since all of them are linear in between."""
    rows = numpy.asarray(PIECES[: sum(lengths)], dtype="float32").reshape(-1, 2)

    def reduce(rows):
        parts = numpy.split(rows, numpy.cumsum(lengths)[:-1]) if lengths else []
        empty = numpy.zeros(2, dtype="float32")
        reduced = [REDUCE[kind](part) if len(part) else empty for part in parts]
        return numpy.array(reduced, dtype="float32").reshape(-1, 2)

    Y, backprop = make(kind)(ragged(rows, lengths), is_train=True)
    assert Y.dtype == "float32"
    numpy.testing.assert_allclose(Y, reduce(rows), rtol=1e-6)
    dY = numpy.arange(10, 10 + 2 * len(lengths), dtype="float32").reshape(-1, 2)
    dX = backprop(dY)
    assert dX.lengths.tolist() == lengths
    expected = numpy.zeros_like(rows)
    for cell in numpy.ndindex(*rows.shape):
        moved = rows.copy()
        moved[cell] += 0.5
        expected[cell] = ((reduce(moved) - reduce(rows)) * dY).sum() / 0.5
    numpy.testing.assert_allclose(dX.dataXd, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_equals_thinc_without_empty_tokens(kind):
    X = ragged(PIECES, [1, 3, 1])
    ours, backprop = make(kind)(X, is_train=True)
    theirs, thinc_backprop = getattr(layers, f"reduce_{kind}")()(X, is_train=True)
    assert ours.tolist() == theirs.tolist()
    dY = numpy.ones_like(ours)
    assert backprop(dY).dataXd.tolist() == thinc_backprop(dY).dataXd.tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [[2, 3], [2, 0, 3]])
def test_input_untouched(kind, lengths):
    """Neither by its output nor by its gradient."""
    X = ragged(PIECES, lengths)
    Y, backprop = make(kind)(X, is_train=True)
    Y += 100
    backprop(Y).dataXd[:] = -1
    assert X.dataXd.tolist() == PIECES


@pytest.mark.parametrize("lengths", [[2, 3], [2, 0, 3]])
def test_gradient_of_another_shape(lengths):
    _, backprop = pooling.reduce_first()(ragged(PIECES, lengths), is_train=True)
    with pytest.raises(ValueError, match="Shape mismatch in backprop"):
        backprop(numpy.zeros((4, 2), dtype="float32"))


@pytest.mark.parametrize("kind", KINDS)
def test_registered(kind):
    assert isinstance(get_current_ops(), NumpyOps)
    layer = registry.resolve({"layer": {"@layers": f"spacy-bert-ner.reduce_{kind}.v1"}})["layer"]
    assert layer.name == f"reduce_{kind}"
    assert layer.predict(ragged(PIECES, [5])).tolist() == [
        REDUCE[kind](numpy.array(PIECES)).tolist()
    ]
