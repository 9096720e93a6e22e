"""Split the text of documents into wordpieces, and align them with spaCy's tokens."""

from dataclasses import dataclass
from typing import List, Tuple

import numpy
from spacy.tokens import Doc

from ...characters import count_before, nonspace_table, token_chars
from ...types import Bools1d, Ints1d, Ints2d
from .tokenizer import PieceTokenizer


@dataclass
class Pieces:
    """The wordpieces of one document.

    Attributes
    ----------
    ids (Ints1d): Vocabulary ids in text order, int32, (n_pieces,).
    sents (Ints1d): First piece of every sentence, and n_pieces, int64, (n_sents + 1,).
    sent_tokens (Ints1d): First token of every sentence, and n_tokens, int64, (n_sents + 1,).
    pairs (Tuple[Ints1d, Ints1d]): A token and a piece that contains a part of it, in this order,
        int64, (n_pairs,) each.
    n_tokens (int): Number of tokens.
    has_sents (bool): Whether the document has sentence marks; if not, it is one sentence here.
    """

    ids: Ints1d
    sents: Ints1d
    sent_tokens: Ints1d
    pairs: Tuple[Ints1d, Ints1d]
    n_tokens: int
    has_sents: bool

    @property
    def has_pieces(self) -> Bools1d:
        """RETURNS (Bools1d): Whether a token has pieces of its own, bool, (n_tokens,)."""
        return numpy.bincount(self.pairs[0], minlength=self.n_tokens) > 0


def get_pieces(tokenizer: PieceTokenizer, docs: List[Doc]) -> List[Pieces]:
    """Tokenize documents sentence by sentence, in one call. The text of a sentence begins where the
    one before it ends, white space included, so that the pieces of a word don't depend on the text
    before it. A document without sentence marks is one sentence.

    tokenizer (PieceTokenizer): The tokenizer.
    docs (List[Doc]): Documents that have tokens.
    RETURNS (List[Pieces]): One for each document.
    """
    bounds = [_sentence_starts(doc) for doc in docs]
    chars = [token_chars(doc) for doc in docs]
    cuts = []
    texts: List[str] = []
    doc_texts = [doc.text for doc in docs]
    for text, starts, (_, token_ends) in zip(doc_texts, bounds, chars):
        cut = numpy.zeros(len(starts), dtype="int64")
        cut[1:] = token_ends[starts[1:] - 1]
        cuts.append(cut)
        texts.extend(text[i:j] for i, j in zip(cut[:-1], cut[1:]))
    ids, offsets, lengths = tokenizer(texts)
    output = []
    sent, piece = 0, 0
    for doc, text, starts, cut, (token_starts, token_ends) in zip(
        docs, doc_texts, bounds, cuts, chars
    ):
        sent_lengths = lengths[sent : sent + len(starts) - 1]
        n_pieces = int(sent_lengths.sum())
        doc_offsets = offsets[piece : piece + n_pieces]
        doc_offsets += numpy.repeat(cut[:-1], sent_lengths)[:, None]
        output.append(
            Pieces(
                ids=ids[piece : piece + n_pieces],
                sents=get_starts(sent_lengths),
                sent_tokens=starts,
                pairs=align_tokens(text, token_starts, token_ends, doc_offsets),
                n_tokens=len(doc),
                has_sents=doc.has_annotation("SENT_START"),
            )
        )
        sent += len(starts) - 1
        piece += n_pieces
    return output


def align_tokens(
    text: str, token_starts: Ints1d, token_ends: Ints1d, offsets: Ints2d
) -> Tuple[Ints1d, Ints1d]:
    """Align tokens with pieces: a piece belongs to every token with any of its characters. White
    space is ignored, which some tokenizers add to the next word and some to none.

    text (str): The text of the document.
    token_starts, token_ends (Ints1d): Characters of the tokens in the text, int, (n_tokens,).
    offsets (Ints2d): Characters of the pieces in the text, int, (n_pieces, 2).
    RETURNS (Tuple[Ints1d, Ints1d]): Tokens and pieces, int64, (n_pairs,) each, by token, then
        by piece.
    """
    # Counted in characters that are not white space, tokens follow each other without a gap.
    position = count_before(text, nonspace_table())
    token_starts, token_ends = position[token_starts], position[token_ends]
    tokens = numpy.nonzero(token_ends > token_starts)[0]
    piece_starts, piece_ends = position[offsets[:, 0]], position[offsets[:, 1]]
    first = numpy.searchsorted(token_ends[tokens], piece_starts, side="right")
    last = numpy.searchsorted(token_starts[tokens], piece_ends, side="left")
    counts = numpy.where(piece_ends > piece_starts, last - first, 0)
    pieces = numpy.repeat(numpy.arange(len(offsets)), counts)
    pair_tokens = tokens[numpy.repeat(first, counts) + get_ranks(counts)]
    order = numpy.argsort(pair_tokens, kind="stable")
    return pair_tokens[order], pieces[order]


def get_starts(lengths: Ints1d) -> Ints1d:
    """Get the indices of the first items of consecutive groups.

    lengths (Ints1d): Items in each group, int or bool, (n,).
    RETURNS (Ints1d): Running sums, beginning with 0, int64, (n + 1,).
    """
    starts = numpy.zeros(len(lengths) + 1, dtype="int64")
    numpy.cumsum(lengths, out=starts[1:])
    return starts


def get_ranks(counts: Ints1d) -> Ints1d:
    """Number the items of groups, from 0 in each group.

    counts (Ints1d): Items in each group, int, (n,).
    RETURNS (Ints1d): 0, 1, … for each count, one after the other, int64, (sum(counts),).
    """
    starts = get_starts(counts)
    ranks: Ints1d = numpy.arange(starts[-1]) - numpy.repeat(starts[:-1], counts)
    return ranks


def _sentence_starts(doc: Doc) -> Ints1d:
    """First token of every sentence, and the number of tokens, int64, (n_sents + 1,)."""
    marks = numpy.zeros(len(doc) + 1, dtype=bool)
    if doc.has_annotation("SENT_START"):
        marks[:-1] = doc.to_array("SENT_START") == 1
    marks[[0, -1]] = True
    return numpy.nonzero(marks)[0]
