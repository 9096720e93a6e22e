"""Counts of what a file contains, and of what couldn't be read or written unchanged."""

import sys
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, Iterable, Iterator, List

from spacy.tokens import Doc

from ..errors import UserError
from ..findings import Finding, format_findings, number

N_BROKEN_SHOWN = 100


class FormatError(UserError):
    """A file that can't be read or written: which one, where, and the way out."""


@dataclass
class Report:
    """Counts what is read and written.

    Attributes
    ----------
    skip_broken (bool): Skip records that can't be read, instead of raising an error.
    n_read (int): Number of records that were read, including those without a document.
    n_docs, n_tokens, n_ents (int): Numbers of documents, tokens and entities.
    findings (Dict[str, Finding]): Things that don't fit, by their description.
    n_broken (int): Number of skipped records.
    broken (List[str]): The errors of the first skipped records.
    """

    skip_broken: bool = False
    n_read: int = 0
    n_docs: int = 0
    n_tokens: int = 0
    n_ents: int = 0
    findings: Dict[str, Finding] = field(default_factory=dict)
    n_broken: int = 0
    broken: List[str] = field(default_factory=list)

    def add(self, what: str, example: str) -> None:
        """Count one thing that doesn't fit, and keep the first examples of its kind.

        example (str): The text to show.
        what (str): Description of the kind: what is wrong, and what is done with such things.
        """
        self.findings.setdefault(what, Finding(what)).add(example)

    def add_broken(self, error: FormatError) -> None:
        """Count a record that can't be read, and keep the first errors.

        error (FormatError): Its error.
        """
        self.n_broken += 1
        if len(self.broken) < N_BROKEN_SHOWN:
            self.broken.append(str(error))

    def count(self, docs: Iterable[Doc]) -> Iterator[Doc]:
        """YIELDS (Doc): The same documents, counted.

        docs (Iterable[Doc]): The documents.
        """
        for doc in docs:
            self.n_docs += 1
            self.n_tokens += len(doc)
            self.n_ents += len(doc.ents)
            yield doc

    def take(self) -> "Report":
        """Take all counts out, and begin again with 0.

        RETURNS (Report): The counts.
        """
        taken = replace(self)
        vars(self).update(vars(Report(skip_broken=self.skip_broken)))
        return taken

    def merge(self, other: "Report") -> None:
        """Add the counts of another report.

        other (Report): Counts of what comes after.
        """
        for name in ("n_read", "n_docs", "n_tokens", "n_ents", "n_broken"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.broken += other.broken[: N_BROKEN_SHOWN - len(self.broken)]
        for what, finding in other.findings.items():
            self.findings.setdefault(what, Finding(what)).merge(finding)

    def summary(self) -> str:
        """RETURNS (str): The counts, as a line of text."""
        counts = [
            number(self.n_docs, "document"),
            number(self.n_tokens, "token"),
            number(self.n_ents, "entity", "entities"),
        ]
        if self.n_broken:
            counts.append(f"{number(self.n_broken, 'broken record')} left out")
        return ", ".join(counts)

    def message(self) -> str:
        """RETURNS (str): A line for each kind of finding, with examples, and for each skipped
        record; empty if everything fits."""
        lines = list(self.broken)
        if self.n_broken > len(lines):
            more = number(self.n_broken - len(lines), "more record")
            lines.append(f"… and {more} that can't be read.")
        findings = format_findings(self.findings.values())
        return "\n".join([*lines, findings] if findings else lines)

    def to_dict(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): The counts, in plain types."""
        counted = asdict(self)
        del counted["skip_broken"]
        return {**counted, "findings": list(counted["findings"].values())}

    def restore(self, counted: Dict[str, Any]) -> None:
        """Restore the counts of an earlier run.

        counted (Dict[str, Any]): The output of `to_dict`.
        RAISES (KeyError, TypeError): For anything else, such as a journal that was changed.
        """
        values = {name: _check(name, counted[name], own) for name, own in self.to_dict().items()}
        findings = [Finding(**entry) for entry in values["findings"]]
        for finding in findings:
            for name, own in asdict(Finding("")).items():
                _check(name, getattr(finding, name), own)
        values["findings"] = {finding.what: finding for finding in findings}
        for name, value in values.items():
            setattr(self, name, value)


def _check(name: str, value: Any, own: Any) -> Any:
    """RETURNS (Any): The value, if it has the type of our own one."""
    if type(value) is not type(own):
        raise TypeError(f"'{name}' is {value!r}, not of type {type(own).__name__}")
    if isinstance(value, int) and not 0 <= value <= sys.maxsize:
        raise TypeError(f"'{name}' is {value!r}, not a count")
    if name in ("broken", "shown") and not all(isinstance(text, str) for text in value):
        raise TypeError(f"'{name}' doesn't contain only strings")
    return value
