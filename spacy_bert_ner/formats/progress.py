"""A progress bar on terminals: how much of a file is read, and the time left."""

import sys
import time
from pathlib import Path
from typing import Any, Iterable, Iterator, Optional

from spacy.tokens import Doc
from tqdm import tqdm

from ..findings import number
from .report import Report
from .source import WHOLE, Shard, Watched

KNOWN = "{percentage:3.0f}% |{bar}| {desc}, {remaining} left"
UNKNOWN = "{desc}, {elapsed}"


class Progress:
    """A bar on terminals, and nothing elsewhere: the share of a file that is done, counts, speed
    and the time left. For a pipe, which has no size, only counts and speed."""

    def __init__(self, path: Path, name: Optional[str], report: Report, shard: Shard = WHOLE):
        """Nothing is shown yet.

        path (Path): The input.
        name (Optional[str]): Its format.
        report (Report): The counts; if a run is resumed, with those of the earlier run.
        shard (Shard): The records that are read.
        """
        self.path = Watched(path)
        self.report, self.shard = report, shard
        # A DocBin is read as a whole before its first document, and Parquet column by column.
        self.in_bytes = path.is_file() and name not in ("spacy", "parquet")
        self.is_resumed = report.n_read > 0
        self.bar: Optional[tqdm] = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: Any) -> None:
        if self.bar is not None:
            self.bar.close()

    def follow(self, docs: Iterable[Doc]) -> Iterator[Doc]:
        """Show a bar from the first document on.

        docs (Iterable[Doc]): Documents that are read from `path`.
        YIELDS (Doc): The same documents. `update` moves the bar.
        """
        for doc in docs:
            if self.bar is None and sys.stderr.isatty():
                self._start()
            yield doc

    def each(self, docs: Iterable[Doc]) -> Iterator[Doc]:
        """Show a bar that moves by itself.

        docs (Iterable[Doc]): Documents that are read from `path`.
        YIELDS (Doc): The same documents. Each counts as done when the next one is requested.
        """
        for doc in self.follow(docs):
            yield doc
            self.update()

    def _start(self) -> None:
        self.start, self.n_tokens = time.monotonic(), self.report.n_tokens
        total = self.path.stat().st_size if self.in_bytes else self.path.n_records
        form = UNKNOWN if total is None else KNOWN
        at = self._tell() if self.is_resumed else 0
        text = self._describe()
        self.bar = tqdm(total=total, initial=at, desc=text, bar_format=form, miniters=1)

    def update(self) -> None:
        """Show how much is done: everything that was read."""
        if self.bar is not None:
            self.bar.set_description_str(self._describe(), refresh=False)
            self.bar.update(self._tell() - self.bar.n)

    def _describe(self) -> str:
        seconds = max(time.monotonic() - self.start, 0.001)
        speed = (self.report.n_tokens - self.n_tokens) / seconds
        return f"{number(self.report.n_docs, 'document')}, {speed:,.0f} words/s"

    def _tell(self) -> int:
        if self.in_bytes:
            return self.path.tell()
        n_read = self.report.n_read * self.shard.total
        return n_read if self.path.n_records is None else min(n_read, self.path.n_records)
