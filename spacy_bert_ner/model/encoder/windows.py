"""Divide documents into windows of wordpieces, and align spaCy's tokens with the rows of the
output.

A document's pieces are in one array, in text order. A window is a range of them between the
tokenizer's special tokens; the rows of all windows, one after the other and without padding, are
the document's encoder output:

    pieces      p0 p1 p2 | p3 p4 | p5 p6 p7 p8              | between sentences
    windows     [CLS] p0 p1 p2 p3 p4 [SEP]   [CLS] p5 p6 p7 p8 [SEP]
    rows          0   1  2  3  4  5   6        7   8  9 10 11  12
"""

from dataclasses import dataclass
from typing import Any, List, Tuple, cast

import numpy
from spacy.tokens import Doc
from thinc.types import Ragged

from ...characters import add_before
from ...errors import UserError
from ...types import Bools1d, Ints1d, Ints2d
from .pieces import Pieces, get_pieces, get_ranks
from .settings import WindowSettings
from .tokenizer import PieceTokenizer


@dataclass
class Windows:
    """Documents, in windows.

    Attributes
    ----------
    ids (Ints1d): Vocabulary ids of all rows, special tokens included, int32, (n_rows,).
    starts (Ints1d): First row of every window, and n_rows, int64, (n_windows + 1,).
    align (Ragged): The rows of each token, int32; every token has at least one.
    has_pieces (Bools1d): Whether these are rows of its own pieces, bool, (n_tokens,).
    """

    ids: Ints1d
    starts: Ints1d
    align: Ragged
    has_pieces: Bools1d

    def split(self, docs: Ints1d, doc_tokens: Ints1d) -> List["Windows"]:
        """Split by document. Nothing is shared: who keeps one document doesn't keep all of them.

        docs (Ints1d): First window of every document, and n_windows, int64, (n_docs + 1,).
        doc_tokens (Ints1d): First token of every document, and n_tokens, int64, (n_docs + 1,).
        RETURNS (List[Windows]): One for each document, whose rows begin with 0.
        """
        first_rows, lengths = self.starts[docs], cast(Ints1d, self.align.lengths)
        first_pairs = add_before(lengths)[doc_tokens]
        data = cast(Ints1d, self.align.dataXd) - numpy.repeat(
            first_rows[:-1].astype("int32"), numpy.diff(first_pairs)
        )
        starts = self.starts[:-1] - numpy.repeat(first_rows[:-1], numpy.diff(docs))
        ranges = [
            list(map(slice, edges, edges[1:]))
            for edges in (x.tolist() for x in (docs, first_rows, doc_tokens, first_pairs))
        ]
        return [
            Windows(
                ids=self.ids[rows].copy(),
                starts=numpy.append(starts[windows], rows.stop - rows.start),
                align=Ragged(cast(Any, data[pairs].copy()), cast(Any, lengths[tokens].copy())),
                has_pieces=self.has_pieces[tokens].copy(),
            )
            for windows, rows, tokens, pairs in zip(*ranges)
        ]

    @property
    def lengths(self) -> Ints1d:
        """RETURNS (Ints1d): Rows of every window, int64, (n_windows,)."""
        return numpy.diff(self.starts)


def cut_docs(
    tokenizer: PieceTokenizer,
    docs: List[Doc],
    settings: WindowSettings,
    *,
    limit: int,
    context_dropout: float = 0.0,
) -> List[Windows]:
    """Divide documents into windows, see `get_windows`.

    tokenizer (PieceTokenizer): The tokenizer of the encoder.
    docs (List[Doc]): Documents that have tokens.
    settings (WindowSettings): Length and context of the windows.
    limit (int): The most wordpieces that the encoder can read at once.
    context_dropout (float): Share of windows that are left without context, 0 to 1.
    RETURNS (List[Windows]): The documents, in windows.
    """
    if not docs:
        return []
    pieces = get_pieces(tokenizer, docs)
    windows, first_windows = get_windows(
        tokenizer,
        pieces,
        window=settings.window,
        stride=settings.stride,
        limit=limit,
        context=settings.context,
        context_dropout=context_dropout,
    )
    return windows.split(first_windows, pieces.doc_tokens)


def check_window(window: int, tokenizer: PieceTokenizer, limit: int, name: str, block: str) -> None:
    """Check the length of windows.

    window (int): See `get_windows`.
    tokenizer (PieceTokenizer): The tokenizer of the encoder.
    limit (int): The most wordpieces that the encoder can read at once.
    name (str): Name of the encoder, for the message.
    block (str): The block that it is set in, for the message.
    RAISES (ValueError): If the encoder can't read such windows, or if they have no room for text.
    """
    least = len(tokenizer.prefix) + len(tokenizer.suffix) + 1
    if window and not least <= window <= limit:
        raise UserError(
            f"Can't read windows of {window} wordpieces with '{name}': it accepts {least} to "
            f"{limit}, special tokens included. Set window in {block} to a number between, or to 0 "
            "for one sentence each."
        )


def get_windows(
    tokenizer: PieceTokenizer,
    pieces: Pieces,
    *,
    window: int,
    stride: int,
    limit: int,
    context: int = 0,
    context_dropout: float = 0.0,
) -> Tuple[Windows, Ints1d]:
    """Divide documents into windows. Whole consecutive sentences are packed as long as they fit in
    `window`. A sentence longer than `limit` is divided into overlapping windows, and each token
    gets its vector from the window in which its shorter side of context is longest. A document
    without sentence starts is divided like such a sentence, `window` pieces at a time. Then each
    window is widened by the text around it, which is read, but no token gets its vector from there
    (Devlin et al. 2019, section 5.3; Schweter & Akbik 2020).

    tokenizer (PieceTokenizer): The tokenizer of the pieces.
    pieces (Pieces): The wordpieces of the documents.
    window (int): Length of a window in wordpieces, special tokens included; 0 for one sentence
        each.
    stride (int): Wordpieces between the starts of overlapping windows; 0 for three quarters.
    limit (int): The most wordpieces that the encoder can read at once.
    context (int): Wordpieces to read on either side of a window, as far as `limit` has room.
    context_dropout (float): Share of windows that are left without them, 0 to 1.
    RETURNS (Tuple[Windows, Ints1d]): The documents, in windows, and the first window of every
        document, and n_windows, int64, (n_docs + 1,).
    """
    n_special = len(tokenizer.prefix) + len(tokenizer.suffix)
    longest = numpy.where(pieces.has_sents | (window == 0), limit, window or limit) - n_special
    pieces = _drop_beyond(pieces, numpy.repeat(longest, numpy.diff(pieces.doc_tokens)))
    most = window - n_special if window else -1
    longest = numpy.repeat(longest, numpy.diff(pieces.docs))
    bounds, owner = _pack(pieces, longest=longest, most=most, stride=stride)
    docs = numpy.append(owner[pieces.doc_tokens[:-1]], len(bounds))
    if context:
        kept = numpy.random.random(len(bounds)) >= context_dropout if context_dropout else True
        wanted = numpy.where(kept, context, 0)
        doc_pieces = pieces.sents[pieces.docs]
        n_windows = numpy.diff(docs)
        edges = [numpy.repeat(edge, n_windows) for edge in (doc_pieces[:-1], doc_pieces[1:])]
        bounds = _widen(bounds, edges, wanted, limit - n_special)
    return _lay_out(tokenizer, pieces, bounds, owner), docs


def _pack(pieces: Pieces, *, longest: Ints1d, most: int, stride: int) -> Tuple[Ints2d, Ints1d]:
    """Pack whole consecutive sentences into windows, and divide those that are too long for one.

    longest (Ints1d): Wordpieces up to which a sentence stays whole, (n_sents,).
    most (int): Wordpieces up to which sentences are packed; -1 for one sentence each.
    stride (int): See `get_windows`.
    RETURNS (Tuple[Ints2d, Ints1d]): Ranges of pieces, int64, (n_windows, 2), and which of them each
        token belongs to, int64, (n_tokens,).
    """
    bounds: List[Tuple[int, int]] = []
    owners: List[int] = []  # the window of each sentence, the first one of those that are divided
    divided: List[Tuple[slice, Ints1d]] = []
    room = 0  # pieces for which the last window has room
    n_pieces = numpy.diff(pieces.sents)
    is_long = (n_pieces > longest).tolist()
    is_first = numpy.zeros(len(n_pieces), dtype=bool)
    is_first[pieces.docs[:-1]] = True
    first, end = _token_ranges(pieces) if any(is_long) else (pieces.sents, pieces.sents)
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


def _widen(bounds: Ints2d, edges: List[Ints1d], context: Ints1d, longest: int) -> Ints2d:
    """Widen ranges of pieces by `context` on either side, but not beyond the `edges` of the
    document, and to no more than `longest` pieces: room that one side doesn't need is left to the
    other."""
    starts, ends = bounds[:, 0], bounds[:, 1]
    before = numpy.minimum(starts - edges[0], context)
    behind = numpy.minimum(edges[1] - ends, context)
    room = numpy.maximum(longest - (ends - starts), 0)
    left = numpy.minimum(before, numpy.maximum(room // 2, room - behind))
    right = numpy.minimum(behind, room - left)
    return numpy.stack([starts - left, ends + right], axis=1)


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


def _lay_out(tokenizer: PieceTokenizer, pieces: Pieces, bounds: Ints2d, owner: Ints1d) -> Windows:
    """Number the rows of all windows and align the tokens with them."""
    starts, ends = bounds[:, 0], bounds[:, 1]
    n_prefix, n_suffix = len(tokenizer.prefix), len(tokenizer.suffix)
    n_rows = n_prefix + ends - starts + n_suffix
    empty = n_rows == 0  # nothing but tokens without pieces, and no special tokens
    window_rows = add_before(n_rows + empty)
    first_rows = window_rows[:-1]
    ids = numpy.full(window_rows[-1], tokenizer.filler, dtype="int32")
    for i, special in enumerate(tokenizer.prefix):
        ids[first_rows + i] = special
    for i, special in enumerate(tokenizer.suffix):
        ids[first_rows + n_prefix + ends - starts + i] = special
    ranks = get_ranks(ends - starts)
    ids[numpy.repeat(first_rows + n_prefix, ends - starts) + ranks] = pieces.ids[
        numpy.repeat(starts, ends - starts) + ranks
    ]
    pair_tokens, pair_pieces = pieces.pairs
    counts = numpy.bincount(pair_tokens, minlength=pieces.n_tokens)
    shift = (first_rows + n_prefix - starts)[owner]  # from a piece of a token to its row
    lengths = numpy.maximum(counts, 1)
    special_rows = first_rows if n_prefix or not n_suffix else first_rows + ends - starts
    # A token without pieces: the last piece before it in its window, else a special token.
    last = _last_pieces(pieces)
    stand_ins = numpy.where(last >= starts[owner], last + shift, special_rows[owner])
    data = numpy.repeat(stand_ins, lengths)
    data[numpy.repeat(counts > 0, lengths)] = pair_pieces + shift[pair_tokens]
    return Windows(
        ids=ids,
        starts=window_rows,
        align=Ragged(cast(Any, data.astype("int32")), cast(Any, lengths.astype("int32"))),
        has_pieces=counts > 0,
    )


def _last_pieces(pieces: Pieces) -> Ints1d:
    """The last piece of each token or of the tokens before it, -1 if there is none, int64,
    (n_tokens,)."""
    last = numpy.full(pieces.n_tokens, -1, dtype="int64")
    pair_tokens, pair_pieces = pieces.pairs
    last[pair_tokens] = pair_pieces
    return numpy.maximum.accumulate(last)


def _drop_beyond(pieces: Pieces, longest: Ints1d) -> Pieces:
    """Drop the pieces of a token beyond those that fit in a window, `longest` for each token."""
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


def _token_ranges(pieces: Pieces) -> Tuple[Ints1d, Ints1d]:
    """First piece of every token and the one after its last; both 0 for tokens without pieces."""
    first = numpy.zeros(pieces.n_tokens, dtype="int64")
    end = numpy.zeros(pieces.n_tokens, dtype="int64")
    pair_tokens, pair_pieces = pieces.pairs
    first[pair_tokens[::-1]] = pair_pieces[::-1]
    end[pair_tokens] = pair_pieces + 1
    return first, end
