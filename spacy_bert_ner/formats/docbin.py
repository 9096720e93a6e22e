"""spaCy's own format: a DocBin, which is read and written as a whole."""

from pathlib import Path
from typing import IO, Iterable, Iterator, Optional

from spacy.errors import Errors
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from .output import replace_file
from .report import FormatError, Report
from .source import Source

# How many bytes say how long a piece is.
SIZE = 8


def read(source: Source) -> Iterator[Doc]:
    """YIELDS (Doc): The documents, with everything that the file has of them.
    RAISES (ValueError): For a file that is no DocBin.
    """
    try:
        docs = DocBin().from_disk(source.path)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"Can't read {source.path}: {Errors.E1014}") from error
    yield from docs.get_docs(source.nlp.vocab)


def count(path: Path) -> Optional[int]:
    """RETURNS (Optional[int]): How many documents a file has; None if it can't be read, which its
    reader tells."""
    try:
        return len(DocBin().from_disk(path))
    except (KeyError, TypeError, ValueError):
        return None


def parse(nlp: Language, doc: Doc, report: Report) -> Optional[Doc]:
    return doc


class DocBinWriter:
    """Writes documents with their span groups and their user data. The format begins with what all
    of them share: they are packed in pieces, which become one when all are there."""

    def write(self, path: Path, docs: Iterable[Doc], report: Report) -> None:
        packed = DocBin(store_user_data=True, docs=docs)
        with replace_file(path) as file:
            file.write(packed.to_bytes())

    def pack(self, docs: Iterable[Doc], report: Report, is_first: bool) -> Iterator[bytes]:
        """YIELDS (bytes): A piece, behind its length."""
        packed = DocBin(store_user_data=True, docs=docs)
        if len(packed):
            piece = packed.to_bytes()
            yield len(piece).to_bytes(SIZE, "big") + piece

    def end(self, is_empty: bool) -> bytes:
        return b""

    def place(self, file: IO[bytes], part: Path, target: Path) -> None:
        """Put the pieces together. All are in memory then."""
        packed = DocBin(store_user_data=True)
        file.seek(0)
        while size := file.read(SIZE):
            piece = file.read(int.from_bytes(size, "big"))
            packed.merge(DocBin(store_user_data=True).from_bytes(piece))
        with replace_file(target) as merged:
            merged.write(packed.to_bytes())
        file.close()
        part.unlink()
