"""Counts of problems in data, by kind, with the first examples of each."""

import re
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Optional

N_SHOWN = 5
# The words of a finding that differ in the singular: the first noun, the first verb, and what
# follows it, such as in "spans have no label, and their tokens count as missing".
NOUN = re.compile(
    r"\b(span|document|record|token|row|value|task|result|sentence|start|label|entitie)s\b"
)
VERBS = {
    "are": "is",
    "aren't": "isn't",
    "begin or end": "begins or ends",
    "count": "counts",
    "cross": "crosses",
    "directly follow": "directly follows",
    "don't": "doesn't",
    "have": "has",
    "overlap": "overlaps",
    "show": "shows",
}
FOLLOWING = {
    **{f"and {verb}": f"and {one}" for verb, one in VERBS.items()},
    "or have": "or has",
    "or include": "or includes",
    "their": "its",
    "they aren't": "it isn't",
    "they don't": "it doesn't",
    "with them": "with it",
}
VERB, FOLLOWS = (re.compile(rf"\b({'|'.join(words)})\b(?!')") for words in (VERBS, FOLLOWING))


@dataclass
class Finding:
    """One kind of problem in data.

    Attributes
    ----------
    what (str): The problem and its effect, in the plural.
    n (int): How many there are.
    shown (List[str]): The first examples.
    """

    what: str
    n: int = 0
    shown: List[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Count one case.

        example (str): What to show for it, if it is among the first.
        """
        self.n += 1
        if len(self.shown) < N_SHOWN:
            self.shown.append(example)

    def merge(self, other: "Finding") -> None:
        """Add the cases of another finding of this kind.

        other (Finding): The cases, which come after.
        """
        self.n += other.n
        self.shown += other.shown[: N_SHOWN - len(self.shown)]

    def line(self, total: Optional[int] = None) -> str:
        """Describe the problem.

        total (Optional[int]): Number of all items, if it should be shown.
        RETURNS (str): The count, the problem, and the first examples.
        """
        count = f"{self.n}" if total is None else f"{self.n} of {total}"
        what = say_of_one(self.what) if self.n == 1 and total is None else self.what
        more = ", …" if self.n > len(self.shown) else ""
        return f"{count} {what}: {', '.join(self.shown)}{more}"


def say_of_one(what: str) -> str:
    """Put the text of a finding into the singular.

    what (str): Such as "spans have no label, and are left out".
    RETURNS (str): Such as "span has no label, and is left out".
    """
    what = NOUN.sub(lambda found: found[1].replace("entitie", "entity"), what, count=1)
    what = VERB.sub(lambda found: VERBS[found[1]], what, count=1)
    return FOLLOWS.sub(lambda found: FOLLOWING[found[1]], what)


def number(n: int, one: str, many: Optional[str] = None) -> str:
    """RETURNS (str): How many there are of something, as "1 entity", "2 entities".

    n (int): How many.
    one (str): The word for one.
    many (Optional[str]): The plural, if it isn't the word with an s.
    """
    return f"{n} {one}" if n == 1 else f"{n} {many or one + 's'}"


def show(text: str) -> str:
    """RETURNS (str): A text for a report: quoted, and cut off if it is long.

    text (str): The text.
    """
    return repr(text if len(text) <= 40 else text[:40] + "…")


def format_findings(findings: Iterable[Finding], total: Optional[int] = None) -> str:
    """RETURNS (str): A line for each kind of problem that was found; empty if there is none.

    findings (Iterable[Finding]): All kinds that were checked.
    total (Optional[int]): Number of all items, if it should be shown.
    """
    return "\n".join(finding.line(total) for finding in findings if finding.n)


def to_dicts(findings: Iterable[Finding]) -> List[Dict[str, Any]]:
    """Convert findings to plain data, for JSON.

    findings (Iterable[Finding]): The findings. Those with a count of 0 are left out.
    RETURNS (List[Dict[str, Any]]): Problem, count and examples of each.
    """
    return [{"what": f.what, "n": f.n, "shown": f.shown} for f in findings if f.n]
