"""Spark, with two local workers. `make engines` installs PySpark; Java is the system's."""

import os
import shutil
import sys
import warnings

import pytest

from spacy_bert_ner.engines.spark import SCHEMA, annotate
from spacy_bert_ner.formats.arrow_rows import make_schema

from .util import (
    annotate_file,
    assert_alike,
    read_code,
    read_output,
    sort_rows,
    write_texts,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("pyspark")
    from pyspark.sql import SparkSession
    from pyspark.sql.pandas.types import from_arrow_schema
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("there is no Java", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def spark(project, killing):
    """Two workers; a task that fails is run again, as on a cluster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.master("local[2, 4]").appName("tests")
        session = builder.config("spark.ui.enabled", "false").getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


def run(spark, path, pipeline, **settings):
    df = spark.read.parquet(str(path)).repartition(8)
    return [row.asDict(True) for row in annotate(df, str(pipeline), **settings).collect()]


def test_schema(spark):
    assert spark.createDataFrame([], SCHEMA).schema == from_arrow_schema(make_schema())


def test_rows_are_those_of_annotate(spark, tiny_pipeline, tmp_path):
    """Also ids of a column with nulls, which pandas would make floats of."""
    path = write_texts(tmp_path / "in.parquet", 400)
    rows = sort_rows(run(spark, path, tiny_pipeline, max_words=1))
    assert rows == annotate_file(tiny_pipeline, path, 1)
    rows = sort_rows(run(spark, path, tiny_pipeline))
    assert_alike(rows, annotate_file(tiny_pipeline, path))


def test_killed_worker(spark, tiny_pipeline, killing, tmp_path):
    """Spark runs its task again. Each record is there once."""
    path = write_texts(tmp_path / "deadly.parquet", 400, last="deadly")
    rows = run(spark, path, killing, max_words=50)
    assert (killing.parent / "marker").exists()
    assert_alike(sort_rows(rows), annotate_file(tiny_pipeline, path))
    assert len({row["text"] for row in rows}) == len(rows) == 401


def test_page(spark, project):
    """The code of the page, as it stands there."""
    path = write_texts(project / "long.parquet", 50)
    exec(compile(read_code("Spark"), "docs/scale.md", "exec"), {})
    # The pipeline of the page may use bf16.
    expected = annotate_file("training/sample/model-last", path)
    assert_alike(read_output("spark-entities"), expected, most=0.02)
