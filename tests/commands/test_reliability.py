import builtins

import numpy
import pytest

from spacy_bert_ner.commands.reliability import (
    LEAST_OUTCOMES,
    fit_curve,
    fit_held_out,
    get_bins,
    get_error,
    import_sklearn,
)
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.tagging.calibration import Curve


def make_sample(curve, n=4000, labels=("PER", "LOC"), seed=0):
    """Scores, events with the probabilities of a curve, and labels."""
    rng = numpy.random.default_rng(seed)
    scores = rng.beta(4, 1, n).astype("float32")
    label_ids = rng.integers(0, len(labels), n)
    right = rng.random(n) < curve.apply(scores, label_ids, labels)
    return scores, right, [labels[i] for i in label_ids]


def test_finds_the_curve_again():
    scores, right, labels = make_sample(Curve(0.5, -0.5, {"PER": 1.0, "LOC": -1.0}))
    found = fit_curve(scores, right, labels)
    assert found.slope == pytest.approx(0.5, abs=0.1)
    assert found.shifts["PER"] - found.shifts["LOC"] == pytest.approx(2.0, abs=0.3)
    alone = fit_curve(scores, right)
    assert alone.shifts == {}
    assert alone.slope == pytest.approx(0.45, abs=0.1)


def test_rare_labels_are_shifted_little():
    curve = Curve(1.0, 0.0)
    scores, right, labels = make_sample(curve)
    labels[0], right[0] = "RARE", False
    found = fit_curve(scores, right, labels)
    assert -1.5 < found.shifts["RARE"] < 0.0


def test_too_few_outcomes():
    scores = numpy.linspace(0.1, 0.9, 100)
    right = numpy.arange(100) >= LEAST_OUTCOMES
    assert fit_curve(scores, right) is not None
    right[LEAST_OUTCOMES - 1] = True
    assert fit_curve(scores, right) is None
    assert fit_curve(scores, ~right) is None
    assert fit_curve(scores, right, least=5) is not None
    assert fit_curve(numpy.zeros(0), numpy.zeros(0, dtype=bool)) is None


def test_scores_that_tell_the_opposite():
    scores = numpy.linspace(0.1, 0.9, 100)
    assert fit_curve(scores, scores < 0.5) is None


def test_held_out():
    """No curve has seen the document that it calibrates."""
    scores, right, labels = make_sample(Curve(0.3, -1.0), n=1000)
    documents = numpy.arange(1000) // 4
    after = fit_held_out(scores, right, labels, documents)
    assert get_error(scores, right) > 0.2
    assert get_error(after, right) < 0.06
    other = right.copy()
    other[:4] = ~other[:4]  # of the first document
    assert (fit_held_out(scores, other, labels, documents)[:4] == after[:4]).all()
    assert (fit_held_out(scores[:8], right[:8], None, documents[:8]) == scores[:8]).all()


def test_error():
    scores = numpy.repeat([0.25, 0.75], 400)
    right = numpy.arange(800) % 4 == 0
    assert get_error(scores, right) == pytest.approx(0.25)
    means, shares, counts = get_bins(scores, right)
    assert counts.sum() == 800
    assert shares == pytest.approx([0.25, 0.25])
    assert means == pytest.approx([0.25, 0.75])


def test_of_one_outcome():
    assert get_error(numpy.array([0.5, 0.75]), numpy.array([True, True])) == pytest.approx(0.375)


def test_without_scikit_learn(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match="pip install scikit-learn"):
        import_sklearn()
