"""One run of the encoder for all components that share it, and the right vectors in any case."""

import threading

import numpy
import pytest
import spacy
from spacy.tokens import Doc
from spacy.util import load_model_from_config

from spacy_bert_ner.model.onnx import outputs
from spacy_bert_ner.pipeline import reading
from spacy_bert_ner.pipeline.reading import get_read_tokens

from ...util import EXPECTED, TEXT, get_ents
from .util import export, find_layer, find_shim

NAMES = ("bert_ner", "second", "third")
TEXTS = [TEXT, "", "Oslo", TEXT * 4, "\ue000 Anna"]


@pytest.fixture(scope="module")
def saved(tiny_pipeline):
    """RETURNS (Tuple[Config, bytes]): A pipeline with one exported encoder."""
    nlp = export(spacy.load(tiny_pipeline))
    return nlp.config, nlp.to_bytes()


@pytest.fixture
def nlp(saved):
    """Three components that share an encoder, after a first text."""
    nlp = load(saved)
    for name in NAMES[1:]:
        nlp.add_pipe("bert_ner", name=name, source=load(saved))
        nlp.get_pipe(name).cfg.update(spans_key=name, annotate_ents=False)
    nlp("Anna")
    return nlp


def load(saved):
    config, data = saved
    return load_model_from_config(config).from_bytes(data)


@pytest.fixture
def counts(nlp, monkeypatch):
    """How many wordpieces each run of the encoder has read."""
    counts = []
    graph = get_graph(nlp)
    run = graph.run

    def count(batch, n_threads):
        counts.append(int(batch.lengths.sum()))
        return run(batch, n_threads)

    monkeypatch.setattr(graph, "run", count)
    return counts


def get_graph(nlp):
    return find_shim(nlp).export.graph


def get_kept(nlp):
    """RETURNS (list): The vectors that are kept in this thread."""
    return [
        output.vectors
        for output in get_graph(nlp).recent._outputs.values()
        if output.vectors is not None
    ]


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_each_text_is_read_once(nlp, counts, batch_size):
    docs = list(nlp.pipe(TEXTS, batch_size=batch_size))
    once = sum(counts)
    counts.clear()
    with nlp.select_pipes(enable="third"):
        expected = list(nlp.pipe(TEXTS, batch_size=batch_size))
    assert sum(counts) == once > 0
    for doc, other in zip(docs, expected):
        spans, others = doc.spans["third"], other.spans["third"]
        assert list(map(str, spans)) == list(map(str, others))
        numpy.testing.assert_allclose(spans.attrs["scores"], others.attrs["scores"], atol=1e-5)
    assert get_ents(docs[0]) == EXPECTED


def test_nothing_is_kept_after_the_last_component(nlp):
    docs = list(nlp.pipe(TEXTS))
    assert get_kept(nlp) == []
    assert get_ents(docs[0]) == EXPECTED


def test_nothing_is_kept_after_the_first_text(saved):
    """When nobody knows yet who shares the encoder."""
    nlp = load(saved)
    nlp.add_pipe("bert_ner", name="second", source=load(saved))
    doc = nlp(TEXT)
    assert get_kept(nlp) == []
    assert get_ents(doc) == EXPECTED


def test_nothing_is_kept_longer_than_documents(nlp):
    """Or than the next ones are read, if a component doesn't ask for them."""
    nlp.disable_pipe("third")
    docs = list(nlp.pipe(TEXTS))
    n_kept = len(get_kept(nlp))
    assert n_kept == 4
    del docs[1:]
    assert len(get_kept(nlp)) == 1
    assert all(X.base is None for X in get_kept(nlp))  # not a part of the vectors of a batch
    other = nlp("Oslo")
    assert [len(X) for X in get_kept(nlp)] == [3]
    del other
    assert get_kept(nlp) == []


def test_kept_vectors_are_bounded(nlp, counts, monkeypatch):
    nlp.disable_pipe("third")
    monkeypatch.setattr(outputs, "KEPT_PIECES", 20)
    docs = list(nlp.pipe([TEXT * 4, "Oslo"] * 5))
    assert sum(len(X) for X in get_kept(nlp)) <= 20
    assert get_ents(docs[1]) == get_ents(nlp("Oslo"))


def test_components_that_are_not_asked_wait_for_nothing(saved):
    """A pipeline with one component keeps no vectors."""
    nlp = load(saved)
    docs = [nlp(text) for text in TEXTS]
    assert get_kept(nlp) == []
    del docs


def test_changed_documents_are_read_anew(nlp, counts):
    """Another component may merge tokens, or set sentences."""

    def get_vectors(name, doc):
        return nlp.get_pipe(name).model.get_ref("tok2vec").predict([doc])[0]

    doc = nlp.make_doc(TEXT)
    first = get_vectors("bert_ner", doc)
    counts.clear()
    numpy.testing.assert_array_equal(get_vectors("second", doc), first)
    assert counts == []
    doc[5].is_sent_start = True
    split = get_vectors("third", doc)
    assert counts != []
    numpy.testing.assert_array_equal(split, get_vectors("third", doc.copy()))
    assert numpy.abs(split - first).max() > 1e-3
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
    merged = get_vectors("second", doc)
    assert len(merged) == len(doc)
    numpy.testing.assert_array_equal(merged, get_vectors("third", doc.copy()))


def test_other_windows_are_read_anew(nlp, counts):
    layer = find_layer(nlp, "second")
    layer.attrs["settings"].window = 8
    doc = nlp.make_doc(TEXT * 4)
    first = nlp.get_pipe("bert_ner").predict([doc])[0]
    second = nlp.get_pipe("second").predict([doc])[0]
    assert numpy.abs(first - second).max() > 1e-6
    numpy.testing.assert_array_equal(second, nlp.get_pipe("second").predict([doc.copy()])[0])


def test_equal_texts_are_other_documents(nlp, counts):
    """No text is recognized, only a document."""
    first = nlp.get_pipe("bert_ner").predict([nlp.make_doc(TEXT)])
    n_runs = len(counts)
    second = nlp.get_pipe("second").predict([nlp.make_doc(TEXT)])
    assert len(counts) == 2 * n_runs
    numpy.testing.assert_array_equal(first, second)


def test_threads_share_nothing(nlp):
    expected = [get_ents(doc) for doc in nlp.pipe(TEXTS)]
    nlp.disable_pipe("third")
    docs = list(nlp.pipe(TEXTS))
    found = []

    def run():
        found.append([get_kept(nlp), [get_ents(nlp(text)) for text in TEXTS]])

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[[], expected]] * 3
    assert len(get_kept(nlp)) == sum(len(doc) > 0 for doc in docs)


def test_texts_are_tokenized_once(nlp, monkeypatch):
    """To predict. Afterwards it is known which tokens have wordpieces."""
    docs = [Doc(nlp.vocab, words=["\ue000", "Anna", "Berg"]), nlp.make_doc("")]
    ner = nlp.get_pipe("bert_ner")
    expected = [[False, True, True], []]
    assert [read.tolist() for read in get_read_tokens(docs, ner.model, is_train=False)] == expected
    ner.predict(docs)
    with monkeypatch.context() as patch:
        patch.setattr(reading, "get_pieces", lambda *args: 1 / 0)
        found = get_read_tokens(docs, ner.model, is_train=False)
        assert [read.tolist() for read in found] == expected
        with pytest.raises(ZeroDivisionError):  # the tokenizer of another component
            get_read_tokens(docs, nlp.get_pipe("second").model, is_train=False)
    with docs[0].retokenize() as retokenizer:
        retokenizer.merge(docs[0][1:3])
    found = get_read_tokens(docs, ner.model, is_train=False)
    assert [read.tolist() for read in found] == [[False, True], []]
