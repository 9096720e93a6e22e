"""doccano's sequence labeling: JSON lines, from its older and newer versions.

doccano runs in a browser, and counts like JavaScript: a character beyond U+FFFF, such as most
emoji, counts as two. It does so since version 1.5 (doccano#2290); in the "labels" that it wrote
before 1.3, such a character counts as one, as in Python. (Projects that "count grapheme clusters
as one character" aren't supported: their offsets differ after each cluster.)"""

from typing import Any, Dict, Iterator, List, Optional

from spacy.language import Language
from spacy.tokens import Doc

from ..characters import add_before, get_codes, get_text
from ..types import Ints1d
from .files import Record, get_fields, make_doc, shorten
from .json_values import Value, dump, read_values
from .report import Report
from .source import Source
from .spans import CharSpan, align_spans, get_ents, report_unread, set_ents

# Keys of version 1.5 and later, of projects with relations, and of versions before 1.3.
LIST_KEYS = ("label", "entities", "labels")
IN_CHARACTERS = "labels"
WIDE = (
    "records have characters beyond U+FFFF, such as emoji, before labels: each counts as two, as "
    "in doccano (if your offsets count it as one, use --from jsonl)"
)
WITHIN, BEHIND = ", within a character that counts as two", ", after the end"


def read(source: Source) -> Iterator[Value]:
    """YIELDS (Value): The records.

    source (Source): The input.
    """
    return read_values(source.path)


def parse(nlp: Language, value: Value, report: Report) -> Doc:
    """Read a record of `text` and `label`, `labels` or `entities`: a list of [start, end, label],
    or of objects with `start_offset`, `end_offset` and `label`. A record without these keys is a
    document without annotation.

    nlp (Language): Its tokenizer and vocabulary are used.
    value (Value): The record, not parsed yet.
    report (Report): Counts what doesn't fit.
    RETURNS (Doc): A document with entities.
    RAISES (ValueError): For a record that can't be read, with its line.
    """
    record = value.read()
    doc = make_doc(nlp, record, _get_text(record))
    spans = _get_spans(record, doc.text, report)
    has_more = report_unread(record, LIST_KEYS, report, is_empty=spans is None)
    if spans is not None:
        set_ents(doc, align_spans(doc, spans, report, record), outside=not has_more)
    return doc


def _get_text(record: Record) -> Any:
    """Under "text"; version 1.5.0 has it under "data"."""
    text = record.data.get("text")
    return record.data.get("data") if text is None else text


def _get_spans(record: Record, text: str, report: Report) -> Optional[List[CharSpan]]:
    """The spans under all keys, None if the record has none of them."""
    lists = {key: record.get_list(key) for key in LIST_KEYS}
    known = {key: labels for key, labels in lists.items() if labels is not None}
    if not known:
        return None
    places = {unit: i for i, unit in enumerate(count_units(text).tolist())}
    spans = []
    for key, labels in known.items():
        read = [_read_label(record, label) for label in labels]
        shifted = [_shift(span, places) for span in read] if key != IN_CHARACTERS else read
        if shifted != read:
            report.add(WIDE, record.place)
        spans += shifted
    return spans


def is_own(value: Any) -> bool:
    """Whether a value is a list with a label in a form that only doccano writes.

    value (Any): Any JSON value.
    RETURNS (bool): Whether it has one.
    """
    labels = value if isinstance(value, list) else []
    return any(isinstance(label, dict) and "start_offset" in label for label in labels)


def _read_label(record: Record, label: Any) -> CharSpan:
    if isinstance(label, dict):
        return CharSpan(label.get("start_offset"), label.get("end_offset"), label.get("label"))
    if not isinstance(label, list) or len(label) != 3:
        raise record.error(
            f"its label {shorten(label)} is not [start, end, label]. Export the project as JSONL, "
            "from sequence labeling."
        )
    return CharSpan(*label)


def count_units(text: str) -> Ints1d:
    """RETURNS (Ints1d): How many UTF-16 code units there are before each character and at the end,
    int64, (len(text) + 1,).

    text (str): The text.
    """
    return add_before(1 + (get_codes(text) > 0xFFFF))


def _shift(span: CharSpan, places: Dict[int, int]) -> CharSpan:
    """Convert the offsets to characters. Offsets inside of a character are kept, for the report."""
    if type(span.start) is not int or type(span.end) is not int:
        return span
    if span.start in places and span.end in places:
        return span._replace(start=places[span.start], end=places[span.end])
    is_behind = max(span.start, span.end) > max(places)
    return span._replace(problem=BEHIND if is_behind else WITHIN)


def render(doc: Doc, report: Report) -> str:
    """RETURNS (str): A record of `text` and `label`, to import with the column "label"; without
    `label` for a document without annotation.

    doc (Doc): The document.
    report (Report): Counts what doesn't fit.
    """
    text = get_text(doc)
    record = {"text": text, **get_fields(doc)}
    ents = get_ents(doc, report)
    if ents is not None:
        units = count_units(text).tolist()
        record["label"] = [[units[e.start_char], units[e.end_char], e.label_] for e in ents]
    return dump(record) + "\n"
