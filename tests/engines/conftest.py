"""Pages and pipelines that the tests of engines use."""

import pytest

from ..util import ROOT


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the trained pipeline and texts that blocks of docs/scale.md name."""
    path = "training/sample/model-last"
    assert (ROOT / path).exists(), f"there is no {path}: run `make engines`, which trains it"
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).symlink_to(ROOT / path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
