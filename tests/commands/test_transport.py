"""Documents on their way to another process."""

import pickle

import numpy
import spacy
from spacy.tokens import Doc, Span, SpanGroup
from spacy.vocab import Vocab

from spacy_bert_ner.commands.transport import pack, unpack


def make_doc():
    doc = Doc(
        spacy.blank("en").vocab,
        words=["Anna", "lives", "in", "Oslo", "."],
        spaces=[True, True, True, False, False],
        tags=["NNP", "VBZ", "IN", "NNP", "."],
        sent_starts=[True, False, False, False, False],
        ents=["B-PER", "O", "O", "B-LOC", "O"],
    )
    doc.cats = {"news": 0.25}
    doc.user_data = {"record": {"id": 7}, ("._.", "name", 0, None): (1, 2)}
    spans = [Span(doc, 3, 4, label="LOC", kb_id="Q585", span_id="first")]
    scores = numpy.array([0.5], dtype="float32")
    doc.spans["bert_ner"] = SpanGroup(doc, name="other", attrs={"scores": scores}, spans=spans)
    doc.spans["empty"] = []
    return doc


def test_round_trip():
    """All that a format writes is the same, also with another vocabulary."""
    doc = make_doc()
    packed = pickle.loads(pickle.dumps(pack([doc, Doc(doc.vocab)])))
    read, empty = unpack(Vocab(), packed)
    assert len(empty) == 0 and not empty.spans
    assert read.to_json() == doc.to_json()
    assert read.user_data == doc.user_data
    assert read.cats == doc.cats
    assert list(read.spans) == ["bert_ner", "empty"]
    group = read.spans["bert_ner"]
    assert (group.name, group.attrs["scores"].tolist()) == ("other", [0.5])
    (span,) = group
    assert (span.text, span.label_, span.kb_id_, span.id_) == ("Oslo", "LOC", "Q585", "first")
    assert [token.is_sent_start for token in read] == [token.is_sent_start for token in doc]


def test_what_cant_be_sent():
    """A component may keep spans or functions with a document. No format writes them."""
    doc = make_doc()
    doc.user_data["people"] = list(doc.ents)
    doc.user_data["hook"] = lambda: None
    (read,) = unpack(Vocab(), pickle.loads(pickle.dumps(pack([doc]))))
    assert read.user_data == make_doc().user_data


def test_nothing_is_searched_for(monkeypatch):
    """srsly looks for functions of other packages whenever msgpack is called."""

    def fail(*args, **settings):
        raise AssertionError("msgpack was called")

    monkeypatch.setattr("srsly.msgpack_dumps", fail)
    monkeypatch.setattr("srsly.msgpack_loads", fail)
    packed = pack([make_doc()])
    assert [len(doc) for doc in unpack(Vocab(), packed)] == [5]
