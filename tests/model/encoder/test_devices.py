"""Devices that this machine may not have: their functions are replaced."""

from types import SimpleNamespace

import numpy
import pytest
import torch
from thinc.api import Adam, RAdam

from spacy_bert_ner.model.encoder import fused_adam, shim
from spacy_bert_ner.model.encoder.devices import (
    get_random_state,
    shares_memory,
    using_random_state,
    wait_for,
)
from spacy_bert_ner.model.encoder.shim import EncoderShim
from spacy_bert_ner.model.optimizers import make_layered_adam

from ...toy import make_encoder

MPS = SimpleNamespace(type="mps")


class Generator:
    """Numbers of a GPU, from a generator of the CPU."""

    def __init__(self, monkeypatch):
        self.generator = torch.Generator().manual_seed(0)
        self.n_waits = 0
        monkeypatch.setattr(torch.mps, "get_rng_state", self.generator.get_state)
        monkeypatch.setattr(torch.mps, "set_rng_state", self.generator.set_state)
        monkeypatch.setattr(torch.mps, "synchronize", self.wait)

    def wait(self):
        self.n_waits += 1

    def draw(self):
        return torch.rand(3, generator=self.generator).tolist() + torch.rand(3).tolist()


def test_random_numbers_are_repeated(monkeypatch):
    """Those of the device, and those of the CPU, and what comes after isn't changed."""
    generator = Generator(monkeypatch)
    before = get_random_state(MPS)
    first, second = generator.draw(), generator.draw()
    assert first != second
    with using_random_state(MPS, before):
        assert generator.draw() == first
    after = get_random_state(MPS)
    with pytest.raises(KeyError), using_random_state(MPS, before):
        generator.draw()
        raise KeyError
    assert all(torch.equal(one, other) for one, other in zip(after, get_random_state(MPS)))


def test_waits(monkeypatch):
    generator = Generator(monkeypatch)
    wait_for(torch.device("cpu"))
    assert generator.n_waits == 0
    wait_for(MPS)
    assert generator.n_waits == 1


@pytest.mark.parametrize(("name", "expected"), [("cpu", True), ("cuda", True), ("mps", False)])
def test_memory(name, expected):
    assert shares_memory(torch.device(name)) == expected


def copy_to_array(tensor, *, ops=None):
    return tensor.detach().numpy().copy()


def copy_to_tensor(array, requires_grad=False, device=None):
    return torch.from_numpy(array).clone()


def needs_grad(param):
    return param.requires_grad


def make_shim():
    shim = EncoderShim(
        transformer_config={},
        freeze_layers=1,
        mixed_layers=1,
        embedding_noise=0.0,
        precision="fp32",
        grad_scaler_config={},
    )
    shim.set_encoder(make_encoder("bert"))
    return shim


@pytest.mark.parametrize(
    "make",
    [
        lambda: Adam(0.01, L2=0.0, grad_clip=1.0, use_averages=True),
        lambda: RAdam(0.01, L2=0.0, grad_clip=1.0, use_averages=True),
        lambda: make_layered_adam(0.01, head_factor=50.0, layer_decay=0.5, L2=0.0),
    ],
)
def test_updates_where_memory_is_not_shared(monkeypatch, make):
    """Weights, moments and averages are the same, where thinc copies between arrays and tensors."""

    def train():
        ours, optimizer = make_shim(), make()
        for step in range(3):
            random = torch.Generator().manual_seed(step)
            for param in filter(needs_grad, ours._model.parameters()):
                param.grad = torch.randn(param.shape, generator=random)
            ours.finish_update(optimizer)
            optimizer.step_schedules()
        arrays = {}
        for kind in ("mom1", "mom2", "averages"):
            found = getattr(optimizer, kind)
            arrays |= {(kind, key[1]): numpy.ravel(array) for key, array in found.items()}
        return arrays | {name: param.detach() for name, param in ours._model.named_parameters()}

    shared = train()
    monkeypatch.setattr(shim, "shares_memory", lambda device: False)
    for module in (shim, fused_adam):
        monkeypatch.setattr(module, "torch2xp", copy_to_array)
        monkeypatch.setattr(module, "xp2torch", copy_to_tensor)
    copied = train()
    assert copied.keys() == shared.keys()
    for name, values in shared.items():
        numpy.testing.assert_allclose(copied[name], values, atol=2e-5, err_msg=str(name))
