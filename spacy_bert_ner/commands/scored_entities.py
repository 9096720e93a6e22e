"""The scores of entities in annotated documents, and which of them are right."""

import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ContextManager, Dict, Iterator, List, Set, Tuple

import numpy
from spacy.language import Language
from spacy.tokens import Doc, Span

from ..errors import UserError
from ..formats import Report, read_docs
from ..formats.progress import Progress
from ..pipeline.bert_ner import BertNER
from ..tagging.calibration import CALIBRATION, NAMED, Calibration, CandidateSettings, Curve
from ..tagging.candidates import LEAST_LOG
from ..tagging.entity_scores import CANDIDATES
from ..tagging.presets import MISSING_IOB
from ..types import Bools1d, Floats1d, Ints1d
from ..zones import take_at_most, take_batches
from .annotate import predict

# Key of `doc.spans` while the scores are read. Other components may use that of the setting.
KEY = "bert_ner calibrate"
# Candidates with the probabilities of their tags as their scores.
ALL = CandidateSettings(LEAST_LOG, Curve(1.0, 0.0))
# First character, the one after the last, and label.
Place = Tuple[int, int, str]


@dataclass
class Sample:
    """The scores of the entities and candidates of documents, and which of them are right.

    Attributes
    ----------
    n_docs, n_ents (int): Numbers of documents and of gold entities.
    documents (List[int]): The number of the document of each entity that was found.
    labels (List[str]): Its label.
    scores (Dict[str, List[float]]): Its scores, by name.
    exact, edges (List[bool]): Whether a gold entity has its edges and label, and its edges.
    candidate_documents (List[int]), candidate_scores (List[float]), candidate_right (List[bool]):
        The same of the candidates.
    gold (Dict[int, Floats1d]): By document with entities, the logarithm of the probability of each
        gold entity, -inf for those that aren't candidates.
    """

    n_docs: int = 0
    n_ents: int = 0
    documents: List[int] = field(default_factory=list)
    labels: List[str] = field(default_factory=list)
    scores: Dict[str, List[float]] = field(default_factory=lambda: {name: [] for name in NAMED})
    exact: List[bool] = field(default_factory=list)
    edges: List[bool] = field(default_factory=list)
    candidate_documents: List[int] = field(default_factory=list)
    candidate_scores: List[float] = field(default_factory=list)
    candidate_right: List[bool] = field(default_factory=list)
    gold: Dict[int, Floats1d] = field(default_factory=dict)

    def add(self, reference: Doc, doc: Doc) -> None:
        """Add a document. Spans on tokens with missing annotation are left out.

        reference (Doc): The gold document.
        doc (Doc): The same document with predictions under `KEY`.
        """
        gold = {_get_place(ent) for ent in reference.ents}
        edges = {place[:2] for place in gold}
        missing = {token.idx for token in reference if token.ent_iob == MISSING_IOB}
        group = doc.spans[KEY]
        columns = {name: group.attrs[column].tolist() for name, column in NAMED.items()}
        for i, span in enumerate(group):
            if missing and any(token.idx in missing for token in span):
                continue
            self.documents.append(self.n_docs)
            self.labels.append(span.label_)
            for name, column in columns.items():
                self.scores[name].append(column[i])
            self.exact.append(_get_place(span) in gold)
            self.edges.append(_get_place(span)[:2] in edges)
        if KEY + CANDIDATES in doc.spans:
            self._add_candidates(doc, gold)
        self.n_docs += 1
        self.n_ents += len(gold)

    def _add_candidates(self, doc: Doc, gold: Set[Place]) -> None:
        group = doc.spans[KEY + CANDIDATES]
        scores = group.attrs["scores"].astype("float64").tolist()
        places = [_get_place(span) for span in group]
        self.candidate_documents += [self.n_docs] * len(scores)
        self.candidate_scores += scores
        self.candidate_right += [place in gold for place in places]
        found = {place: math.log(score) for place, score in zip(places, scores)}
        if gold:
            logs = [found.get(place, -math.inf) for place in sorted(gold)]
            self.gold[self.n_docs] = numpy.array(logs)

    def get_event(self, name: str) -> Bools1d:
        """RETURNS (Bools1d): Whether each entity is right in terms of a score, bool, (n_entities,).

        name (str): "exact", "edges" or "type".
        """
        return numpy.array(self.edges if name == "edges" else self.exact, dtype=bool)

    def get_rows(self, name: str) -> Ints1d:
        """RETURNS (Ints1d): The entities for which the event of a score is known, (n_chosen,): for
        "type", those with right edges.

        name (str): "exact", "edges" or "type".
        """
        edges = numpy.array(self.edges, dtype=bool)
        return numpy.nonzero(edges if name == "type" else numpy.ones_like(edges))[0]


def _get_place(span: Span) -> Place:
    return span.start_char, span.end_char, span.label_


def uncalibrated(ner: BertNER, *, with_candidates: bool) -> ContextManager[None]:
    """A context in which a component writes all entities under `KEY`, with the scores of its model.

    ner (BertNER): The component. Changed in the context only.
    with_candidates (bool): Whether it also writes all candidates.
    RETURNS (ContextManager[None]): The context.
    """
    calibration = Calibration({}, ALL if with_candidates else None).to_json()
    return change_cfg(ner, {"threshold": 0.0, "spans_key": KEY, CALIBRATION: calibration})


@contextmanager
def change_cfg(ner: BertNER, changes: Dict[str, Any]) -> Iterator[None]:
    """Change settings of a component for some time.

    ner (BertNER): The component. Changed in the context only.
    changes (Dict[str, Any]): Settings in its `cfg`, by name.
    """
    cfg = dict(ner.cfg)
    ner.cfg.update(changes)
    try:
        yield
    finally:
        ner.cfg.clear()
        ner.cfg.update(cfg)


def read_sample(nlp: Language, path: Path, source: str) -> Sample:
    """Predict the entities of annotated documents.

    nlp (Language): The pipeline, which writes scores under `KEY`.
    path (Path): The documents.
    source (str): Their format.
    RETURNS (Sample): The scores.
    RAISES (UserError): If the documents can't be read, or none is annotated.
    """
    sample, report = Sample(), Report()
    with Progress(path, source, report) as progress:
        docs = progress.follow(read_docs(progress.path, nlp, source, report))
        for batch in take_batches([nlp], docs, take_at_most(nlp.batch_size)):
            gold = [doc for doc in batch if doc.has_annotation("ENT_IOB")]
            for reference, doc in zip(gold, predict(nlp, gold)):
                sample.add(reference, doc)
            progress.update()
    if not sample.n_ents:
        raise UserError(f"{path} has no gold entities. Use annotated documents.")
    return sample
