import numpy
import pytest
from spacy.util import registry
from thinc.api import Adam

from spacy_bert_ner.model.optimizers import make_layered_adam


def test_head_factor():
    """Weights outside of encoders step as with thinc's Adam at so many times the rate."""
    rng = numpy.random.default_rng(0)
    ours = make_layered_adam(0.01, head_factor=3.0, L2=0.1, use_averages=False)
    theirs = Adam(0.03, L2=0.1, use_averages=False)
    found = rng.normal(size=(4, 3)).astype("float32")
    expected = found.copy()
    for _ in range(4):
        gradient = rng.normal(size=(4, 3)).astype("float32")
        found, _ = ours((0, "W"), found, gradient.copy())
        expected, _ = theirs((0, "W"), expected, gradient.copy())
    numpy.testing.assert_allclose(found, expected, rtol=1e-6)


def test_follows_the_schedule():
    settings = {
        "@optimizers": "spacy-bert-ner.LayeredAdam.v1",
        "learn_rate": {
            "@schedules": "warmup_linear.v1",
            "initial_rate": 0.1,
            "warmup_steps": 2,
            "total_steps": 4,
        },
        "layer_decay": 0.9,
    }
    optimizer = registry.resolve({"optimizer": settings})["optimizer"]
    rates = []
    for _ in range(4):
        rates.append(optimizer.learn_rate)
        optimizer.step_schedules()
    assert rates == pytest.approx([0.0, 0.05, 0.1, 0.05])
    assert (optimizer.head_factor, optimizer.layer_decay) == (1.0, 0.9)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"head_factor": 0.0}, "head_factor = 0.0: set it to a number above 0"),
        ({"layer_decay": 0.0}, "layer_decay = 0.0: set it to 1"),
        ({"layer_decay": 1.1}, "layer_decay = 1.1: set it to 1"),
        ({"beta1": 0.0}, "needs moments"),
    ],
)
def test_out_of_range(settings, match):
    with pytest.raises(ValueError, match=match):
        make_layered_adam(0.01, **settings)
