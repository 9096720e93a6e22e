import struct
import tracemalloc
import zlib

import numpy
import pytest
import spacy
import srsly
from spacy.attrs import ENT_IOB, LEMMA, POS
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

from spacy_bert_ner.formats import FormatError, Report, docbin, read_docs, write_docs
from spacy_bert_ner.formats.files import RECORD_KEY
from spacy_bert_ner.formats.spans import get_scores
from spacy_bert_ner.tagging.entity_scores import SOURCE

from .util import NLP, make_doc, read_records, tags_of, words_of


def test_keeps_everything(tmp_path):
    path = tmp_path / "made" / "a.spacy"
    doc = make_doc(["St.", "Ives", "\n", "b"], ["B-X", "I-X", "O", "-"], sent_starts=[1, -1, 0, 1])
    doc.user_data[RECORD_KEY] = {"id": 3, "meta": {"pages": [1, 2]}}
    doc.spans["incorrect_spans"] = [Span(doc, 3, 4, label="WRONG")]
    doc.spans["bert_ner"] = doc.ents
    doc.spans["bert_ner"].attrs.update(scores=numpy.array([0.5], dtype="float32"), source=SOURCE)
    doc.cats["news"] = 1.0
    report = Report()
    write_docs(path, [doc, Doc(NLP.vocab)], None, report)
    assert report.summary() == "2 documents, 4 tokens, 1 entity"
    nlp = type(NLP)()
    read, empty = read_docs(path, nlp)
    assert words_of(read) == words_of(doc)
    assert tags_of(read) == tags_of(doc)
    assert [token.is_sent_start for token in read] == [token.is_sent_start for token in doc]
    assert [(span.text, span.label_) for span in read.spans["incorrect_spans"]] == [("b", "WRONG")]
    assert get_scores(read) == {(0, 2, read.vocab.strings["X"]): 0.5}
    assert read.user_data[RECORD_KEY]["id"] == 3
    assert read.has_unknown_spaces and read.cats == {"news": 1.0}
    assert len(empty) == 0


def test_large_numbers(tmp_path):
    """A DocBin has no place for more than 64 bits, so that they are strings in all formats."""
    numbers = {"a": 2**64 - 1, "b": -(2**63), "c": 2**64, "d": -(2**63) - 1, "e": 1.5, "f": True}
    expected = {**numbers, "c": str(numbers["c"]), "d": str(numbers["d"])}
    record = {"text": "a", "id": 10**30, "meta": {"numbers": numbers}}
    (doc,), _ = read_records(tmp_path, record, "jsonl")
    write_docs(tmp_path / "a.spacy", [doc])
    (doc,) = read_docs(tmp_path / "a.spacy", NLP)
    assert doc.user_data[RECORD_KEY] == {"id": "1" + "0" * 30, "meta": {"numbers": expected}}


def test_is_spacys(tmp_path):
    path = tmp_path / "a.spacy"
    write_docs(path, [make_doc(["a"], ["B-X"])])
    (doc,) = DocBin().from_disk(path).get_docs(Vocab())
    assert tags_of(doc) == ["B-X"]
    DocBin(docs=[doc]).to_disk(path)
    (doc,) = read_docs(path, NLP)
    assert tags_of(doc) == ["B-X"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Anna\tB-PER\n",
        zlib.compress(srsly.msgpack_dumps({"attrs": []}))[:-5],
        zlib.compress(b"\xc1"),
        zlib.compress(srsly.msgpack_dumps({"text": "a"})),
        zlib.compress(srsly.msgpack_dumps([1])),
    ],
    ids=["empty", "text", "cut", "packed", "another", "list"],
)
def test_no_docbin(tmp_path, content):
    path = tmp_path / "a.spacy"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"Can't read .*a.spacy: \[E1014\].*DocBin"):
        list(read_docs(path, NLP))


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.spacy"):
        list(read_docs(tmp_path / "none.spacy", NLP))


def change_message(**settings):
    """A file of two documents, the first with a span, with other values in its message."""
    doc = make_doc(["rareword", "b"], ["B-RARELABEL", "O"])
    doc.spans["sc"] = [Span(doc, 0, 2, label="Y")]
    docs = [doc, make_doc(["c"], ["B-Z"])]
    message = srsly.msgpack_loads(zlib.decompress(DocBin(docs=docs).to_bytes()))
    for key, value in settings.items():
        message[key] = value(message[key]) if callable(value) else value
    return zlib.compress(srsly.msgpack_dumps(message))


def set_token(attr, value):
    """Of the first token of the first document, what an attribute is."""

    def change(tokens):
        array = numpy.frombuffer(tokens, dtype="uint64").reshape(3, -1).copy()
        array[0, sorted_attrs().index(attr)] = value
        return array.tobytes()

    return {"tokens": change}


def sorted_attrs():
    return DocBin().attrs


def pack_span(*values):
    """A span group of one span."""
    span = struct.pack(">QQQllll", 0, 0, 0, *values, 0, 3)
    group = srsly.msgpack_dumps({"name": "sc", "attrs": {}, "spans": [span]})
    return srsly.msgpack_dumps({group: ["sc"]})


DAMAGED = {
    "string": {"strings": lambda strings: [s for s in strings if s != "RARELABEL"]},
    "word": {"strings": lambda strings: [s for s in strings if s != "rareword"]},
    "lemma": set_token(LEMMA, 12345),
    "part of speech": set_token(POS, 12345),
    "tag": set_token(ENT_IOB, 7),
    "tag that continues nothing": set_token(ENT_IOB, 1),
    "span": {"span_groups": lambda groups: [pack_span(0, 9), groups[1]]},
    "span before the text": {"span_groups": lambda groups: [pack_span(-3, 1), groups[1]]},
    "groups": {"span_groups": lambda groups: [b"\xc1", groups[1]]},
    "cats": {"cats": [3, {}]},
    "user data": {"user_data": [b"\x93", None]},
    "record": {"user_data": [srsly.msgpack_dumps({RECORD_KEY: 3}), None]},
    "meta": {"user_data": [srsly.msgpack_dumps({RECORD_KEY: {"meta": b"\xff"}}), None]},
    "flags": {"flags": [[], {}]},
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_record(tmp_path, name):
    """It is told by its number, and can be left out, before anything of it is read."""
    path = tmp_path / "a.spacy"
    path.write_bytes(change_message(**DAMAGED[name]))
    nlp = spacy.blank("xx")
    with pytest.raises(
        FormatError, match="Can't read record 1 of .*a.spacy, which is damaged"
    ) as e:
        list(read_docs(path, nlp))
    assert "\n" not in str(e.value)
    report = Report(skip_broken=True)
    (doc,) = read_docs(path, nlp, report=report)
    assert words_of(doc) == ["c"] and tags_of(doc) == ["B-Z"]
    assert (report.n_read, report.n_broken) == (2, 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"cats": [{}]},
        {"flags": []},
        {"strings": [3]},
        {"strings": None},
        {"attrs": []},
        {"lengths": b"abc"},
        {"lengths": lambda lengths: numpy.array([99, 1], dtype="int32").tobytes()},
        {"lengths": lambda lengths: numpy.array([-1, 3], dtype="int32").tobytes()},
        {"tokens": lambda tokens: tokens[:-3]},
        {"spaces": b""},
        {"span_groups": 3},
        {"flags": {"a": {}, "b": {}}},
        {"cats": "ab"},
    ],
    ids=",".join,  # the names: a function has another one in each process
)
def test_damaged_as_a_whole(tmp_path, settings):
    path = tmp_path / "a.spacy"
    path.write_bytes(change_message(**settings))
    with pytest.raises(FormatError, match="Can't read .*a.spacy") as error:
        list(read_docs(path, NLP))
    assert "\n" not in str(error.value)


def test_file_that_is_large_when_unpacked(tmp_path, monkeypatch):
    """Of a few bytes, which would be more than the memory has."""
    monkeypatch.setattr(docbin, "MOST", 1 << 22)
    monkeypatch.setattr(docbin, "MOST_TIMES", 1)
    path = tmp_path / "a.spacy"
    path.write_bytes(zlib.compress(b"\0" * (1 << 25), 9))
    tracemalloc.start()
    with pytest.raises(FormatError, match=r"its \d+ bytes unpack to more than 4194304.*several"):
        list(read_docs(path, NLP))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 24
    path.write_bytes(change_message())
    assert len(list(read_docs(path, NLP))) == 2


def test_spans_that_are_no_entities(tmp_path):
    """They are kept; as entities, nothing is known."""
    doc = Doc(NLP.vocab, words=["a", "b"])
    doc.spans["sc"] = [Span(doc, 0, 1, label="X"), Span(doc, 1, 1, label="Y")]
    write_docs(tmp_path / "a.spacy", [doc])
    report = Report()
    (read,) = read_docs(tmp_path / "a.spacy", NLP, report=report)
    assert tags_of(read) == ["-", "-"] and len(read.spans["sc"]) == 2
    assert "1 document has span groups and no entities" in report.message()
    assert "sc (record 1)" in report.message()
