"""spaCy's own format: a DocBin, which is read and written as a whole."""

from pathlib import Path
from typing import Iterable, Iterator

from spacy.errors import Errors
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from .files import replace_file
from .report import FormatError, Report


def read(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
    """YIELDS (Doc): The documents, with everything that the file has of them.
    RAISES (ValueError): For a file that is no DocBin.
    """
    try:
        docs = DocBin().from_disk(path)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"Can't read {path}: {Errors.E1014}") from error
    yield from docs.get_docs(nlp.vocab)


def write(path: Path, docs: Iterable[Doc], report: Report) -> None:
    """Write documents with their span groups and their user data. All are packed before the first
    is written: the format begins with what all of them share."""
    packed = DocBin(store_user_data=True)
    for doc in docs:
        packed.add(doc)
    with replace_file(path, "wb") as file:
        file.write(packed.to_bytes())
