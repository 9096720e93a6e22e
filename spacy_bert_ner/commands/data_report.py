"""Counts of a corpus: what it contains, what can't be learned, and how an encoder reads it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Set, Tuple

from spacy.strings import get_string_id
from spacy.tokens import Doc
from spacy.training import Example

from ..findings import Finding, show, to_dicts
from ..formats.report import Report
from ..formats.spans import INCORRECT_KEY
from ..tagging.spelling import find_misspelled
from ..training.gold_report import GoldReport
from .encoder_report import EncoderReport

UNREAD = (
    f'documents have entities known to be wrong in doc.spans["{INCORRECT_KEY}"] that aren\'t used: '
    f'set incorrect_spans_key = "{INCORRECT_KEY}" in the block of the component'
)
# As in `spacy debug data`.
FEW_EXAMPLES = 50


@dataclass
class SplitReport:
    """The documents of one split.

    Attributes
    ----------
    gold (Dict[str, GoldReport]): By component, the entities that it can't learn.
    encoders (Dict[str, EncoderReport]): By component, how its encoder reads the documents.
    train (Optional[SplitReport]): The split to compare with.
    reading (Report): What our reader couldn't read unchanged.
    is_whole (bool): Whether all documents were read.
    n_docs, n_tokens (int): Numbers of documents, and of tokens in the reference tokenization.
    n_missing (int): Tokens with missing entity annotation.
    labels (Counter): Entities of each label.
    unannotated (Finding): Documents without entity annotation, whose tokens are all missing it.
    repeated, in_train (Finding): Documents whose text was already in the split, and is in `train`.
    unread (Finding): Documents with entities known to be wrong that no component reads.
    unseen (Finding): Distinct entities that `train` doesn't have, ignoring letter case.
    """

    gold: Dict[str, GoldReport]
    encoders: Dict[str, EncoderReport]
    train: Optional["SplitReport"] = None
    reading: Report = field(default_factory=Report)
    is_whole: bool = True
    n_docs: int = 0
    n_tokens: int = 0
    n_missing: int = 0
    labels: Counter = field(default_factory=Counter)
    unannotated: Finding = field(
        default_factory=lambda: Finding("documents have no entity annotation")
    )
    repeated: Finding = field(
        default_factory=lambda: Finding("documents have the same text as an earlier one")
    )
    in_train: Finding = field(
        default_factory=lambda: Finding("documents have the same text as one in the training data")
    )
    unread: Finding = field(default_factory=lambda: Finding(UNREAD))
    unseen: Finding = field(
        default_factory=lambda: Finding("distinct entities aren't in the training data")
    )
    _texts: Set[int] = field(default_factory=set)
    _ents: Set[Tuple[str, int]] = field(default_factory=set)

    @property
    def n_ents(self) -> int:
        """RETURNS (int): Number of entities."""
        return sum(self.labels.values())

    @property
    def n_distinct(self) -> int:
        """RETURNS (int): Number of entities with a different label or text, ignoring letter
        case."""
        return len(self._ents)

    def add(self, example: Example) -> None:
        """Count one example.

        example (Example): Its `predicted` has the sentence boundaries of the pipeline, if any.
        """
        doc = example.reference
        self.n_docs += 1
        self.n_tokens += len(doc)
        shown = self._show(doc)
        if not doc.has_annotation("ENT_IOB"):
            self.unannotated.add(shown)
        self.n_missing += int((doc.to_array("ENT_IOB") == 0).sum())
        self._add_text(doc, shown)
        for ent in doc.ents:
            self.labels[ent.label_] += 1
            key = (ent.label_, get_string_id(_normalize(ent.text).casefold()))
            if key not in self._ents:
                self._ents.add(key)
                if self.train and key not in self.train._ents:
                    self.unseen.add(f"{show(ent.text)} ({ent.label_})")
        keys = {gold.incorrect_spans_key for gold in self.gold.values()}
        if INCORRECT_KEY not in keys and doc.spans.get(INCORRECT_KEY):
            self.unread.add(shown)
        for gold in self.gold.values():
            gold.add(example)

    def _show(self, doc: Doc) -> str:
        """The text of a document and its place: its record, if our reader has read it, which also
        counts records without a document."""
        n_read = self.reading.n_read
        place = f"record {n_read}" if n_read else f"document {self.n_docs}"
        return f"{show(_normalize(doc.text))} ({place})"

    def _add_text(self, doc: Doc, shown: str) -> None:
        key = get_string_id(_normalize(doc.text))
        if key in self._texts:
            self.repeated.add(shown)
        if self.train and key in self.train._texts:
            self.in_train.add(shown)
        self._texts.add(key)

    def as_dict(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): The counts, for JSON."""
        findings = [*self.reading.findings.values(), self.unannotated, self.repeated, self.unread]
        if self.train:
            findings += [self.in_train, self.unseen]
        return {
            "is_whole": self.is_whole,
            "n_docs": self.n_docs,
            "n_tokens": self.n_tokens,
            "n_ents": self.n_ents,
            "n_distinct": self.n_distinct,
            "n_unannotated": self.unannotated.n,
            "n_missing": self.n_missing,
            "labels": dict(self.labels.most_common()),
            "findings": to_dicts(findings),
            "components": {
                name: to_dicts([*gold.findings, gold.incorrect]) for name, gold in self.gold.items()
            },
            "encoders": {name: encoder.as_dict() for name, encoder in self.encoders.items()},
        }


@dataclass
class DataReport:
    """A corpus, as a pipeline is trained on it.

    Attributes
    ----------
    lang (str): The language.
    pipeline (List[str]): The components.
    readers (Dict[str, str]): By split, the block of the config with its reader.
    reader_names (Dict[str, str]): By split, the registered name of the reader.
    labels (Dict[str, Optional[List[str]]]): By component, the labels in the config; None if it uses
        those of the training data.
    others (Dict[str, str]): Architectures of components of other packages that make vectors.
    train, dev (SplitReport): The splits.
    """

    lang: str
    pipeline: List[str]
    readers: Dict[str, str]
    reader_names: Dict[str, str]
    labels: Dict[str, Optional[List[str]]]
    others: Dict[str, str]
    train: SplitReport
    dev: SplitReport

    @property
    def splits(self) -> Dict[str, SplitReport]:
        """RETURNS (Dict[str, SplitReport]): Both splits, by name."""
        return {"train": self.train, "dev": self.dev}

    @property
    def rare_labels(self) -> Dict[str, int]:
        """RETURNS (Dict[str, int]): Labels with few entities in the training data, and how many."""
        return {label: n for label, n in self.train.labels.items() if n < FEW_EXAMPLES}

    @property
    def misspelled(self) -> Finding:
        """RETURNS (Finding): Labels of both splits that may be misspelled."""
        return find_misspelled(self.train.labels + self.dev.labels)

    def as_dict(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): The report, for JSON."""
        return {
            "lang": self.lang,
            "pipeline": self.pipeline,
            "labels": self.labels,
            "other_encoders": self.others,
            "findings": to_dicts([self.misspelled]),
            **{name: split.as_dict() for name, split in self.splits.items()},
        }


def _normalize(text: str) -> str:
    return " ".join(text.split())
