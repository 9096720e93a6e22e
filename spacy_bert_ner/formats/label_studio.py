"""Tasks of Label Studio: its exports in JSON and "JSON-MIN"."""

from itertools import accumulate
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..characters import get_text
from ..findings import show
from .doccano import count_units
from .files import Record, get_fields, make_doc, shorten
from .json_values import Value, dump, read_values
from .report import Report
from .source import Source
from .spans import CharSpan, align_spans, get_ents, get_scores, report_unread, set_ents

UNCHECKED = "tasks have predictions and no annotations, and count as not annotated"
OTHERS = "tasks have several annotations: only one is read, the ground truth if there is one"
UNREAD = "results don't label plain text, and are left out"
# Key in `doc.spans` of suggestions for an annotated document, which a task has as predictions next
# to its annotations. Their scores are in `attrs["scores"]`, None for those without one.
SUGGESTIONS = "bert_ner_suggestions"
# Regions of a text have one of these keys, or "start".
OFFSETS = {"startOffset", "globalOffsets"}


def read(source: Source) -> Iterator[Value]:
    """YIELDS (Value): The tasks.

    source (Source): The input.
    """
    return read_values(source.path)


def parse(nlp: Language, value: Value, report: Report) -> Doc:
    """Read a task. If it has several annotations, the ground truth is used, or else the first one
    that was not cancelled. A task without annotations is a document without annotation. So is a
    JSON-MIN task without labels: Label Studio writes no key for tasks that have no labels. Labels
    of all controls are read: of texts, hypertexts, and paragraphs, which become lines of one text.

    nlp (Language): Its tokenizer and vocabulary are used.
    value (Value): The record, not parsed yet.
    report (Report): Counts what doesn't fit.
    RETURNS (Doc): A document with entities.
    RAISES (ValueError): For a task that can't be read, with its line.
    """
    record = value.read()
    text, edges = _get_text(record)
    doc = make_doc(nlp, record, text)
    regions = _get_regions(record, report)
    if regions is not None:
        spans = [span for region in regions for span in _read_region(doc.text, edges, region)]
        set_ents(doc, align_spans(doc, spans, report, record))
    elif "data" not in record.data:
        report_unread(record, ("label",), report, is_empty=True)
    return doc


def _get_text(record: Record) -> Tuple[Any, List[int]]:
    """The text of a task, from "text", or from the only key of `data` that contains a text; and the
    beginnings of its paragraphs."""
    data = record.data.get("data", record.data)
    if not isinstance(data, dict):
        raise record.error(f"its data is {shorten(data)}, but must be an object with the text.")
    if "text" in data or data is record.data:
        return _join(data.get("text"))
    texts = [value for value in map(_join, data.values()) if isinstance(value[0], str)]
    if len(texts) != 1:
        raise record.error(
            f"can't find its text under the keys of its data ({', '.join(map(shorten, data))}). "
            "Rename the key of the text to 'text'."
        )
    return texts[0]


def _join(value: Any) -> Tuple[Any, List[int]]:
    """Join paragraphs, [{"author": …, "text": …}, …], as lines of one text."""
    parts = value if isinstance(value, list) else []
    if not parts or not all(isinstance(part, dict) for part in parts):
        return value, []
    texts = [part.get("text") for part in parts]
    if not all(isinstance(text, str) for text in texts):
        return value, []
    edges = list(accumulate((len(text) + 1 for text in texts), initial=0))
    return "\n".join(texts), edges[:-1]


def _get_regions(record: Record, report: Report) -> Optional[List[Dict[str, Any]]]:
    """The regions of a task, None if it isn't labeled."""
    if "data" not in record.data:
        return _get_all_regions(record)
    annotations = _get_annotations(record)
    if not annotations:
        if record.data.get("predictions"):
            report.add(UNCHECKED, record.place)
        return None
    if len(annotations) > 1:
        report.add(OTHERS, record.place)
    results = annotations[0]["result"]
    regions = _pick([part.get("value") if isinstance(part, dict) else None for part in results])
    for part in results:
        if not isinstance(part, dict) or not any(part.get("value") is one for one in regions):
            kind = part.get("type") if isinstance(part, dict) else part
            report.add(UNREAD, f"{kind} ({record.place})")
    return regions


def _get_annotations(record: Record) -> List[Dict[str, Any]]:
    """The annotations that were not cancelled, the ground truth first."""
    annotations = record.get_list("annotations") or record.get_list("completions") or []
    for annotation in annotations:
        if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
            raise record.error(f"its annotation {shorten(annotation)} has no list 'result'.")
    done = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
    return sorted(done, key=lambda annotation: not annotation.get("ground_truth"))


def _get_all_regions(record: Record) -> Optional[List[Dict[str, Any]]]:
    """The regions of a JSON-MIN task, under the names of its controls: usually "label"."""
    keys = [key for key, value in record.data.items() if _has_places(value)] or ["label"]
    regions = [region for key in keys for region in record.get_list(key) or []]
    for region in regions:
        if not isinstance(region, dict) or not _is_placed(region):
            raise record.error(
                f"its label {shorten(region)} has no 'start', 'end' and list of 'labels'."
            )
    return None if record.data.get(keys[0]) is None else _pick(regions)


def has_regions(value: Any) -> bool:
    """Whether a value of JSON-MIN has labeled regions.

    value (Any): Any JSON value.
    RETURNS (bool): Whether it has any.
    """
    regions = value if isinstance(value, list) else []
    return any(isinstance(region, dict) and get_labels(region) for region in regions)


def _has_places(value: Any) -> bool:
    regions = value if isinstance(value, list) else []
    return any(isinstance(region, dict) and _is_placed(region) for region in regions)


def get_labels(region: Dict[str, Any]) -> Optional[List[Any]]:
    """RETURNS (Optional[List[Any]]): The labels of a region, from "labels", "hypertextlabels",
    "paragraphlabels" and so on. None if it has no such key.

    region (Dict[str, Any]): The region.
    """
    for key, value in region.items():
        if key.endswith("labels") and isinstance(value, list):
            return value
    return None


def _is_placed(region: Dict[str, Any]) -> bool:
    """Whether a region has a place in a text. (Regions of images have x and y.)"""
    return bool(OFFSETS & set(region)) or {"start", "end"} <= set(region)


def _pick(values: List[Any]) -> List[Dict[str, Any]]:
    """Regions of the text. A region without labels is left out if another one at the same place has
    labels: it contains other information about that one."""
    placed = [value for value in values if isinstance(value, dict) and _is_placed(value)]
    known = {_get_place(value) for value in placed if get_labels(value)}
    return [value for value in placed if get_labels(value) or _get_place(value) not in known]


def _get_place(region: Dict[str, Any]) -> str:
    keys = ("start", "end", "startOffset", "endOffset", "globalOffsets")
    return repr([region.get(key) for key in keys])


def _read_region(text: str, edges: List[int], region: Dict[str, Any]) -> List[CharSpan]:
    """A span for each label of a region."""
    span = _find(text, edges, region)
    return [span._replace(label=label) for label in get_labels(region) or [None]]


def _find(text: str, edges: List[int], region: Dict[str, Any]) -> CharSpan:
    """Find the place of a region by its text, since offsets have several units: Label Studio counts
    characters today, UTF-16 code units before version 1.4, and, in hypertexts, within parts of the
    page."""
    start, end, value = region.get("start"), region.get("end"), region.get("text")
    places = _list_places(text, edges, region)
    is_plain = type(start) is type(end) is int and not edges
    if not isinstance(value, str):
        if places and (is_plain or edges):
            return CharSpan(*places[0], None)
        return CharSpan(start, end, None, "" if is_plain or edges else ", without their text")
    for place in places:
        if _squeeze(text[slice(*place)]) == _squeeze(value):
            return CharSpan(*place, None)
    if not is_plain and value.strip() and text.count(value) == 1:
        start = text.index(value)
        return CharSpan(start, start + len(value), None)
    return CharSpan(start, end, None, f" are not {show(value)}")


def _list_places(text: str, edges: List[int], region: Dict[str, Any]) -> List[Tuple[int, int]]:
    """The possible places of a region, by its offsets."""
    start, end = region.get("start"), region.get("end")
    offsets = [region.get("startOffset"), region.get("endOffset")]
    pairs = []
    if edges:
        pairs.append([_add(edges, start, offsets[0]), _add(edges, end, offsets[1])])
    else:
        everywhere = region.get("globalOffsets")
        if isinstance(everywhere, dict):
            pairs.append([everywhere.get("start"), everywhere.get("end")])
        pairs = [[start, end], *pairs, offsets]
    known = [(i, j) for i, j in pairs if type(i) is type(j) is int and 0 <= i < j]
    units = {unit: i for i, unit in enumerate(count_units(text).tolist())}
    return known + [(units[i], units[j]) for i, j in known if i in units and j in units]


def _add(edges: List[int], paragraph: Any, offset: Any) -> Optional[int]:
    """Convert an offset in a paragraph to one in the text. Paragraphs are numbered from 0, as
    strings."""
    number = int(paragraph) if str(paragraph).isdecimal() else len(edges)
    return edges[number] + offset if type(offset) is int and number < len(edges) else None


def _squeeze(text: str) -> str:
    # Line breaks are written as a backslash and an n.
    return "".join(text.replace("\\n", "\n").split())


def render(doc: Doc, report: Report) -> str:
    """RETURNS (str): A task to import, with `predictions` and their scores for a document that
    `bert_ner` has annotated, otherwise with `annotations`, and with `predictions` if the document
    has suggestions; neither for a document without annotation. The names are those of the template
    of Label Studio, `<Labels name="label" toName="text">`.

    doc (Doc): The document.
    report (Report): Counts what doesn't fit.
    """
    return "\n" + dump(_make_task(doc, report))


def _make_task(doc: Doc, report: Report) -> Dict[str, Any]:
    task = {**get_fields(doc), "data": {"text": get_text(doc)}}
    ents = get_ents(doc, report)
    if ents is None:
        return task
    scores = get_scores(doc)
    if scores is None:
        task["annotations"] = [{"result": [_make_result(ent) for ent in ents]}]
        if SUGGESTIONS not in doc.spans:
            return task
        group = doc.spans[SUGGESTIONS]
        ents, known = list(group), group.attrs["scores"]
    else:
        known = [scores.get((ent.start, ent.end, ent.label)) for ent in ents]
    return {**task, "predictions": [_make_prediction(ents, known)]}


def _make_prediction(ents: Sequence[Span], scores: Sequence[Optional[float]]) -> Dict[str, Any]:
    results = [_make_result(ent) for ent in ents]
    known = [score for score in scores if score is not None]
    for result, score in zip(results, scores):
        if score is not None:
            result["score"] = score
    prediction: Dict[str, Any] = {"model_version": "bert_ner", "result": results}
    if known:
        # The score of the task, by which Label Studio sorts.
        prediction["score"] = sum(known) / len(known)
    return prediction


def _make_result(ent: Span) -> Dict[str, Any]:
    return {
        "id": f"{ent.start_char}-{ent.end_char}",
        "from_name": "label",
        "to_name": "text",
        "type": "labels",
        "value": {
            "start": ent.start_char,
            "end": ent.end_char,
            "text": ent.text,
            "labels": [ent.label_],
        },
    }
