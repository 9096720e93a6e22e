"""What doesn't fit, counted, with the first of each kind to show."""

from dataclasses import dataclass, field
from typing import Iterable, List, Optional

N_SHOWN = 5


@dataclass
class Finding:
    """One kind of thing that doesn't fit.

    Attributes
    ----------
    what (str): What is the matter with them, and what becomes of them.
    n (int): How many there are.
    shown (List[str]): The first of them.
    """

    what: str
    n: int = 0
    shown: List[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        self.n += 1
        if len(self.shown) < N_SHOWN:
            self.shown.append(example)

    def line(self, total: Optional[int] = None) -> str:
        """RETURNS (str): The count, of how many, what they are, and the first of them."""
        count = f"{self.n}" if total is None else f"{self.n} of {total}"
        more = ", …" if self.n > len(self.shown) else ""
        return f"{count} {self.what}: {', '.join(self.shown)}{more}"


def number(n: int, one: str, many: Optional[str] = None) -> str:
    """RETURNS (str): How many there are of something, as "1 entity", "2 entities".

    many (Optional[str]): The plural, if it isn't the word with an s.
    """
    return f"{n} {one}" if n == 1 else f"{n} {many or one + 's'}"


def show(text: str) -> str:
    """RETURNS (str): A text to recognize in a report: quoted, its beginning if it is long."""
    return repr(text if len(text) <= 40 else text[:40] + "…")


def format_findings(findings: Iterable[Finding], total: Optional[int] = None) -> str:
    """RETURNS (str): A line for each kind that was found; empty if all fits."""
    return "\n".join(finding.line(total) for finding in findings if finding.n)
