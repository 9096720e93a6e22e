"""Find labels that may be misspellings of other labels."""

import difflib
import re
from typing import List, Mapping

from ..findings import Finding

# The right spelling occurs at least this many times as often as the wrong one.
RARITY = 10
# Names with fewer letters are similar by chance.
LEAST_LETTERS = 5
LIKENESS = 0.8


def find_misspelled(counts: Mapping[str, int]) -> Finding:
    """Find rare labels with a name similar to that of a frequent one: with different punctuation or
    letter case, or with some letters swapped, missing or added.

    counts (Mapping[str, int]): How often each label occurs.
    RETURNS (Finding): Those labels.
    """
    found = Finding("labels may be misspelled; use one spelling for each")
    for label in sorted(counts):
        often = [other for other in counts if counts[other] >= RARITY * counts[label]]
        if meant := _find_alike(label, [other for other in often if other != label]):
            found.add(f"{label!r} ({counts[label]}) for {meant!r} ({counts[meant]})")
    return found


def _find_alike(label: str, others: List[str]) -> str:
    """RETURNS (str): The label with the most similar name, empty if none is similar."""
    names = {_normalize(other): other for other in others}
    name = _normalize(label)
    if name in names:
        return names[name]
    if len(name) < LEAST_LETTERS:
        return ""
    close = difflib.get_close_matches(name, names, n=1, cutoff=LIKENESS)
    return names[close[0]] if close else ""


def _normalize(label: str) -> str:
    return re.sub(r"[\W_]+", "", label.casefold())
