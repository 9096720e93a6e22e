"""Suspected label errors: places where out-of-fold predictions contradict the annotation."""

from collections import defaultdict
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy
from spacy.tokens import Doc

from ..tagging.candidates import Candidates, find_candidates
from ..tagging.presets import MISSING_IOB
from ..tagging.schemes import TagSet
from ..terminal import printable
from ..types import Bools1d, Floats1d, Floats2d, Ints1d
from .audit_folds import Predictions
from .entity_counts import Entity
from .entity_groups import get_text, shorten

MISSING, SPURIOUS, TYPE, EDGES = KINDS = ("missing", "spurious", "wrong type", "wrong edges")
# Logarithm of the lowest probability of a span that is looked at. Others count as 0.
LOWEST = -12.0


class Suspect(NamedTuple):
    """A suspected label error: what is annotated at a place, and the suggestion, which is what else
    is most probable there.

    doc (int): Place of the document.
    kind (str): One of KINDS.
    gold, suggested (Optional[Entity]): What is annotated, and what the model finds, None for no
        entity. Their scores are the probabilities that follow.
    p_gold, p_suggested (float): The probabilities of both: of an entity, the product of the
        probabilities of its tags, and of those that the tags next to it don't make it longer; of no
        entity, the product of the probabilities of O.
    p_worst (float): The lowest of the factors of `p_gold`.
    """

    doc: int
    kind: str
    gold: Optional[Entity]
    suggested: Optional[Entity]
    p_gold: float
    p_suggested: float
    p_worst: float

    @property
    def doubt(self) -> float:
        """RETURNS (float): How suspicious it is among those of its kind. The scores are those of
        Northcutt et al. 2021 (Confident Learning) and of Wang & Mueller 2022 (Detecting Label
        Errors in Token Classification Data): of a wrong type or edges, how improbable the tag is
        that fits worst; of a spurious entity, the margin between both probabilities, since a model
        gives nothing to many entities that are right but that it doesn't know; of a missing one,
        how much more probable it is than none."""
        if self.kind in (TYPE, EDGES):
            return 1.0 - self.p_worst
        if self.kind == SPURIOUS:
            return self.p_suggested - self.p_gold
        return self.p_suggested / (self.p_suggested + self.p_gold)

    @property
    def place(self) -> Tuple[int, int]:
        """RETURNS (Tuple[int, int]): The document, and the first token."""
        own = [entity.start for entity in (self.gold, self.suggested) if entity is not None]
        return self.doc, min(own)

    def explain(self, doc: Doc) -> str:
        """RETURNS (str): The reason, such as "gold ORG, the model gives LOC 0.93".

        doc (Doc): Its document.
        """
        both = self.gold, self.suggested
        what = ["no entity" if e is None else shorten(e.label) for e in both]
        if self.kind == EDGES:
            texts = ["" if e is None else shorten(get_text(doc, e)) for e in both]
            what = [f"{name} “{text}”" for name, text in zip(what, texts)]
        reason = f"gold {what[0]}, the model gives {what[1]} {self.p_suggested:.2f}"
        return printable(reason)


def find_suspects(docs: Sequence[Doc], predictions: Predictions) -> List[Suspect]:
    """Find the places where the model gives more probability to something else than the annotation.

    docs (Sequence[Doc]): The annotated documents.
    predictions (Predictions): Their out-of-fold predictions.
    RETURNS (List[Suspect]): The suspects, see `rank`.
    """
    found: List[Suspect] = []
    for i, (doc, probs) in enumerate(zip(docs, predictions.probs)):
        found += _compare(i, doc, probs, predictions.tag_set)
    return rank(found)


def rank(suspects: Sequence[Suspect]) -> List[Suspect]:
    """Order suspects. Those of each kind are sorted by their doubt, and the kinds take turns: their
    probabilities can't be compared, since a model is often sure that a word is no entity, and
    seldom sure of edges. (Confident Learning prunes each kind of confusion on its own, too.)

    suspects (Sequence[Suspect]): The suspects, in any order.
    RETURNS (List[Suspect]): The most suspicious of each kind, then the second of each, and so on.
    """
    kinds: Dict[str, List[Suspect]] = defaultdict(list)
    for suspect in sorted(suspects, key=lambda suspect: (-suspect.doubt, suspect.place)):
        kinds[suspect.kind].append(suspect)
    turns = [(turn, one) for own in kinds.values() for turn, one in enumerate(own)]
    return [one for _, one in sorted(turns, key=lambda t: (t[0], -t[1].doubt, t[1].place))]


class _Spans(NamedTuple):
    """What a model finds in a document, in terms of its rows: the tokens that get a tag.

    rows, ends (Ints1d): The token of each row, and the one after the last token of its word,
        (n_rows,).
    tags (Floats2d): The probabilities of tags, float64, (n_rows, n_tags).
    tag_set (TagSet): The tags.
    candidates (Candidates): The spans that may be entities.
    probs (Floats1d): Their probabilities, (n_candidates,).
    """

    rows: Ints1d
    ends: Ints1d
    tags: Floats2d
    tag_set: TagSet
    candidates: Candidates
    probs: Floats1d

    def get_outside(self, start: int, end: int) -> float:
        """RETURNS (float): The probability that no row of a range is in an entity."""
        return float(self.tags[start:end, 0].prod())

    def get_worst(self, start: int, end: int, label: int) -> float:
        """RETURNS (float): The lowest probability of a tag of an entity, or that it ends where it
        does."""
        tags = self.tag_set.encode(end - start, label)
        worst = self.tags[numpy.arange(start, end), tags].min()
        goes_on = self.tags[end : end + 1] @ self.tag_set.continues[tags[-1]]
        return float(min(worst, 1.0 - goes_on.sum()))

    def get_entity(self, i: int) -> Entity:
        """RETURNS (Entity): A candidate, on the tokens of the document."""
        start, end = self.rows[self.candidates.starts[i]], self.ends[self.candidates.ends[i] - 1]
        label = self.tag_set.labels[self.candidates.labels[i]]
        return Entity(int(start), int(end), label, float(self.probs[i]))

    def find_best(self, rows: Bools1d) -> Optional[int]:
        """RETURNS (Optional[int]): The most probable of some candidates, None if there are none."""
        chosen = numpy.nonzero(rows)[0]
        return int(chosen[self.probs[chosen].argmax()]) if len(chosen) else None


def _compare(i: int, doc: Doc, probs: Floats2d, tag_set: TagSet) -> Iterator[Suspect]:
    """YIELDS (Suspect): The suspects of a document, in any order."""
    rows = numpy.nonzero(probs.any(axis=1))[0]
    if not len(rows):
        return
    breaks = numpy.arange(len(rows)) == 0
    candidates = find_candidates(probs[rows], breaks, tag_set, LOWEST)
    tags, found = probs[rows].astype("float64"), numpy.exp(candidates.log_probs)
    spans = _Spans(rows, _find_ends(doc, rows), tags, tag_set, candidates, found)
    taken = doc.to_array("ENT_IOB")[rows] == MISSING_IOB
    for ent in doc.ents:
        start, end = numpy.searchsorted(rows, (ent.start, ent.end)).tolist()
        taken[start:end] = True
        if start < end:
            gold = Entity(ent.start, ent.end, ent.label_)
            suspect = _judge(i, gold, start, end, spans)
            if suspect.p_suggested > suspect.p_gold:
                yield suspect
    yield from _find_missing(i, spans, taken)


def _find_ends(doc: Doc, rows: Ints1d) -> Ints1d:
    """For words of several tokens, of which only one gets a tag: the tokens up to the next space
    belong to the word."""
    ends, tagged = [], set(rows.tolist())
    for row in rows.tolist():
        end = row + 1
        while end < len(doc) and end not in tagged and not doc[end - 1].whitespace_:
            if doc[end].is_space:
                break
            end += 1
        ends.append(end)
    return numpy.array(ends)


def _judge(i: int, gold: Entity, start: int, end: int, spans: _Spans) -> Suspect:
    """Compare a gold entity with the most probable alternative."""
    starts, ends, labels, _ = spans.candidates
    overlap = (starts < end) & (ends > start)
    same = (starts == start) & (ends == end)
    label = spans.tag_set.labels.index(gold.label)
    own = spans.find_best(same & (labels == label))
    p_gold = 0.0 if own is None else float(spans.probs[own])
    outside = spans.get_outside(start, end)
    kind, suggested, p_suggested = SPURIOUS, None, outside
    for name, chosen in ((TYPE, same & (labels != label)), (EDGES, overlap & ~same)):
        best = spans.find_best(chosen)
        if best is not None and spans.probs[best] > p_suggested:
            kind, suggested = name, spans.get_entity(best)
            p_suggested = float(spans.probs[best])
    worst = spans.get_worst(start, end, label)
    return Suspect(i, kind, gold._replace(score=p_gold), suggested, p_gold, p_suggested, worst)


def _find_missing(i: int, spans: _Spans, taken: Bools1d) -> Iterator[Suspect]:
    """YIELDS (Suspect): Candidates that overlap no gold entity, the most probable ones first, and
    none that overlaps an earlier one.

    taken (Bools1d): Rows of gold entities and of missing annotation, bool, (n_rows,). Changed.
    """
    starts, ends = spans.candidates.starts, spans.candidates.ends
    for best in numpy.argsort(-spans.probs, kind="stable").tolist():
        start, end = int(starts[best]), int(ends[best])
        outside, found = spans.get_outside(start, end), float(spans.probs[best])
        if found > outside and not taken[start:end].any():
            taken[start:end] = True
            worst = float(spans.tags[start:end, 0].min())
            yield Suspect(i, MISSING, None, spans.get_entity(best), outside, found, worst)
