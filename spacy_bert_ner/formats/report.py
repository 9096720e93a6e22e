"""What a file holds, and what of it couldn't be read or written as it stands."""

from dataclasses import dataclass, field
from typing import Dict, Iterable, Iterator

from spacy.tokens import Doc

from ..findings import Finding, format_findings


class FormatError(ValueError):
    """A file that can't be read or written: which one, where, and the way out."""


@dataclass
class Report:
    """Counts what goes through a reader and a writer.

    Attributes
    ----------
    n_docs, n_tokens, n_ents (int): How much there is.
    findings (Dict[str, Finding]): What didn't fit, by its description.
    """

    n_docs: int = 0
    n_tokens: int = 0
    n_ents: int = 0
    findings: Dict[str, Finding] = field(default_factory=dict)

    def add(self, what: str, example: str) -> None:
        """Count one thing that doesn't fit, and keep the first of its kind.

        what (str): What is the matter with such things, and what becomes of them.
        """
        self.findings.setdefault(what, Finding(what)).add(example)

    def count(self, docs: Iterable[Doc]) -> Iterator[Doc]:
        """YIELDS (Doc): The same documents, counted."""
        for doc in docs:
            self.n_docs += 1
            self.n_tokens += len(doc)
            self.n_ents += len(doc.ents)
            yield doc

    def summary(self) -> str:
        """RETURNS (str): How much there is, for people."""
        return f"{self.n_docs} documents, {self.n_tokens} tokens, {self.n_ents} entities"

    def message(self) -> str:
        """RETURNS (str): One line for each kind found, with examples; empty if all fits."""
        return format_findings(self.findings.values())
