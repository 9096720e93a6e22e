"""Distributions of numbers."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, Iterable


@dataclass
class Distribution:
    """A distribution of whole numbers.

    Attributes
    ----------
    counts (Counter): How often each number occurs.
    """

    counts: Counter = field(default_factory=Counter)

    def add(self, numbers: Iterable[int]) -> None:
        """Count numbers.

        numbers (Iterable[int]): Numbers.
        """
        self.counts.update(map(int, numbers))

    def quantile(self, share: float) -> int:
        """Find a quantile.

        share (float): 0 to 1, such as 0.5 for the median.
        RETURNS (int): The smallest number that this share of the numbers doesn't exceed; 0 if there
            are none.
        """
        least, below = share * self.n, 0
        for number in sorted(self.counts):
            below += self.counts[number]
            if below >= least:
                return number
        return 0

    @property
    def n(self) -> int:
        """RETURNS (int): How many numbers were counted."""
        return sum(self.counts.values())

    @property
    def total(self) -> int:
        """RETURNS (int): Their sum."""
        return sum(number * n for number, n in self.counts.items())

    def as_dict(self) -> Dict[str, int]:
        """RETURNS (Dict[str, int]): Their number, minimum, median, 95 % quantile and maximum."""
        shares = {"min": 0.0, "median": 0.5, "p95": 0.95, "max": 1.0}
        return {"n": self.n, **{name: self.quantile(share) for name, share in shares.items()}}
