"""From tag scores to what documents say."""

from typing import Any, Dict, List, Optional

import numpy
from spacy.tokens import Doc, Span

from ..errors import UserError
from ..types import Bools1d, Floats2d
from .decode import decode
from .entity_scores import make_span_group
from .presets import get_constraints
from .schemes import TagSet
from .words import get_words


def write_entities(
    docs: List[Doc],
    scores: List[Floats2d],
    read: List[Bools1d],
    name: str,
    cfg: Dict[str, Any],
    tag_set: TagSet,
    transitions: Optional[Floats2d] = None,
) -> None:
    """Decode the scores of tags and write entities, as the settings of a component say.

    scores (List[Floats2d]): Tag probabilities, or log-scores of a CRF, (n_tokens, n_tags).
    read (List[Bools1d]): The tokens that are read, see `get_read_tokens`, bool, (n_tokens,).
    name (str): Of the component, for errors.
    cfg (Dict[str, Any]): Its settings.
    transitions (Optional[Floats2d]): Of a CRF, (n_tags, n_tags).
    RAISES (ValueError): With `decode_scope = "sentence"`, for documents without sentences; and for
        scores that are no numbers.
    """
    if not docs:
        return
    if not all(numpy.isfinite(X).all() for X in scores):
        raise UserError(
            f"'{name}' gives scores that are no numbers (NaN). If the encoder's precision is "
            '"fp16" or "bf16", set it to "fp32" in [components.transformer.model]; if they stay, '
            "its weights are broken: train again, at a lower learning rate."
        )
    fixed = [
        get_constraints(
            doc,
            name,
            marks,
            keep_ents=cfg["annotate_ents"] and not cfg["overwrite_ents"],
            keep_blocked=cfg["annotate_ents"],
            by_sentence=cfg["decode_scope"] == "sentence",
        )
        for doc, marks in zip(docs, read)
    ]
    words = [get_words(doc, c.rows, c.breaks, cfg["align"]) for doc, c in zip(docs, fixed)]
    # In one call, since each document begins a sequence: many short ones take no longer.
    entities = decode(
        numpy.concatenate([p[c.rows[w.starts]] for p, c, w in zip(scores, fixed, words)]),
        numpy.concatenate([c.breaks[w.starts] for c, w in zip(fixed, words)]),
        tag_set,
        cfg["decoder"],
        transitions,
    )
    entities = entities.select(entities.scores >= cfg["threshold"])
    starts = numpy.concatenate([w.first for w in words])[entities.starts]
    ends = numpy.concatenate([w.last for w in words])[entities.ends - 1] + 1
    edges = numpy.cumsum([0] + [len(w.starts) for w in words])
    edges = numpy.searchsorted(entities.starts, edges)
    labels, key = tag_set.labels, cfg["spans_key"]
    for doc, constraints, i, j in zip(docs, fixed, edges[:-1].tolist(), edges[1:].tolist()):
        mine = entities.select(slice(i, j))
        spans = [
            Span(doc, start, end, label=labels[label])
            for start, end, label in zip(
                starts[i:j].tolist(), ends[i:j].tolist(), mine.labels.tolist()
            )
        ]
        kept = list(doc.ents) if cfg["annotate_ents"] and not cfg["overwrite_ents"] else []
        if cfg["annotate_ents"]:
            doc.set_ents(kept + spans, blocked=constraints.blocked, default="outside")
        doc.spans[key] = make_span_group(doc, key, spans, mine.scores, kept)
