"""The chain, against all its tag sequences counted one by one."""

from itertools import product

import numpy
import pytest

from spacy_bert_ner.tagging import crf
from spacy_bert_ner.tagging.crf import (
    Chain,
    differentiate_marginals,
    get_marginals,
    log_partition,
    log_sum_exp,
)


def make_chain(lengths, n_tags, seed=0, forbid=0.0):
    rng = numpy.random.default_rng(seed)
    scores = rng.normal(size=(len(lengths), max(lengths), n_tags))
    transitions = rng.normal(size=(n_tags, n_tags))
    transitions[rng.random(transitions.shape) < forbid] = -numpy.inf
    scores[rng.random(scores.shape) < forbid / 2] = -numpy.inf
    return Chain(scores, numpy.array(lengths), transitions)


def enumerate_sequences(chain, i):
    """YIELDS: The tags of each sequence, and its log-score."""
    length = chain.lengths[i]
    for tags in product(range(chain.scores.shape[2]), repeat=length):
        score = sum(chain.scores[i, t, tag] for t, tag in enumerate(tags))
        yield tags, score + sum(chain.transitions[a, b] for a, b in zip(tags, tags[1:]))


@pytest.mark.parametrize("lengths", [[1], [4], [1, 5, 3], [2, 2]])
@pytest.mark.parametrize("n_tags", [1, 2, 3])
@pytest.mark.parametrize("forbid", [0.0, 0.3])
def test_against_enumeration(lengths, n_tags, forbid):
    chain = make_chain(lengths, n_tags, seed=len(lengths) + n_tags, forbid=forbid)
    totals, marginals, pairs = get_marginals(chain)
    numpy.testing.assert_array_equal(totals, log_partition(chain))
    expected_pairs = numpy.zeros((n_tags, n_tags))
    possible = True
    for i in range(len(lengths)):
        sequences = list(enumerate_sequences(chain, i))
        total = numpy.exp([score for _, score in sequences]).sum()
        if total == 0.0:
            assert totals[i] == -numpy.inf
            possible = False
            continue
        assert totals[i] == pytest.approx(numpy.log(total))
        expected = numpy.zeros((max(lengths), n_tags))
        for tags, score in sequences:
            for t, tag in enumerate(tags):
                expected[t, tag] += numpy.exp(score) / total
            for pair in zip(tags, tags[1:]):
                expected_pairs[pair] += numpy.exp(score) / total
        numpy.testing.assert_allclose(marginals[i], expected, atol=1e-12)
    if possible:
        numpy.testing.assert_allclose(pairs, expected_pairs, atol=1e-12)


def test_gradient_is_the_marginals():
    """Of the log partition, by the scores and by the transitions."""
    chain = make_chain([3, 5], 3)
    _, marginals, pairs = get_marginals(chain)
    epsilon = 1e-6
    for array, expected in ((chain.scores, marginals), (chain.transitions, pairs)):
        for place in numpy.ndindex(array.shape):
            value = array[place]
            ends = []
            for step in (epsilon, -epsilon):
                array[place] = value + step
                ends.append(log_partition(chain).sum())
            array[place] = value
            assert (ends[0] - ends[1]) / (2 * epsilon) == pytest.approx(expected[place], abs=1e-7)


@pytest.mark.parametrize("lengths", [[1], [4], [1, 5, 3]])
@pytest.mark.parametrize("forbid", [0.0, 0.3])
def test_marginals_are_differentiated(lengths, forbid):
    """Against their differences, also where sequences are impossible."""
    chain = make_chain(lengths, 3, seed=2, forbid=forbid)
    directions = numpy.random.default_rng(1).normal(size=chain.scores.shape)
    d_tags, d_pairs = differentiate_marginals(chain, directions)
    epsilon = 1e-5
    ends = [
        get_marginals(chain._replace(scores=chain.scores + step * directions))
        for step in (epsilon, -epsilon)
    ]
    for place, found in ((1, d_tags), (2, d_pairs)):
        numeric = (ends[0][place] - ends[1][place]) / (2 * epsilon)
        numpy.testing.assert_allclose(found, numeric, atol=1e-8)


def test_long_sequences_stay_finite():
    chain = make_chain([5000], 5)
    totals, marginals, pairs = get_marginals(chain)
    for found in differentiate_marginals(chain, numpy.ones(chain.scores.shape)):
        numpy.testing.assert_allclose(found, 0.0, atol=1e-4)  # all tags alike
    assert numpy.isfinite(totals).all()
    numpy.testing.assert_allclose(marginals.sum(axis=2), 1.0)
    assert pairs.sum() == pytest.approx(4999)


@pytest.mark.parametrize("forbid", [0.0, 0.3])
@pytest.mark.parametrize("scale", [1.0, 200.0, 5000.0])
def test_numbers_that_are_far_apart(monkeypatch, scale, forbid):
    """As with logarithms alone."""
    chain = make_chain([1, 30, 17], 4, seed=3, forbid=forbid)
    chain = chain._replace(scores=scale * chain.scores, transitions=scale * chain.transitions)
    found = get_marginals(chain)
    monkeypatch.setattr(crf, "REACH", -1.0)
    for one, other in zip(found, get_marginals(chain)):
        numpy.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_only_an_unlikely_path_is_possible():
    forbidden = -numpy.inf
    scores = numpy.array([[[0.0, -1000.0], [forbidden, 0.0]]])
    chain = Chain(scores, numpy.array([2]), numpy.array([[0.0, forbidden], [forbidden, 0.0]]))
    totals, marginals, pairs = get_marginals(chain)
    assert totals == [-1000.0]
    assert marginals.tolist() == [[[0.0, 1.0], [0.0, 1.0]]]
    assert pairs.tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_padding_does_not_count():
    chain = make_chain([2, 4], 3)
    before = get_marginals(chain)
    chain.scores[0, 2:] = 1e6
    for one, other in zip(before, get_marginals(chain)):
        numpy.testing.assert_array_equal(one, other)


def test_log_sum_exp():
    X = numpy.array([[0.0, 0.0], [1000.0, -numpy.inf], [-numpy.inf, -numpy.inf]])
    assert log_sum_exp(X, axis=1).tolist() == [numpy.log(2.0), 1000.0, -numpy.inf]
