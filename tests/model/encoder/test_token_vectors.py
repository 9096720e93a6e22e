"""What spacy-transformers calculates document by document is the same for all at once."""

import numpy
import pytest
import spacy
from numpy.testing import assert_allclose
from spacy_transformers.data_classes import TransformerData, WordpieceBatch
from spacy_transformers.layers import trfs2arrays
from thinc.api import NumpyOps
from thinc.types import Ragged
from transformers.utils import ModelOutput

from spacy_bert_ner.model.encoder.token_vectors import NAME, forward, token_vectors
from spacy_bert_ner.model.layers import pooling
from tests.toy import save_encoder

WIDTH = 3
POOLINGS = ["reduce_first", "reduce_last", "reduce_mean", "reduce_max"]


def make_data(seed, shape, rows, lengths):
    """The output of an encoder, with the rows of each token."""
    hidden = numpy.random.default_rng(seed).normal(size=(*shape, WIDTH)).astype("float32")
    align = Ragged(numpy.array(rows, dtype="int32"), numpy.array(lengths, dtype="int32"))
    return TransformerData(WordpieceBatch.empty(), ModelOutput(last_hidden_state=hidden), align)


@pytest.fixture
def batch():
    """Documents with shared rows, without tokens, in two windows, and with tokens without rows."""
    return [
        make_data(0, (5,), [1, 2, 2, 3], [2, 1, 1]),
        TransformerData.empty(),
        make_data(1, (2, 3), [0, 4, 5, 1], [1, 2, 1]),
        make_data(2, (4,), [2, 1], [0, 1, 0, 1, 0]),
    ]


@pytest.fixture(params=["host", "device"])
def is_host(request, monkeypatch):
    """Both ways of copying rows: a module that isn't NumPy itself stands for that of a GPU."""
    if request.param == "device":
        other = type("xp", (), {name: getattr(numpy, name) for name in dir(numpy)})
        monkeypatch.setattr(NumpyOps, "xp", other)
    return request.param == "host"


@pytest.mark.parametrize("name", POOLINGS)
def test_as_document_by_document(name, batch, is_host):
    outputs = []
    for make in (trfs2arrays, token_vectors):
        model = make(getattr(pooling, name)(), 0.5)
        vectors, backprop = model(batch, is_train=True)
        d_batch = backprop([numpy.ones_like(X) for X in vectors])
        gradients = [data.model_output.last_hidden_state for data in d_batch]
        outputs.append((vectors, gradients))
    (stock, d_stock), (ours, d_ours) = outputs
    assert [len(X) for X in ours] == [3, 0, 3, 5]
    for X, Y in zip((*stock, *d_stock), (*ours, *d_ours)):
        assert X.size == Y.size
        if X.size:
            assert X.shape == Y.shape
            assert_allclose(X, Y, rtol=1e-6)


def test_no_document_has_tokens():
    model = token_vectors(pooling.reduce_first())
    vectors, backprop = model([TransformerData.empty()] * 2, is_train=True)
    assert [len(X) for X in vectors] == [0, 0]
    assert backprop(vectors) == []


def test_components_use_it(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    block = {"@architectures": "spacy-bert-ner.TransformerModel.v1", "window": 0}
    block["name"] = save_encoder(tmp_path / "encoder", "bert")
    nlp.add_pipe("transformer", config={"model": block})
    ner = nlp.add_pipe("bert_ner")
    ner.add_label("PER")
    nlp.initialize()
    assert [node._func is forward for node in ner.model.walk() if node.name == NAME] == [True]
    before = ner.predict([nlp("Anna lives here.")])[0]
    nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    nlp.remove_pipe("transformer")
    nlp.to_disk(tmp_path / "own")
    own = spacy.load(tmp_path / "own")
    ner = own.get_pipe("bert_ner")
    assert [node._func is forward for node in ner.model.walk() if node.name == NAME] == [True]
    assert_allclose(ner.predict([own.make_doc("Anna lives here.")])[0], before, rtol=1e-5)
