import numpy
import pytest
from thinc.api import Dropout, chain, fix_random_seed, set_dropout_rate

from spacy_bert_ner.model.layers.fixed_dropout import fixed_dropout

X = numpy.arange(1, 7, dtype="float32").reshape(2, 3)
MASK = numpy.asarray([[0, 2, 0], [2, 2, 0]], dtype="float32")


def test_values(monkeypatch):
    """Half of the cells dropped, the others doubled, and the same cells of the gradient."""
    model = fixed_dropout(0.5)
    monkeypatch.setattr(model.ops, "get_dropout_mask", lambda shape, rate: MASK)
    Y, backprop = model(X, is_train=True)
    assert Y.tolist() == [[0, 4, 0], [8, 10, 0]]
    dX = backprop(numpy.full((2, 3), 10, dtype="float32"))
    assert dX.tolist() == [[0, 20, 0], [20, 20, 0]]
    assert X.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_rate(rate):
    fix_random_seed(0)
    ones = numpy.ones((200, 100), dtype="float32")
    Y, backprop = fixed_dropout(rate)(ones, is_train=True)
    assert Y.dtype == "float32"
    assert (Y == 0).mean() == pytest.approx(rate, abs=0.02)
    assert Y[Y != 0] == pytest.approx(1 / (1 - rate))
    assert backprop(ones).tolist() == Y.tolist()


def test_not_in_prediction():
    assert fixed_dropout(0.5).predict(X).tolist() == X.tolist()


def test_rate_zero():
    Y, backprop = fixed_dropout(0.0)(X, is_train=True)
    assert Y.tolist() == X.tolist()
    assert backprop(X).tolist() == X.tolist()


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_survives_set_dropout_rate(rate):
    """The training loop calls this before every update; thinc's own layer takes it over."""
    thinc_layer, layer = Dropout(rate), fixed_dropout(rate)
    set_dropout_rate(chain(thinc_layer, layer), 0.3)
    assert thinc_layer.attrs["dropout_rate"] == 0.3
    fix_random_seed(0)
    Y, _ = layer(numpy.ones((200, 100), dtype="float32"), is_train=True)
    assert (Y == 0).mean() == pytest.approx(rate, abs=0.02)


def test_survives_bytes():
    data = fixed_dropout(0.5).to_bytes()
    assert fixed_dropout(0.5).from_bytes(data).to_bytes() == data


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_bad_rate(rate):
    with pytest.raises(ValueError, match=f"dropout = {rate}: set it to a number of 0 or more"):
        fixed_dropout(rate)
