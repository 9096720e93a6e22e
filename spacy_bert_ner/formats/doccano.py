"""Sequence labeling of doccano: JSON lines, from its older and newer versions.

doccano runs in a browser, and counts as JavaScript does: a character beyond U+FFFF, such as most
emoji, is two. (Projects that "count grapheme clusters as one character" are not for programs: their
spans are elsewhere wherever a cluster is before them.)"""

from typing import Any, Dict, Iterator, List, Optional

import numpy
from spacy.language import Language
from spacy.tokens import Doc

from ..types import Ints1d
from .files import Record, Value, dump, get_fields, make_doc, read_values
from .report import Report
from .source import Source
from .spans import CharSpan, align_spans, get_ents, report_unread, set_ents

# With relations, and in earlier versions.
KEYS = ("entities", "label", "labels")


def read(source: Source) -> Iterator[Value]:
    return read_values(source.path)


def parse(nlp: Language, value: Value, report: Report) -> Doc:
    """Read a record of `text` and `label`, `labels` or `entities`: a list of [start, end, label],
    or of objects with `start_offset`, `end_offset` and `label`. One without is a document without
    annotation.

    RETURNS (Doc): A document with entities.
    RAISES (ValueError): For a record that can't be read, with its line.
    """
    record = value.read()
    doc = make_doc(nlp, record, record.data.get("text"))
    spans = _get_spans(record)
    if spans is None:
        report_unread(record, KEYS, report)
    else:
        places = {int(unit): i for i, unit in enumerate(count_units(doc.text))}
        spans = [_shift(span, places) for span in spans]
        set_ents(doc, align_spans(doc, spans, report, record))
    return doc


def _get_spans(record: Record) -> Optional[List[CharSpan]]:
    for key in KEYS:
        labels = record.get_list(key)
        if labels is not None:
            return [_read_label(record, label) for label in labels]
    return None


def _read_label(record: Record, label: Any) -> CharSpan:
    if isinstance(label, dict):
        return CharSpan(label.get("start_offset"), label.get("end_offset"), label.get("label"))
    if not isinstance(label, list) or len(label) != 3:
        raise record.error(
            f"its label {label!r} is not [start, end, label]. Export the project as JSONL, from "
            "sequence labeling."
        )
    return CharSpan(*label)


def count_units(text: str) -> Ints1d:
    """RETURNS (Ints1d): How many UTF-16 code units there are before each character and at the end,
    int64, (len(text) + 1,)."""
    codes = numpy.frombuffer(text.encode("utf-32-le"), dtype="uint32")
    units = numpy.zeros(len(codes) + 1, dtype="int64")
    numpy.cumsum(1 + (codes > 0xFFFF), out=units[1:])
    return units


def _shift(span: CharSpan, places: Dict[int, int]) -> CharSpan:
    """Offsets in characters. Those that aren't between characters stay, for the report."""
    if type(span.start) is type(span.end) is int and span.start in places and span.end in places:
        return CharSpan(places[span.start], places[span.end], span.label)
    return CharSpan(str(span.start), str(span.end), span.label)


def render(doc: Doc, report: Report) -> str:
    """RETURNS (str): A record of `text` and `label`, to import with the column "label"; without
    `label` for a document without annotation."""
    record = {"text": doc.text, **get_fields(doc)}
    ents = get_ents(doc, report)
    if ents is not None:
        units = count_units(doc.text).tolist()
        record["label"] = [[units[e.start_char], units[e.end_char], e.label_] for e in ents]
    return dump(record) + "\n"
