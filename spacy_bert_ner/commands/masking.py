"""Which words of a text a language model replaces."""

from typing import NamedTuple

import numpy
from spacy.tokens import Doc

from ..errors import UserError
from ..model.encoder.masked_lm import is_word
from ..types import Bools1d


class Masking(NamedTuple):
    """Which words are masked.

    share (float): How many of the words of each text that can be, above 0 to 1: at least one.
    copies (int): How many copies there are of a text. They have other words masked, as long as
        there are some.
    min_length (int): The length of the shortest words, in characters.
    seed (int): Of the choice, from 0 up.
    """

    share: float = 0.15
    copies: int = 1
    min_length: int = 3
    seed: int = 0

    def check(self) -> None:
        """RAISES (UserError): For settings that can't be."""
        if not 0.0 < self.share <= 1.0:
            raise UserError(
                f"Can't mask {self.share} of the words: name a share above 0 to 1, as 0.15."
            )
        least = {"copies": 1, "min_length": 1, "seed": 0}
        for name, lowest in least.items():
            value = getattr(self, name)
            if value < lowest:
                option = name.replace("_", "-")
                raise UserError(f"Can't have --{option} {value}: name a number from {lowest} up.")


def find_words(doc: Doc, min_length: int) -> Bools1d:
    """Find the words that can be masked: of letters (and digits), after white space or nothing, and
    not before more letters, as "do" in "don't" is.

    doc (Doc): A document.
    min_length (int): The length of the shortest, in characters.
    RETURNS (Bools1d): bool, (n_tokens,).
    """
    text = f" {doc.text} "
    found = numpy.zeros(len(doc), dtype=bool)
    for i, token in enumerate(doc):
        word = token.text
        if len(word) >= min_length and is_word(word) and not word.isnumeric():
            before, after = text[token.idx], text[token.idx + len(word) + 1]
            found[i] = before.isspace() and not is_word(after)
    return found
