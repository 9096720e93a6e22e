"""What all engines do in a worker process: tables of texts to tables of entities."""

from functools import lru_cache
from pathlib import Path
from typing import Any, Iterable, Iterator, NamedTuple

from spacy.language import Language

from ..commands.annotate import predict
from ..commands.jobs import load_in_worker
from ..commands.pipelines import explain_no_ents, explain_pipeline
from ..errors import UserError, warn
from ..formats import Reader, Report, read_records
from ..formats.arrow_rows import (
    check_columns,
    import_pyarrow,
    iter_rows,
    make_batches,
    make_schema,
    parse,
)
from ..formats.source import Source
from ..zones import take_batches, take_words

# What to call a table in messages.
TABLE = Path("the table")
MAX_WORDS = 20_000


class Annotator(NamedTuple):
    """Finds the entities in tables. It can be sent to another process, which loads the pipeline
    when it is first needed, and keeps it.

    pipeline (str): Path or name of a trained pipeline, which all workers can load.
    column (str): Name of the column with the texts.
    max_words (int): A batch to predict ends with the document with which it has so many words.
    skip_broken (bool): Leave out rows that can't be read, with a warning, instead of raising an
        error.
    threads (int): Threads of torch in each process.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    """

    pipeline: str
    column: str = "text"
    max_words: int = MAX_WORDS
    skip_broken: bool = False
    threads: int = 1
    use_gpu: int = -1

    def load(self) -> Language:
        """RETURNS (Language): The pipeline, always the same one in a process.
        RAISES (UserError): If it can't be loaded, or sets no entities.
        """
        return _load(self.pipeline, self.use_gpu, self.threads)

    def annotate(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Find the entities in a table, as the command `annotate` does in a Parquet file.

        batches (Iterable[pyarrow.RecordBatch]): The table, in batches of rows. Other columns than
            that with the texts become the meta, except for `id`.
        YIELDS (pyarrow.RecordBatch): Rows with the columns of `make_schema`.
        RAISES (UserError): For a table that can't be read.
        """
        nlp = self.load()
        report = Report(skip_broken=self.skip_broken)
        rows = iter_rows(TABLE, self._check(batches), self.column)
        reader = Reader(lambda source: rows, parse)
        docs = read_records(reader, Source(TABLE, nlp, self.column), report)
        with explain_pipeline(self.pipeline):
            for batch in take_batches([nlp], docs, take_words(self.max_words)):
                found = predict(nlp, batch, batch_size=max(1, len(batch)))
                yield from make_batches(found, report, len(batch))
        if report.message():
            warn(report.message())

    def annotate_table(self, table: Any) -> Any:
        """RETURNS (pyarrow.Table): The rows of a table with their entities, see `annotate`.
        RAISES (UserError): If it can't be read.

        table (pyarrow.Table): The table.
        """
        batches = self.annotate(table.to_batches())
        return import_pyarrow().Table.from_batches(batches, make_schema())

    def _check(self, batches: Iterable[Any]) -> Iterator[Any]:
        for batch in batches:
            check_columns(TABLE, batch.schema, self.column)
            yield batch


@lru_cache(maxsize=1)
def _load(pipeline: str, use_gpu: int, threads: int) -> Language:
    nlp = load_in_worker(pipeline, use_gpu, threads)
    no_ents = explain_no_ents(nlp, pipeline)
    if no_ents is not None:
        raise UserError(no_ents)
    return nlp
