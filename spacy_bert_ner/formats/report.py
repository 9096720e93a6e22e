"""What a file holds, and what of it couldn't be read or written as it stands."""

import sys
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Iterable, Iterator, List

from spacy.tokens import Doc

from ..errors import UserError
from ..findings import Finding, format_findings, number

N_BROKEN_SHOWN = 100


class FormatError(UserError):
    """A file that can't be read or written: which one, where, and the way out."""


@dataclass
class Report:
    """Counts what goes through a reader and a writer.

    Attributes
    ----------
    skip_broken (bool): Leave out records that can't be read, instead of ending with an error.
    n_read (int): How many records were read, with those that are no document.
    n_docs, n_tokens, n_ents (int): How much there is.
    findings (Dict[str, Finding]): What didn't fit, by its description.
    n_broken (int): How many records were left out that can't be read.
    broken (List[str]): The errors of the first of them.
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
        """Count one thing that doesn't fit, and keep the first of its kind.

        example (str): What to show of it.
        what (str): What is the matter with such things, and what becomes of them.
        """
        self.findings.setdefault(what, Finding(what)).add(example)

    def add_broken(self, error: FormatError) -> None:
        """Count a record that can't be read, and keep the first errors.

        error (FormatError): What is wrong with it.
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

    def summary(self) -> str:
        """RETURNS (str): How much there is, for people."""
        counts = [
            number(self.n_docs, "document"),
            number(self.n_tokens, "token"),
            number(self.n_ents, "entity", "entities"),
        ]
        if self.n_broken:
            counts.append(f"{number(self.n_broken, 'broken record')} left out")
        return ", ".join(counts)

    def message(self) -> str:
        """RETURNS (str): One line for each kind found, with examples, and for each broken record;
        empty if all fits."""
        lines = list(self.broken)
        if self.n_broken > len(lines):
            more = number(self.n_broken - len(lines), "more record")
            lines.append(f"… and {more} that can't be read.")
        findings = format_findings(self.findings.values())
        return "\n".join([*lines, findings] if findings else lines)

    def to_dict(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): What was counted, in plain types."""
        counted = asdict(self)
        del counted["skip_broken"]
        return {**counted, "findings": list(counted["findings"].values())}

    def restore(self, counted: Dict[str, Any]) -> None:
        """Resume with what `to_dict` gave.

        counted (Dict[str, Any]): What `to_dict` gave.
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
    """RETURNS (Any): A value that is of the type of our own."""
    if type(value) is not type(own):
        raise TypeError(f"'{name}' is {value!r}, not of type {type(own).__name__}")
    if isinstance(value, int) and not 0 <= value <= sys.maxsize:
        raise TypeError(f"'{name}' is {value!r}, not a count")
    if name in ("broken", "shown") and not all(isinstance(text, str) for text in value):
        raise TypeError(f"'{name}' has more than strings")
    return value
