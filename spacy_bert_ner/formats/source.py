"""What is read."""

from pathlib import Path
from typing import NamedTuple

from spacy.language import Language


class Source(NamedTuple):
    """A file to read.

    nlp (Language): Its tokenizer and vocabulary are used, its components are not.
    column (str): Of a table, the name of the column with the texts.
    """

    path: Path
    nlp: Language
    column: str = "text"
