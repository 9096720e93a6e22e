"""The fused step gives the numbers of thinc's own Adam."""

import numpy
import pytest
import torch
from thinc.api import SGD, Adam, RAdam, warmup_linear

from spacy_bert_ner.model.encoder.fused_adam import is_adam, step_adam

SHIM = 7
SHAPES = {"W": (30, 4), "b": (5,), "one": (1, 1)}


def make_params(seed=0):
    rng = numpy.random.default_rng(seed)
    arrays = {name: rng.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}
    params = {name: torch.nn.Parameter(torch.from_numpy(X.copy())) for name, X in arrays.items()}
    return arrays, params


def make_gradients(step, size=1.0):
    rng = numpy.random.default_rng(100 + step)
    return {
        name: (size * rng.normal(size=shape)).astype("float32") for name, shape in SHAPES.items()
    }


def make_adam(**settings):
    return Adam(**{"learn_rate": 0.01, "grad_clip": 0.0, "use_averages": False, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"L2": 0.0},
        {"L2": 0.1, "L2_is_weight_decay": False},
        {"L2": 0.1, "L2_is_weight_decay": True, "learn_rate": 0.1},
        {"eps": 1e-2},
        {"beta1": 0.5, "beta2": 0.9},
    ],
)
def test_equals_thinc(settings):
    expected, params = make_params()
    fused, plain = make_adam(**settings), make_adam(**settings)
    for step in range(12):
        gradients = make_gradients(step, size=10.0 ** (-step % 4))
        for name, gradient in gradients.items():
            params[name].grad = torch.from_numpy(gradient.copy())
            expected[name], _ = plain((SHIM, name), expected[name], gradient)
        step_adam(fused, SHIM, list(params.items()), {})
    for name, param in params.items():
        # Thinc rounds 1 - beta2 to float32: off by 1e-5 of a step, twelve times.
        atol = 2e-5 * 12 * fused.learn_rate
        numpy.testing.assert_allclose(param.detach(), expected[name], atol=atol, rtol=1e-6)
        key = (SHIM, name)
        assert fused.nr_update[key] == plain.nr_update[key] == 12
        numpy.testing.assert_allclose(fused.mom1[key], plain.mom1[key], atol=1e-6, rtol=1e-5)
        numpy.testing.assert_allclose(fused.mom2[key], plain.mom2[key], atol=1e-6, rtol=1e-4)


def test_averages_are_those_of_thinc():
    """In the same shape: on a GPU, thinc can't add weights of another."""
    expected, params = make_params()
    fused, plain = (make_adam(use_averages=True) for _ in range(2))
    for step in range(3):
        for name, gradient in make_gradients(step).items():
            params[name].grad = torch.from_numpy(gradient.copy())
            expected[name], _ = plain((SHIM, name), expected[name], gradient)
        step_adam(fused, SHIM, list(params.items()), {})
    for name in params:
        average = plain.averages[SHIM, name]
        numpy.testing.assert_allclose(fused.averages[SHIM, name], average, atol=1e-5)


def test_follows_the_schedule():
    expected, params = make_params()
    fused, plain = (make_adam(learn_rate=warmup_linear(0.01, 3, 6)) for _ in range(2))
    for step in range(7):
        for name, gradient in make_gradients(step).items():
            params[name].grad = torch.from_numpy(gradient.copy())
            expected[name], _ = plain((SHIM, name), expected[name], gradient)
        step_adam(fused, SHIM, list(params.items()), {})
        for optimizer in (fused, plain):
            optimizer.step_schedules()
        for name, param in params.items():
            numpy.testing.assert_allclose(param.detach(), expected[name], atol=2e-6, rtol=1e-6)


def test_tensors_that_miss_steps():
    """What has no gradient in a step isn't stepped, and its bias is corrected for its own steps."""
    expected, params = make_params()
    fused, plain = make_adam(), make_adam()
    for step in range(6):
        names = ["W"] if step % 2 else ["W", "b"]
        for name in names:
            gradient = make_gradients(step)[name]
            params[name].grad = torch.from_numpy(gradient.copy())
            expected[name], _ = plain((SHIM, name), expected[name], gradient)
        step_adam(fused, SHIM, [(name, params[name]) for name in names], {})
    assert fused.nr_update == plain.nr_update == {(SHIM, "W"): 6, (SHIM, "b"): 3}
    for name, param in params.items():
        numpy.testing.assert_allclose(param.detach(), expected[name], atol=2e-6, rtol=1e-6)


def test_goes_on_from_steps_of_thinc():
    """The moments are where thinc has them: an optimizer may change its way between."""
    expected, params = make_params()
    mixed, plain = make_adam(), make_adam()
    for step in range(6):
        for name, gradient in make_gradients(step).items():
            expected[name], _ = plain((SHIM, name), expected[name], gradient.copy())
            params[name].grad = torch.from_numpy(gradient)
            if step < 3:
                array = params[name].detach().numpy()
                array[...], _ = mixed((SHIM, name), array.copy(), gradient)
        if step >= 3:
            step_adam(mixed, SHIM, list(params.items()), {})
    for name, param in params.items():
        numpy.testing.assert_allclose(param.detach(), expected[name], atol=2e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (Adam(0.01), True),
        (SGD(0.01), False),
        (RAdam(0.01), False),
        (lambda key, weights, gradient: (weights, gradient), False),
    ],
)
def test_is_adam(optimizer, expected):
    assert is_adam(optimizer) == expected
