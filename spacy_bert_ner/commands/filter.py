"""Keep the soft labels that teachers are sure of."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional

import numpy
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from ..errors import UserError
from ..findings import number
from ..formats import Report, check_format, read_docs, write_docs
from ..formats.progress import Progress
from ..tagging.presets import MISSING_IOB
from ..tagging.soft_labels import SoftLabels, get_soft_labels, set_soft_labels
from ..types import Bools1d
from .checks import check_input, check_soft_output
from .selection import Selection, Units, get_owners


@dataclass
class FilterReport(Report):
    """Counts what is written, and the soft labels that are kept.

    Attributes
    ----------
    n_units, n_kept_units (int): Numbers of sentences with soft labels, and of those that are kept.
        A document without sentence boundaries counts as one sentence.
    n_labeled, n_kept_labeled (int): Numbers of tokens with soft labels, and of those that are kept.
    kept_ents (Dict[str, int]): Numbers of entities that are kept, by label.
    """

    n_units: int = 0
    n_kept_units: int = 0
    n_labeled: int = 0
    n_kept_labeled: int = 0
    kept_ents: Dict[str, int] = field(default_factory=dict)

    def describe_kept(self) -> str:
        """RETURNS (str): The counts of what is kept, as text."""
        labels = ", ".join(f"{n} {label}" for label, n in sorted(self.kept_ents.items()))
        return (
            f"Kept {self.n_kept_units} of {number(self.n_units, 'sentence')} and "
            f"{self.n_kept_labeled} of {number(self.n_labeled, 'token')} with soft labels. "
            f"Entities: {labels or 'none'}."
        )


def filter_labels(
    input_path: Path,
    output_path: Path,
    *,
    agreed: bool = False,
    min_entities: int = 0,
    top: Optional[float] = None,
    mixture: Optional[float] = None,
) -> FilterReport:
    """Keep the soft labels of a file that are worth learning from, by sentence, or by document if
    there are no sentence boundaries. The rest of a document stays as text, without soft labels and
    with missing entity annotation. The file is read twice; progress bars are shown on terminals.

    input_path (Path): The output of `label`.
    output_path (Path): Where to write the documents with sentences to keep, a .spacy file.
    agreed, min_entities, top, mixture: See `Selection`.
    RETURNS (FilterReport): The counts of what was read, and of what is kept.
    RAISES (UserError): For files that can't be read or written, for documents without soft labels,
        and if nothing is kept. No output is written then.
    """
    selection = Selection(agreed, min_entities, top, mixture)
    selection.check()
    _check_paths(input_path, output_path)
    nlp = spacy.blank("xx")
    units = _measure(input_path, nlp)
    kept = selection.select(units)
    n_labeled = numpy.array(units.n_labeled)
    if not kept.any():
        raise UserError(
            f"Can't filter {input_path}: none of {number(len(kept), 'sentence')} is kept. Set less "
            "strict options, or label more texts."
        )
    report = FilterReport(
        n_units=int((n_labeled > 0).sum()),
        n_kept_units=int(kept.sum()),
        n_labeled=int(n_labeled.sum()),
        n_kept_labeled=int(n_labeled[kept].sum()),
    )
    with Progress(input_path, "spacy", report) as progress:
        docs = progress.each(read_docs(progress.path, nlp, "spacy", report))
        write_docs(output_path, _keep_each(docs, kept, report), "spacy", report)
    return report


def _check_paths(input_path: Path, output_path: Path) -> None:
    """RAISES (UserError): For an input without soft labels, or that can't be read twice, and for an
    output that can't store them."""
    check_input(input_path)
    if check_format(input_path) != "spacy":
        raise UserError(
            f"Can't filter {input_path}: only spaCy's format has soft labels. Name a .spacy file "
            "written by spacy bert-ner label."
        )
    if not input_path.is_file():
        raise UserError(f"Can't filter {input_path}: it is read twice. Name a file, not a pipe.")
    check_soft_output(output_path, input_path)


def _measure(path: Path, nlp: Language) -> Units:
    """RETURNS (Units): Measurements of all sentences of a file."""
    units, report = Units(), Report()
    with Progress(path, "spacy", report) as progress:
        docs = progress.each(read_docs(progress.path, nlp, "spacy", report))
        for doc in report.count(docs):
            soft = get_soft_labels(doc)
            if soft is None:
                raise UserError(
                    f"Can't filter {path}: record {report.n_read} has no soft labels. Name a file "
                    "written by spacy bert-ner label."
                )
            units.add(doc, soft)
    return units


def _keep_each(docs: Iterable[Doc], kept: Bools1d, report: FilterReport) -> Iterator[Doc]:
    """YIELDS (Doc): The documents with sentences to keep, with only their soft labels."""
    n_ents: Counter = Counter()
    first = 0
    for doc in docs:
        owners = get_owners(doc)
        marks = kept[first + owners]
        first += int(owners[-1]) + 1 if len(owners) else 0
        if marks.any():
            keep_tokens(doc, marks)
            n_ents.update(ent.label_ for ent in doc.ents)
            yield doc
    report.kept_ents = dict(n_ents)


def keep_tokens(doc: Doc, marks: Bools1d) -> None:
    """Keep the soft labels and entities of some tokens of a document; the others are missing
    annotation. So are all tokens of an entity that isn't kept as a whole.

    doc (Doc): The document, with soft labels. Changed.
    marks (Bools1d): The tokens, bool, (n_tokens,).
    """
    soft = get_soft_labels(doc)
    assert isinstance(soft, SoftLabels)  # see `_measure`
    probs, agreement = soft.probs * marks[:, None], soft.agreement * marks
    set_soft_labels(doc, soft._replace(probs=probs, agreement=agreement))
    ents = [ent for ent in doc.ents if marks[ent.start : ent.end].all()]
    unknown: Bools1d = ~marks | (doc.to_array("ENT_IOB") == MISSING_IOB)
    for ent in doc.ents:
        unknown[ent.start : ent.end] = not marks[ent.start : ent.end].all()
    missing: List[int] = numpy.nonzero(unknown)[0].tolist()
    doc.set_ents(ents, missing=[doc[i : i + 1] for i in missing], default="outside")
