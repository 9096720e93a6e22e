"""The workflows of projects/students, with a tiny encoder on a small corpus."""

import pytest
import spacy

from .projects import IOB2, check_project, copy_project, run_workflow
from .toy import save_encoder
from .util import TEXT

VARS = {
    "train": "corpus.iob2",
    "dev": "corpus.iob2",
    "test": "corpus.iob2",
    "texts": "texts.txt",
    "batch_size": 2,
    "steps": 2,
    "warmup": 1,
    "small_steps": 2,
    "self_steps": 2,
    "self_warmup": 1,
    "small_warmup": 1,
    "eval_frequency": 1,
    "layers": 1,
}
MODELS = {"teacher": "teacher", "compress": "small", "born-again": "again", "self-training": "self"}


@pytest.fixture
def project(tmp_path, tmp_path_factory, monkeypatch, project_in_process):
    encoder = save_encoder(tmp_path_factory.mktemp("encoder"), "bert", max_position_embeddings=128)
    copy_project("students", tmp_path, encoder=encoder, **VARS)
    (tmp_path / "corpus.iob2").write_text(IOB2, encoding="utf-8")
    (tmp_path / "texts.txt").write_text(TEXT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("workflow", MODELS)
def test_workflow(project, workflow):
    run_workflow(workflow)
    folder = project / "training" / MODELS[workflow]
    assert folder.with_suffix(".json").exists()
    config = spacy.load(folder / "model-last").config
    loss = config["components"]["bert_ner"]["loss"]
    if workflow == "teacher":
        assert loss["@losses"] == "spacy-bert-ner.CrossEntropy.v1"
        assert loss["label_weights"] == {"O": 0.4}
    else:
        assert loss["@losses"] == "spacy-bert-ner.Distillation.v1"
        assert loss["loss"]["label_weights"] == {"O": 0.4}
    encoder = config["vars"]["encoder"]
    assert (encoder == "training/encoder") == (workflow == "compress")


def test_project_is_complete():
    check_project("students")
