import numpy
import pytest

from spacy_bert_ner.commands.guarantees import (
    DELTA,
    check_target,
    find_precision_threshold,
    find_recall_threshold,
)
from spacy_bert_ner.errors import UserError


def make_documents(rng, n_documents):
    """Documents of different sizes; in some, all entities are hard to find."""
    sizes = rng.integers(1, 9, n_documents)
    levels = rng.normal(size=n_documents)
    return [rng.normal(level, 0.5, size) for level, size in zip(levels, sizes)]


@pytest.mark.parametrize("target", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("seed", range(5))
def test_recall_of_a_document_left_out(target, seed):
    """If each of n + 1 documents is as likely to be the new one, this mean is the expectation: it
    is at least the target for every set of documents."""
    documents = make_documents(numpy.random.default_rng(seed), 40)
    kept = []
    for i, document in enumerate(documents):
        threshold = find_recall_threshold(documents[:i] + documents[i + 1 :], target)
        kept.append((document >= threshold).mean())
    assert numpy.mean(kept) >= target
    assert numpy.mean(kept) < target + 2 / 40


def test_recall_threshold_is_the_highest():
    documents = [numpy.array([float(i)]) for i in range(9)]
    # Of ten documents, two may be lost: one of these, and the new one.
    assert find_recall_threshold(documents, 0.8) == 1.0
    assert find_recall_threshold(documents, 0.9) == 0.0
    assert find_recall_threshold([*documents, numpy.array([0.0])], 0.9) == 0.0


def test_equal_scores_are_kept_together():
    assert find_recall_threshold([numpy.array([1.0, 1.0, 2.0])] * 20, 0.9) == 1.0


@pytest.mark.parametrize("target,needed", [(0.8, 4), (0.9, 9), (0.95, 19), (0.5, 1)])
def test_too_few_documents(target, needed):
    enough = [numpy.array([1.0])] * needed
    assert find_recall_threshold(enough, target) == 1.0
    words = f"needs at least {needed} document.* with entities, but there are {needed - 1}"
    with pytest.raises(UserError, match=words):
        find_recall_threshold(enough[1:], target)


def test_entities_that_no_threshold_keeps():
    lost = numpy.array([-numpy.inf, 1.0])
    documents = [numpy.array([1.0, 1.0])] * 8 + [lost] * 2
    assert find_recall_threshold(documents, 0.8) == 1.0
    with pytest.raises(UserError, match=r"0.9 can't be reached: .* have 0.875 of the entities"):
        find_recall_threshold([*documents, numpy.array([1.0]), lost], 0.9)


@pytest.mark.parametrize("target", [0.7, 0.9])
def test_precision(target):
    """Of samples of a population in which the precision of all entities is too low, few lead to a
    threshold that is too low."""
    rng = numpy.random.default_rng(0)
    n_short, n_found = 0, 0
    for _ in range(200):
        scores = rng.random(600)
        right = rng.random(600) < scores**0.25  # 0.8 of all
        try:
            threshold = find_precision_threshold(scores, right, target)
        except UserError:
            continue
        n_found += 1
        # The mean of x ** 0.25 above the threshold.
        precision = (1 - threshold**1.25) / 1.25 / (1 - threshold)
        n_short += precision < target
    assert n_found > 100
    assert n_short <= 200 * DELTA


def test_precision_threshold_is_low_if_all_are_right():
    scores = numpy.linspace(0.1, 0.9, 200)
    assert find_precision_threshold(scores, numpy.ones(200, dtype=bool), 0.9) == 0.1


def test_no_threshold_has_the_precision():
    right = numpy.arange(200) % 2 == 0
    with pytest.raises(UserError, match="can't be guaranteed: of 200 entities, 0.500 are right"):
        find_precision_threshold(numpy.linspace(0.1, 0.9, 200), right, 0.9)


def test_too_few_entities():
    scores = numpy.full(38, 0.5)
    assert find_precision_threshold(scores, numpy.ones(38, dtype=bool), 0.9) == 0.5
    with pytest.raises(UserError, match="needs at least 38 entities, but the pipeline finds 37"):
        find_precision_threshold(scores[1:], numpy.ones(37, dtype=bool), 0.9)


@pytest.mark.parametrize("target", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_targets(target):
    with pytest.raises(UserError, match="--target-recall is .*: set it between 0 and 1"):
        check_target("--target-recall", target)
    check_target("--target-recall", 0.99)
