"""Which pieces go into which window: whole sentences, or parts of long ones."""

from typing import List, Tuple

import numpy

from ...characters import add_before
from ...types import Ints1d, Ints2d
from .pieces import Pieces


def pack(pieces: Pieces, *, longest: Ints1d, most: int, stride: int) -> Tuple[Ints2d, Ints1d]:
    """Pack whole consecutive sentences into windows, and divide those that are too long for one.

    pieces (Pieces): The wordpieces of documents.
    longest (Ints1d): Wordpieces up to which a sentence stays whole, int, (n_sents,).
    most (int): Wordpieces up to which sentences are packed; -1 for one sentence each.
    stride (int): See `get_windows`.
    RETURNS (Tuple[Ints2d, Ints1d]): Ranges of pieces, int64, (n_windows, 2), and which of them each
        token belongs to, int64, (n_tokens,).
    """
    bounds: List[Tuple[int, int]] = []
    owners: List[int] = []  # the window of each sentence, the first one of those that are divided
    divided: List[Tuple[slice, Ints1d]] = []
    room = -1  # pieces for which the last window has room
    n_pieces = numpy.diff(pieces.sents)
    is_long = (n_pieces > longest).tolist()
    is_first = numpy.zeros(len(n_pieces), dtype=bool)
    is_first[pieces.docs[:-1]] = True
    first, end = _token_ranges(pieces)
    sents = pieces.sents.tolist()
    for i, (n, begins) in enumerate(zip(n_pieces.tolist(), is_first.tolist())):
        if is_long[i]:
            tokens = slice(*pieces.sent_tokens[i : i + 2].tolist())
            cuts, parts = _cut_sentence(first[tokens], end[tokens], int(longest[i]), stride)
            divided.append((tokens, len(bounds) + parts))
            owners.append(len(bounds))
            # A sentence of white space alone may have pieces, but no token has any.
            bounds += cuts or [(sents[i], sents[i])]
            room = -1  # not even for a sentence without pieces
            continue
        if n <= room and not begins:
            bounds[-1] = (bounds[-1][0], sents[i + 1])
            room -= n
        else:
            bounds.append((sents[i], sents[i + 1]))
            room = max(most - n, -1)
        owners.append(len(bounds) - 1)
    owner = numpy.repeat(owners, numpy.diff(pieces.sent_tokens))
    for tokens, its_owners in divided:
        owner[tokens] = its_owners
    return numpy.asarray(bounds, dtype="int64"), owner


def widen(bounds: Ints2d, edges: List[Ints1d], context: Ints1d, longest: int) -> Ints2d:
    """Widen ranges of pieces on either side, but not beyond the document. Room that one side
    doesn't need is left to the other.

    bounds (Ints2d): The ranges, int64, (n_windows, 2).
    edges (List[Ints1d]): First piece of the document of each window, and the one after its last,
        int64, (n_windows,) each.
    context (Ints1d): Pieces to add on either side, int, (n_windows,).
    longest (int): The most pieces of a widened range.
    RETURNS (Ints2d): The wider ranges, int64, (n_windows, 2).
    """
    starts, ends = bounds[:, 0], bounds[:, 1]
    before = numpy.minimum(starts - edges[0], context)
    behind = numpy.minimum(edges[1] - ends, context)
    room = numpy.maximum(longest - (ends - starts), 0)
    left = numpy.minimum(before, numpy.maximum(room // 2, room - behind))
    right = numpy.minimum(behind, room - left)
    return numpy.stack([starts - left, ends + right], axis=1)


def drop_beyond(pieces: Pieces, longest: Ints1d) -> Pieces:
    """Drop the pieces of a token beyond those that fit in a window.

    pieces (Pieces): The wordpieces of documents.
    longest (Ints1d): The most pieces in a window, for each token, int, (n_tokens,).
    RETURNS (Pieces): The rest.
    """
    first, end = _token_ranges(pieces)
    over = end - first > longest  # with the white space inside it
    if not over.any():
        return pieces
    pair_tokens, pair_pieces = pieces.pairs
    kept_pairs = pair_pieces < (first + longest)[pair_tokens]
    edges = numpy.zeros(len(pieces.ids) + 1, dtype="int64")
    numpy.add.at(edges, (first + longest)[over], 1)
    numpy.add.at(edges, end[over], -1)
    dropped = numpy.cumsum(edges)[:-1] > 0
    dropped[pair_pieces[kept_pairs]] = False
    position = add_before(~dropped)
    return Pieces(
        ids=pieces.ids[~dropped],
        sents=position[pieces.sents],
        sent_tokens=pieces.sent_tokens,
        docs=pieces.docs,
        pairs=(pair_tokens[kept_pairs], position[pair_pieces[kept_pairs]]),
        has_sents=pieces.has_sents,
    )


def _cut_sentence(
    first: Ints1d, end: Ints1d, longest: int, stride: int
) -> Tuple[List[Tuple[int, int]], Ints1d]:
    """Divide one sentence into overlapping windows that begin and end between tokens.

    RETURNS (Tuple[List[Tuple[int, int]], Ints1d]): Ranges of pieces, and which of them each token
        belongs to, int64, (n_tokens,).
    """
    step = min(stride or max(1, 3 * longest // 4), longest)
    owner = numpy.zeros(len(end), dtype="int64")
    latest = numpy.zeros(len(end), dtype="int64")
    rows = numpy.nonzero(end > first)[0]  # tokens that have pieces
    latest[rows] = rows
    first, end = first[rows], end[rows]
    context = numpy.full(len(rows), -1, dtype="int64")
    bounds: List[Tuple[int, int]] = []
    a = b = 0
    while b < len(rows):
        b = int(numpy.searchsorted(end, first[a] + longest, side="right"))
        start, stop = int(first[a]), int(end[b - 1])
        shorter = numpy.minimum(first[a:b] - start, stop - end[a:b])
        better = shorter > context[a:b]
        context[a:b][better] = shorter[better]
        owner[rows[a:b][better]] = len(bounds)
        bounds.append((start, stop))
        following = int(numpy.searchsorted(first, first[a] + step, side="left"))
        a = max(a + 1, min(following, b))
    # A token without pieces belongs to the window of the token before it.
    return bounds, owner[numpy.maximum.accumulate(latest)]


def _token_ranges(pieces: Pieces) -> Tuple[Ints1d, Ints1d]:
    """First piece of every token and the one after its last; both 0 for tokens without pieces."""
    first = numpy.zeros(pieces.n_tokens, dtype="int64")
    end = numpy.zeros(pieces.n_tokens, dtype="int64")
    pair_tokens, pair_pieces = pieces.pairs
    first[pair_tokens[::-1]] = pair_pieces[::-1]
    end[pair_tokens] = pair_pieces + 1
    return first, end
