"""Choose the words of a text that a language model replaces."""

from typing import NamedTuple

import numpy
from spacy.tokens import Doc

from ..errors import UserError
from ..model.encoder.masked_lm import is_word
from ..types import Bools1d


class Masking(NamedTuple):
    """Settings for the words that are masked.

    share (float): Share of the words of each sentence that can be masked, above 0 to 1: at least
        one word is masked.
    copies (int): Number of copies of a text. Each masks other words, as long as there are some.
    min_length (int): Length of the shortest words, in characters.
    seed (int): Random seed, from 0.
    """

    share: float = 0.15
    copies: int = 1
    min_length: int = 3
    seed: int = 0

    def check(self) -> None:
        """RAISES (UserError): For invalid settings."""
        if not 0.0 < self.share <= 1.0:
            raise UserError(
                f"--share is {self.share}: set it above 0 and up to 1, for example 0.15."
            )
        least = {"copies": 1, "min_length": 1, "seed": 0}
        for name, lowest in least.items():
            value = getattr(self, name)
            if value < lowest:
                option = name.replace("_", "-")
                raise UserError(f"--{option} is {value}: set it to {lowest} or more.")


def find_words(doc: Doc, min_length: int) -> Bools1d:
    """Find the words that can be masked: those of letters (and digits) that follow white space or
    begin the text, and aren't followed by more letters, unlike "do" in "don't".

    doc (Doc): A document.
    min_length (int): Length of the shortest words, in characters.
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
