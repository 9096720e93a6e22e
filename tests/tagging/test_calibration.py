import math

import numpy
import pytest
import srsly

from spacy_bert_ner.tagging.calibration import Calibration, CandidateSettings, Curve, get_logits
from spacy_bert_ner.tagging.decode import Entities

# What users call labels, and what a config or a page could stumble over.
LABELS = ["PER", "", "exact", 'a "b" </script>', "ключ\n", "slope"]
CURVE = Curve(0.5, -0.25, {label: i / 8 for i, label in enumerate(LABELS[1:])})


def make_entities(scores, label_ids):
    numbers = numpy.array(scores, dtype="float32")
    starts = numpy.arange(len(numbers))
    return Entities(starts, starts + 1, numpy.array(label_ids), numbers, numbers, numbers)


def test_curve():
    scores = numpy.array([0.2, 0.5, 0.9], dtype="float32")
    found = CURVE.apply(scores, numpy.array([0, 1, 2]), LABELS)
    for score, shift, value in zip(scores.tolist(), [0.0, 0.0, 0.125], found.tolist()):
        logit = 0.5 * math.log(score / (1 - score)) - 0.25 + shift
        assert value == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-6)
    assert found.dtype == numpy.float32


@pytest.mark.parametrize("score", [0.0, 1e-30, 1.0])
def test_scores_without_a_logit(score):
    """Underflow and rounding in float32 give them."""
    scores = numpy.array([score], dtype="float32")
    assert numpy.isfinite(get_logits(scores)).all()
    assert 0.0 <= Curve(1.0, 0.0).apply(scores, numpy.array([0]), ["X"])[0] <= 1.0
    assert Curve(1.0, 0.0).apply(scores, numpy.array([0]), ["X"])[0] == pytest.approx(
        score, abs=1e-6
    )


def test_a_curve_without_shifts_keeps_the_order():
    scores = numpy.sort(numpy.random.default_rng(0).random(1000).astype("float32"))
    found = Curve(0.1, -3.0).apply(scores, numpy.zeros(1000, dtype=int), ["X"])
    assert (numpy.diff(found) >= 0).all()


def test_apply():
    """Each score has its own curve; places and labels stay."""
    entities = make_entities([0.5, 0.9], [0, 2])
    calibration = Calibration({"exact": Curve(1.0, -1.0), "type": Curve(1.0, 1.0)})
    found = calibration.apply(entities, LABELS)
    numpy.testing.assert_array_equal(found.edges_scores, entities.edges_scores)
    assert (found.scores < entities.scores).all()
    assert (found.type_scores > entities.type_scores).all()
    for column in ("starts", "ends", "labels"):
        numpy.testing.assert_array_equal(getattr(found, column), getattr(entities, column))


def test_nothing_changes_without_one():
    entities = make_entities([0.5], [0])
    assert Calibration.from_cfg({"labels": ["PER"]}).apply(entities, LABELS) == entities
    found = Calibration().apply(make_entities([], []), LABELS)
    assert len(found.scores) == 0


def test_as_json():
    calibration = Calibration(
        {"exact": CURVE, "edges": Curve(2.0, 0.0)}, CandidateSettings(-9.5, Curve(0.75, 0.5))
    )
    data = srsly.json_loads(srsly.json_dumps({"calibration": calibration.to_json()}))
    assert Calibration.from_cfg(data) == calibration


@pytest.mark.parametrize(
    "data",
    [
        {"exact": {"slope": 0.0, "intercept": 0.0}},
        {"exact": {"slope": -1.0, "intercept": 0.0}},
        {"exact": {"slope": math.nan, "intercept": 0.0}},
        {"exact": {"slope": 1.0, "intercept": 0.0, "shifts": {"X": math.inf}}},
        {"exact": {"slope": "1", "intercept": 0.0}},
        {"exact": {"slope": 1.0}},
        {"exact": {"slope": 1.0, "intercept": 0.0, "more": 1}},
        {"exact": 1.0},
        {"labels": {"slope": 1.0, "intercept": 0.0}},
        {"candidates": {"log_lowest": "x", "curve": {"slope": 1.0, "intercept": 0.0}}},
        {"candidates": {"log_lowest": -3.0}},
    ],
)
def test_damaged(data):
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        Calibration.from_cfg({"calibration": data})
