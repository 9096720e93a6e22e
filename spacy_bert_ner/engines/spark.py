"""Spark: find the entities in a DataFrame."""

from typing import Any

from .annotator import MAX_WORDS, Annotator

# What is written, see `make_schema`.
SCHEMA = """
    text string, id string, meta string, spans array<struct<start: bigint, end: bigint,
    token_start: bigint, token_end: bigint, label: string, score: double>>
"""


def annotate(
    df: Any,
    pipeline: str,
    *,
    column: str = "text",
    max_words: int = MAX_WORDS,
    skip_broken: bool = False,
    threads: int = 1,
    use_gpu: int = -1,
) -> Any:
    """Find the entities in the texts of a DataFrame of Spark. Each Python worker loads the pipeline
    once, and annotates a partition at a time. If a worker is lost, Spark runs the task again.

    It uses `mapInArrow`, not `mapInPandas`: in pandas, whole numbers of a column with nulls would
    become floats, so ids and meta would change.

    df (pyspark.sql.DataFrame): The DataFrame.
    pipeline (str): Path or name of a trained pipeline, which all workers can load.
    column, max_words, skip_broken, threads, use_gpu (Any): See `Annotator`.
    RETURNS (pyspark.sql.DataFrame): The same rows as the command `annotate` writes to a Parquet
        file, computed as they are needed.
    """
    annotator = Annotator(pipeline, column, max_words, skip_broken, threads, use_gpu)
    return df.mapInArrow(annotator.annotate, SCHEMA)
