"""What is read."""

import os
from pathlib import Path
from typing import IO, Any, NamedTuple, Optional

from spacy.language import Language


class Source(NamedTuple):
    """A file to read.

    path (Path): The file.
    nlp (Language): Its tokenizer and vocabulary are used, its components are not.
    column (str): Of a table, the name of the column with the texts.
    """

    path: Path
    nlp: Language
    column: str = "text"


class Watched(type(Path())):  # type: ignore[misc]
    """A path that knows how much was read of the file that it was opened as. Readers needn't.

    Attributes
    ----------
    file (Optional[IO[Any]]): What it was opened as.
    n_records (Optional[int]): How many records there are, where a reader knows it beforehand.
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
        """RETURNS (int): How many bytes the system has given, which is a bit ahead."""
        if self.file is None:
            return 0
        if self.file.closed:
            return self.stat().st_size
        return os.lseek(self.file.fileno(), 0, os.SEEK_CUR)
