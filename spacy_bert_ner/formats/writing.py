"""How files are written: as text, document by document, or by a writer of their own."""

from pathlib import Path
from typing import IO, Callable, Iterable, Iterator, NamedTuple, Optional, Protocol

from spacy.tokens import Doc

from .output import put, replace_file
from .report import FormatError, Report


class Writer(Protocol):
    """Writes documents at once, or a batch at a time: a file in the making is appended to, and put
    in place when it is complete. It can be cut after any batch, and resumed there."""

    def write(self, path: Path, docs: Iterable[Doc], report: Report) -> None:
        """Write a file, which is there when it is complete, and not before.

        path (Path): Where to write.
        docs (Iterable[Doc]): The documents.
        report (Report): Where it is counted what the format can't say.
        """

    def pack(self, docs: Iterable[Doc], report: Report, is_first: bool) -> Iterator[bytes]:
        """YIELDS (bytes): What is appended to the file in the making for a batch.

        docs (Iterable[Doc]): A batch.
        report (Report): Where it is counted what the format can't say.
        is_first (bool): Whether there was no document before.
        """

    def end(self, is_empty: bool) -> bytes:
        """RETURNS (bytes): What is appended behind all documents, if there were any.

        is_empty (bool): Whether there were none.
        """

    def place(self, file: IO[bytes], part: Path, target: Path) -> None:
        """Make the file that was asked for of the one in the making, which is open and locked.

        file (IO[bytes]): That file.
        part (Path): What it is called.
        target (Path): Where it belongs.
        """


class TextWriter(NamedTuple):
    """Writes text, each document as soon as it is there.

    render (Callable[[Doc, Report], str]): The text of a document.
    start (Callable[[Optional[Doc]], str]): What stands before the first document, if there is one.
    between (Optional[str]): What stands between documents, None if there can't be more than one.
    tail (str): What stands behind the last.
    """

    render: Callable[[Doc, Report], str]
    start: Callable[[Optional[Doc]], str] = lambda doc: ""
    between: Optional[str] = ""
    tail: str = ""

    def write(self, path: Path, docs: Iterable[Doc], report: Report) -> None:
        """See `Writer.write`."""
        with replace_file(path) as file:
            is_empty = True
            for piece in self.pack(docs, report, is_first=True):
                is_empty = False
                file.write(piece)
            file.write(self.end(is_empty))

    def pack(self, docs: Iterable[Doc], report: Report, is_first: bool) -> Iterator[bytes]:
        """See `Writer.pack`."""
        for doc in docs:
            if is_first:
                before = self.start(doc)
            elif self.between is None:
                raise FormatError(
                    "Can't write a second document: a file of the format 'text' is one document. "
                    "Use --to lines for a document a line."
                )
            else:
                before = self.between
            is_first = False
            yield (before + self.render(doc, report)).encode("utf-8")

    def end(self, is_empty: bool) -> bytes:
        """See `Writer.end`."""
        return ((self.start(None) if is_empty else "") + self.tail).encode("utf-8")

    def place(self, file: IO[bytes], part: Path, target: Path) -> None:
        """See `Writer.place`."""
        put(file, part, target)
