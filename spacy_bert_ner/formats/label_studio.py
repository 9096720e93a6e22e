"""Tasks of Label Studio: JSON, as it exports them in full and as "JSON-MIN"."""

from typing import Any, Dict, Iterator, List, Optional

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..findings import show
from .doccano import count_units
from .files import Record, Value, dump, get_fields, make_doc, read_values
from .report import Report
from .source import Source
from .spans import CharSpan, align_spans, get_ents, get_scores, set_ents

UNCHECKED = "tasks have predictions and no annotations, and count as not annotated"
OTHERS = (
    "tasks have annotations of several people, of which one is read: the ground truth, if marked"
)
UNREAD = "results are no labels of plain text, and are left out"


def read(source: Source) -> Iterator[Value]:
    return read_values(source.path)


def parse(nlp: Language, value: Value, report: Report) -> Doc:
    """Read a task. Of its annotations, the ground truth counts, else the first that was not
    cancelled; a task without one is a document without annotation, and so is one of JSON-MIN
    without labels, where Label Studio writes neither key nor list for a task that has none.

    RETURNS (Doc): A document with entities.
    RAISES (ValueError): For a task that can't be read, with its line.
    """
    record = value.read()
    doc = make_doc(nlp, record, _get_text(record))
    regions = _get_regions(record, report)
    if regions is not None:
        spans = [span for region in regions for span in _read_region(record, doc.text, region)]
        set_ents(doc, align_spans(doc, spans, report, record))
    return doc


def _get_text(record: Record) -> Any:
    """The text of a task: under "text", or under the only key of `data` that has a string."""
    data = record.data.get("data", record.data)
    if not isinstance(data, dict):
        raise record.error(f"its data is {data!r}, and has to be an object with the text.")
    if "text" in data or data is record.data:
        return data.get("text")
    texts = [value for value in data.values() if isinstance(value, str)]
    if len(texts) != 1:
        raise record.error(
            f"which of {', '.join(data)} in its data is the text? Name that one 'text'."
        )
    return texts[0]


def _get_regions(record: Record, report: Report) -> Optional[List[Any]]:
    """The labeled regions of a task, None if nobody has labeled it."""
    if "data" not in record.data:
        return record.get_list(_find_label_key(record))
    annotations = _get_annotations(record)
    if not annotations:
        if record.data.get("predictions"):
            report.add(UNCHECKED, f"record {record.number}")
        return None
    if len(annotations) > 1:
        report.add(OTHERS, f"record {record.number}")
    results = annotations[0]["result"]
    for part in results:
        if not _is_label(part):
            kind = part.get("type") if isinstance(part, dict) else part
            report.add(UNREAD, f"{kind} (record {record.number})")
    return [part["value"] for part in results if _is_label(part)]


def _get_annotations(record: Record) -> List[Dict[str, Any]]:
    """Those that were not cancelled, the ground truth first."""
    annotations = record.get_list("annotations") or record.get_list("completions") or []
    for annotation in annotations:
        if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
            raise record.error(f"its annotation {annotation!r} has no list 'result'.")
    done = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
    return sorted(done, key=lambda annotation: not annotation.get("ground_truth"))


def _find_label_key(record: Record) -> str:
    """JSON-MIN names labels like the control in the labeling interface: "label", most often."""
    for key, value in record.data.items():
        regions = value if isinstance(value, list) else []
        if any(isinstance(region, dict) and "labels" in region for region in regions):
            return key
    return "label"


def _is_label(part: Any) -> bool:
    return (
        isinstance(part, dict)
        and part.get("type", "labels") == "labels"
        and isinstance(part.get("value"), dict)
    )


def _read_region(record: Record, text: str, region: Any) -> List[CharSpan]:
    """A span for each label of a region."""
    if not isinstance(region, dict) or not isinstance(region.get("labels", []), list):
        raise record.error(f"its label {region!r} has no 'start', 'end' and list of 'labels'.")
    start, end = _get_offsets(text, region)
    return [CharSpan(start, end, label) for label in region.get("labels") or [None]]


def _get_offsets(text: str, region: Dict[str, Any]) -> List[Any]:
    """Where a region is. Label Studio counts characters today, and counted UTF-16 code units
    before version 1.4: the text of the region tells."""
    start, end, value = region.get("start"), region.get("end"), region.get("text")
    if not (type(start) is type(end) is int) or not isinstance(value, str):
        return [start, end]
    if _squeeze(text[max(start, 0) : max(end, 0)]) == _squeeze(value):
        return [start, end]
    places = {unit: i for i, unit in enumerate(count_units(text).tolist())}
    if start in places and end in places:
        old = [places[start], places[end]]
        if _squeeze(text[slice(*old)]) == _squeeze(value):
            return old
    return [f"{start}", f"{end} are not {show(value)}"]


def _squeeze(text: str) -> str:
    # Line breaks are written as a backslash and an n.
    return "".join(text.replace("\\n", "\n").split())


def render(doc: Doc, report: Report) -> str:
    """RETURNS (str): A task to import, with `predictions` and their scores for a document that
    `bert_ner` has annotated, else with `annotations`, or neither for a document without annotation.
    The names are those of Label Studio's template, `<Labels name="label" toName="text">`."""
    return "\n" + dump(_make_task(doc, report))


def _make_task(doc: Doc, report: Report) -> Dict[str, Any]:
    task = {**get_fields(doc), "data": {"text": doc.text}}
    ents = get_ents(doc, report)
    if ents is None:
        return task
    scores = get_scores(doc)
    if scores is None:
        return {**task, "annotations": [{"result": [_make_result(ent) for ent in ents]}]}
    results = [_make_result(ent) for ent in ents]
    for ent, result in zip(ents, results):
        if (ent.start, ent.end, ent.label) in scores:
            result["score"] = scores[ent.start, ent.end, ent.label]
    prediction: Dict[str, Any] = {"model_version": "bert_ner", "result": results}
    known = [result["score"] for result in results if "score" in result]
    if known:
        # Of the task: Label Studio sorts by it.
        prediction["score"] = sum(known) / len(known)
    return {**task, "predictions": [prediction]}


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
