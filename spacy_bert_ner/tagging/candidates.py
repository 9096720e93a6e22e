"""Candidates: spans that may be entities, including those that the decoder doesn't choose."""

from typing import Iterator, List, NamedTuple, Optional, Sequence

import numpy
from spacy.tokens import Doc, Span

from ..types import Bools1d, Floats1d, Floats2d, Ints1d
from .calibration import Calibration
from .entities import Units, get_tag_probs
from .entity_scores import CANDIDATES, ScoredSpans
from .schemes import TagSet

# The most candidates of a document, as a multiple of its tokens.
MOST_PER_TOKEN = 10
# Less probable spans are never listed: there are too many of them.
LEAST_LOG = -20.0
TINY = numpy.finfo("float32").tiny


class Candidates(NamedTuple):
    """Spans that may be entities. They can overlap.

    starts, ends (Ints1d): First token, and the one after the last, (n_candidates,).
    labels (Ints1d): Index of the label, (n_candidates,).
    log_probs (Floats1d): Logarithms of their probabilities, float64, (n_candidates,).
    """

    starts: Ints1d
    ends: Ints1d
    labels: Ints1d
    log_probs: Floats1d

    def take(self, rows: Ints1d) -> "Candidates":
        """RETURNS (Candidates): Some of the candidates, in this order.

        rows (Ints1d): Their indices, (n_chosen,).
        """
        return Candidates(*(column[rows] for column in self))


class LogProbs(NamedTuple):
    """Logarithms of the probabilities of a tag at a token, (n_tokens, n_tags) each, and of events
    at its edges.

    tags (Floats2d): That the token has the tag.
    opens (Floats2d): That no entity before the token continues with the tag.
    closes (Floats2d): That an entity with the tag doesn't continue after the token.
    """

    tags: Floats2d
    opens: Floats2d
    closes: Floats2d


def find_candidates(
    probs: Floats2d, breaks: Bools1d, tag_set: TagSet, log_lowest: float
) -> Candidates:
    """Find the spans with at least some probability; of these, the most probable ones, at most
    `MOST_PER_TOKEN` times the number of tokens.

    The probability of a span is calculated as if tags didn't depend on each other: the product of
    the probabilities of its tags, and of those that the tags next to it don't make it longer.

    probs (Floats2d): Probabilities of tags, (n_tokens, n_tags).
    breaks (Bools1d): Whether a sequence begins at the token (true for the first one), which no
        span crosses, bool, (n_tokens,).
    tag_set (TagSet): The tags.
    log_lowest (float): Logarithm of the lowest probability of a span.
    RETURNS (Candidates): The spans, by start, end and label.
    """
    logs = _get_log_probs(probs, breaks, tag_set)
    lowest = max(log_lowest, LEAST_LOG)
    labels = range(len(tag_set.labels))
    found = [part for i in labels for part in _grow(logs, breaks, tag_set, i, lowest)]
    spans = _join(found)
    best = numpy.argsort(-spans.log_probs, kind="stable")[: MOST_PER_TOKEN * len(probs)]
    spans = spans.take(best)
    return spans.take(numpy.lexsort((spans.labels, spans.ends, spans.starts)))


def _get_log_probs(probs: Floats2d, breaks: Bools1d, tag_set: TagSet) -> LogProbs:
    probs = probs.astype("float64")
    continues = tag_set.continues.astype("float64")
    before, after = numpy.zeros(probs.shape), numpy.zeros(probs.shape)
    before[1:] = probs[:-1] @ (continues * ~tag_set.starts)
    before[breaks] = 0.0
    after[:-1] = probs[1:] @ continues.T
    after[numpy.roll(breaks, -1)] = 0.0
    after[-1:] = 0.0
    return LogProbs(*(numpy.log(numpy.maximum(X, TINY)) for X in (probs, 1 - before, 1 - after)))


def _grow(
    logs: LogProbs, breaks: Bools1d, tag_set: TagSet, label: int, lowest: float
) -> Iterator[Candidates]:
    """YIELDS (Candidates): The spans of a label with one token, with two, and so on, until none
    that begins this way is probable enough."""
    scheme, size = tag_set.scheme, len(tag_set.scheme.prefixes)
    column = {prefix: 1 + label * size + i for i, prefix in enumerate(scheme.prefixes)}
    whole = logs.tags + logs.closes
    unit, begin = column[scheme.unit], column[scheme.begin]
    last, inside = column[scheme.last], column[scheme.inside]
    starts = numpy.arange(len(breaks))
    found = whole[:, unit] + logs.opens[:, unit]
    yield _choose(starts, starts + 1, label, found, lowest)
    begun, ends = logs.tags[:, begin] + logs.opens[:, begin], starts + 1
    while True:
        goes_on = (begun >= lowest) & (ends < len(breaks))
        goes_on[goes_on] = ~breaks[ends[goes_on]]
        starts, ends, begun = starts[goes_on], ends[goes_on], begun[goes_on]
        if not len(starts):
            return
        yield _choose(starts, ends + 1, label, begun + whole[ends, last], lowest)
        begun = begun + logs.tags[ends, inside]
        ends = ends + 1


def _choose(
    starts: Ints1d, ends: Ints1d, label: int, log_probs: Floats1d, lowest: float
) -> Candidates:
    spans = Candidates(starts, ends, numpy.full(len(starts), label), log_probs)
    return spans.take(numpy.nonzero(log_probs >= lowest)[0])


def _join(parts: Sequence[Candidates]) -> Candidates:
    empty: List[Floats1d] = [numpy.zeros(0, dtype=kind) for kind in "qqqd"]
    return Candidates(*(numpy.concatenate(column) for column in zip(empty, *parts)))


def write_candidates(
    doc: Doc,
    units: Units,
    scores: Floats2d,
    tag_set: TagSet,
    transitions: Optional[Floats2d],
    calibration: Calibration,
    key: str,
) -> None:
    """Write the spans that may be entities, with their scores, to a document, if the calibration
    has candidates.

    doc (Doc): The document. Changed.
    units (Units): Its units.
    scores (Floats2d): Tag probabilities, or, with transitions, log-scores, (n_tokens, n_tags).
    tag_set (TagSet): The tags.
    transitions (Optional[Floats2d]): Log-scores of transitions from a tag (row) to the next
        (column), (n_tags, n_tags).
    calibration (Calibration): Which candidates are written, and how their scores are calibrated.
    key (str): Key of `doc.spans` for entities. That of the candidates ends with `_candidates`.
    """
    if calibration.candidates is None:
        return
    log_lowest, curve = calibration.candidates
    probs = get_tag_probs(doc, units, scores, tag_set, transitions)[units.rows]
    found = find_candidates(probs, units.breaks, tag_set, log_lowest)
    firsts, lasts = units.first[found.starts], units.last[found.ends - 1]
    spans = [
        Span(doc, first, last + 1, label=tag_set.labels[label])
        for first, last, label in zip(firsts.tolist(), lasts.tolist(), found.labels.tolist())
    ]
    attrs = {"scores": curve.apply(numpy.exp(found.log_probs), found.labels, tag_set.labels)}
    key += CANDIDATES
    doc.spans[key] = ScoredSpans(doc, name=key, spans=spans, attrs=attrs)
