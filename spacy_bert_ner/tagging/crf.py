"""Linear-chain conditional random fields (Lafferty et al. 2001): scores and probabilities of tag
sequences. Everything is in double precision, for padded batches of sequences."""

from typing import Iterator, List, NamedTuple, Tuple

import numpy

from ..types import Bools1d, Floats1d, Floats2d, Floats3d, FloatsXd, Ints1d
from .schemes import TagSet


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
    return Chain(padded, lengths, numpy.where(tag_set.allowed, transitions, -numpy.inf))


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
    pairs = numpy.zeros((n_tags, n_tags))
    arriving = backward + chain.scores
    for t in range(1, longest):
        rows = numpy.nonzero(inside[:, t])[0]
        steps = forward[rows, t - 1, :, None] + arriving[rows, t, None, :]
        pairs += numpy.exp(steps + chain.transitions - norms[rows, None, None]).sum(axis=0)
    return totals, tags, pairs


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
    forward = numpy.array(scores)
    for t in range(1, scores.shape[1]):
        forward[:, t] += log_sum_exp(forward[:, t - 1, :, None] + transitions, axis=1)
    return forward


def _backward(chain: Chain) -> Floats3d:
    """Log-scores of all paths from a tag to the end, without the tag itself."""
    scores, lengths, transitions = chain
    backward = numpy.zeros(scores.shape)
    for t in range(scores.shape[1] - 2, -1, -1):
        arriving = backward[:, t + 1] + scores[:, t + 1]
        onward = log_sum_exp(transitions + arriving[:, None, :], axis=2)
        backward[:, t] = numpy.where((t + 1 < lengths)[:, None], onward, 0.0)
    return backward


def log_sum_exp(X: FloatsXd, axis: int) -> FloatsXd:
    """Sum numbers that are given as logarithms.

    X (FloatsXd): Logarithms.
    axis (int): What to sum over.
    RETURNS (FloatsXd): log(sum(exp(X))) over the axis; -inf where all values are -inf.
    """
    highest = X.max(axis=axis, keepdims=True)
    highest = numpy.where(numpy.isfinite(highest), highest, 0.0)
    with numpy.errstate(divide="ignore"):
        logs: FloatsXd = numpy.log(numpy.exp(X - highest).sum(axis=axis))
    total: FloatsXd = logs + highest.squeeze(axis)
    return total
