"""A table of entities and their scores."""

from typing import Iterable, Iterator, List, Literal, NamedTuple, Optional

from spacy.tokens import Doc
from wasabi import table

from ..formats.spans import get_scores
from ..terminal import printable


class EntityRow(NamedTuple):
    """One entity, with the number of its document, its first character in the text, and its score
    from 0 to 1; None if the component that set it has no scores."""

    doc: int
    start_char: int
    text: str
    label: str
    score: Optional[float]


def make_rows(docs: Iterable[Doc]) -> Iterator[EntityRow]:
    """YIELDS (EntityRow): The entities, in the order of the documents, which are numbered from 1.

    docs (Iterable[Doc]): Documents with entities.
    """
    for number, doc in enumerate(docs, start=1):
        scores = get_scores(doc) or {}
        for ent in doc.ents:
            score = scores.get((ent.start, ent.end, ent.label))
            yield EntityRow(number, ent.start_char, ent.text, ent.label_, score)


def format_table(rows: List[EntityRow], *, numbered: bool = False) -> str:
    """Format entities as a table.

    rows (List[EntityRow]): The entities.
    numbered (bool): Whether to show the numbers of the documents.
    RETURNS (str): The table.
    """
    first = 0 if numbered else 1
    header = ("Doc", "At", "Entity", "Label", "Score")[first:]
    aligns: List[Literal["l", "r"]] = ["r", "r", "l", "l", "r"]
    data = [_format_row(row)[first:] for row in rows]
    return table(data, header=header, divider=True, aligns=aligns[first:])


def _format_row(row: EntityRow) -> List[str]:
    score = "-" if row.score is None else f"{row.score:.3f}"
    text = printable(" ".join(row.text.split()))
    return [str(row.doc), str(row.start_char), text, printable(row.label), score]
