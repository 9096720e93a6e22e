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
from .packing import drop_beyond, pack, widen
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
        ranges = [
            list(map(slice, edges, edges[1:]))
            for edges in (x.tolist() for x in (docs, first_rows, doc_tokens, first_pairs))
        ]
        return [
            Windows(
                ids=self.ids[rows].copy(),
                starts=self.starts[windows.start : windows.stop + 1] - rows.start,
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
    pieces = drop_beyond(pieces, numpy.repeat(longest, numpy.diff(pieces.doc_tokens)))
    most = window - n_special if window else -1
    longest = numpy.repeat(longest, numpy.diff(pieces.docs))
    bounds, owner = pack(pieces, longest=longest, most=most, stride=stride)
    docs = numpy.append(owner[pieces.doc_tokens[:-1]], len(bounds))
    if context:
        kept = numpy.random.random(len(bounds)) >= context_dropout if context_dropout else True
        wanted = numpy.where(kept, context, 0)
        doc_pieces = pieces.sents[pieces.docs]
        n_windows = numpy.diff(docs)
        edges = [numpy.repeat(edge, n_windows) for edge in (doc_pieces[:-1], doc_pieces[1:])]
        bounds = widen(bounds, edges, wanted, limit - n_special)
    return _lay_out(tokenizer, pieces, bounds, owner), docs


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
