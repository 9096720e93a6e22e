"""Smaller encoders, and the students that begin with them."""

import json
from pathlib import Path

import numpy
import pytest
import spacy
import torch
from spacy.cli.evaluate import evaluate
from spacy.cli.train import train as train_config
from thinc.api import fix_random_seed
from transformers import AutoModel, AutoModelForTokenClassification, AutoTokenizer

from spacy_bert_ner.commands.label import label
from spacy_bert_ner.commands.shrink import shrink
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.tagging.soft_labels import get_soft_labels
from spacy_bert_ner.training.corpus import Corpus

from ..toy import save_encoder
from ..util import (
    CONFIG_FOLDER,
    CRF,
    EXPECTED,
    TEXT,
    encoder_of,
    get_ents,
    make_example,
    make_nlp,
    run_cli,
)

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def train(folder, **settings):
    """RETURNS (str): A pipeline with an encoder of three layers that knows one text."""
    name = save_encoder(folder / "encoder", "bert", num_hidden_layers=3, **NO_DROPOUT)
    fix_random_seed(0)
    nlp = make_nlp({"name": name, "window": 0}, **settings)
    nlp.add_pipe("doc_cleaner", config={"attrs": {"_.trf_data": None}})
    examples = [make_example(nlp)]
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 1e-2
    for _ in range(80):
        losses = nlp.update(examples, sgd=sgd, drop=0.0)
    assert losses["bert_ner"] < 0.05
    nlp.to_disk(folder / "teacher")
    return str(folder / "teacher")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return train(tmp_path_factory.mktemp("teacher"))


@pytest.mark.parametrize(("first", "kept"), [(False, [0, 2]), (True, [0, 1])])
def test_an_encoder(teacher, tmp_path, first, kept):
    """Hugging Face opens it, and so does a config."""
    shrink(teacher, tmp_path / "small", 2, first=first)
    model = AutoModel.from_pretrained(tmp_path / "small")
    theirs = encoder_of(spacy.load(teacher))
    assert model.config.num_hidden_layers == 2
    for new, old in enumerate(kept):
        for one, other in zip(
            theirs.encoder.layer[old].parameters(), model.encoder.layer[new].parameters()
        ):
            assert torch.equal(one, other)
    assert AutoTokenizer.from_pretrained(tmp_path / "small").is_fast
    nlp = make_nlp({"name": str(tmp_path / "small"), "window": 0})
    nlp.initialize(lambda: [make_example(nlp)])
    assert encoder_of(nlp).config.num_hidden_layers == 2
    assert not list(tmp_path.glob(".small*"))


def test_with_the_classifier(teacher, tmp_path):
    """Where training begins with it."""
    shrink(teacher, tmp_path / "small", 2, head=True)
    model = AutoModelForTokenClassification.from_pretrained(tmp_path / "small")
    W = spacy.load(teacher).get_pipe("bert_ner").model.get_ref("output_layer").get_param("W")
    numpy.testing.assert_array_equal(model.classifier.weight.detach().numpy(), W)
    nlp = make_nlp({"name": str(tmp_path / "small"), "window": 0})
    block = {"@misc": "spacy-bert-ner.HuggingFaceCheckpoint.v1", "name": str(tmp_path / "small")}
    nlp.config["initialize"]["components"]["bert_ner"] = {"checkpoint": block}
    nlp.initialize(lambda: [make_example(nlp)])
    ours = nlp.get_pipe("bert_ner").model.get_ref("output_layer").get_param("W")
    numpy.testing.assert_array_equal(ours, W)
    assert nlp.get_pipe("bert_ner").labels == ("LOC", "PER")


def test_crf(tmp_path):
    """Its encoder; its classifier has no place at Hugging Face's."""
    path = train(tmp_path, component=CRF)
    shrink(path, tmp_path / "small", 1)
    assert json.loads((tmp_path / "small" / "config.json").read_text())["num_hidden_layers"] == 1
    with pytest.raises(UserError, match="models have no transitions"):
        shrink(path, tmp_path / "other", 1, head=True)
    assert not (tmp_path / "other").exists()


def test_refused(teacher, tmp_path):
    with pytest.raises(UserError, match="which has 3 layers, to 3: choose 1 to 2 layers"):
        shrink(teacher, tmp_path / "small", 3)
    with pytest.raises(UserError, match="it is the input"):
        shrink(teacher, Path(teacher), 2, force=True)
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(UserError, match="no bert_ner"):
        shrink(str(tmp_path / "blank"), tmp_path / "small", 2)
    assert not (tmp_path / "small").exists()


def test_command(teacher, tmp_path):
    result = run_cli("shrink", teacher, tmp_path / "small", "--layers", "2")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"Wrote {tmp_path / 'small'}: 2 layers of the encoder of ")
    result = run_cli("shrink", teacher, tmp_path / "small", "--layers", "1")
    assert (result.exit_code, "isn't empty" in result.output) == (1, True)
    words = ("shrink", teacher, tmp_path / "small", "--layers", "2", "--first", "--force")
    result = run_cli(*words)
    assert result.exit_code == 0, result.output
    shrink(teacher, tmp_path / "other", 2, first=True)
    expected = (tmp_path / "other" / "model.safetensors").read_bytes()
    assert (tmp_path / "small" / "model.safetensors").read_bytes() == expected
    result = run_cli("shrink", teacher, tmp_path / "third", "--layers", "0")
    assert result.exit_code == 2


def test_a_student_of_two_layers(teacher, tmp_path):
    """From a teacher to an evaluated student by configs/student.cfg, without any label."""
    (tmp_path / "raw.txt").write_text(f"{TEXT}\n" * 3, encoding="utf-8")
    label([teacher], tmp_path / "raw.txt", tmp_path / "train.spacy", source="lines")
    shrink(teacher, tmp_path / "small", 2)
    nlp = spacy.blank("en")
    examples = list(Corpus(tmp_path / "train.spacy")(nlp))
    assert all(get_soft_labels(example.reference) for example in examples)
    overrides = {
        "paths.train": str(tmp_path / "train.spacy"),
        "paths.dev": str(tmp_path / "train.spacy"),
        "vars.encoder": str(tmp_path / "small"),
        "components.transformer.model.window": 0,
        "components.transformer.model.precision": "fp32",
        "training.max_steps": 60,
        "training.eval_frequency": 60,
        "training.dropout": 0.0,
        "training.optimizer.learn_rate.initial_rate": 0.01,
        "training.optimizer.learn_rate.warmup_steps": 5,
        "training.logger.progress_bar": False,
    }
    train_config(CONFIG_FOLDER / "student.cfg", tmp_path / "out", overrides=overrides)
    student = spacy.load(tmp_path / "out" / "model-last")
    assert encoder_of(student).config.num_hidden_layers == 2
    assert get_ents(student(TEXT)) == EXPECTED
    scores = evaluate(str(tmp_path / "out" / "model-last"), tmp_path / "train.spacy", silent=True)
    assert scores["ents_f"] == 1.0
