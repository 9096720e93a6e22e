"""The same numbers as Hugging Face's classes, in and out."""

import numpy
import pytest
import safetensors.torch
import spacy
from spacy.tokens import Doc

from spacy_bert_ner import from_huggingface, to_huggingface

from .. import toy
from .util import NAMES, TEXTS, get_hf_logits, make_checkpoint

FAMILIES = sorted(toy.FAMILIES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A checkpoint of each family, made when it is asked for."""
    base = tmp_path_factory.mktemp("checkpoints")

    def get(family):
        if not (base / family).exists():
            make_checkpoint(base / family, family)
        return str(base / family)

    return get


def log_softmax(logits):
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - numpy.log(numpy.exp(logits).sum(axis=-1, keepdims=True))


def predict(nlp, texts):
    """Logarithms of the probabilities of our tags, on words between spaces."""
    docs = [Doc(nlp.vocab, words=text.split(" ")) for text in texts]
    transformer, ner = nlp.get_pipe("transformer"), nlp.get_pipe("bert_ner")
    transformer.set_annotations(docs, transformer.predict(docs))
    return [numpy.log(probs) for probs in ner.predict(docs)]


def weights_of(path):
    return safetensors.torch.load_file(f"{path}/model.safetensors")


@pytest.mark.parametrize("family", FAMILIES)
def test_round_trip(family, folders, tmp_path):
    """In: the same logits; out: the same logits; in again: the same bytes."""
    nlp = from_huggingface(folders(family))
    tags = nlp.get_pipe("bert_ner").tag_set.tags
    order = [NAMES.index(tag) for tag in tags]
    found = predict(nlp, TEXTS)
    for ours, theirs in zip(found, get_hf_logits(folders(family), TEXTS)):
        numpy.testing.assert_allclose(ours, log_softmax(theirs[:, order]), atol=1e-5)
    to_huggingface(nlp, tmp_path / "out")
    for ours, theirs in zip(found, get_hf_logits(tmp_path / "out", TEXTS)):
        numpy.testing.assert_allclose(ours, log_softmax(theirs), atol=1e-5)
    again = from_huggingface(str(tmp_path / "out"))
    to_huggingface(again, tmp_path / "again")
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    original = weights_of(folders(family))
    exported = weights_of(tmp_path / "out")
    assert set(original) == set(exported)
    n_rows = 0
    for name, tensor in original.items():
        if tensor.shape[:1] == (len(NAMES),) and name.startswith("classifier"):
            tensor = tensor[order]
            n_rows += 1
        assert tensor.equal(exported[name]), name
    assert n_rows == 2


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_saved(family, folders, tmp_path):
    """From disk: the same numbers, without the checkpoint."""
    nlp = from_huggingface(folders(family))
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    for ours, theirs in zip(predict(loaded, TEXTS), predict(nlp, TEXTS)):
        numpy.testing.assert_array_equal(ours, theirs)
    assert loaded.to_bytes() == nlp.to_bytes()


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "deberta-v2"])
def test_inlined(family, folders, tmp_path):
    """A component with the encoder inside is exported as one that listens."""
    nlp = from_huggingface(folders(family))
    to_huggingface(nlp, tmp_path / "listening")
    nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    nlp.remove_pipe("transformer")
    to_huggingface(nlp, tmp_path / "inlined")
    for name in ("model.safetensors", "config.json"):
        first, second = (tmp_path / kind / name for kind in ("listening", "inlined"))
        assert first.read_bytes() == second.read_bytes()


def test_half_precision_in_full(tmp_path):
    path = make_checkpoint(tmp_path)
    weights = {name: tensor.half() for name, tensor in weights_of(path).items()}
    safetensors.torch.save_file(weights, f"{path}/model.safetensors", metadata={"format": "pt"})
    nlp = from_huggingface(path)
    encoder = nlp.get_pipe("transformer").model.shims[0].encoder.model
    assert {str(param.dtype) for param in encoder.parameters()} == {"torch.float32"}


def test_settings(tmp_path):
    nlp = from_huggingface(make_checkpoint(tmp_path))
    assert nlp.pipe_names == ["transformer", "bert_ner", "doc_cleaner"]
    cfg = nlp.get_pipe("bert_ner").cfg
    assert (cfg["scheme"], cfg["align"], cfg["decoder"]) == ("BIO", "token", "greedy")
    assert nlp.get_pipe_config("bert_ner")["model"]["dropout"] == 0.1
    assert nlp.get_pipe("transformer").model.attrs["settings"].window == toy.POSITIONS
    assert nlp("Anna lives in Oslo.")._.trf_data is None
    nlp = from_huggingface(str(tmp_path), "de", align="word", decoder="constrained", window=12)
    cfg = nlp.get_pipe("bert_ner").cfg
    assert (nlp.lang, cfg["align"], cfg["decoder"]) == ("de", "word", "constrained")
    assert nlp.get_pipe("transformer").model.attrs["settings"].window == 12


def test_settings_survive_the_export(tmp_path):
    path = make_checkpoint(tmp_path / "in")
    nlp = from_huggingface(path, align="word", decoder="constrained", window=12)
    to_huggingface(nlp, tmp_path / "out")
    again = from_huggingface(str(tmp_path / "out"))
    assert again.get_pipe("bert_ner").cfg == nlp.get_pipe("bert_ner").cfg
    assert again.get_pipe("transformer").model.attrs["settings"].window == 12
    other = from_huggingface(str(tmp_path / "out"), align="token")
    assert other.get_pipe("bert_ner").cfg["align"] == "token"
