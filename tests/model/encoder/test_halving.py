"""A GPU without enough memory, of which only the error is simulated."""

from types import SimpleNamespace

import numpy
import pytest
import spacy
import torch
from numpy.testing import assert_allclose
from spacy.training import Example

from spacy_bert_ner.errors import UserError
from spacy_bert_ner.model.encoder import layer, precision
from spacy_bert_ner.model.encoder.batches import Batch
from spacy_bert_ner.model.encoder.blocks import keeping_inputs
from spacy_bert_ner.model.encoder.memory import estimate_piece, get_default_pieces
from spacy_bert_ner.model.encoder.shim import EncoderShim
from tests.toy import FAMILIES, WIDTH, make_encoder, save_encoder

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


class FailingBackward:
    """Lets backward passes run out of memory when they come to the output of a module, as often as
    `times` says."""

    def __init__(self, module):
        self.times = 0
        module.register_forward_hook(self._watch)

    def _watch(self, module, inputs, output):
        tensor = output if isinstance(output, torch.Tensor) else output[0]
        if tensor.requires_grad:
            tensor.register_hook(self._fail)

    def _fail(self, gradient):
        if self.times:
            self.times -= 1
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")


def get_blocks(module):
    """The modules of the first list of modules."""
    lists = [part for part in module.modules() if isinstance(part, torch.nn.ModuleList)]
    return list(lists[0])


def make_shim(encoder, **settings):
    defaults = {"freeze_layers": None, "mixed_layers": 1, "embedding_noise": 0.0}
    shim = EncoderShim(
        transformer_config={},
        grad_scaler_config={},
        **{**defaults, "precision": "fp32", **settings},
    )
    shim.set_encoder(encoder)
    return shim


def make_batch(shape=(4, 12), seed=0):
    ids = numpy.random.default_rng(seed).integers(5, 30, size=shape)
    return Batch(ids, numpy.arange(shape[1], shape[1] - shape[0], -1), [(0, 0)] * shape[0])


def get_gradients(shim):
    params = shim._model.named_parameters()
    return {name: param.grad.clone() for name, param in params if param.grad is not None}


def make_gradient(shape=(4, 12, WIDTH)):
    return torch.from_numpy(numpy.random.default_rng(1).normal(size=shape).astype("float32"))


@pytest.fixture
def no_onednn(monkeypatch):
    """As on a GPU: recomputed blocks use the same kernels."""
    monkeypatch.setattr(precision, "prefers_onednn", lambda: False)


@pytest.mark.usefixtures("no_onednn")
@pytest.mark.parametrize(
    ("family", "settings"),
    [
        *((family, {}) for family in FAMILIES),
        ("bert", {"precision": "bf16"}),
        ("bert", {"mixed_layers": 2, "embedding_noise": 5.0}),
        ("bert", {"freeze_layers": 1}),
    ],
)
@pytest.mark.parametrize("keep", [False, True])
def test_backward_pass_fails(family, settings, keep):
    """In the middle: some weights have their gradients then, others not, or not yet those that are
    added to what an earlier micro-batch left."""
    found = []
    for fails in (False, True):
        shim = make_shim(make_encoder(family), **settings)
        watch = FailingBackward(get_blocks(shim._model)[settings.get("freeze_layers", 0)])
        # Each weight once, and the random numbers of a second micro-batch.
        torch.manual_seed(3)
        for times in (0, 1):
            _, backward = shim.encode_for_update(make_batch(seed=times), keep=keep)
            watch.times = times if fails else 0
            shim.backward(backward, make_gradient(), [])
            assert not watch.times
        found.append((get_gradients(shim), torch.get_rng_state()))
    (gradients, state), (expected, expected_state) = found
    assert gradients.keys() == expected.keys()
    assert any(gradient.abs().max() > 0.01 for gradient in gradients.values())
    for name, gradient in gradients.items():
        assert_allclose(gradient, expected[name], atol=1e-6, rtol=1e-4, err_msg=name)
    assert torch.equal(state, expected_state)
    assert "forward" not in vars(get_blocks(shim._model)[0])


@pytest.mark.usefixtures("no_onednn")
@pytest.mark.parametrize("family", FAMILIES)
def test_only_inputs_are_kept(family):
    """Blocks run again in the backward pass, and give the same gradients."""
    model, calls = make_encoder(family).model.train(), []
    for module in get_blocks(model):
        first = next(part for part in module.modules() if isinstance(part, torch.nn.Linear))
        first.register_forward_hook(lambda *args: calls.append(1))
    batch = make_batch()
    inputs = {
        "input_ids": torch.from_numpy(batch.ids),
        "attention_mask": torch.from_numpy(batch.mask),
    }
    with keeping_inputs(model):
        output = model(**inputs).last_hidden_state
    n_calls = len(calls)
    assert n_calls
    output.backward(make_gradient())
    assert len(calls) == 2 * n_calls


def test_other_activations_are_freed(nlp, monkeypatch, caplog):
    """If several micro-batches have activations, those are freed that would come later."""
    monkeypatch.setattr(precision, "prefers_onednn", lambda: False)
    model = nlp.get_pipe("transformer").model
    model.attrs["settings"].batch_pieces = MOST
    (shim,) = model.shims
    examples = make_examples(nlp)
    gradients = []
    watch = FailingBackward(get_blocks(shim._model)[0])
    kept = []
    original = shim.encode_for_update

    def encode(batch, *, keep):
        kept.append((batch.ids.size, keep))
        return original(batch, keep=keep)

    monkeypatch.setattr(shim, "encode_for_update", encode)
    for times in (0, 1):
        watch.times = times
        nlp.update(examples, sgd=False, annotates=["sentencizer"])
        gradients.append(get_gradients(shim))
        shim._model.zero_grad()
    for name, gradient in gradients[1].items():
        assert_allclose(gradient, gradients[0][name], atol=1e-6, err_msg=name)
    sizes = [size for size, _ in kept[: len(kept) // 2]]
    assert len(sizes) > 1
    assert all(keep for _, keep in kept)
    (message,) = [record.getMessage() for record in caplog.records]
    assert f"with the activations of {sum(sizes)} wordpieces" in message
    assert f"to {sum(sizes) // 2} or less" in message
    # The micro-batches fit, so the next ones are as large, and fewer are kept.
    kept.clear()
    nlp.update(examples, sgd=False, annotates=["sentencizer"])
    assert [size for size, _ in kept] == sizes
    assert 0 < sum(size for size, keep in kept if keep) <= sum(sizes) // 2


@pytest.mark.usefixtures("no_onednn")
def test_micro_batches_are_smaller_after_the_backward_pass_failed(nlp, monkeypatch):
    (shim,) = nlp.get_pipe("transformer").model.shims
    watch = FailingBackward(get_blocks(shim._model)[0])
    watch.times = 1
    nlp.update(make_examples(nlp), sgd=False, annotates=["sentencizer"])
    sizes = limit(nlp, monkeypatch, "encode_for_update", 1000)
    nlp.update(make_examples(nlp), sgd=False, annotates=["sentencizer"])
    assert len(sizes) > 1
    assert max(sizes) <= shim.halving.most_pieces


@pytest.mark.usefixtures("no_onednn")
def test_backward_pass_fails_again(nlp):
    (shim,) = nlp.get_pipe("transformer").model.shims
    FailingBackward(get_blocks(shim._model)[0]).times = 2
    with pytest.raises(UserError, match="no memory to train on a micro-batch of .* to .* or less"):
        nlp.update(make_examples(nlp), sgd=False, annotates=["sentencizer"])


GB = 1 << 30
BASE = SimpleNamespace(
    hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=12
)
CUDA = torch.device("cuda", 0)


def set_memory(monkeypatch, free, reserved=0, allocated=0):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 16 * GB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: reserved)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: allocated)


@pytest.mark.parametrize(
    ("free", "is_train", "expected"),
    [
        (14 * GB, False, 16_384),
        (GB, False, 4096),
        (GB // 4, False, 1024),
        (0, False, 1024),
        (140 * GB, True, 16_384),
        (14 * GB, True, 8192),
        (5 * GB, True, 2048),
        (GB, True, 1024),
    ],
)
def test_fitting_pieces(monkeypatch, free, is_train, expected):
    """Of BERT-base, in windows of 128 wordpieces."""
    set_memory(monkeypatch, free)
    assert get_default_pieces(CUDA, BASE, 128, is_train=is_train) == expected
    # The same if torch has taken the memory, and freed it.
    set_memory(monkeypatch, 0, reserved=free + GB, allocated=GB)
    assert get_default_pieces(CUDA, BASE, 128, is_train=is_train) == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_estimates(family):
    config = make_encoder(family).model.config
    one, two = (estimate_piece(config, 10, is_train=is_train) for is_train in (False, True))
    assert one == 4 * (9 * WIDTH + 2 * _get_inner(family) + 3 * 2 * 10)
    assert two == 2 * one


def _get_inner(family):
    return {"distilbert": 4, "xlnet": 4}.get(family, 2) * WIDTH


@pytest.mark.parametrize("is_train", [False, True])
def test_follows_the_free_memory(nlp, monkeypatch, is_train):
    """And a number that is set, or has failed, holds."""
    model = nlp.get_pipe("transformer").model
    (shim,), settings = model.shims, model.attrs["settings"]
    docs = [nlp.make_doc(text) for text in TEXTS]
    asked, found = [], []
    original = layer.get_batches

    def get_batches(cut, *, batch_pieces, **rest):
        found.append(batch_pieces)
        return original(cut, batch_pieces=batch_pieces, **rest)

    def get_default(device, config, longest, *, is_train):
        asked.append((config, longest, is_train))
        return 2048

    monkeypatch.setattr(layer, "get_batches", get_batches)
    monkeypatch.setattr(layer, "get_default_pieces", get_default)
    model(docs, is_train)
    assert not asked
    settings.batch_pieces = None
    model(docs, is_train)
    ((config, longest, was_train),) = asked
    assert config is shim._model.config
    assert longest == max(int(cut.lengths.max()) for cut in layer._cut(model, docs, is_train))
    assert was_train == is_train
    shim.halving.most_pieces = 700
    model(docs, is_train)
    assert found == [1000, 2048, 700]
    model([], is_train)
    assert asked[-1][1] == 0


def test_other_devices():
    for name in ("cpu", "mps"):
        assert get_default_pieces(torch.device(name), BASE, 128, is_train=False) == 1024
