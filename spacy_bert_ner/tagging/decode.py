"""Decode tag probabilities to entities."""

from dataclasses import dataclass
from typing import Dict, Optional, Tuple, Union

import numpy

from ..types import Bools1d, Floats1d, Floats2d, Floats3d, Ints1d, Ints2d
from .crf import get_marginals, like_lengths, make_chain
from .schemes import TagSet

TINY = numpy.finfo("float32").tiny


@dataclass
class Entities:
    """Entities in a sequence of tokens.

    Attributes
    ----------
    starts, ends (Ints1d): First token, and the one after the last, (n_entities,).
    labels (Ints1d): Index of the label, (n_entities,).
    scores (Floats1d): Geometric mean of the probabilities of the entity's tags, 0 to 1,
        float32, (n_entities,).
    edges_scores (Floats1d): The same of its tags with any label: `B-PER` or `B-LOC` for `B-PER`.
    type_scores (Floats1d): The first divided by the second: of the label, given the edges.
    """

    starts: Ints1d
    ends: Ints1d
    labels: Ints1d
    scores: Floats1d
    edges_scores: Floats1d
    type_scores: Floats1d

    def named_scores(self) -> Dict[str, Floats1d]:
        """RETURNS (Dict[str, Floats1d]): The columns with scores, by name, (n_entities,) each."""
        return {name: values for name, values in vars(self).items() if name.endswith("scores")}

    def select(self, chosen: Union[Bools1d, slice]) -> "Entities":
        """Select some of the entities.

        chosen (Union[Bools1d, slice]): Whether to select each, bool, (n_entities,), or a range.
        RETURNS (Entities): The selected entities.
        """
        return Entities(*(column[chosen] for column in vars(self).values()))


def decode(
    scores: Floats2d,
    breaks: Bools1d,
    tag_set: TagSet,
    decoder: str,
    transitions: Optional[Floats2d] = None,
) -> Entities:
    """Find the entities in sequences, which are concatenated.

    scores (Floats2d): Tag probabilities, or, with transitions, log-scores, (n_tokens, n_tags).
    breaks (Bools1d): Whether a sequence begins at the token (true for the first one), bool,
        (n_tokens,).
    tag_set (TagSet): The tags.
    decoder (str): "constrained" for the most probable valid tags, or "greedy" for the most probable
        tag of each token. Greedy tags are repaired as conlleval reads them: a tag that can't
        continue the previous entity begins a new one, and an entity that isn't closed ends where
        the next tag doesn't continue it.
    transitions (Optional[Floats2d]): Log-scores of a CRF for transitions from a tag (row) to the
        next (column), (n_tags, n_tags). Probabilities of tags are then marginals over all valid
        sequences.
    RETURNS (Entities): The entities, in the order of the tokens.
    """
    probs = scores if transitions is None else crf_probs(scores, breaks, tag_set, transitions)
    log_probs = numpy.log(numpy.maximum(probs, TINY))
    if decoder == "greedy":
        tags = log_probs.argmax(axis=1)
    elif transitions is None:
        tags = constrained_tags(log_probs, breaks, tag_set)
    else:
        tags = crf_tags(scores, breaks, tag_set, transitions)
    starts, ends = find_entities(tags, breaks, tag_set)
    rows = numpy.arange(len(tags))
    # Of each tag, and of all tags with its prefix.
    chosen = numpy.stack([log_probs[rows, tags], _log_prefixes(probs, tags, tag_set)])
    sums = numpy.pad(numpy.cumsum(chosen, axis=1, dtype="float64"), ((0, 0), (1, 0)))
    exact, edges = (sums[:, ends] - sums[:, starts]) / (ends - starts)
    return Entities(
        starts,
        ends,
        tag_set.label_ids[tags[starts]],
        *(
            numpy.exp(logs).clip(0.0, 1.0).astype("float32")
            for logs in (exact, edges, exact - edges)
        ),
    )


def _log_prefixes(probs: Floats2d, tags: Ints1d, tag_set: TagSet) -> Floats1d:
    """Logarithms of the probabilities of the prefix of the tag of each token, with any label; 0 for
    `O`, (n_tokens,)."""
    n_prefixes = len(tag_set.scheme.prefixes)
    (inside,) = numpy.nonzero(tags)  # few of the tokens
    by_label = probs[inside, 1:].reshape(len(inside), len(tag_set.labels), n_prefixes)
    sums = by_label.sum(axis=1)[numpy.arange(len(inside)), (tags[inside] - 1) % n_prefixes]
    logs = numpy.zeros(len(tags))
    logs[inside] = numpy.log(numpy.maximum(sums, TINY))
    return logs


def crf_tags(scores: Floats2d, breaks: Bools1d, tag_set: TagSet, transitions: Floats2d) -> Ints1d:
    """Find the best valid tags of each sequence; among equally good ones, those with the lowest
    ids.

    scores (Floats2d): Log-scores of the tags, (n_tokens, n_tags).
    breaks (Bools1d): Whether a sequence begins at the token, bool, (n_tokens,).
    tag_set (TagSet): The tags.
    transitions (Floats2d): Log-scores of transitions from a tag (row) to the next (column),
        (n_tags, n_tags).
    RETURNS (Ints1d): Tag ids, (n_tokens,).
    """
    tags = numpy.zeros(len(scores), dtype="int64")
    starts = numpy.nonzero(breaks)[0]
    ends = numpy.append(starts[1:], len(scores))[: len(starts)]
    allowed = numpy.where(tag_set.allowed, transitions, -numpy.inf)
    _decode_pieces(_with_ends(scores, breaks, tag_set), starts, ends, allowed, tags)
    return tags


def crf_probs(
    scores: Floats2d, breaks: Bools1d, tag_set: TagSet, transitions: Floats2d
) -> Floats2d:
    """Calculate probabilities of tags over all valid sequences.

    scores (Floats2d): Log-scores of tags, (n_tokens, n_tags).
    breaks (Bools1d): Whether a sequence begins at the token (true for the first one), bool,
        (n_tokens,).
    tag_set (TagSet): The tags.
    transitions (Floats2d): Log-scores of transitions from a tag (row) to the next (column),
        (n_tags, n_tags).
    RETURNS (Floats2d): Marginal probabilities, (n_tokens, n_tags).
    """
    probs = numpy.zeros(scores.shape)
    starts = numpy.nonzero(breaks)[0]
    ends = numpy.append(starts[1:], len(scores))[: len(starts)]
    for chosen in like_lengths(ends - starts):
        rows = [numpy.arange(i, j) for i, j in zip(starts[chosen], ends[chosen])]
        chain = make_chain([scores[i] for i in rows], transitions, tag_set)
        _, marginals, _ = get_marginals(chain)
        for i, P in zip(rows, marginals):
            probs[i] = P[: len(i)]
    return probs


def constrained_tags(log_probs: Floats2d, breaks: Bools1d, tag_set: TagSet) -> Ints1d:
    """Find the most probable valid tags; among equally probable ones, those with the lowest ids.

    Where the best tags of single tokens form a valid sequence, they are the best sequence. Where
    two of them don't fit together, their tokens are decoded as one piece; if the result doesn't fit
    the next piece, the two pieces are joined in turn. Pieces that are optimal and fit together are
    optimal as a whole.

    log_probs (Floats2d): Logarithms of the probabilities of the tags, (n_tokens, n_tags).
    breaks (Bools1d): Whether a sequence begins at the token, bool, (n_tokens,).
    tag_set (TagSet): The tags.
    RETURNS (Ints1d): Tag ids, (n_tokens,).
    """
    n_tokens = len(log_probs)
    scores = _with_ends(log_probs, breaks, tag_set)
    transitions = numpy.where(tag_set.allowed, 0.0, -numpy.inf)
    tags: Ints1d = scores.argmax(axis=1)
    joined = numpy.zeros(n_tokens, dtype=bool)  # with the token before
    while True:
        fits = breaks[1:] | tag_set.allowed[tags[:-1], tags[1:]]
        clash = numpy.concatenate([[False], ~fits])[:n_tokens]
        if not clash.any():
            return tags
        # Each round joins at least two pieces, so the loop ends. A joined piece also grows by its
        # own length on either side, so that it ends soon even where all pieces clash.
        joined |= clash
        starts, ends = _pieces_with(clash, joined)
        lowest = numpy.maximum(2 * starts - ends, 0) + 1
        reach = numpy.bincount(lowest, minlength=n_tokens + 1)
        reach -= numpy.bincount(numpy.minimum(2 * ends - starts, n_tokens), minlength=n_tokens + 1)
        joined |= (numpy.cumsum(reach)[:n_tokens] > 0) & ~breaks
        _decode_pieces(scores, *_pieces_with(clash, joined), transitions, tags)


def _with_ends(log_scores: Floats2d, breaks: Bools1d, tag_set: TagSet) -> Floats2d:
    """Log-scores with -inf for tags that can't begin or end a sequence, (n_tokens, n_tags)."""
    # Double precision: float32 sums over thousands of tokens lose the differences between tags.
    scores = log_scores.astype("float64")
    ends = numpy.roll(breaks, -1)  # the token before a break, and the last
    ends[-1:] = True
    scores[numpy.ix_(breaks, ~tag_set.first)] = -numpy.inf
    scores[numpy.ix_(ends, ~tag_set.last)] = -numpy.inf
    return scores


def _pieces_with(marked: Bools1d, joined: Bools1d) -> Tuple[Ints1d, Ints1d]:
    """Starts and ends of the pieces with a marked token, (n_pieces,) each."""
    starts = numpy.nonzero(~joined)[0]
    ends = numpy.append(starts[1:], len(joined))
    chosen = numpy.logical_or.reduceat(marked, starts)
    return starts[chosen], ends[chosen]


def _decode_pieces(
    scores: Floats2d, starts: Ints1d, ends: Ints1d, transitions: Floats2d, tags: Ints1d
) -> None:
    """Decode ranges of tokens, those of similar length together, and write their tags in place."""
    for chosen in like_lengths(ends - starts):
        lengths = ends[chosen] - starts[chosen]
        steps = numpy.arange(lengths.max())
        inside = steps < lengths[:, None]
        rows = numpy.where(inside, starts[chosen][:, None] + steps, 0)
        tags[rows[inside]] = viterbi(scores[rows], lengths, transitions)[inside]


def viterbi(scores: Floats3d, lengths: Ints1d, transitions: Floats2d) -> Ints2d:
    """Find the best tags of each sequence of a padded batch (Viterbi 1967); among equally good
    ones, those with the lowest ids.

    scores (Floats3d): Log-scores of the tags, (n_sequences, longest, n_tags).
    lengths (Ints1d): Length of each sequence, at least 1, (n_sequences,).
    transitions (Floats2d): Log-scores of transitions from a tag (row) to the next (column), -inf
        for impossible ones, (n_tags, n_tags).
    RETURNS (Ints2d): Tag ids, int64, (n_sequences, longest); undefined beyond each length.
    """
    n_sequences, longest, _ = scores.shape
    best = scores[:, 0]  # (n_sequences, n_tags)
    previous = numpy.zeros(scores.shape, dtype="int32")
    finals = numpy.array(best)
    for t in range(1, longest):
        paths = best[:, :, None] + transitions  # (n_sequences, from, to)
        previous[:, t] = paths.argmax(axis=1)
        best = paths.max(axis=1) + scores[:, t]
        ends_here = lengths == t + 1
        finals[ends_here] = best[ends_here]
    tags = numpy.zeros((n_sequences, longest), dtype="int64")
    rows = numpy.arange(n_sequences)
    tag = finals.argmax(axis=1)
    for t in range(longest - 1, -1, -1):
        tags[:, t] = tag
        before = previous[rows, t, tag]
        tag = numpy.where(t < lengths, before, tag)
    return tags


def find_entities(tags: Ints1d, breaks: Bools1d, tag_set: TagSet) -> Tuple[Ints1d, Ints1d]:
    """Read entities from tags, valid or not, as conlleval does.

    tags (Ints1d): Tag ids, (n_tokens,).
    breaks (Bools1d): Whether a sequence begins at the token, bool, (n_tokens,).
    tag_set (TagSet): The tags.
    RETURNS (Tuple[Ints1d, Ints1d]): Starts and ends, (n_entities,) each.
    """
    labels = tag_set.label_ids[tags]
    begins = tag_set.starts[tags] | breaks
    begins[1:] |= (labels[1:] != labels[:-1]) | tag_set.closes[tags[:-1]]
    starts = numpy.nonzero(begins & (labels >= 0))[0]
    # An entity ends where another begins, or where its label doesn't continue.
    stops = numpy.append(numpy.nonzero(begins)[0], len(tags))
    ends = stops[numpy.searchsorted(stops, starts, side="right")]
    return starts, ends
