"""Encoders whose vectors are nearly parallel, and what init-config and debug-data say of them."""

import json

import numpy
import pytest
import spacy
import torch
from spacy.util import load_config_from_str
from transformers import AutoModel, AutoTokenizer

from spacy_bert_ner.commands.debug_data import debug_data
from spacy_bert_ner.commands.init_config import init_config
from spacy_bert_ner.commands.similarity import (
    MOST_OF_DOC,
    MOST_TOKENS,
    ONE_WAY,
    get_mean_cosine,
    measure_similarity,
    take_docs,
)

from ..toy import save_encoder
from ..util import plain, run_cli

TEXT = {"text": "Anna met Karl in New York.", "spans": [{"start": 0, "end": 4, "label": "PER"}]}


def save_pushed(folder, push):
    """An encoder whose last layer adds the same number to all of every vector."""
    path = save_encoder(folder, "bert", max_position_embeddings=128)
    model = AutoModel.from_pretrained(path)
    with torch.no_grad():
        model.encoder.layer[-1].output.LayerNorm.bias += push
    model.save_pretrained(path)
    AutoTokenizer.from_pretrained(path).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Encoders with vectors in all directions and in one, and data."""
    folder = tmp_path_factory.mktemp("similar")
    for name, push in (("many", 0.0), ("one", 5.0)):
        (folder / name).mkdir()
        save_pushed(folder / name, push)
    (folder / "train.jsonl").write_text(json.dumps(TEXT) + "\n", encoding="utf-8")
    return folder


def test_mean_cosine():
    assert get_mean_cosine(numpy.eye(3)) == pytest.approx(0.0)
    assert get_mean_cosine(numpy.ones((3, 4)) * [[1], [2], [3]]) == pytest.approx(1.0)
    assert get_mean_cosine(numpy.array([[1.0, 0.0], [-2.0, 0.0]])) == pytest.approx(-1.0)
    assert get_mean_cosine(numpy.ones((1, 4))) is None
    vectors = numpy.random.default_rng(0).normal(1.0, 1.0, (20, 8))
    units = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [units[i] @ units[j] for i in range(20) for j in range(20) if i != j]
    assert get_mean_cosine(vectors) == pytest.approx(numpy.mean(pairs))
    assert get_mean_cosine(numpy.zeros((3, 4))) == 0.0


def test_some_of_the_data_is_enough():
    nlp = spacy.blank("xx")
    docs = (nlp("a " * n) for n in [0, 3] + [10 * MOST_OF_DOC] * 1000)
    lengths = [len(doc) for doc in take_docs(docs)]
    assert lengths[:2] == [3, MOST_OF_DOC]
    assert MOST_TOKENS <= sum(lengths) < MOST_TOKENS + MOST_OF_DOC


def test_vectors_of_first_pieces(files):
    similarity = [
        measure_similarity(str(files / name), files / "train.jsonl", "en")
        for name in ("many", "one")
    ]
    assert similarity[0] < ONE_WAY < similarity[1] < 1.0


@pytest.mark.parametrize("recipe", ["bert_ner", "accurate", "zero_shot"])
def test_init_config_gives_the_head_a_rate(files, recipe):
    def get_optimizer(name, train=files / "train.jsonl"):
        text = init_config(recipe=recipe, encoder=str(files / name), train=train)
        return load_config_from_str(text)["training"]["optimizer"], text

    optimizer, text = get_optimizer("one")
    assert optimizer["@optimizers"] == "spacy-bert-ner.LayeredAdam.v1"
    assert optimizer["head_factor"] == 50.0
    assert "nearly parallel" in text
    made = spacy.registry.resolve({"optimizer": optimizer | {"learn_rate": 0.001}})["optimizer"]
    assert made.head_factor == 50.0
    for other, text in (get_optimizer("many"), get_optimizer("one", train=None)):
        assert other.get("head_factor") != 50.0
        assert "nearly parallel" not in text


def test_debug_data_tells(files):
    path = files / "config.cfg"
    splits = [
        "--paths.train",
        str(files / "train.jsonl"),
        "--paths.dev",
        str(files / "train.jsonl"),
    ]
    path.write_text(init_config(encoder=str(files / "one")), encoding="utf-8")
    result = run_cli("debug-data", path, *splits)
    assert result.exit_code == 0, result.output
    assert "vectors are nearly parallel (mean cosine 0." in plain(result)
    assert "with head_factor = 50" in plain(result)
    text = init_config(encoder=str(files / "one"), train=files / "train.jsonl")
    path.write_text(text, encoding="utf-8")
    assert "nearly parallel" not in run_cli("debug-data", path, *splits).output
    overrides = {"paths.train": splits[1], "paths.dev": splits[3]}
    path.write_text(init_config(encoder=str(files / "many")), encoding="utf-8")
    encoder = debug_data(path, overrides).train.encoders["transformer"]
    assert not encoder.has_slow_heads
    assert encoder.as_dict()["similarity"] == pytest.approx(encoder.similarity)
    assert len(encoder.first) == 1
