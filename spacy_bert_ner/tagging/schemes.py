"""Tag schemes as data (after Ramshaw & Marcus 1995, and seqeval's `scheme.py`)."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Dict, List, Optional, Sequence, Tuple

import numpy

from ..types import Bools1d, Ints1d


@dataclass(frozen=True)
class Scheme:
    """How the tokens of an entity are tagged.

    Attributes
    ----------
    prefixes (str): All prefixes, in the order of the tags of a label.
    begin, inside, last, unit (str): Prefix of the first of several tokens, of those between, of
        the last, and of a single token.
    again (Optional[str]): Prefix of the first token of an entity that directly follows another one
        with the same label, if the scheme has a special one.
    """

    prefixes: str
    begin: str
    inside: str
    last: str
    unit: str
    again: Optional[str] = None

    @property
    def opening(self) -> str:
        """RETURNS (str): Prefixes that an entity can begin with, whatever precedes it."""
        return self.begin + self.unit

    @property
    def starting(self) -> str:
        """RETURNS (str): Prefixes that always begin an entity."""
        prefixes = self.opening + (self.again or "")
        return "".join(prefix for prefix in prefixes if prefix not in self.inside + self.last)

    @property
    def ending(self) -> str:
        """RETURNS (str): Prefixes that an entity can end with."""
        return self.last + self.unit + (self.again or "")

    @property
    def continuing(self) -> str:
        """RETURNS (str): Prefixes that another token of the same entity can follow."""
        return self.begin + self.inside + (self.again or "")

    @property
    def separates(self) -> bool:
        """RETURNS (bool): Whether adjacent entities with the same label stay separate."""
        return bool(self.starting)

    @property
    def closed(self) -> str:
        """RETURNS (str): Prefixes that no token of the same entity can follow."""
        return "".join(prefix for prefix in self.prefixes if prefix not in self.continuing)


# IOB1 is the original scheme of Ramshaw & Marcus, and IO is IOB1 without B: in IO, adjacent
# entities with the same label are merged. IOBES is BILUO with E for L and S for U.
SCHEMES: Dict[str, Scheme] = {
    "BIO": Scheme(prefixes="BI", begin="B", inside="I", last="I", unit="B"),
    "BILUO": Scheme(prefixes="BILU", begin="B", inside="I", last="L", unit="U"),
    "IOB1": Scheme(prefixes="IB", begin="I", inside="I", last="I", unit="I", again="B"),
    "IO": Scheme(prefixes="I", begin="I", inside="I", last="I", unit="I"),
}


class TagSet:
    """The tags of a list of labels. Tag 0 is `O`; then come those of each label, so that a new
    label adds its tags after all others.

    scheme (str): A name in SCHEMES.
    labels (Sequence[str]): Entity labels.

    Attributes
    ----------
    name (str): Name of the scheme.
    labels (Tuple[str, ...]): The labels.
    tags (List[str]): `O`, `B-PER`, `I-PER`, …
    label_ids (Ints1d): The label of each tag, -1 for `O`, (n_tags,).
    starts, closes (Bools1d): Whether a tag always begins an entity, and whether no tag of the same
        entity can follow it, bool, (n_tags,).
    first, last (Bools1d): Whether a tag can be the first or last of a text, bool, (n_tags,).
    allowed, continues (Bools2d): Whether a tag (row) can be followed by another (column), and
        whether both then belong to one entity, bool, (n_tags, n_tags).
    """

    def __init__(self, scheme: str, labels: Sequence[str]):
        self.name = scheme
        self.scheme = SCHEMES[scheme]
        self.labels = tuple(labels)
        pairs = [(p, i) for i in range(len(labels)) for p in self.scheme.prefixes]
        self.tags: List[str] = ["O"] + [f"{prefix}-{labels[i]}" for prefix, i in pairs]
        self.label_ids: Ints1d = numpy.array([-1] + [i for _, i in pairs])
        self.starts = self._having(pairs, self.scheme.starting)
        self.closes = self._having(pairs, self.scheme.closed)
        outside = numpy.arange(len(self.tags)) == 0
        self.first = outside | self._having(pairs, self.scheme.opening)
        self.last = outside | self._having(pairs, self.scheme.ending)
        same = self.label_ids[:, None] == self.label_ids
        continued = self._having(pairs, self.scheme.continuing)
        inner = self._having(pairs, self.scheme.inside + self.scheme.last)
        self.continues = continued[:, None] & inner & same
        again = self._having(pairs, self.scheme.again or "")
        self.allowed = self.last[:, None] & (self.first | (again & same)) | self.continues

    def __len__(self) -> int:
        return len(self.tags)

    def encode(self, length: int, label_id: int, *, again: bool = False) -> List[int]:
        """Get the tags of an entity.

        length (int): Number of tokens.
        label_id (int): Index of its label.
        again (bool): Whether another entity of this label ends right before it.
        RETURNS (List[int]): Tag ids, (length,).
        """
        scheme = self.scheme
        prefixes = (
            scheme.unit
            if length == 1
            else scheme.begin + scheme.inside * (length - 2) + scheme.last
        )
        if again and scheme.again is not None:
            prefixes = scheme.again + prefixes[1:]
        base = 1 + label_id * len(scheme.prefixes)
        return [base + scheme.prefixes.index(prefix) for prefix in prefixes]

    @staticmethod
    def _having(pairs: List[Tuple[str, int]], prefixes: str) -> Bools1d:
        return numpy.array([False] + [prefix in prefixes for prefix, _ in pairs])


@lru_cache(maxsize=16)
def get_tag_set(scheme: str, labels: Tuple[str, ...]) -> TagSet:
    """Get the tags of labels, cached, since their tables have n_tags² entries.

    scheme (str): A name in SCHEMES.
    labels (Tuple[str, ...]): Entity labels.
    RETURNS (TagSet): The tags.
    """
    return TagSet(scheme, labels)
