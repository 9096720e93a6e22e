"""The entities of a text file."""

from pathlib import Path
from typing import List, Literal, NamedTuple, Optional

import spacy
from wasabi import table


class Row(NamedTuple):
    """One entity: its first character in the text, and its score from 0 to 1, None if it was set
    by a component that gives none."""

    start_char: int
    text: str
    label: str
    score: Optional[float]


def annotate(pipeline: str, path: Path) -> List[Row]:
    """Read a text as one document and find its entities.

    pipeline (str): Name or path of a trained pipeline.
    path (Path): A text file in UTF-8.
    RETURNS (List[Row]): The entities, in the order of the text.
    """
    doc = spacy.load(pipeline)(path.read_text(encoding="utf-8"))
    return [Row(ent.start_char, ent.text, ent.label_, ent._.score) for ent in doc.ents]


def format_table(rows: List[Row]) -> str:
    """RETURNS (str): The entities as a table, for people."""
    data = [
        (
            row.start_char,
            " ".join(row.text.split()),
            row.label,
            "-" if row.score is None else f"{row.score:.3f}",
        )
        for row in rows
    ]
    aligns: List[Literal["l", "r"]] = ["r", "l", "l", "r"]
    return table(data, header=("At", "Entity", "Label", "Score"), divider=True, aligns=aligns)
