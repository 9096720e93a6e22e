import os

import pytest
import torch

from spacy_bert_ner.model.encoder import precision as precision_module
from spacy_bert_ner.model.encoder.precision import (
    OneDNN,
    check_precision,
    computing,
    get_cpu,
    get_dtype,
    name_precision,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")
ONEDNN = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="torch has no oneDNN"
)


@pytest.mark.parametrize("name", ["fp64", "FP32", "", "mixed"])
def test_unknown(name):
    with pytest.raises(ValueError, match=f"precision = '{name}': set it to one of auto, fp32, bf1"):
        check_precision(name)


@pytest.mark.parametrize(
    ("precision", "device", "native", "expected"),
    [
        ("fp32", CPU, True, None),
        ("fp32", GPU, True, None),
        ("auto", CPU, True, torch.bfloat16),
        ("auto", CPU, False, None),
        ("auto", GPU, True, torch.bfloat16),
        ("bf16", CPU, False, torch.bfloat16),
        ("bf16", GPU, False, torch.bfloat16),
        ("fp16", GPU, False, torch.float16),
        ("fp16", CPU, True, None),
    ],
)
@pytest.mark.parametrize("is_train", [False, True])
def test_dtype(monkeypatch, precision, device, native, expected, is_train):
    monkeypatch.setattr(precision_module, "has_bf16", lambda device_type: native)
    assert get_dtype(precision, device, is_train=is_train) == expected


@pytest.mark.parametrize(
    ("capability", "predicting", "training"),
    [
        ((6, 1), None, None),
        ((7, 0), torch.float16, None),
        ((7, 5), torch.float16, None),
        ((8, 0), torch.bfloat16, torch.bfloat16),
        ((9, 0), torch.bfloat16, torch.bfloat16),
    ],
)
def test_auto_on_a_gpu(monkeypatch, capability, predicting, training):
    """Half precision without scaled gradients is bf16, also where fp16 is fast."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    for name in ("has_bf16", "has_fp16"):
        monkeypatch.setattr(precision_module, name, getattr(precision_module, name).__wrapped__)
    assert get_dtype("auto", GPU, is_train=False) == predicting
    assert get_dtype("auto", GPU, is_train=True) == training
    names = {None: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
    assert name_precision("auto", GPU) == names[predicting]


@pytest.mark.parametrize("native", [False, True])
def test_auto_changes_nothing_without_hardware(monkeypatch, native):
    monkeypatch.setattr(precision_module, "has_bf16", lambda device_type: native)
    torch.manual_seed(0)
    layer, X = torch.nn.Linear(16, 8), torch.randn(4, 16)
    outputs = []
    for name in ("auto", "fp32"):
        with computing(name, CPU):
            outputs.append(layer(X).float())
    assert torch.equal(*outputs) != native


@pytest.mark.parametrize(
    ("text", "vendor", "bf16"),
    [
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx512f avx512_bf16\n", "AuthenticAMD", True),
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx512f\n", "GenuineIntel", False),
        ("vendor_id\t: GenuineIntel\nflags\t\t: amx_bf16 amx_tile\n", "GenuineIntel", True),
        ("CPU implementer\t: 0x41\nFeatures\t: fp asimd bf16\n", "", True),
        ("CPU implementer\t: 0x41\nFeatures\t: fp asimd\n", "", False),
        ("", "", False),
        (None, "", False),
    ],
)
def test_cpu(tmp_path, monkeypatch, text, vendor, bf16):
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    cpu = get_cpu(str(path))
    assert cpu[0] == vendor
    monkeypatch.setattr(precision_module, "get_cpu", lambda: cpu)
    assert precision_module.has_bf16.__wrapped__("cpu") == bf16
    if vendor != "AuthenticAMD":
        assert not precision_module.prefers_onednn.__wrapped__()


@ONEDNN
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(5,), (1, 1), (3, 7), (64, 16)])
def test_onednn(shape, bias):
    torch.manual_seed(0)
    layer = torch.nn.Linear(24, 10, bias=bias)
    X = torch.randn(*shape, 24, requires_grad=True)
    dY = torch.randn(*shape, 10)
    inputs = [X, *layer.parameters()]
    expected = layer(X)
    expected_gradients = torch.autograd.grad(expected, inputs, dY)
    with OneDNN():
        found = layer(X)
        with torch.inference_mode():
            again = layer(X)
    gradients = torch.autograd.grad(found, inputs, dY)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(again, expected.detach(), atol=1e-5, rtol=1e-5)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, atol=1e-4, rtol=1e-5)


@ONEDNN
def test_onednn_with_frozen_weights():
    layer = torch.nn.Linear(6, 4).requires_grad_(False)
    X = torch.randn(3, 6, requires_grad=True)
    with OneDNN():
        layer(X).sum().backward()
        assert not layer(X.detach()).requires_grad
    torch.testing.assert_close(X.grad, layer.weight.sum(dim=0).expand(3, -1))
    assert layer.weight.grad is None


def test_caches_of_shapes_are_small(monkeypatch):
    """They are read from the environment; what a user has set stays."""
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    precision_module.bound_shape_caches.cache_clear()
    computing("fp32", CPU)
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "16"


@ONEDNN
def test_onednn_leaves_the_rest_alone():
    """Other types, vectors and nothing at all are torch's."""
    with OneDNN():
        for X in (torch.randn(3, 6).double(), torch.randn(6).double(), torch.zeros(0, 6).double()):
            assert torch.nn.Linear(6, 4).double()(X).dtype == torch.float64
        assert torch.nn.Linear(6, 4)(torch.zeros(0, 6)).shape == (0, 4)
        assert torch.nn.Linear(6, 4)(torch.randn(6)).shape == (4,)


@ONEDNN
def test_onednn_output_changes_in_place():
    """As DeBERTa does with the chunks of a projection."""
    layer, X = torch.nn.Linear(6, 4), torch.randn(2, 3, 6)
    with OneDNN():
        first, second = layer(X).chunk(2, dim=-1)
        first = first + 0.0
        whole = layer(X)
        whole += 1.0
        (whole.sum() + first.sum() + second.sum()).backward()
    torch.testing.assert_close(layer.bias.grad, torch.full((4,), 12.0))
