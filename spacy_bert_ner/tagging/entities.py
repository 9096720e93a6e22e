"""From tag scores to entities: find the units of a document that get a tag, decode their tags, and
write the entities."""

from dataclasses import replace
from typing import List, NamedTuple, Optional, Sequence

import numpy
from spacy.tokens import Doc, Span

from ..errors import UserError
from ..types import Bools1d, Floats2d, Ints1d
from .calibration import Calibration
from .decode import Entities, crf_probs, decode
from .entity_scores import make_span_group
from .presets import get_constraints
from .schemes import TagSet
from .settings import Settings
from .words import get_words

UNCALIBRATED = Calibration()


class Units(NamedTuple):
    """The units of a document that get a tag: tokens, or words between spaces.

    rows (Ints1d): The token whose scores are those of the unit, int64, (n_units,).
    breaks (Bools1d): Whether a sequence of tags begins there, bool, (n_units,).
    first, last (Ints1d): First and last token of an entity that consists of the unit, int64,
        (n_units,).
    blocked (List[Span]): Tokens that can't be part of an entity, a span for each.
    """

    rows: Ints1d
    breaks: Bools1d
    first: Ints1d
    last: Ints1d
    blocked: List[Span]


def get_units(docs: Sequence[Doc], read: Sequence[Bools1d], settings: Settings) -> List[Units]:
    """Find the units that get a tag.

    docs (Sequence[Doc]): Documents, with sentences if entities stay within them, at least one.
    read (Sequence[Bools1d]): The tokens that are read, see `get_read_tokens`, bool, (n_tokens,).
    settings (Settings): How to decode.
    RETURNS (List[Units]): The units of each document.
    """
    output = []
    for doc, (rows, breaks, blocked) in zip(docs, get_constraints(docs, read, settings)):
        if settings.align == "token":
            output.append(Units(rows, breaks, rows, rows, blocked))
            continue
        words = get_words(doc, rows, breaks, settings.align)
        output.append(
            Units(rows[words.starts], breaks[words.starts], words.first, words.last, blocked)
        )
    return output


def check_scores(scores: Sequence[Floats2d], name: str) -> None:
    """Check what a model has predicted.

    scores (Sequence[Floats2d]): By document, (n_tokens, n_tags).
    name (str): Name of the component, for the message.
    RAISES (ValueError): For scores that aren't finite numbers.
    """
    if not all(numpy.isfinite(X).all() for X in scores):
        raise UserError(
            f"'{name}' predicted scores that aren't finite numbers, such as NaN. If the encoder's "
            'precision isn\'t "fp32", set it to "fp32" in [components.transformer.model]; if that '
            "doesn't help, the weights are broken: train again with a lower learning rate."
        )


def decode_units(
    units: Sequence[Units],
    scores: Sequence[Floats2d],
    tag_set: TagSet,
    settings: Settings,
    transitions: Optional[Floats2d] = None,
    calibration: Calibration = UNCALIBRATED,
) -> List[Entities]:
    """Find the entities of documents.

    units (Sequence[Units]): By document, at least one.
    scores (Sequence[Floats2d]): By document, tag probabilities, or, with transitions, log-scores,
        (n_tokens, n_tags).
    tag_set (TagSet): The tags.
    settings (Settings): How to decode.
    transitions (Optional[Floats2d]): Log-scores of transitions from a tag (row) to the next
        (column), (n_tags, n_tags).
    calibration (Calibration): How scores are calibrated.
    RETURNS (List[Entities]): By document, the entities with a score of at least the threshold, on
        its tokens.
    """
    # In one call, which is fast for many short documents: each begins a sequence.
    found = decode(
        numpy.concatenate([X[its.rows] for X, its in zip(scores, units)]),
        numpy.concatenate([its.breaks for its in units]),
        tag_set,
        settings.decoder,
        transitions,
    )
    found = calibration.apply(found, tag_set.labels)
    found = found.select(found.scores >= settings.threshold)
    ends = numpy.cumsum([len(its.rows) for its in units])
    edges = [0, *numpy.searchsorted(found.starts, ends).tolist()]
    found = replace(
        found,
        starts=numpy.concatenate([its.first for its in units])[found.starts],
        ends=numpy.concatenate([its.last for its in units])[found.ends - 1] + 1,
    )
    return [found.select(slice(i, j)) for i, j in zip(edges, edges[1:])]


def get_tag_probs(
    doc: Doc,
    units: Units,
    scores: Floats2d,
    tag_set: TagSet,
    transitions: Optional[Floats2d] = None,
) -> Floats2d:
    """Calculate the probabilities of tags.

    doc (Doc): A document.
    units (Units): Its units.
    scores (Floats2d): Tag probabilities, or, with transitions, log-scores, (n_tokens, n_tags).
    tag_set (TagSet): The tags.
    transitions (Optional[Floats2d]): Log-scores of transitions from a tag (row) to the next
        (column), (n_tags, n_tags).
    RETURNS (Floats2d): Probabilities, zeros for tokens that get no tag, float32,
        (n_tokens, n_tags).
    """
    probs = numpy.zeros((len(doc), len(tag_set)), dtype="float32")
    if len(units.rows):
        X = scores[units.rows]
        if transitions is not None:
            X = crf_probs(X, units.breaks, tag_set, transitions)
        probs[units.rows] = X
    return probs


def write_entities(
    doc: Doc, entities: Entities, blocked: List[Span], labels: Sequence[str], settings: Settings
) -> None:
    """Write entities, with their scores, to a document.

    doc (Doc): The document. Changed.
    entities (Entities): The entities, on its tokens.
    blocked (List[Span]): Tokens that can't be part of an entity, a span for each.
    labels (Sequence[str]): The labels of the component.
    settings (Settings): Where to write, and whether existing entities are kept.
    """
    spans = [
        Span(doc, start, end, label=labels[label])
        for start, end, label in zip(
            entities.starts.tolist(), entities.ends.tolist(), entities.labels.tolist()
        )
    ]
    kept = list(doc.ents) if settings.keeps_ents else []
    if settings.annotate_ents:
        doc.set_ents(kept + spans, blocked=blocked, default="outside")
    key = settings.spans_key
    doc.spans[key] = make_span_group(
        doc, key, spans, entities.scores, kept, entities.named_scores()
    )
