import numpy
import pytest
from thinc.api import Linear, Model, Relu, chain, get_current_ops, with_array

from spacy_bert_ner.model.layers.with_rows import with_rows
from spacy_bert_ner.model.transfer import join, split_like


def make_vectors(lengths=(3, 0, 5)):
    rng = numpy.random.default_rng(0)
    return [rng.normal(size=(length, 4)).astype("float32") for length in lengths]


@pytest.mark.parametrize("lengths", [(3, 0, 5), (0, 0), (1,)])
@pytest.mark.parametrize("is_split", [True, False])
def test_the_same_as_with_array(lengths, is_split):
    X = make_vectors(lengths)
    linear = Linear(2, 4, init_W=lambda ops, shape: ops.asarray2f(numpy.ones(shape)))
    linear.initialize()
    expected, backprop_expected = with_array(linear)(X, is_train=True)
    given = split_like(numpy.concatenate(X), X) if is_split else X
    Y, backprop = with_rows(linear)(given, is_train=True)
    for found, wanted in zip(Y, expected, strict=True):
        numpy.testing.assert_array_equal(found, wanted)
    for found, wanted in zip(backprop(Y), backprop_expected(expected), strict=True):
        numpy.testing.assert_array_equal(found, wanted)


def test_rows_of_one_array_are_not_copied():
    read = []

    def forward(model, X, is_train):
        read.append(X)
        return X, lambda dY: dY

    joined = numpy.concatenate(make_vectors())
    with_rows(Model("spy", forward)).predict(split_like(joined, make_vectors()))
    assert read[0] is joined


def test_a_selection_is_joined_anew():
    parts = split_like(numpy.concatenate(make_vectors()), make_vectors())
    numpy.testing.assert_array_equal(join(get_current_ops(), parts[2:]), parts[2])


def test_initialize_sets_widths():
    model = with_rows(chain(Relu(), Relu()))
    model.layers[0].layers[0].set_dim("nO", 6)
    model.initialize(X=make_vectors(), Y=[X[:, :2] for X in make_vectors()])
    assert (model.get_dim("nI"), model.get_dim("nO")) == (4, 2)
