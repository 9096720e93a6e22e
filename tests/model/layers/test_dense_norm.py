import numpy
import pytest
import torch
from thinc.api import get_current_ops

from spacy_bert_ner.model.layers.dense_norm import ACTIVATIONS, dense_norm

WIDTH = 6
FUNCTIONS = {
    "gelu": torch.nn.functional.gelu,
    "relu": torch.relu,
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
}


def init_normal(ops, shape):
    return ops.asarray2f(numpy.random.default_rng(0).normal(size=shape).astype("float32"))


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_as_torch(activation, biases):
    """Output, gradient of the input and gradients of the weights."""
    layer = dense_norm(
        init_W=init_normal, activation=activation, bias=biases, norm_bias=biases, eps=1e-3
    )
    rng = numpy.random.default_rng(1)
    X, dY = (rng.normal(size=(5, WIDTH)).astype("float32") for _ in range(2))
    layer.initialize(X=X)
    for name in layer.param_names:
        if name != "W":
            layer.set_param(name, rng.normal(size=WIDTH).astype("float32"))
    params = {
        name: torch.tensor(layer.get_param(name), requires_grad=True) for name in layer.param_names
    }
    inputs = torch.tensor(X, requires_grad=True)
    hidden = torch.nn.functional.linear(inputs, params["W"], params.get("b"))
    expected = torch.nn.functional.layer_norm(
        FUNCTIONS[activation](hidden), (WIDTH,), params["G"], params.get("norm_b"), eps=1e-3
    )
    expected.backward(torch.tensor(dY))
    Y, backprop = layer.begin_update(X)
    numpy.testing.assert_allclose(Y, expected.detach().numpy(), atol=1e-5)
    numpy.testing.assert_allclose(layer.predict(X), Y)
    numpy.testing.assert_allclose(backprop(dY), inputs.grad.numpy(), atol=1e-4)
    for name, param in params.items():
        numpy.testing.assert_allclose(layer.get_grad(name), param.grad.numpy(), atol=1e-4)


def test_params():
    assert set(dense_norm(init_W=init_normal).param_names) == {"W", "G"}
    layer = dense_norm(3, init_W=init_normal, bias=True, norm_bias=True)
    layer.initialize()
    assert layer.get_param("G").tolist() == [1.0] * 3
    assert layer.get_param("b").tolist() == layer.get_param("norm_b").tolist() == [0.0] * 3


def test_unknown_activation():
    with pytest.raises(
        ValueError, match="Can't use the activation 'sine'.*set it to one of gelu, relu"
    ):
        dense_norm(init_W=init_normal, activation="sine")


def test_no_rows():
    layer = dense_norm(WIDTH, init_W=init_normal)
    layer.initialize()
    Y, backprop = layer.begin_update(get_current_ops().alloc2f(0, WIDTH))
    assert backprop(Y).shape == (0, WIDTH)
