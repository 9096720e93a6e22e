"""Parquet files, with the keys of JSON records as columns. They are read and written by pyarrow."""

from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Iterable, Iterator, List

from spacy.tokens import Doc

from ..errors import describe_error
from .arrow_rows import Row, check_columns, import_pyarrow, iter_rows, make_batches, make_schema
from .output import replace_file
from .report import FormatError, Report
from .source import Source, Watched

# Rows that are decoded at once, and that are written at once.
N_ROWS = 256
# Bytes of a row group, not compressed.
GROUP_SIZE = 1 << 26


def read(source: Source) -> Iterator[Row]:
    """YIELDS (Row): The rows. Only some of them are in memory.
    RAISES (ValueError): For a file that isn't Parquet or is damaged, and if there is no column with
        texts.

    source (Source): The input.
    """
    path = source.path
    pa = import_pyarrow()
    if path.is_dir():
        raise FormatError(
            f"Can't read {path}: it is a folder. Name one of its files; annotate reads all of them "
            "if the output is an existing folder."
        )
    if path.exists() and not path.is_file():
        raise FormatError(f"Can't read {path}: Parquet can't be read from a pipe. Name a file.")
    with path.open("rb") as opened, _explain_damage(path):
        # Without pre_buffer, which loads whole columns of a row group.
        file = pa.parquet.ParquetFile(opened, pre_buffer=False, page_checksum_verification=True)
        if isinstance(path, Watched):
            path.n_records = file.metadata.num_rows
        check_columns(path, file.schema_arrow, source.column)
        yield from iter_rows(path, file.iter_batches(N_ROWS, use_threads=False), source.column)


@contextmanager
def _explain_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (FormatError, GeneratorExit):
        raise
    # Any exception: which one is raised depends on the content of the file.
    except Exception as error:
        raise FormatError(
            f"Can't read {path}, which isn't a Parquet file or is damaged: {describe_error(error)}."
        ) from error


class ParquetWriter:
    """Writes rows, see `make_schema`. A Parquet file can't be continued, because an index of it is
    at its end: the partial output is an Arrow stream, which is converted when it is complete."""

    def write(self, path: Path, docs: Iterable[Doc], report: Report) -> None:
        """See `Writer.write`."""
        with replace_file(path) as file:
            _write_groups(file, make_batches(docs, report, N_ROWS))

    def pack(self, docs: Iterable[Doc], report: Report, is_first: bool) -> Iterator[bytes]:
        """YIELDS (bytes): Messages of the Arrow stream, each with some rows.

        docs (Iterable[Doc]): A batch.
        report (Report): Counts what doesn't fit.
        is_first (bool): Whether the stream begins with them.
        """
        for batch in make_batches(docs, report, N_ROWS):
            if is_first:
                yield bytes(batch.schema.serialize())
            is_first = False
            yield bytes(batch.serialize())

    def end(self, is_empty: bool) -> bytes:
        """RETURNS (bytes): The end of the stream, after its schema if it has no rows.

        is_empty (bool): Whether there were no documents.
        """
        return (bytes(make_schema().serialize()) if is_empty else b"") + b"\xff" * 4 + b"\0" * 4

    def place(self, file: IO[bytes], part: Path, target: Path) -> None:
        """Convert the stream. A row group is in memory at a time.

        file (IO[bytes]): The stream, open and locked.
        part (Path): Its path.
        target (Path): Path of the output.
        RAISES (ValueError): If the stream was changed.
        """
        file.seek(0)
        with replace_file(target) as output:
            _write_groups(output, _read_stream(file, part, target))
        file.close()
        part.unlink()


def _read_stream(file: IO[bytes], part: Path, target: Path) -> Iterator[Any]:
    pa, schema = import_pyarrow(), make_schema()
    try:
        for batch in pa.ipc.open_stream(file):
            batch.validate(full=True)
            if batch.schema != schema:
                raise FormatError(f"its columns are {batch.schema.names}")
            yield batch
    except GeneratorExit:
        raise
    # Any exception, see `_explain_damage`.
    except Exception as error:
        raise FormatError(
            f"Can't finish {target}: {part} was changed after it was written, and can't be read "
            f"({describe_error(error)}). Use --restart to start from the beginning."
        ) from error


def _write_groups(file: IO[bytes], batches: Iterable[Any]) -> None:
    """Write a file of row groups of about `GROUP_SIZE` bytes each."""
    pa, schema = import_pyarrow(), make_schema()
    settings = {"compression": "zstd", "write_page_checksum": True}
    with pa.parquet.ParquetWriter(_Counted(file), schema, **settings) as writer:
        held: List[Any] = []
        size = 0
        for batch in batches:
            held.append(batch)
            size += batch.nbytes
            if size >= GROUP_SIZE:
                writer.write_table(pa.Table.from_batches(held))
                held, size = [], 0
        if held:
            writer.write_table(pa.Table.from_batches(held))


class _Counted:
    """A file to write that knows its position, which pyarrow asks for: pipes have none.

    file (IO[bytes]): The file.
    """

    closed = False

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.n_bytes = 0

    def write(self, data: bytes) -> None:
        self.n_bytes += self.file.write(data)

    def tell(self) -> int:
        return self.n_bytes

    def flush(self) -> None:
        self.file.flush()

    def writable(self) -> bool:
        return True
