"""Linear-chain conditional random fields (Lafferty et al. 2001): scores and probabilities of tag
sequences. Everything is in double precision, for padded batches of sequences."""

from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

import numpy

from ..types import Bools1d, Floats1d, Floats2d, Floats3d, FloatsXd, Ints1d
from .schemes import TagSet

# Numbers are summed as a product of matrices, not by their logarithms, if the lowest logarithm is
# less than this below the highest. The least number in double precision is exp(-745).
REACH = 700.0


class Chain(NamedTuple):
    """Scores of the tags of sequences, and of transitions between tags.

    scores (Floats3d): Log-scores of the tags, -inf for impossible ones, (n_sequences, longest,
        n_tags). Ignored beyond the length of a sequence.
    lengths (Ints1d): Length of each sequence, at least 1, (n_sequences,).
    transitions (Floats2d): Log-scores of transitions from a tag (row) to the next (column), -inf
        for impossible ones, (n_tags, n_tags).
    """

    scores: Floats3d
    lengths: Ints1d
    transitions: Floats2d


def make_chain(scores: List[Floats2d], transitions: Floats2d, tag_set: TagSet) -> Chain:
    """Make chains over valid tags.

    scores (List[Floats2d]): Log-scores of the tags of each sequence, (n_tokens, n_tags).
    transitions (Floats2d): Log-scores of transitions from a tag (row) to the next (column),
        (n_tags, n_tags).
    tag_set (TagSet): The tags, and which of them can follow each other.
    RETURNS (Chain): All sequences, padded.
    """
    lengths = numpy.array([len(X) for X in scores])
    padded = numpy.zeros((len(scores), lengths.max(), len(tag_set)))
    for row, X in zip(padded, scores):
        row[: len(X)] = X
        row[0, ~tag_set.first] = -numpy.inf
        row[len(X) - 1, ~tag_set.last] = -numpy.inf
    allowed = numpy.where(tag_set.allowed, transitions.astype("float64"), -numpy.inf)
    return Chain(padded, lengths, allowed)


def like_lengths(lengths: Ints1d) -> Iterator[Bools1d]:
    """Group sequences for padding, so that none is padded to more than twice its length.

    lengths (Ints1d): Length of each sequence, at least 1, (n_sequences,).
    YIELDS (Bools1d): Which sequences are in a group, (n_sequences,).
    """
    sizes = numpy.ceil(numpy.log2(lengths))
    for size in numpy.unique(sizes):
        yield sizes == size


def log_partition(chain: Chain) -> Floats1d:
    """Sum over all tag sequences.

    chain (Chain): Sequences.
    RETURNS (Floats1d): Logarithm of the sum of exp(score), (n_sequences,); -inf where no sequence
        is possible.
    """
    last = numpy.arange(len(chain.lengths)), chain.lengths - 1
    return log_sum_exp(_forward(chain)[last], axis=1)


def get_marginals(chain: Chain) -> Tuple[Floats1d, Floats3d, Floats2d]:
    """Calculate probabilities of tags and of transitions (forward-backward, Rabiner 1989).

    chain (Chain): Sequences.
    RETURNS (Tuple[Floats1d, Floats3d, Floats2d]): `log_partition`, (n_sequences,); the probability
        of each tag at each position, zero beyond the lengths, (n_sequences, longest, n_tags); and
        the expected number of transitions from a tag (row) to the next (column), over all
        sequences, (n_tags, n_tags).
    """
    forward, backward = _forward(chain), _backward(chain)
    n_sequences, longest, n_tags = chain.scores.shape
    totals = log_sum_exp(forward[numpy.arange(n_sequences), chain.lengths - 1], axis=1)
    inside = numpy.arange(longest) < chain.lengths[:, None]
    # Where no sequence is possible, all paths are -inf already.
    norms = numpy.where(numpy.isfinite(totals), totals, 0.0)
    ways = forward + backward - norms[:, None, None]
    tags = numpy.exp(numpy.where(inside[:, :, None], ways, -numpy.inf))
    steps = inside[:, 1:]  # into a token from the one before it
    before = forward[:, :-1][steps]
    after = (backward + chain.scores)[:, 1:][steps] - numpy.repeat(norms, steps.sum(axis=1))[
        :, None
    ]
    return totals, tags, _count_pairs(before, after, chain.transitions)


def _count_pairs(before: Floats2d, after: Floats2d, transitions: Floats2d) -> Floats2d:
    """Add up the probabilities of transitions.

    before, after (Floats2d): Logarithms, of which the sum, with that of the transition, is the
        probability of a pair of tags: of the first (before) and of the second, (n_steps, n_tags).
    transitions (Floats2d): Log-scores of transitions, (n_tags, n_tags).
    RETURNS (Floats2d): The expected number of each transition, (n_tags, n_tags).
    """
    highest, top = _get_highest(before, axis=1), _get_highest(transitions, axis=None)
    shifted = after + (highest + top)
    if shifted.max(initial=-numpy.inf) < REACH / 2:
        # So what is lost in the other factors is too small for a probability.
        counts: Floats2d = numpy.exp(before - highest).T @ numpy.exp(shifted)
        weighted: Floats2d = counts * numpy.exp(transitions - top)
        return weighted
    pairs = numpy.zeros(transitions.shape)
    for one, other in zip(before, after):
        pairs += numpy.exp(one[:, None] + other + transitions)
    return pairs


def differentiate_marginals(chain: Chain, directions: Floats3d) -> Tuple[Floats3d, Floats2d]:
    """Calculate how probabilities of tags and transitions change when scores move in a direction,
    by forward differentiation of forward-backward. These probabilities are the gradient of
    `log_partition`, whose second derivatives are symmetric. So the result is also the gradient of
    the tags' probabilities, summed with the direction as weights, by scores and transitions: with
    the gradient of a loss by the probabilities as the direction, it is the gradient of the loss.

    chain (Chain): The sequences.
    directions (Floats3d): The direction in which the scores move, finite, (n_sequences, longest,
        n_tags).
    RETURNS (Tuple[Floats3d, Floats2d]): The changes of the last two results of `get_marginals`, per
        step.
    """
    scores, lengths, transitions = chain
    forward, backward = _forward(chain), _backward(chain)
    n_sequences, longest, n_tags = scores.shape
    inside = (numpy.arange(longest) < lengths[:, None])[:, :, None]
    directions = numpy.where(inside, directions, 0.0)
    d_forward, d_backward = directions.copy(), numpy.zeros(scores.shape)
    for t in range(1, longest):
        shares = _shares(forward[:, t - 1, :, None] + transitions, axis=1)
        d_forward[:, t] += (shares * d_forward[:, t - 1, :, None]).sum(axis=1)
    for t in range(longest - 2, -1, -1):
        shares = _shares(transitions + (backward + scores)[:, t + 1, None, :], axis=2)
        d_arriving = (d_backward + directions)[:, t + 1, None, :]
        d_onward = (shares * d_arriving).sum(axis=2)
        d_backward[:, t] = numpy.where((t + 1 < lengths)[:, None], d_onward, 0.0)
    last = numpy.arange(n_sequences), lengths - 1
    totals = log_sum_exp(forward[last], axis=1)[:, None]
    totals = numpy.where(numpy.isfinite(totals), totals, 0.0)  # see `get_marginals`
    d_totals = (_shares(forward[last], axis=1) * d_forward[last]).sum(axis=1)[:, None]
    tags = numpy.exp(numpy.where(inside, forward + backward - totals[:, None], -numpy.inf))
    d_tags = tags * (d_forward + d_backward - d_totals[:, None])
    d_pairs = numpy.zeros((n_tags, n_tags))
    arriving, d_arriving = backward + scores, d_backward + directions
    for t in range(1, longest):
        rows = numpy.nonzero(t < lengths)[0]
        steps = forward[rows, t - 1, :, None] + arriving[rows, t, None, :]
        pairs = numpy.exp(steps + transitions - totals[rows, None])
        d_steps = d_forward[rows, t - 1, :, None] + d_arriving[rows, t, None, :]
        d_pairs += (pairs * (d_steps - d_totals[rows, None])).sum(axis=0)
    return d_tags, d_pairs


def _shares(X: numpy.ndarray, axis: int) -> numpy.ndarray:
    """RETURNS (ndarray): exp(X) divided by its sum over an axis; zeros where all values are
    -inf."""
    sums = numpy.expand_dims(log_sum_exp(X, axis), axis)
    shares: numpy.ndarray = numpy.exp(X - numpy.where(numpy.isfinite(sums), sums, 0.0))
    return shares


def _forward(chain: Chain) -> Floats3d:
    """Log-scores of all paths to a tag, including the tag itself."""
    scores, _, transitions = chain
    step = _make_step(transitions)
    forward = numpy.array(scores)
    for t in range(1, scores.shape[1]):
        forward[:, t] += step(forward[:, t - 1])
    return forward


def _backward(chain: Chain) -> Floats3d:
    """Log-scores of all paths from a tag to the end, without the tag itself."""
    scores, lengths, transitions = chain
    step = _make_step(transitions.T)
    backward = numpy.zeros(scores.shape)
    for t in range(scores.shape[1] - 2, -1, -1):
        onward = step(backward[:, t + 1] + scores[:, t + 1])
        backward[:, t] = numpy.where((t + 1 < lengths)[:, None], onward, 0.0)
    return backward


def _make_step(transitions: Floats2d) -> Callable[[Floats2d], Floats2d]:
    """RETURNS (Callable[[Floats2d], Floats2d]): A function that continues log-scores of paths to
    tags, (n_sequences, n_tags), by one transition, and sums over the tags that they come from."""
    top = _get_highest(transitions, axis=None)
    below = transitions - top
    weights = numpy.exp(below)
    reach = REACH - _get_span(below)

    def step(X: Floats2d) -> Floats2d:
        highest = _get_highest(X, axis=1)
        shifted = X - highest
        if _get_span(shifted) > reach:
            return log_sum_exp(X[:, :, None] + transitions, axis=1)
        with numpy.errstate(divide="ignore"):
            logs = numpy.log(numpy.exp(shifted) @ weights)
        sums: Floats2d = logs + (highest + top)
        return sums

    return step


def _get_span(X: FloatsXd) -> float:
    """RETURNS (float): How far the lowest of some logarithms is below 0, except for -inf."""
    return -float(X.min(where=numpy.isfinite(X), initial=0.0))


def _get_highest(X: FloatsXd, axis: Optional[int]) -> FloatsXd:
    """RETURNS (FloatsXd): The maximum over an axis, which is kept; 0 where all values are -inf."""
    highest: FloatsXd = X.max(axis=axis, keepdims=True)
    return numpy.where(numpy.isfinite(highest), highest, 0.0)


def log_sum_exp(X: FloatsXd, axis: int) -> FloatsXd:
    """Sum numbers that are given as logarithms.

    X (FloatsXd): Logarithms.
    axis (int): What to sum over.
    RETURNS (FloatsXd): log(sum(exp(X))) over the axis; -inf where all values are -inf.
    """
    highest = _get_highest(X, axis)
    with numpy.errstate(divide="ignore"):
        logs: FloatsXd = numpy.log(numpy.exp(X - highest).sum(axis=axis))
    total: FloatsXd = logs + highest.squeeze(axis)
    return total
