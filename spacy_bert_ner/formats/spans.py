"""Spans of characters, as in files, and entities of tokens, as in documents."""

from typing import Any, Collection, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy
from spacy.tokens import Doc, Span

from ..characters import token_chars
from ..findings import show
from ..tagging import entity_scores
from .files import Record, shorten
from .report import FormatError, Report

# Key in `doc.spans` of entities that are known to be wrong.
INCORRECT_KEY = "incorrect_spans"

UNPLACED = (
    "spans are outside the text, or have offsets that aren't whole numbers: the unlabeled tokens "
    "of the text count as missing (start and end must be in characters)"
)
BLANK = "spans have only white space, and are left out"
TRIMMED = "spans begin or end with white space, which is left out"
UNLABELED = "spans have no label, and their tokens count as missing"
NUMBERED = (
    "spans have a label that isn't text, and their tokens count as missing (write the names of "
    "labels, not numbers)"
)
OVERLAPPING = "spans overlap others, and their tokens count as missing"
MISALIGNED = "spans don't align with the tokens, which count as missing"
PARTIAL = (
    "documents have tokens with missing annotation, which the format can't distinguish from tokens "
    "outside of entities"
)
# Keys of labels in the formats of many tools.
LABEL_KEYS = {
    *("annotation", "annotations", "ent", "entities", "entity", "ents", "label", "labels", "ner"),
    *("ner_tags", "span", "spans", "tags"),
}
# Keys that aren't labels, in Prodigy's records and in spaCy's JSON.
NO_LABELS = {"tokens", "sents", "relations"}
# Keys of the offsets and of the label of a span.
OFFSET_KEYS = ({"start", "end"}, {"start_offset", "end_offset"}, {"startOffset", "endOffset"})
TYPE_KEYS = {"category", "entity", "entity_group", "label", "labels", "tag", "type"}
UNREAD = (
    "records have a key that looks like entities, but isn't read: all tokens outside of other "
    "entities count as missing"
)
INCORRECT = "spans are known to be wrong, which the format can't store, and are left out"


class CharSpan(NamedTuple):
    """A span of a file, valid or not.

    start, end (Any): Offsets of its first character, and of the one after its last.
    label (Any): Its label.
    problem (str): Why its offsets are wrong, empty if no reason is known.
    """

    start: Any
    end: Any
    label: Any
    problem: str = ""


class Aligned(NamedTuple):
    """Spans of characters, aligned with the tokens of a document.

    ents (List[Span]): The spans that fit, without overlaps.
    lost (Set[int]): The tokens of the other spans.
    is_complete (bool): Whether all other spans have tokens.
    """

    ents: List[Span]
    lost: Set[int]
    is_complete: bool


def align_spans(doc: Doc, spans: Iterable[CharSpan], report: Report, record: Record) -> Aligned:
    """Find the tokens of spans, without the white space at their edges.

    doc (Doc): The document.
    spans (Iterable[CharSpan]): Spans, valid or not.
    report (Report): Counts spans that don't fit.
    record (Record): The record of the spans, whose number is reported.
    RETURNS (Aligned): The spans of tokens.
    RAISES (ValueError): For a label that isn't valid Unicode.
    """
    placed, is_complete = _place_spans(doc.text, spans, report, record)
    cover = numpy.zeros(len(doc.text), dtype="int32")
    for span in placed:
        cover[span.start : span.end] += 1
    starts, ends = token_chars(doc)
    aligned = Aligned([], set(), is_complete)
    for span in placed:
        first = int(numpy.searchsorted(ends, span.start, side="right"))
        last = int(numpy.searchsorted(starts, span.end, side="left"))
        problem = None
        if not span.label:
            problem = UNLABELED
        elif not isinstance(span.label, str):
            problem = NUMBERED
        elif cover[span.start : span.end].max() > 1:
            problem = OVERLAPPING
        elif starts[first] != span.start or ends[last - 1] != span.end:
            problem = MISALIGNED
        if problem is None:
            aligned.ents.append(Span(doc, first, last, label=span.label))
        else:
            edges = sorted({first, last - 1}) if problem == MISALIGNED else []
            cut = [i for i in edges if starts[i] < span.start or span.end < ends[i]]
            shown = _show_span(doc.text, span, record, [doc[i].text for i in cut])
            report.add(problem, shown)
            aligned.lost.update(range(first, last))
    return aligned


def _place_spans(
    text: str, spans: Iterable[CharSpan], report: Report, record: Record
) -> Tuple[List[CharSpan], bool]:
    """The spans in the text, each once, without white space at their edges; and whether all spans
    are in the text."""
    placed: Dict[str, CharSpan] = {}
    is_complete = True
    for span in spans:
        record.check_unicode(str(span.label), "label")
        if not _is_place(span, len(text)):
            report.add(UNPLACED, _show_span(text, span, record))
            is_complete = False
            continue
        trimmed = _trim(text, span)
        if trimmed.start == trimmed.end:
            report.add(BLANK, _show_span(text, span, record))
            continue
        if (trimmed.start, trimmed.end) != (span.start, span.end):
            report.add(TRIMMED, _show_span(text, span, record))
        placed[repr(trimmed)] = trimmed
    return list(placed.values()), is_complete


def _is_place(span: CharSpan, length: int) -> bool:
    # Not isinstance: True and False are also integers.
    return (
        not span.problem
        and type(span.start) is type(span.end) is int
        and 0 <= span.start < span.end <= length
    )


def _trim(text: str, span: CharSpan) -> CharSpan:
    value = text[span.start : span.end]
    start = span.start + len(value) - len(value.lstrip())
    label = span.label.strip() if isinstance(span.label, str) else span.label
    return CharSpan(start, start + len(value.strip()), label)


def _show_span(text: str, span: CharSpan, record: Record, cut: Sequence[str] = ()) -> str:
    value = show(text[span.start : span.end]) if _is_place(span, len(text)) else "?"
    label = span.label
    if not isinstance(label, str) or not label.isprintable():
        label = shorten(label)
    offsets = f"{shorten(span.start)}–{shorten(span.end)}{span.problem}"
    tokens = " and ".join(map(show, cut))
    return f"{value} ({label}, {offsets}, {record.place}{f', cuts {tokens}' if cut else ''})"


def set_ents(doc: Doc, aligned: Aligned, *, outside: bool = True) -> None:
    """Set the entities of a document. Tokens of spans that don't fit are missing annotation.

    doc (Doc): The document.
    aligned (Aligned): The entities, and the tokens of spans that don't fit.
    outside (bool): Whether the other tokens are known to be outside of entities.
    """
    doc.set_ents(
        aligned.ents,
        missing=[doc[i : i + 1] for i in sorted(aligned.lost)],
        default="outside" if outside and aligned.is_complete else "missing",
    )


def report_unread(record: Record, keys: Collection[str], report: Report, *, is_empty: bool) -> bool:
    """Count a record that seems to have entities under a key that isn't read.

    record (Record): The record.
    report (Report): Counts the record.
    keys (Collection[str]): The keys that are read.
    is_empty (bool): Whether the record has none of these keys. If so, any list or object under a
        common key for labels counts as entities.
    RETURNS (bool): Whether it has such a key.
    """
    for key in sorted(set(record.data).difference(keys, NO_LABELS)):
        value = record.data[key]
        is_named = is_empty and key in LABEL_KEYS and isinstance(value, (list, dict)) and value
        if is_named or looks_like_spans(value):
            report.add(UNREAD, f"{key!r}, not '{next(iter(keys))}' ({record.place})")
            return True
    return False


def looks_like_spans(value: Any) -> bool:
    """Whether a value is a list with at least one span: an object with two offsets and a label, or
    a list of two offsets and a label.

    value (Any): Any JSON value.
    RETURNS (bool): Whether it is.
    """
    return isinstance(value, list) and any(map(_looks_like_span, value))


def _looks_like_span(value: Any) -> bool:
    if isinstance(value, dict):
        return any(keys <= set(value) for keys in OFFSET_KEYS) and bool(TYPE_KEYS & set(value))
    is_list = isinstance(value, list) and len(value) == 3
    return is_list and isinstance(value[2], str) and all(map(_looks_like_offset, value[:2]))


def _looks_like_offset(value: Any) -> bool:
    """Also "4", which can't be read as an offset, but must be reported."""
    return type(value) in (int, float) or (isinstance(value, str) and value.isdecimal())


class Knowledge(NamedTuple):
    """What is known about the tokens of a document, except for white space.

    is_annotated (bool): Whether anything is known.
    is_missing (bool): Whether tokens are missing annotation.
    is_outside (bool): Whether tokens are known to be outside of entities.
    """

    is_annotated: bool
    is_missing: bool
    is_outside: bool


def get_knowledge(doc: Doc) -> Knowledge:
    """RETURNS (Knowledge): What is known about the tokens.

    doc (Doc): The document.
    """
    iob, is_space = doc.to_array(["ENT_IOB", "IS_SPACE"]).reshape(len(doc), 2).T
    known = set(iob[is_space == 0].tolist())
    return Knowledge(doc.has_annotation("ENT_IOB"), 0 in known, 2 in known)


def get_ents(doc: Doc, report: Report) -> Optional[List[Span]]:
    """The entities of a document, for a format in which every token is in an entity or outside.

    doc (Doc): The document.
    report (Report): Counts documents that the format can't store completely.
    RETURNS (Optional[List[Span]]): None for a document without annotation.
    """
    report_incorrect(doc, report)
    knowledge = get_knowledge(doc)
    if not knowledge.is_annotated:
        return None
    if knowledge.is_missing:
        report.add(PARTIAL, show(doc.text))
    return list(doc.ents)


def report_incorrect(doc: Doc, report: Report) -> None:
    """Count the entities known to be wrong, for a format that can't store them.

    doc (Doc): The document.
    report (Report): Counts what doesn't fit.
    """
    for span in doc.spans.get(INCORRECT_KEY, []):
        report.add(INCORRECT, f"{show(span.text)} ({span.label_})")


def get_scores(doc: Doc) -> Optional[Dict[entity_scores.Key, float]]:
    """RETURNS (Optional[Dict[Tuple[int, int, int], float]]): See `entity_scores.get_scores`.
    RAISES (ValueError): For a changed group whose scores and spans don't match.

    doc (Doc): The document.
    """
    try:
        return entity_scores.get_scores(doc)
    except ValueError as error:
        raise FormatError(str(error)) from error
