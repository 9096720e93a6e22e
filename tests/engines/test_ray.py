"""Ray Data, on a cluster of two workers. `make engines` installs Ray."""

import warnings
from types import SimpleNamespace

import pytest

from spacy_bert_ner.engines.ray import annotate

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
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def cluster(project, killing):
    """Ray gives its workers a low priority, and 60 seconds to start: on a busy machine, they may
    need more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_worker_register_timeout_seconds", "600")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def run(path, pipeline, **settings):
    ds = ray.data.read_parquet(str(path)).repartition(8)
    return annotate(ds, str(pipeline), workers=2, **settings).take_all()


def test_rows_are_those_of_annotate(tiny_pipeline, tmp_path):
    path = write_texts(tmp_path / "in.parquet", 400)
    assert sort_rows(run(path, tiny_pipeline, max_words=1)) == annotate_file(tiny_pipeline, path, 1)
    rows = sort_rows(run(path, tiny_pipeline))
    assert_alike(rows, annotate_file(tiny_pipeline, path))


def test_killed_worker(tiny_pipeline, killing, tmp_path):
    """Ray starts another one. Each record is there once."""
    path = write_texts(tmp_path / "deadly.parquet", 400, last="deadly")
    rows = run(path, killing, max_words=50)
    assert (killing.parent / "marker").exists()
    assert_alike(sort_rows(rows), annotate_file(tiny_pipeline, path))
    assert len({row["text"] for row in rows}) == len(rows) == 401


def test_share_of_a_gpu():
    """Ray shows an actor its own GPU as the first one."""
    ds = SimpleNamespace(map_batches=lambda actor, **settings: settings)
    settings = annotate(ds, "pipeline", workers=8, threads=2, gpu_share=0.25)
    assert (settings["num_cpus"], settings["num_gpus"]) == (2, 0.25)
    (annotator,) = settings["fn_constructor_args"]
    assert (annotator.threads, annotator.use_gpu) == (2, 0)
    (annotator,) = annotate(ds, "pipeline")["fn_constructor_args"]
    assert annotator.use_gpu == -1


def test_broken_rows(ruler_path, tmp_path):
    path = write_texts(tmp_path / "in.parquet", 20)
    with pytest.raises(Exception, match="none of its columns is named 'body'"):
        run(path, ruler_path, column="body")


def test_page(project):
    """The code of the page, as it stands there."""
    path = write_texts(project / "long.parquet", 50)
    exec(compile(read_code("Ray Data"), "docs/scale.md", "exec"), {})
    # The pipeline of the page may use bf16.
    expected = annotate_file("training/sample/model-last", path)
    assert_alike(read_output("ray-entities"), expected, most=0.02)
