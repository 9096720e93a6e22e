"""What engines do in a process, without them."""

import pickle

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from spacy_bert_ner.engines import annotator as module
from spacy_bert_ner.engines.annotator import Annotator
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats.arrow_rows import make_schema

from .util import annotate_file, sort_rows, write_texts


@pytest.fixture
def table(tmp_path):
    return pq.read_table(write_texts(tmp_path / "in.parquet", 40))


def test_rows_are_those_of_annotate(tiny_pipeline, table, tmp_path):
    """To the last digit of scores, if batches are the same: here, each document is one."""
    expected = annotate_file(tiny_pipeline, tmp_path / "in.parquet", batch_size=1)
    annotator = pickle.loads(pickle.dumps(Annotator(str(tiny_pipeline), max_words=1)))
    made = annotator.annotate_table(table)
    assert made.schema == make_schema()
    assert sort_rows(made.to_pylist()) == expected
    assert sum(len(row["spans"]) for row in made.to_pylist()) > 10


def test_batches_by_words(ruler_path, table, monkeypatch):
    sizes, predict = [], module.predict

    def count(nlp, docs, **settings):
        sizes.append([len(doc) for doc in docs])
        return predict(nlp, docs, **settings)

    monkeypatch.setattr(module, "predict", count)
    Annotator(str(ruler_path), max_words=30).annotate_table(table)
    assert sum(map(len, sizes)) == 40
    for batch in sizes[:-1]:
        assert sum(batch) >= 30 > sum(batch[:-1])


def test_pipeline_is_loaded_once(ruler_path, table, monkeypatch):
    loaded, load = [], module.load_in_worker

    def count(*args):
        loaded.append(args)
        return load(*args)

    module._load.cache_clear()
    monkeypatch.setattr(module, "load_in_worker", count)
    for max_words in (5, 50):
        Annotator(str(ruler_path), max_words=max_words).annotate_table(table)
    assert loaded == [(str(ruler_path), -1, 1)]


def test_empty_tables(ruler_path, table):
    made = Annotator(str(ruler_path)).annotate_table(table.slice(0, 0))
    assert made.num_rows == 0 and made.schema == make_schema()
    assert list(Annotator(str(ruler_path)).annotate([])) == []


def test_broken_rows(ruler_path, caplog):
    table = pa.table({"text": ["Oslo", None, "Bo"]})
    with pytest.raises(UserError, match="Can't read record 2 of the table: its text is null"):
        Annotator(str(ruler_path)).annotate_table(table)
    made = Annotator(str(ruler_path), skip_broken=True).annotate_table(table)
    assert [row["text"] for row in made.to_pylist()] == ["Oslo", "Bo"]
    assert "record 2 of the table: its text is null" in caplog.text
    with pytest.raises(UserError, match="none of its columns is named 'body'"):
        Annotator(str(ruler_path), column="body").annotate_table(table)


def test_pipelines_that_find_nothing(tmp_path):
    import spacy

    spacy.blank("xx").to_disk(tmp_path / "blank")
    with pytest.raises(UserError, match="sets no entities"):
        Annotator(str(tmp_path / "blank")).load()
    with pytest.raises(UserError, match="There is no pipeline"):
        Annotator(str(tmp_path / "none")).load()
