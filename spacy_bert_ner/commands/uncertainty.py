"""Measure how many entities of a text a pipeline may get wrong."""

import math
from dataclasses import replace
from typing import ContextManager, Iterator, List, Sequence, Tuple

import numpy
from spacy.tokens import Doc, Span, SpanGroup

from ..errors import UserError
from ..pipeline.bert_ner import BertNER
from ..tagging.calibration import CALIBRATION, CandidateSettings, Curve
from ..tagging.entity_scores import CANDIDATES
from ..types import Floats1d
from .scored_entities import change_cfg

# Key of `doc.spans` while texts are measured. Other components may use that of the setting.
KEY = "bert_ner select"
# Candidates with lower probabilities are many, and add little.
LOG_LOWEST = math.log(0.001)
# What is kept of each text of a pool: the number of its document, its first character and the one
# after its last, and its uncertainty.
MEASURED = numpy.dtype([("doc", "<i8"), ("start", "<i8"), ("end", "<i8"), ("uncertainty", "<f8")])


def listing_candidates(ner: BertNER) -> ContextManager[None]:
    """A context in which a component writes its entities under `KEY`, and all spans that may be
    entities next to them.

    ner (BertNER): The component. Changed in the context only.
    RETURNS (ContextManager[None]): The context.
    """
    known = ner.calibration.candidates
    candidates = CandidateSettings(LOG_LOWEST, Curve(1.0, 0.0) if known is None else known.curve)
    calibration = replace(ner.calibration, candidates=candidates)
    return change_cfg(ner, {"spans_key": KEY, CALIBRATION: calibration.to_json()})


def measure(docs: Sequence[Doc], first: int, *, sentences: bool) -> Floats1d:
    """Measure the texts of documents.

    docs (Sequence[Doc]): Documents with entities and candidates under `KEY`.
    first (int): The number of the first document.
    sentences (bool): Whether each sentence is a text, or each document.
    RETURNS (Floats1d): The texts, of the type `MEASURED`, (n_texts,). Those without visible
        characters are left out. The uncertainty is the expected number of errors per token.
    """
    rows: List[Tuple[int, int, int, float]] = []
    for number, doc in enumerate(docs, start=first):
        if sentences and len(doc) and not doc.has_annotation("SENT_START"):
            raise UserError(
                "Can't select sentences: neither the texts nor the pipeline have sentence "
                "boundaries. Add a sentencizer to the pipeline, or leave out --sentences."
            )
        errors = get_expected_errors(doc)
        for text in map(_trim, doc.sents) if sentences else (doc[:],):
            if len(text) and not text.text.isspace():
                rate = float(errors[text.start : text.end].sum()) / len(text)
                rows.append((number, text.start_char, text.end_char, rate))
    return numpy.array(rows, dtype=MEASURED)


def _trim(sentence: Span) -> Span:
    """The sentence without line breaks around it."""
    tokens = [token.i for token in sentence if not token.is_space]
    return sentence.doc[tokens[0] : tokens[-1] + 1] if tokens else sentence


def get_expected_errors(doc: Doc) -> Floats1d:
    """Estimate how many entities are wrong or missing: each one that was found is wrong with a
    probability of 1 - score, and each other candidate is missing with that of its score.

    doc (Doc): A document with entities and candidates under `KEY`.
    RETURNS (Floats1d): Expected errors, by the token at which the entity begins, float64,
        (n_tokens,).
    """
    errors = numpy.zeros(len(doc))
    found = set()
    for span, score in _iter_scored(doc.spans[KEY]):
        found.add((span.start, span.end, span.label))
        errors[span.start] += 1.0 - score
    for span, score in _iter_scored(doc.spans[KEY + CANDIDATES]):
        if (span.start, span.end, span.label) not in found:
            errors[span.start] += score
    return errors


def _iter_scored(group: SpanGroup) -> Iterator[Tuple[Span, float]]:
    return zip(group, group.attrs["scores"].tolist())
