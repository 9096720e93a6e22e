"""JSON lines with spans: the formats of Prodigy, spaCy, and many other tools."""

from typing import Any, Dict, Iterable, Iterator, List, Optional

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..characters import get_text, token_chars
from ..findings import show
from .files import Record, check_text, get_fields, keep_fields, make_doc, shorten
from .json_values import Value, dump, read_values
from .report import FormatError, Report
from .source import Source
from .spans import (
    INCORRECT_KEY,
    PARTIAL,
    CharSpan,
    align_spans,
    get_knowledge,
    get_scores,
    looks_like_spans,
    report_incorrect,
    report_unread,
    set_ents,
)
from .words import has_words, read_words

ANSWERS = ("accept", "reject", "ignore")
IGNORED = 'records have the answer "ignore", and are left out'
REJECTED = (
    'records have the answer "reject" in a view where spans are set by hand, and are left out: it '
    "isn't known which spans are wrong"
)
GROUPS = "documents have span groups in addition to their entities: the groups are left out"
# Keys of entities: Prodigy's, that of spaCy's `Doc.to_json`, where "spans" are span groups, and
# that of spaCy's training data.
SURE_KEYS = ("spans", "ents", "entities")
# Keys that may also contain labels of the text.
ENTITY_KEYS = (*SURE_KEYS, "label", "labels")
BINARY = "ner"  # the view in which one entity is accepted or rejected


def read(source: Source) -> Iterator[Value]:
    """YIELDS (Value): The values of a file; those of {"annotations": […]} one by one.

    source (Source): The input.
    """
    number = 0
    for value in read_values(source.path):
        for part in _unwrap(value):
            number += 1
            yield part._replace(number=number)


def _unwrap(value: Value) -> Iterator[Value]:
    if value.text is not None and '"annotations"' not in value.text:
        yield value
        return
    try:
        data = value.get()
    except FormatError:
        data = None  # `parse` raises the same error, and can skip the record
    if not is_wrapper(data):
        yield value
        return
    # Records that the annotator skipped are null.
    for part in data["annotations"]:
        if part is not None:
            yield value._replace(text=None, data=part)


def is_wrapper(data: Any) -> bool:
    """Whether a value contains records, as written by NER Annotator and other tools for spaCy.

    data (Any): Any JSON value.
    RETURNS (bool): Whether it does.
    """
    if not isinstance(data, dict) or {"text", "data", "result"} & set(data):
        return False
    parts = data.get("annotations")
    return isinstance(parts, list) and all(isinstance(p, (list, dict, type(None))) for p in parts)


def parse(nlp: Language, value: Value, report: Report) -> Optional[Doc]:
    """Read a record of `text` and `spans`, `ents` or `entities`, each with `start`, `end` and
    `label`, or [start, end, label]; or of words, with or without tags, see `words`.

    A record without these keys is a document without annotation. If `tokens` match the text, they
    are the tokens of the document. In the view "ner", where single entities are accepted or
    rejected, only the spans are known; those of records with the answer "reject" are in
    `doc.spans["incorrect_spans"]`.

    nlp (Language): Its tokenizer and vocabulary are used.
    value (Value): The record, not parsed yet.
    report (Report): Counts what doesn't fit.
    RETURNS (Optional[Doc]): A document with entities; None for a rejected record of other views.
    RAISES (ValueError): For a record that can't be read, with its line.
    """
    record = value.read()
    answer = record.data.get("answer", "accept")
    if answer not in ANSWERS:
        raise record.error(f"its answer is {answer!r}. Use one of {', '.join(ANSWERS)}.")
    if answer == "ignore":
        report.add(IGNORED, record.place)
        return None
    if answer == "reject" and record.data.get("_view_id", BINARY) != BINARY:
        report.add(REJECTED, record.place)
        return None
    if has_words(record):
        return read_words(nlp, record)
    return _read_record(nlp, record, answer, report)


def _read_record(nlp: Language, record: Record, answer: str, report: Report) -> Doc:
    doc = _make_doc(nlp, record)
    spans = _get_spans(record, report)
    keys = [key for key in ENTITY_KEYS if not _is_unread(key, record.data.get(key))]
    has_more = report_unread(record, keys, report, is_empty=spans is None)
    if spans is None:
        return doc
    aligned = align_spans(doc, spans, report, record)
    if answer == "reject":
        doc.spans[INCORRECT_KEY] = aligned.ents
    else:
        is_all = record.data.get("_view_id") != BINARY and not has_more
        set_ents(doc, aligned, outside=is_all)
    return doc


def _get_spans(record: Record, report: Report) -> Optional[List[CharSpan]]:
    """The spans under all keys, None if the record has none of them."""
    lists = []
    for key in ENTITY_KEYS:
        value = record.data.get(key)
        if key == "spans" and value and isinstance(value, dict):
            report.add(GROUPS, record.place)
        elif key in SURE_KEYS or looks_like_spans(value):
            lists.append(record.get_list(key))
    known = [spans for spans in lists if spans is not None]
    if not known:
        return None
    return [_read_span(record, span) for spans in known for span in spans]


def _is_unread(key: str, value: Any) -> bool:
    """Whether a key that may contain labels of the text has lists or objects that aren't spans:
    ["sports"] labels a text, [["PER", 0, 4]] doesn't."""
    if key in SURE_KEYS or not isinstance(value, list) or looks_like_spans(value):
        return False
    return any(isinstance(part, (list, dict)) for part in value)


def _read_span(record: Record, span: Any) -> CharSpan:
    if isinstance(span, list) and len(span) == 3:
        return CharSpan(*span)
    if not isinstance(span, dict):
        raise record.error(
            f"its span {shorten(span)} is neither an object with 'start', 'end' and 'label' nor "
            "[start, end, label]."
        )
    if "start_offset" in span and "start" not in span:
        raise record.error(
            f"its span {shorten(span)} has a 'start_offset', as in doccano's format. Use --from "
            "doccano (format in a config)."
        )
    return CharSpan(span.get("start"), span.get("end"), span.get("label"))


def _make_doc(nlp: Language, record: Record) -> Doc:
    text = record.data.get("text")
    tokens = record.data.get("tokens")
    if not isinstance(tokens, list) or not all(_is_token(token) for token in tokens):
        return make_doc(nlp, record, text)
    words = [token["text"] for token in tokens]
    spaces = [bool(token["ws"]) for token in tokens]
    if "".join(word + " " * space for word, space in zip(words, spaces)) != text:
        return make_doc(nlp, record, text)
    check_text(nlp, record, text)
    doc = Doc(nlp.vocab, words=words, spaces=spaces)
    keep_fields(doc, record)
    return doc


def _is_token(token: Any) -> bool:
    return (
        isinstance(token, dict)
        and isinstance(token.get("text"), str)
        and token["text"] != ""
        and "ws" in token
    )


def render(doc: Doc, report: Report) -> str:
    """RETURNS (str): A record of `text`, `tokens`, and `spans`, with `score` if there is one. A
    document of which only the entities are known is an accepted record of the view "ner".

    doc (Doc): The document.
    report (Report): Counts what doesn't fit.
    """
    text = get_text(doc)
    spaces = doc.to_array("SPACY").tolist()
    starts, ends = (offsets.tolist() for offsets in token_chars(doc))
    tokens = [
        {"text": text[start:end], "start": start, "end": end, "id": i, "ws": bool(space)}
        for i, (start, end, space) in enumerate(zip(starts, ends, spaces))
    ]
    record = {"text": text, **get_fields(doc), "tokens": tokens, **_make_answer(doc, report)}
    return dump(record) + "\n"


def _make_answer(doc: Doc, report: Report) -> Dict[str, Any]:
    knowledge = get_knowledge(doc)
    wrong = list(doc.spans.get(INCORRECT_KEY, []))
    if not knowledge.is_annotated:
        return {"spans": make_spans(doc, wrong), "answer": "reject"} if wrong else {}
    report_incorrect(doc, report)
    answer: Dict[str, Any] = {"spans": make_spans(doc, doc.ents)}
    if knowledge.is_missing and knowledge.is_outside:
        report.add(PARTIAL, show(doc.text))
    elif knowledge.is_missing:
        answer.update(_view_id=BINARY, answer="accept")
    return answer


def make_spans(doc: Doc, spans: Iterable[Span]) -> List[Dict[str, Any]]:
    """RETURNS (List[Dict[str, Any]]): Spans as Prodigy writes them, with `score` if there is one.

    doc (Doc): The document.
    spans (Iterable[Span]): The spans.
    """
    scores = get_scores(doc) or {}
    made = []
    for span in spans:
        made.append(
            {
                "start": span.start_char,
                "end": span.end_char,
                "token_start": span.start,
                "token_end": span.end - 1,  # Prodigy's is the last token
                "label": span.label_,
            }
        )
        score = scores.get((span.start, span.end, span.label))
        if score is not None:
            made[-1]["score"] = score
    return made
