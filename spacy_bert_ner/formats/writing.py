"""Writers of files: as text, document by document, or with a writer for the format."""

from pathlib import Path
from typing import IO, Callable, Iterable, Iterator, NamedTuple, Optional, Protocol

from spacy.tokens import Doc

from .output import put, replace_file
from .report import FormatError, Report


class Writer(Protocol):
    """Writes documents at once, or in batches: each batch is appended to a partial output, which is
    moved to its target when it is complete. Writing can stop and resume after any batch."""

    def write(self, path: Path, docs: Iterable[Doc], report: Report) -> None:
        """Write a file. It is only created (or replaced) once it is complete.

        path (Path): Where to write.
        docs (Iterable[Doc]): The documents.
        report (Report): Counts annotations that the format can't store.
        """

    def pack(self, docs: Iterable[Doc], report: Report, is_first: bool) -> Iterator[bytes]:
        """YIELDS (bytes): The data of a batch, to append to the partial output.

        docs (Iterable[Doc]): A batch.
        report (Report): Counts annotations that the format can't store.
        is_first (bool): Whether no document was written before.
        """

    def end(self, is_empty: bool) -> bytes:
        """RETURNS (bytes): The data to append after the last document.

        is_empty (bool): Whether there were no documents.
        """

    def place(self, file: IO[bytes], part: Path, target: Path) -> None:
        """Make the output from the complete partial output.

        file (IO[bytes]): The partial output, open and locked.
        part (Path): Its path.
        target (Path): Path of the output.
        """


class TextWriter(NamedTuple):
    """Writes text, one document at a time.

    render (Callable[[Doc, Report], str]): The text of a document.
    start (Callable[[Optional[Doc]], str]): The text before the first document, if there is one.
    between (Optional[str]): The text between documents, None if there can't be more than one.
    tail (str): The text after the last document.
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
                    "Use --to lines for one document per line."
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
