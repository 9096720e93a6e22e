"""Entity scores: in a span group, where they outlive the pipeline, and as `ent._.score`."""

from typing import Optional

import numpy
from spacy.tokens import Doc, Span, SpanGroup

from .decode import Entities

# Marks our groups among others with scores, such as spancat's, under any key.
SOURCE = "bert_ner"


def make_span_group(doc: Doc, key: str, spans: list, entities: Entities) -> SpanGroup:
    """A group of entities with their scores in `attrs["scores"]`, as spancat leaves its spans.

    key (str): Name of the group in `doc.spans`.
    spans (list): The entities as spans, in the order of `entities`.
    """
    attrs = {"scores": entities.scores, "source": SOURCE}
    return SpanGroup(doc, name=key, spans=spans, attrs=attrs)


def get_score(span: Span) -> Optional[float]:
    """The score of an entity, found in the groups of `bert_ner` components by start, end and label.

    RETURNS (Optional[float]): 0 to 1; None for a span that none of them predicted.
    RAISES (ValueError): For a group that was changed, so that scores and spans don't pair.
    """
    for key, group in span.doc.spans.items():
        if group.attrs.get("source") != SOURCE:
            continue
        scores = numpy.asarray(group.attrs["scores"])
        if len(scores) != len(group):
            raise ValueError(
                f"Can't tell the scores of doc.spans['{key}']: it has {len(group)} spans and "
                f"{len(scores)} scores. Change group.attrs['scores'] along with the spans."
            )
        for other, score in zip(group, scores):
            if (other.start, other.end, other.label) == (span.start, span.end, span.label):
                return float(score)
    return None


def install_extensions() -> None:
    """Register `Span._.score`, unless the name is taken. Done when a `bert_ner` is made; call it
    to read scores from a DocBin without a pipeline."""
    if not Span.has_extension("score"):
        Span.set_extension("score", getter=get_score)
