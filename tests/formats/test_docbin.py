import zlib

import numpy
import pytest
import srsly
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

from spacy_bert_ner.formats import FormatError, Report, read_docs, write_docs
from spacy_bert_ner.formats.files import RECORD_KEY
from spacy_bert_ner.formats.spans import get_scores
from spacy_bert_ner.scores import SOURCE

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
