import numpy
import pytest
import spacy
from spacy.util import registry
from thinc import layers
from thinc.api import Model

from spacy_bert_ner.model.layers.concatenate import concatenate

NLP = spacy.blank("en")


def make_layer(width, empty_width):
    """Random vectors; keeps the gradients it is given. Documents without tokens get arrays of
    another width, as of a TransformerListener."""

    def forward(model, docs, is_train):
        rng = numpy.random.default_rng(width)
        X = rng.normal(size=(100, width)).astype("float32")
        Y = [
            X[: len(doc)] if len(doc) else numpy.zeros((0, empty_width), "float32") for doc in docs
        ]

        def backprop(dY):
            model.attrs["gradients"] = dY
            return docs

        return Y, backprop

    return Model("vectors", forward, dims={"nO": width})


def make_docs(texts):
    return [NLP.make_doc(text) for text in texts]


def test_equals_thinc():
    docs = make_docs(["Anna lives in Oslo", "Hello"])
    found = {}
    for kind in (concatenate, layers.concatenate):
        parts = [make_layer(3, 3), make_layer(5, 5)]
        model = kind(*parts).initialize(X=docs)
        Y, backprop = model(docs, is_train=True)
        backprop([2 * y for y in Y])
        gradients = [[d.tolist() for d in part.attrs["gradients"]] for part in parts]
        found[kind] = ([y.tolist() for y in Y], gradients, model.get_dim("nO"))
    assert found[concatenate] == found[layers.concatenate]
    assert found[concatenate][2] == 8


def test_empty_documents():
    docs = make_docs(["", "Anna lives", ""])
    parts = [make_layer(3, 0), make_layer(5, 5)]
    Y, backprop = concatenate(*parts).initialize(X=docs)(docs, is_train=True)
    assert [y.shape for y in Y] == [(0, 8), (2, 8), (0, 8)]
    backprop(Y)
    assert [d.shape for d in parts[0].attrs["gradients"]] == [(0, 3), (2, 3), (0, 3)]


def test_registered():
    assert registry.layers.get("spacy-bert-ner.concatenate.v1") is concatenate
    with pytest.raises(ValueError, match="no layers to concatenate: add blocks"):
        concatenate()
