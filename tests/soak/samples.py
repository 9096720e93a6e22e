"""Good files of every readable format, and of the dialects of each."""

import functools
import io
import json
from typing import Any, List, NamedTuple, Optional

import pyarrow
import spacy
from pyarrow import parquet
from spacy.tokens import Doc, DocBin, Span

from spacy_bert_ner.formats import Report
from spacy_bert_ner.formats.arrow_rows import make_batches

NLP = spacy.blank("xx")
TEXT = "Anna Berg joined Acme in \U0001f600 Oslo."
SPAN = {"start": 0, "end": 9, "label": "PER"}


class Sample(NamedTuple):
    """A good file.

    format (Optional[str]): Its format, None to have it guessed.
    """

    name: str
    format: Optional[str]
    data: bytes


@functools.cache
def make_samples() -> List[Sample]:
    """RETURNS (List[Sample]): Files of every format and of its dialects."""
    columns = "Anna\tB-PER\nBerg\tI-PER\nin\tO\nOslo\tB-LOC\n\nx\t-\n"
    numbered = "# newdoc id = a\n1\tAnna\tB-PER\t-\n2\tin\tO\t-\n3\tOslo\tB-LOC\t-\n\n"
    german = "#\thttp://de.wikipedia.org/wiki/A [2009-10-17]\n1\tAnna\tB-PER\tO\n2\tB\tI-PER\tO\n\n"
    region = {"start": 0, "end": 9, "text": "Anna Berg", "labels": ["PER"]}
    result = {"value": region, "id": "a", "from_name": "label", "to_name": "text", "type": "labels"}
    task = {"id": 1, "data": {"text": TEXT}, "annotations": [{"id": 2, "result": [result]}]}
    small = {"text": TEXT, "id": 1, "people": [region], "places": [region], "annotation_id": 3}
    prodigy = {
        "text": "Anna in Oslo",
        "meta": {"source": ["x", {"page": 3}]},
        "tokens": [
            {"text": "Anna", "start": 0, "end": 4, "id": 0, "ws": True},
            {"text": "in", "start": 5, "end": 7, "id": 1, "ws": True},
            {"text": "Oslo", "start": 8, "end": 12, "id": 2, "ws": False},
        ],
        "spans": [{"start": 0, "end": 4, "token_start": 0, "token_end": 0, "label": "PER"}],
        "answer": "accept",
    }
    wide = {"id": 1, "label": "PER", "start_offset": 0, "end_offset": 9}
    return [
        Sample("a.spacy", None, make_docbin()),
        Sample("b.spacy", None, DocBin(docs=make_docs()[:1]).to_bytes()),
        Sample("c.spacy", None, make_docbin()),
        Sample("d.spacy", None, DocBin(attrs=["ENT_IOB", "ENT_TYPE"], docs=make_docs()).to_bytes()),
        Sample("a.jsonl", None, dump_lines([prodigy, {**prodigy, "_view_id": "ner"}, prodigy])),
        Sample("b.jsonl", None, dump_lines([{"text": TEXT, "entities": [[0, 9, "PER"]]}] * 3)),
        Sample("c.jsonl", None, dump_lines([[TEXT, {"entities": [[0, 9, "PER"]]}]] * 3)),
        Sample("d.jsonl", None, dump_lines([{"tokens": ["a", "b"], "ner_tags": ["B-X", "O"]}] * 3)),
        Sample("e.json", None, dump_lines([{"annotations": [[TEXT, {"entities": [SPAN]}], None]}])),
        Sample("f.json", None, dump_lines([make_docs()[0].to_json()] * 2)),
        Sample("g.jsonl", None, dump_lines([{"text": TEXT, "label": [[0, 9, "PER"]]}] * 3)),
        Sample("h.jsonl", "doccano", dump_lines([{"text": TEXT, "entities": [wide]}] * 3)),
        Sample("i.json", None, json.dumps([task, task, small]).encode()),
        Sample("j.json", "label-studio", json.dumps([small, task], indent=1).encode()),
        Sample("a.conll", None, columns.encode() * 3),
        Sample("b.conll", None, numbered.encode() * 3),
        Sample("c.biluo", None, german.encode() * 3),
        Sample("a.csv", "csv", ('id,text,n\n1,"Anna, ""B""\nBerg",2\n2,b,3\n' * 2).encode()),
        Sample("a.tsv", "tsv", b"text\tid\nAnna\t1\nBerg\t2\n"),
        Sample("a.txt", None, TEXT.encode() * 5),
        Sample("b.txt", "lines", f"{TEXT}\n\n{TEXT}\r\nb\n".encode()),
        Sample("a.parquet", None, make_parquet()),
    ]


def make_docs() -> List[Doc]:
    """RETURNS (List[Doc]): Documents with all that a DocBin can hold."""
    words = ["Anna", "Berg", "in", "Oslo", "."]
    doc = Doc(
        NLP.vocab,
        words=words,
        ents=["B-PER", "I-PER", "O", "B-LOC", "O"],
        tags=["N"] * 5,
        pos=["NOUN"] * 5,
        lemmas=words,
        heads=[1, 2, 2, 2, 2],
        deps=["dep"] * 5,
        morphs=["Case=Nom"] * 5,
    )
    doc.spans["sc"] = [Span(doc, 0, 2, label="X"), Span(doc, 3, 5, label="Y")]
    doc.cats["news"] = 0.5
    doc.user_data["key"] = [1, "a", {"b": None}]
    return [doc, Doc(NLP.vocab, words=["a", " ", "b"], spaces=[True, False, False]), doc]


def make_docbin() -> bytes:
    return DocBin(store_user_data=True, docs=make_docs()).to_bytes()


def make_parquet() -> bytes:
    sink = io.BytesIO()
    batches = make_batches(make_docs(), Report(), n_rows=2)
    parquet.write_table(pyarrow.Table.from_batches(batches), sink, write_page_checksum=True)
    return sink.getvalue()


def dump_lines(values: List[Any]) -> bytes:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()
