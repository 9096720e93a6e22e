"""Split the text of documents into wordpieces, and align them with spaCy's tokens."""

from dataclasses import dataclass
from itertools import chain
from typing import Any, Iterable, List, Tuple

import numpy
from spacy.tokens import Doc

from ...characters import (
    add_before,
    concatenate,
    count_before,
    join_words,
    nonspace_table,
    split_by_doc,
)
from ...types import Bools1d, Ints1d, Ints2d
from .tokenizer import PieceTokenizer


@dataclass
class Pieces:
    """The wordpieces of documents, one after the other. Tokens and characters are also counted over
    all documents.

    Attributes
    ----------
    ids (Ints1d): Vocabulary ids in text order, int32, (n_pieces,).
    sents (Ints1d): First piece of every sentence, and n_pieces, int64, (n_sents + 1,).
    sent_tokens (Ints1d): First token of every sentence, and n_tokens, int64, (n_sents + 1,).
    docs (Ints1d): First sentence of every document, and n_sents, int64, (n_docs + 1,).
    pairs (Tuple[Ints1d, Ints1d]): A token and a piece that contains a part of it, in this order,
        int64, (n_pairs,) each.
    has_sents (Bools1d): Whether a document has sentence marks; if not, it is one sentence here,
        bool, (n_docs,).
    """

    ids: Ints1d
    sents: Ints1d
    sent_tokens: Ints1d
    docs: Ints1d
    pairs: Tuple[Ints1d, Ints1d]
    has_sents: Bools1d

    @property
    def n_tokens(self) -> int:
        """RETURNS (int): Number of tokens."""
        return int(self.sent_tokens[-1])

    @property
    def doc_tokens(self) -> Ints1d:
        """RETURNS (Ints1d): First token of every document, and n_tokens, int64, (n_docs + 1,)."""
        return self.sent_tokens[self.docs]

    @property
    def has_pieces(self) -> Bools1d:
        """RETURNS (Bools1d): Whether a token has pieces of its own, bool, (n_tokens,)."""
        return numpy.bincount(self.pairs[0], minlength=self.n_tokens) > 0


def get_pieces(tokenizer: PieceTokenizer, docs: List[Doc]) -> Pieces:
    """Tokenize documents sentence by sentence, in one call. The text of a sentence begins where the
    one before it ends, white space included, so that the pieces of a word don't depend on the text
    before it. A document without sentence marks is one sentence.

    tokenizer (PieceTokenizer): The tokenizer.
    docs (List[Doc]): Documents that have tokens, at least one.
    RETURNS (Pieces): The pieces of all of them.
    """
    names = ["ORTH", "SPACY", "LENGTH", "SENT_START"]
    orths, spaces, lengths, sent_starts = concatenate(docs, names)
    first_tokens = add_before(list(map(len, docs)))
    edges = add_before(lengths + spaces)
    first_chars, begins = edges[first_tokens], edges[:-1]
    ends = begins + lengths
    marks = sent_starts == 1
    marks[first_tokens[:-1]] = True
    sent_tokens = numpy.append(numpy.nonzero(marks)[0], len(marks))
    doc_sents = numpy.searchsorted(sent_tokens, first_tokens)
    # A sentence begins where the one before it ends, and the first of a document at its beginning.
    cuts = ends[sent_tokens - 1]
    cuts[doc_sents[:-1]] = first_chars[:-1]
    text = _join_words(docs, orths, spaces)
    sent_ends = ends[sent_tokens[1:] - 1]
    ids, offsets, counts = tokenizer(
        [text[i:j] for i, j in zip(cuts[:-1].tolist(), sent_ends.tolist())]
    )
    offsets += numpy.repeat(cuts[:-1], counts)[:, None]
    return Pieces(
        ids=ids,
        sents=add_before(counts),
        sent_tokens=sent_tokens,
        docs=doc_sents,
        pairs=align_tokens(text, begins, ends, offsets),
        has_sents=numpy.array([doc.has_annotation("SENT_START") for doc in docs]),
    )


def _join_words(docs: List[Doc], orths: Ints1d, spaces: Ints1d) -> str:
    """RETURNS (str): The texts of documents, one after the other.

    orths (Ints1d): The ids of the words of all tokens, int64, (n_tokens,).
    spaces (Ints1d): 1 where a space follows, int64, (n_tokens,).
    """
    ids = split_by_doc(orths.view("uint64").tolist(), docs)  # as they are in the vocabulary
    words: Iterable[Any] = chain.from_iterable(
        map(doc.vocab.strings.__getitem__, own) for doc, own in zip(docs, ids)
    )
    return join_words(words, spaces.tolist())


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


def get_ranks(counts: Ints1d) -> Ints1d:
    """Number the items of groups, from 0 in each group.

    counts (Ints1d): Items in each group, int, (n,).
    RETURNS (Ints1d): 0, 1, … for each count, one after the other, int64, (sum(counts),).
    """
    starts = add_before(counts)
    ranks: Ints1d = numpy.arange(starts[-1]) - numpy.repeat(starts[:-1], counts)
    return ranks
