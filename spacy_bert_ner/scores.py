"""Entity scores: in a span group, where they outlive the pipeline, and as `ent._.score`."""

from typing import Dict, Iterator, List, Optional, Tuple

import numpy
from spacy.tokens import Doc, Span, SpanGroup

from .errors import UserError
from .types import Floats1d

# Marks our groups among others with scores, such as spancat's, under any key.
SOURCE = "bert_ner"
# Of an entity: start, end and label.
Key = Tuple[int, int, int]


def make_span_group(
    doc: Doc, key: str, spans: List[Span], scores: Floats1d, kept: List[Span]
) -> SpanGroup:
    """A group of entities with their scores in `attrs["scores"]`, as spancat leaves its spans.

    key (str): Name of the group in `doc.spans`.
    spans (List[Span]): The entities, in the order of the text.
    scores (Floats1d): Their scores, 0 to 1, float32, (n_spans,).
    kept (List[Span]): Entities that stay beside them. Of these, those that an earlier run or
        another component has written to the group are in it again.
    """
    if kept and key in doc.spans and doc.spans[key].attrs.get("source") == SOURCE:
        known = dict(_iter_group(key, doc.spans[key]))
        pairs = [(span, known[_get_key(span)]) for span in kept if _get_key(span) in known]
        pairs = sorted([*pairs, *zip(spans, scores.tolist())], key=lambda pair: pair[0].start)
        spans = [span for span, _ in pairs]
        scores = numpy.array([score for _, score in pairs], dtype="float32")
    return SpanGroup(doc, name=key, spans=spans, attrs={"scores": scores, "source": SOURCE})


def iter_scores(doc: Doc) -> Iterator[Tuple[Key, float]]:
    """Go through the groups of all `bert_ner` components.

    YIELDS (Tuple[Tuple[int, int, int], float]): Start, end and label of an entity; its score, 0 to
        1.
    RAISES (ValueError): For a group that was changed, so that scores and spans don't pair.
    """
    for key, group in doc.spans.items():
        if group.attrs.get("source") == SOURCE:
            yield from _iter_group(key, group)


def _iter_group(key: str, group: SpanGroup) -> Iterator[Tuple[Key, float]]:
    scores = numpy.asarray(group.attrs["scores"])
    if len(scores) != len(group):
        raise UserError(
            f"Can't tell the scores of doc.spans['{key}']: it has {len(group)} spans and "
            f"{len(scores)} scores. Change group.attrs['scores'] along with the spans."
        )
    for span, score in zip(group, scores.tolist()):
        yield _get_key(span), score


def _get_key(span: Span) -> Key:
    return span.start, span.end, span.label


def get_scores(doc: Doc) -> Optional[Dict[Key, float]]:
    """The scores of all entities, read once: `get_score` goes through them for each.

    RETURNS (Optional[Dict[Tuple[int, int, int], float]]): Scores by start, end and label, of the
        first group that has them; None if the document has no predictions.
    RAISES (ValueError): See `iter_scores`.
    """
    if not any(group.attrs.get("source") == SOURCE for group in doc.spans.values()):
        return None
    found: Dict[Key, float] = {}
    for key, score in iter_scores(doc):
        found.setdefault(key, score)
    return found


def get_score(span: Span) -> Optional[float]:
    """The score of an entity, found by start, end and label. For all of a document, take
    `get_scores`.

    RETURNS (Optional[float]): 0 to 1; None for a span that no `bert_ner` predicted.
    RAISES (ValueError): See `iter_scores`.
    """
    wanted = _get_key(span)
    return next((score for key, score in iter_scores(span.doc) if key == wanted), None)


def install_extensions() -> None:
    """Register `Span._.score`, unless the name is taken. Done when a `bert_ner` is made; call it
    to read scores from a DocBin without a pipeline."""
    if not Span.has_extension("score"):
        Span.set_extension("score", getter=get_score)
