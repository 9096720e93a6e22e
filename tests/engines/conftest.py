"""The folder in which engines start: workers can't follow this process to another one."""

import pytest

from ..util import ROOT
from .util import add_killer, add_to_path


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The present folder, with what the blocks of docs/scale.md name."""
    path = "training/sample/model-last"
    assert (ROOT / path).exists(), f"there is no {path}: run `make engines`, which trains it"
    folder = tmp_path_factory.mktemp("project")
    (folder / path).parent.mkdir(parents=True)
    (folder / path).symlink_to(ROOT / path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def killing(tiny_pipeline, tmp_path_factory):
    """A pipeline that kills its process once, see `add_killer`, on the path of new processes."""
    folder = tmp_path_factory.mktemp("killing")
    with pytest.MonkeyPatch.context() as patch:
        add_to_path(patch, folder)
        yield add_killer(tiny_pipeline, folder)
