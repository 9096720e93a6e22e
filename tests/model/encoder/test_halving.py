"""A GPU without enough memory, of which only the error is simulated."""

import pytest
import spacy
import torch
from numpy.testing import assert_allclose
from spacy.training import Example

from spacy_bert_ner.errors import UserError
from tests.toy import save_encoder

TEXTS = ["Anna lives in Oslo.", "She works.", "Peter went to Rome with Maria on Monday."]
MOST = 40  # wordpieces for which there is memory


@pytest.fixture
def nlp(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    block = {"@architectures": "spacy-bert-ner.TransformerModel.v1", "window": 0}
    block["name"] = save_encoder(tmp_path / "encoder", "bert")
    block["batch_pieces"] = 1000
    block["transformer_config"] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    nlp.add_pipe("transformer", config={"model": block})
    nlp.add_pipe("bert_ner").add_label("PER")
    nlp.initialize()
    return nlp


def limit(nlp, monkeypatch, name, most):
    """A shim that runs out of memory for larger micro-batches, and the sizes that it was given."""
    shim, sizes = nlp.get_pipe("transformer").model.shims[0], []
    original = getattr(shim, name)

    def encode(batch, **kwargs):
        sizes.append(batch.ids.size)
        if batch.ids.size > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return original(batch, **kwargs)

    monkeypatch.setattr(shim, name, encode)
    return sizes


def make_examples(nlp):
    return [
        Example.from_dict(nlp.make_doc(text), {"entities": [(0, text.index(" "), "PER")]})
        for text in TEXTS
    ]


def get_vectors(nlp):
    return [doc._.trf_data.model_output.last_hidden_state for doc in nlp.pipe(TEXTS)]


def test_no_document_is_lost(nlp, monkeypatch, caplog):
    before = get_vectors(nlp)
    sizes = limit(nlp, monkeypatch, "encode", MOST)
    for _ in range(2):
        for vectors, expected in zip(get_vectors(nlp), before):
            assert_allclose(vectors, expected, atol=1e-5)
    (message,) = [record.getMessage() for record in caplog.records]
    assert f"no memory for a micro-batch of {sizes[0]} wordpieces" in message
    assert sizes[0] > MOST
    assert sum(size > MOST for size in sizes) < sum(size <= MOST for size in sizes)


def test_training(nlp, monkeypatch, caplog):
    module = nlp.get_pipe("transformer").model.shims[0]._model
    examples = make_examples(nlp)
    gradients = []
    for most in (1000, MOST):
        limit(nlp, monkeypatch, "encode_for_update", most)
        nlp.update(examples, sgd=False, annotates=["sentencizer"])
        gradients.append(
            [param.grad.clone() for param in module.parameters() if param.grad is not None]
        )
        module.zero_grad()
    for whole, halved in zip(*gradients):
        assert_allclose(halved, whole, atol=1e-6)
    assert len(gradients[0]) > 1
    assert "no memory for a micro-batch" in caplog.text


def test_activations_are_too_large(nlp, monkeypatch):
    """Each micro-batch fits, but not the activations of all of them."""
    model = nlp.get_pipe("transformer").model
    model.attrs["settings"].batch_pieces = MOST
    (shim,), kept, recomputed = model.shims, [], []
    original = shim.encode_for_update

    def encode(batch, *, keep):
        n_pieces = batch.ids.size
        if sum(kept) + n_pieces / (1 if keep else 4) > MOST:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        (kept if keep else recomputed).append(n_pieces)
        return original(batch, keep=keep)

    monkeypatch.setattr(shim, "encode_for_update", encode)
    nlp.update(make_examples(nlp), sgd=False, annotates=["sentencizer"])
    assert kept
    assert recomputed


def test_one_window_is_too_large(nlp, monkeypatch):
    limit(nlp, monkeypatch, "encode", 3)
    with pytest.raises(UserError, match="no memory for a window of .* wordpieces: close"):
        list(nlp.pipe(TEXTS))
