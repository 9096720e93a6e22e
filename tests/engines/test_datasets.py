"""The recipe for Hugging Face datasets. `make engines` installs them."""

import warnings

import pytest

from .util import annotate_file, read_code, read_output, round_scores, write_texts

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("datasets")

pytestmark = pytest.mark.filterwarnings("ignore")


def test_page(project, monkeypatch):
    """The code of the page, as it stands there."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(project / "cache"))
    path = write_texts(project / "texts.parquet", 50)
    exec(compile(read_code("Hugging Face datasets"), "docs/scale.md", "exec"), {})
    (project / "entities").mkdir()
    (project / "entities.parquet").rename(project / "entities" / "a.parquet")
    made = round_scores(read_output("entities"))
    assert made == round_scores(annotate_file("training/sample/model-last", path))
