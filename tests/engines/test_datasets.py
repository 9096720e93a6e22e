"""The recipe for Hugging Face datasets. `make engines` installs them."""

import warnings

import pytest

from .util import annotate_file, assert_alike, read_code, read_output, write_texts

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("datasets")

pytestmark = pytest.mark.filterwarnings("ignore")


def test_page(project, monkeypatch):
    """The code of the page, as it stands there."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", project / "cache")
    path = write_texts(project / "long.parquet", 50)
    exec(compile(read_code("Hugging Face datasets"), "docs/scale.md", "exec"), {})
    (project / "entities").mkdir()
    (project / "entities.parquet").rename(project / "entities" / "a.parquet")
    # The pipeline of the page may use bf16.
    expected = annotate_file("training/sample/model-last", path)
    assert_alike(read_output("entities"), expected, most=0.02)
