"""Words between spaces, which spaCy often splits into several tokens: the units that get a tag with
`align = "word"`.

    text      "Oslo" (Norway), says the Oslo-based club.
    tokens    " Oslo " ( Norway ) , says the Oslo - based club .
    words     [--------][-----------][--][-][----------][----]
    without   "      "  (       ) ,                         .
"""

import sys
import unicodedata
from functools import cache
from typing import NamedTuple, Tuple

import numpy
from spacy.tokens import Doc

from ..characters import count_before, get_text, make_table, nonspace_table, token_chars
from ..types import Bools1d, Ints1d

# Punctuation in Unicode that is a part of the word next to it: #tag, 5%, R&D, @name.
SIGNS = "#%&@‰§"
APOSTROPHES = "'’"


class Words(NamedTuple):
    """Units that get one tag each, in the order of the text.

    starts (Ints1d): Index of its first token among the tokens to tag. The unit gets the tag of this
        token, whose first wordpiece is the first of the unit, int64, (n_words,).
    first, last (Ints1d): Its first and its last token, without punctuation at its edges and without
        endings after an apostrophe ('s), int64, (n_words,).
    """

    starts: Ints1d
    first: Ints1d
    last: Ints1d

    def within(self, start: int, end: int) -> Tuple[int, int, bool]:
        """Find the words of an entity.

        start, end (int): Its first token, and the one after its last.
        RETURNS (Tuple[int, int, bool]): The first word, the one after the last, and whether the
            entity consists of these words as a whole.
        """
        i = int(numpy.searchsorted(self.last, start, side="left"))
        j = int(numpy.searchsorted(self.first, end, side="left"))
        return i, j, i < j and self.first[i] >= start and self.last[j - 1] < end


def get_words(doc: Doc, rows: Ints1d, breaks: Bools1d, align: str) -> Words:
    """Join the tokens to tag into units.

    doc (Doc): The document.
    rows (Ints1d): The tokens, int64, (n_rows,).
    breaks (Bools1d): Whether a unit begins there in any case, bool, (n_rows,).
    align (str): "token" for one unit per token, "word" for one per word between two spaces. A word
        that only consists of punctuation keeps it.
    RETURNS (Words): The units.
    """
    if align == "token" or not len(rows):
        return Words(numpy.arange(len(rows)), rows, rows)
    token_starts, token_ends = (chars[rows] for chars in token_chars(doc))
    text = get_text(doc)
    # An invisible token between two others doesn't divide them.
    position = count_before(text, nonspace_table())
    gap = token_starts[1:] - token_ends[:-1]
    spaces = gap - (position[token_starts[1:]] - position[token_ends[:-1]])
    starts = numpy.nonzero(breaks | numpy.concatenate([[True], spaces > 0]))[0]
    marks = count_before(text, _punctuation_table())
    hanging = marks[token_ends] - marks[token_starts] == token_ends - token_starts
    apostrophes = count_before(text, _apostrophe_table())
    tied = hanging | (apostrophes[token_starts + 1] > apostrophes[token_starts])
    places = numpy.arange(len(rows))
    first = numpy.minimum.reduceat(numpy.where(hanging, len(rows), places), starts)
    last = numpy.maximum.reduceat(numpy.where(tied, -1, places), starts)
    bare = first > last
    first = numpy.where(bare, starts, first)
    last = numpy.where(bare, numpy.append(starts[1:], len(rows)) - 1, last)
    return Words(starts, rows[first], rows[last])


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char).startswith("P") and char not in SIGNS


@cache
def _punctuation_table() -> Bools1d:
    return make_table(_is_punctuation)


@cache
def _apostrophe_table() -> Bools1d:
    table = numpy.zeros(sys.maxunicode + 1, dtype=bool)
    table[[ord(char) for char in APOSTROPHES]] = True
    return table
