"""The input of readers."""

import os
from itertools import islice
from pathlib import Path
from typing import IO, Any, Iterable, Iterator, NamedTuple, Optional, TypeVar

from spacy.language import Language

T = TypeVar("T")


class Source(NamedTuple):
    """A file to read.

    path (Path): The file.
    nlp (Language): Its tokenizer and vocabulary are used, its components are not.
    column (str): Name of the column with the texts, for tables.
    """

    path: Path
    nlp: Language
    column: str = "text"


class Shard(NamedTuple):
    """A part of the work, which is divided without communication.

    number (int): Number of the shard, from 1.
    total (int): Number of shards.
    """

    number: int
    total: int

    def pick(self, items: Iterable[T], skip: int = 0) -> Iterator[T]:
        """RETURNS (Iterator[T]): Every `total`-th item: those of this shard.

        items (Iterable[T]): All items, always in the same order.
        skip (int): Number of items of this shard to skip.
        """
        return islice(items, self.number - 1 + skip * self.total, None, self.total)

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


WHOLE = Shard(1, 1)


class Watched(type(Path())):  # type: ignore[misc]
    """A path that knows how much of its file was read. Readers don't have to report it.

    Attributes
    ----------
    file (Optional[IO[Any]]): The open file.
    n_records (Optional[int]): Number of records, if a reader knows it in advance.
    """

    file: Optional[IO[Any]] = None
    n_records: Optional[int] = None

    def open(self, *args: Any, **settings: Any) -> IO[Any]:
        """RETURNS (IO[Any]): The file, see `Path.open`.

        args, settings (Any): How to open it.
        """
        self.file = super().open(*args, **settings)
        return self.file

    def tell(self) -> int:
        """RETURNS (int): Number of bytes read from the file, slightly more than were processed."""
        if self.file is None:
            return 0
        if self.file.closed:
            return self.stat().st_size
        return os.lseek(self.file.fileno(), 0, os.SEEK_CUR)
