"""Count correct entities, by several schemas and by label, and draw bootstrap samples of F1."""

from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy

from ..types import Floats1d, Floats2d, Ints1d
from .summary import N_RESAMPLES, get_f1

# What counts as correct, by the names of nervaluate and of SemEval-2013 task 9.1: span and label;
# the span; the span, or half if it overlaps; the label, if the spans overlap.
SCHEMAS = ("strict", "exact", "partial", "ent_type")
# Those that are also counted by label, among the entities of this label.
LABEL_SCHEMAS = ("strict", "partial")
# Of all labels, the sum of those counts.
SAME_LABEL = "partial_same_label"
# A label, None for all of them, and a schema.
Row = Tuple[Optional[str], str]


class Entity(NamedTuple):
    """An entity of a document.

    start, end (int): Its first token, and the token after its last.
    label (str): Its label.
    score (Optional[float]): Its score, 0 to 1; None for gold entities, and if there is none.
    """

    start: int
    end: int
    label: str
    score: Optional[float] = None

    @property
    def key(self) -> Tuple[int, int, str]:
        """RETURNS (Tuple[int, int, str]): What has to be the same in a correct entity."""
        return self[:3]

    @property
    def span(self) -> Tuple[int, int]:
        """RETURNS (Tuple[int, int]): Its first token, and the token after its last."""
        return self[:2]


class Counts(NamedTuple):
    """Counts of entities. Documents without any aren't in it.

    docs (Ints1d): Place of each document, (n,).
    numbers (Floats2d): Its numbers of correct, predicted and gold entities, (n, 3).
    """

    docs: Ints1d
    numbers: Floats2d


# The entities of each document, in the order of the text and without overlaps.
Entities = Sequence[Sequence[Entity]]


def get_overlaps(first: Sequence[Entity], second: Sequence[Entity]) -> List[List[Entity]]:
    """Find which entities of two annotations share tokens.

    first, second (Sequence[Entity]): The entities of a document, in the order of the text.
    RETURNS (List[List[Entity]]): For each of the first annotation, those of the second.
    """
    found, at = [], 0
    for entity in first:
        while at < len(second) and second[at].end <= entity.start:
            at += 1
        end = at
        while end < len(second) and second[end].start < entity.end:
            end += 1
        found.append(list(second[at:end]))
    return found


def count_entities(gold: Entities, predicted: Entities) -> Dict[Row, Counts]:
    """Count the entities of documents, in total and by label. The totals are the same as those of
    nervaluate; the strict ones are also the same as those of seqeval and spaCy.

    gold, predicted (Entities): The entities of each document, at least one in all.
    RETURNS (Dict[Row, Counts]): Counts by label and schema; first those of all labels.
    """
    found: Dict[Row, List[Tuple[int, Sequence[float]]]] = {}
    found = {(None, schema): [] for schema in (*SCHEMAS, SAME_LABEL)}
    for i, (ours, theirs) in enumerate(zip(gold, predicted)):
        labels = sorted({entity.label for entity in (*ours, *theirs)})
        for schema in SCHEMAS if labels else ():
            found[None, schema].append((i, _count(ours, theirs, schema)))
        for label in labels:
            one, other = ([e for e in part if e.label == label] for part in (ours, theirs))
            for schema in LABEL_SCHEMAS:
                found.setdefault((label, schema), []).append((i, _count(one, other, schema)))
            found[None, SAME_LABEL].append(found[label, "partial"][-1])
    return {row: Counts(*map(numpy.array, zip(*own))) for row, own in found.items()}


def _count(
    gold: Sequence[Entity], predicted: Sequence[Entity], schema: str
) -> Tuple[float, int, int]:
    correct: float
    if schema == "strict":
        correct = len({entity.key for entity in gold} & {entity.key for entity in predicted})
    elif schema == "exact":
        correct = len({entity.span for entity in gold} & {entity.span for entity in predicted})
    elif schema == "partial":
        pairs = _match(gold, predicted, lambda one, other: one.span != other.span)
        correct = sum(1.0 if one.span == other.span else 0.5 for one, other in pairs)
    else:
        pairs = _match(gold, predicted, _compare_labels)
        correct = sum(one.label == other.label for one, other in pairs)
    return correct, len(predicted), len(gold)


def _match(
    gold: Sequence[Entity], predicted: Sequence[Entity], cost: Callable[[Entity, Entity], Any]
) -> Iterator[Tuple[Entity, Entity]]:
    """YIELDS (Tuple[Entity, Entity]): Predicted entities, in the order of the text, each with the
    overlapping gold entity of the lowest cost that isn't matched yet, if there is one."""
    taken = set()
    for entity, overlapping in zip(predicted, get_overlaps(predicted, gold)):
        free = [other for other in overlapping if other.start not in taken]
        if free:
            costs = [cost(entity, other) for other in free]
            chosen = free[costs.index(min(costs))]
            taken.add(chosen.start)
            yield entity, chosen


def _compare_labels(one: Entity, other: Entity) -> Tuple[bool, int]:
    """First the same label; among those, the nearest edges."""
    if one.label != other.label:
        return True, 0
    return False, abs(one.start - other.start) + abs(one.end - other.end)


def draw_f1(counts: Dict[Row, Counts], n_docs: int, seed: int = 0) -> Dict[Row, Floats1d]:
    """Estimate F1 on other documents by the bootstrap (Efron 1979): documents are resampled with
    replacement. With the same seed, the same documents are drawn, so that draws of two pipelines
    are paired.

    counts (Dict[Row, Counts]): See `count_entities`.
    n_docs (int): Number of documents.
    seed (int): Random seed of the resampling.
    RETURNS (Dict[Row, Floats1d]): F1, 0 to 100, float32, (N_RESAMPLES,), by label and schema.
    """
    rng = numpy.random.default_rng(seed)
    docs = numpy.concatenate([own.docs for own in counts.values()])
    X = numpy.concatenate([own.numbers for own in counts.values()]).T.copy()
    starts = numpy.cumsum([0, *(len(own.docs) for own in counts.values())])[:-1]
    f1 = numpy.zeros((N_RESAMPLES, len(counts)), dtype="float32")
    for i in range(N_RESAMPLES):
        weights = numpy.bincount(rng.integers(n_docs, size=n_docs), minlength=n_docs)
        f1[i] = get_f1(numpy.add.reduceat(X * weights[docs], starts, axis=1).T)
    return dict(zip(counts, f1.T))


def get_ends(draws: Floats1d) -> List[float]:
    """RETURNS (List[float]): The ends of the 95 % interval of draws.

    draws (Floats1d): The draws, (N_RESAMPLES,).
    """
    return numpy.quantile(draws, [0.025, 0.975]).tolist()


def to_score(counts: Sequence[float], draws: Optional[Floats1d] = None) -> Dict[str, Any]:
    """Calculate precision, recall and F1.

    counts (Sequence[float]): Numbers of correct, predicted and gold entities.
    draws (Optional[Floats1d]): Draws of F1, if there should be an interval.
    RETURNS (Dict[str, Any]): The numbers; "precision", "recall" and "f1", 0 to 100, None where
        there is nothing to divide by; "interval", the ends of the 95 % interval of F1, or None.
    """
    correct, predicted, gold = (float(count) for count in counts)
    return {
        "gold": int(gold),
        "predicted": int(predicted),
        "correct": correct,
        "precision": 100.0 * correct / predicted if predicted else None,
        "recall": 100.0 * correct / gold if gold else None,
        "f1": 200.0 * correct / (predicted + gold) if predicted + gold else None,
        "interval": None if draws is None else get_ends(draws),
    }
