"""Label documents with the predictions of teachers."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, List, NamedTuple, Sequence

import numpy
from spacy.tokens import Doc, Span

from ..characters import copy_sent_starts
from ..findings import number
from ..formats import Report
from ..pipeline.listener_kinds import TRF_DATA
from ..tagging.entities import decode_units, get_units, write_entities
from ..tagging.entity_scores import make_span_group
from ..tagging.presets import MISSING_IOB
from ..tagging.soft_labels import SoftLabels, average_tags, set_soft_labels
from ..types import Floats1d
from .annotate import copy_words
from .teachers import Opinion, School


@dataclass
class LabelReport(Report):
    """Counts documents, and how much teachers agree.

    Attributes
    ----------
    n_labeled, n_agreed (int): Numbers of tokens with soft labels, and of those for which all
        teachers have the same best tag.
    n_inside, n_agreed_inside (int): The same for tokens whose best tag isn't O.
    """

    n_labeled: int = 0
    n_agreed: int = 0
    n_inside: int = 0
    n_agreed_inside: int = 0

    def add_soft(self, soft: SoftLabels) -> None:
        """Count the tokens of a document.

        soft (SoftLabels): Its soft labels.
        """
        labeled = soft.probs.any(axis=1)
        agreed = labeled & (soft.agreement >= 1.0)
        inside = labeled & (soft.probs.argmax(axis=1) > 0)
        self.n_labeled += int(labeled.sum())
        self.n_agreed += int(agreed.sum())
        self.n_inside += int(inside.sum())
        self.n_agreed_inside += int((agreed & inside).sum())

    def describe_agreement(self) -> str:
        """RETURNS (str): How much the teachers agree, as text."""
        everywhere = self.n_agreed / max(self.n_labeled, 1)
        inside = self.n_agreed_inside / max(self.n_inside, 1)
        return (
            f"All teachers agree on {everywhere:.1%} of {number(self.n_labeled, 'token')}, and on "
            f"{inside:.1%} of the {self.n_inside} that their mean tags as entities."
        )


class Labeling(NamedTuple):
    """How to combine the predictions of teachers.

    school (School): The teachers.
    weights (Floats1d): Their weights, which add up to 1, (n_teachers,).
    vote (bool): Keep the entities that more than half of the teachers find, by weight.
    keep_ents (bool): Keep the entities of the input.
    """

    school: School
    weights: Floats1d
    vote: bool
    keep_ents: bool


def label_docs(
    labeling: Labeling, docs: Sequence[Doc], batch_size: int, report: LabelReport
) -> List[Doc]:
    """Label documents from their words only.

    labeling (Labeling): How to combine the predictions.
    docs (Sequence[Doc]): The documents. Besides these, only those of one teacher are in memory.
    batch_size (int): Documents read at once.
    report (LabelReport): Counts how much the teachers agree.
    RETURNS (List[Doc]): New documents from the first teacher, with soft labels, and the entities of
        all teachers or of the documents.
    """
    opinions = [
        teacher.label([copy_words(teacher.nlp, doc, False) for doc in docs], batch_size)
        for teacher in labeling.school.teachers
    ]
    labeled = []
    for doc, *its_opinions in zip(docs, *opinions):
        made = its_opinions[0].doc
        # Vectors of all wordpieces: a DocBin can't store them.
        made.user_data.pop(TRF_DATA, None)
        if doc.has_annotation("SENT_START") and not made.has_annotation("DEP"):
            copy_sent_starts(doc, made)
        soft = _average(labeling, its_opinions)
        if labeling.keep_ents:
            _copy_ents(doc, made)
        elif labeling.vote:
            _write_votes(labeling, made, [opinion.doc for opinion in its_opinions])
        elif len(its_opinions) > 1:
            _write_mean(labeling, made, soft, its_opinions)
        set_soft_labels(made, soft)
        report.add_soft(soft)
        labeled.append(made)
    return labeled


def _average(labeling: Labeling, opinions: List[Opinion]) -> SoftLabels:
    """RETURNS (SoftLabels): The mean of the teachers' predictions for a document."""
    school = labeling.school
    probs, known = school.translate([opinion.probs for opinion in opinions])
    mean, agreement = average_tags(probs, known, labeling.weights)
    return SoftLabels(
        scheme=school.tag_set.name,
        labels=school.tag_set.labels,
        align=school.align,
        probs=mean,
        agreement=agreement,
        has_gold=labeling.keep_ents,
    )


def _write_mean(labeling: Labeling, doc: Doc, soft: SoftLabels, opinions: List[Opinion]) -> None:
    """Write the entities of the mean, decoded with the settings of the first teacher."""
    settings = replace(labeling.school.teachers[0].ner.settings, overwrite_ents=True, threshold=0.0)
    tag_set = labeling.school.tag_set
    read = numpy.logical_or.reduce([opinion.read for opinion in opinions])
    (units,) = get_units([doc], [read], settings)
    (entities,) = decode_units([units], [soft.probs], tag_set, settings)
    write_entities(doc, entities, units.blocked, tag_set.labels, settings)


def _write_votes(labeling: Labeling, doc: Doc, votes: List[Doc]) -> None:
    """Write the entities that more than half of the teachers have found, by weight. Tokens of other
    entities are missing annotation, unless more than half of the teachers found none there."""
    support: Any = Counter()
    outside = numpy.zeros(len(doc))
    for vote, weight in zip(votes, labeling.weights.tolist()):
        free = numpy.ones(len(doc), dtype=bool)
        for ent in vote.ents:
            support[ent.start, ent.end, ent.label_] += weight
            free[ent.start : ent.end] = False
        outside[free] += weight
    # These entities can't overlap: some teacher would have found both.
    won = sorted(place for place, share in support.items() if share > 0.5)
    spans = [Span(doc, start, end, label=name) for start, end, name in won]
    unclear = numpy.nonzero(outside <= 0.5)[0].tolist()
    key = labeling.school.teachers[0].ner.settings.spans_key
    _set_ents(doc, spans, unclear)
    scores = numpy.array([support[place] for place in won], dtype="float32").clip(0.0, 1.0)
    doc.spans[key] = make_span_group(doc, key, spans, scores, [])


def _copy_ents(source: Doc, target: Doc) -> None:
    """Copy the entities and the missing annotation of a document to another. The span group of
    predicted entities is kept."""
    spans = [
        Span(target, ent.start, ent.end, label=ent.label_, kb_id=ent.kb_id_, span_id=ent.id_)
        for ent in source.ents
    ]
    missing = numpy.nonzero(source.to_array("ENT_IOB") == MISSING_IOB)[0].tolist()
    _set_ents(target, spans, missing)


def _set_ents(doc: Doc, spans: List[Span], missing: List[int]) -> None:
    inside = {i for span in spans for i in range(span.start, span.end)}
    unknown = [doc[i : i + 1] for i in missing if i not in inside]
    doc.set_ents(spans, missing=unknown, default="outside")
