"""Errors of a pipeline: pairs of gold and predicted entities, what differs, and their context."""

from collections import Counter
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy
from spacy.tokens import Doc, Span

from ..types import Ints1d
from .entity_counts import Entities, Entity, get_overlaps
from .entity_groups import get_text, shorten

N_ERRORS = 50
N_EXAMPLES = 3
# In the table of labels: the others are counted together.
MAX_LABELS = 20
OTHER_LABELS = "other labels"
# Tokens around an error.
CONTEXT = 25
# How the edges of a predicted entity differ, by the signs of start and end (predicted - gold).
EDGES = {
    (-1, 0): "starts too early",
    (1, 0): "starts too late",
    (0, -1): "ends too early",
    (0, 1): "ends too late",
    (-1, 1): "too long at both ends",
    (1, -1): "too short at both ends",
    (-1, -1): "shifted to the left",
    (1, 1): "shifted to the right",
}
KINDS = ("wrong label", "wrong edges", "wrong label and edges", "spurious", "missed")


class Pair(NamedTuple):
    """A gold and a predicted entity that overlap, or one of them that overlaps no other.

    doc (int): Place of the document.
    gold, predicted (Optional[Entity]): The entities.
    """

    doc: int
    gold: Optional[Entity]
    predicted: Optional[Entity]

    @property
    def kind(self) -> Optional[str]:
        """RETURNS (Optional[str]): The kind of error, one of KINDS; None if there is none."""
        if self.predicted is None:
            return "missed"
        if self.gold is None:
            return "spurious"
        is_same = self.gold.span == self.predicted.span
        if self.gold.label == self.predicted.label:
            return None if is_same else "wrong edges"
        return "wrong label" if is_same else "wrong label and edges"

    @property
    def key(self) -> Tuple[Any, ...]:
        """RETURNS (Tuple[Any, ...]): The same for the same error of two pipelines."""
        gold, predicted = (entity and entity.key for entity in (self.gold, self.predicted))
        return self.doc, gold, predicted


def pair_entities(gold: Entities, predicted: Entities) -> Iterator[Pair]:
    """Pair the entities of documents: first those with the same span, then those with the same
    label and the longest overlap, then others that overlap. An entity is in one pair at most.

    gold, predicted (Entities): The entities of each document.
    YIELDS (Pair): All entities, by document and in the order of the text.
    """
    for i, (ours, theirs) in enumerate(zip(gold, predicted)):
        overlaps = [
            (one, other)
            for one, others in zip(ours, get_overlaps(ours, theirs))
            for other in others
        ]
        pairs: List[Pair] = []
        used = set()
        for one, other in sorted(overlaps, key=_rank):
            if (True, one.start) not in used and (False, other.start) not in used:
                used |= {(True, one.start), (False, other.start)}
                pairs.append(Pair(i, one, other))
        pairs += [Pair(i, one, None) for one in ours if (True, one.start) not in used]
        pairs += [Pair(i, None, other) for other in theirs if (False, other.start) not in used]
        yield from sorted(pairs, key=lambda pair: (pair.gold or pair.predicted or (0,))[0])


def _rank(entities: Tuple[Entity, Entity]) -> Tuple[Any, ...]:
    one, other = entities
    overlap = min(one.end, other.end) - max(one.start, other.start)
    return one.span != other.span, one.label != other.label, -overlap, one.start, other.start


def count_kinds(pairs: Sequence[Pair]) -> Dict[str, int]:
    """RETURNS (Dict[str, int]): Number of errors of each of KINDS.

    pairs (Sequence[Pair]): All pairs.
    """
    counts = Counter(pair.kind for pair in pairs)
    return {kind: counts[kind] for kind in KINDS}


def count_confusion(pairs: Sequence[Pair]) -> Dict[str, Any]:
    """Count which label was predicted for which gold label.

    pairs (Sequence[Pair]): All pairs.
    RETURNS (Dict[str, Any]): "labels", the most frequent ones; "counts", a row for each gold label,
        with a column for each predicted label and a last one for missed entities, and a last row
        for spurious entities.
    """
    cells = Counter(tuple(e and e.label for e in (pair.gold, pair.predicted)) for pair in pairs)
    totals: Counter = Counter()
    for labels, n in cells.items():
        for label in {label for label in labels if label is not None}:
            totals[label] += n
    frequent = sorted(totals, key=lambda label: (-totals[label], label))
    names = sorted(frequent[:MAX_LABELS]) + [OTHER_LABELS] * (len(frequent) > MAX_LABELS)
    places = {label: names.index(label) for label in frequent[:MAX_LABELS]}
    table = numpy.zeros((len(names) + 1, len(names) + 1), dtype=int)
    for labels, n in cells.items():
        row, column = (
            len(names) if label is None else places.get(label, len(names) - 1) for label in labels
        )
        table[row, column] += n
    return {"labels": names, "counts": table.tolist()}


def count_edges(docs: Sequence[Doc], pairs: Sequence[Pair]) -> List[Dict[str, Any]]:
    """Count in which way the edges of predicted entities differ from those of gold entities.

    docs (Sequence[Doc]): The documents.
    pairs (Sequence[Pair]): All pairs.
    RETURNS (List[Dict[str, Any]]): "kind", its number "n", and the first "examples", each with the
        texts of both entities. Most frequent first.
    """
    found: Dict[str, List[Pair]] = {kind: [] for kind in EDGES.values()}
    for pair in pairs:
        if pair.gold and pair.predicted and pair.gold.span != pair.predicted.span:
            signs = numpy.sign(numpy.subtract(pair.predicted.span, pair.gold.span))
            found[EDGES[int(signs[0]), int(signs[1])]].append(pair)
    rows = [
        {"kind": kind, "n": len(own), "examples": [_show(docs, pair) for pair in own[:N_EXAMPLES]]}
        for kind, own in found.items()
        if own
    ]
    return sorted(rows, key=lambda row: -row["n"])


def _show(docs: Sequence[Doc], pair: Pair) -> Dict[str, Optional[Dict[str, Any]]]:
    """The texts, labels and scores of both entities."""
    shown: Dict[str, Optional[Dict[str, Any]]] = {"gold": None, "predicted": None}
    for name, entity in (("gold", pair.gold), ("predicted", pair.predicted)):
        if entity is not None:
            text = shorten(get_text(docs[pair.doc], entity))
            shown[name] = {"text": text, "label": entity.label, "score": entity.score}
    return shown


def choose_worst(pairs: Sequence[Pair], n: int = N_ERRORS) -> Tuple[List[Pair], List[Pair]]:
    """Choose the errors to look at first.

    pairs (Sequence[Pair]): Pairs; those without an error are left out.
    n (int): How many to choose.
    RETURNS (Tuple[List[Pair], List[Pair]]): Wrong predictions, those with the highest scores first;
        missed entities, which have no score: a sample that is spread evenly over the documents. Of
        `n`, each has its share of all errors.
    """
    errors = [pair for pair in pairs if pair.kind is not None]
    missed = [pair for pair in errors if pair.predicted is None]
    wrong = sorted((pair for pair in errors if pair.predicted is not None), key=_get_doubt)
    n = min(n, len(errors))
    n_missed = round(n * len(missed) / max(len(errors), 1))
    places = numpy.linspace(0, len(missed) - 1, n_missed).round().astype(int)
    return wrong[: n - n_missed], [missed[i] for i in places]


def _get_doubt(pair: Pair) -> float:
    score = pair.predicted.score if pair.predicted else None
    return 1.0 if score is None else 1.0 - score


def show_error(
    docs: Sequence[Doc],
    sentences: Optional[Sequence[Ints1d]],
    gold: Entities,
    predicted: Entities,
    pair: Pair,
) -> Dict[str, Any]:
    """Show an error in its context.

    docs (Sequence[Doc]): The documents.
    sentences (Optional[Sequence[Ints1d]]): Number of the sentence of each token, (n_tokens,), by
        document; None if they are unknown.
    gold, predicted (Entities): The entities of each document.
    pair (Pair): The error.
    RETURNS (Dict[str, Any]): Number of the "document", the "kind", both entities, and
        "gold_context" and "predicted_context": the text in pieces, which have a label if they are
        entities.
    """
    doc, own = docs[pair.doc], [entity for entity in (pair.gold, pair.predicted) if entity]
    first, last = min(e.start for e in own), max(e.end for e in own)
    least, most = 0, len(doc)
    if sentences is not None:
        numbers = sentences[pair.doc]
        least = int(numpy.searchsorted(numbers, numbers[first]))
        most = int(numpy.searchsorted(numbers, numbers[last - 1], side="right"))
    start, end = max(least, first - CONTEXT), min(most, last + CONTEXT)
    marks = ("… " if start > least else "", " …" if end < most else "")
    return {
        "document": pair.doc + 1,
        "kind": pair.kind,
        **_show(docs, pair),
        "gold_context": _split(doc[start:end], gold[pair.doc], pair.gold, marks),
        "predicted_context": _split(doc[start:end], predicted[pair.doc], pair.predicted, marks),
    }


def _split(
    span: Span, entities: Sequence[Entity], focus: Optional[Entity], marks: Tuple[str, str]
) -> List[Dict[str, Any]]:
    """The text of a span in pieces: entities, and the text between them. The marks are added before
    and after it."""
    doc, at = span.doc, span.start
    parts: List[Dict[str, Any]] = [{"text": marks[0], "label": None}]
    for entity in entities:
        first, last = max(entity.start, span.start), min(entity.end, span.end)
        if first < last:
            piece = doc[first:last]
            text = {"text": shorten(piece.text), "label": entity.label, "score": entity.score}
            is_focus = focus is not None and entity.key == focus.key
            parts.append({"text": shorten(doc[at:first].text_with_ws), "label": None})
            parts.append({**text, "is_focus": is_focus})
            parts.append({"text": piece.text_with_ws[len(piece.text) :], "label": None})
            at = last
    parts.append({"text": shorten(doc[at : span.end].text_with_ws), "label": None})
    parts.append({"text": marks[1], "label": None})
    return [part for part in parts if part["text"]]
