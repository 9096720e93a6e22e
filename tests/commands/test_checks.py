"""GPUs that this machine may not have: the facts that thinc knows are replaced."""

from types import SimpleNamespace

import pytest
import spacy
import thinc.api
from thinc import compat

from spacy_bert_ner.commands.checks import require_gpu
from spacy_bert_ner.commands.resumable import get_precisions
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.model.encoder import precision

from ..util import plain, run_cli


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs. RETURNS (List[int]): Those that were chosen."""
    chosen = []
    runtime = SimpleNamespace(getDeviceCount=lambda: 2)
    monkeypatch.setattr(compat, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    monkeypatch.setattr(compat, "has_cupy_gpu", True)
    monkeypatch.setattr(compat, "has_torch_cuda_gpu", True)
    monkeypatch.setattr(thinc.api, "require_gpu", chosen.append)
    return chosen


def test_chosen(gpus):
    require_gpu(-1)
    require_gpu(1)
    assert gpus == [1]


def test_number_of_no_gpu(gpus):
    with pytest.raises(UserError, match=r"Can't use GPU 2: the GPUs are numbered from 0 to 1\. Le"):
        require_gpu(2)
    assert gpus == []


def test_torch_without_cuda(gpus, monkeypatch):
    monkeypatch.setattr(compat, "has_torch_cuda_gpu", False)
    with pytest.raises(UserError, match="GPU 0: CuPy finds it, but torch doesn't. Install torch"):
        require_gpu(0)
    assert gpus == []
    monkeypatch.setattr(compat, "has_torch", False)  # an exported pipeline
    require_gpu(0)
    assert gpus == [0]


@pytest.mark.parametrize("command", ["profile", "annotate", "evaluate"])
def test_commands(command, gpus, tiny_pipeline, tmp_path):
    (tmp_path / "texts.txt").write_text("Karl", encoding="utf-8")
    result = run_cli(command, tiny_pipeline, tmp_path / "texts.txt", "--use-gpu", 2)
    assert result.exit_code == 1
    assert "the GPUs are numbered from 0 to 1" in plain(result.output)


def test_precisions(tiny_pipeline, monkeypatch):
    """Of a transformer, which "auto" leaves to the hardware."""
    config = {"components.transformer.model.precision": "auto"}
    nlp = spacy.load(tiny_pipeline, config=config)
    monkeypatch.setattr(precision, "has_bf16", lambda device_type: True)
    assert get_precisions(nlp) == ["bf16"]
    monkeypatch.setattr(precision, "has_bf16", lambda device_type: False)
    assert get_precisions(nlp) == ["fp32"]
