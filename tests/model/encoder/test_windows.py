"""Windows and alignment: by hand on tables, and against plain loops on arbitrary text."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab
from transformers import AutoTokenizer

from spacy_bert_ner.model.encoder.pieces import Pieces, align_tokens, get_pieces
from spacy_bert_ner.model.encoder.settings import WindowSettings
from spacy_bert_ner.model.encoder.tokenizer import PieceTokenizer
from spacy_bert_ner.model.encoder.windows import cut_docs, get_windows

from ... import toy
from ...util import ENCODER

VOCAB = Vocab()
TOKENIZERS = {kind: toy.piece_tokenizer(kind) for kind in toy.TOKENIZERS}


class Specials:
    """The part of a PieceTokenizer that get_windows reads. Pieces have ids from 100 on here."""

    def __init__(self, n_prefix=1, n_suffix=1):
        self.prefix = list(range(1, 1 + n_prefix))
        self.suffix = list(range(11, 11 + n_suffix))
        self.filler = 99


def make_pieces(sents, has_sents=True):
    """Pieces 100, 101, … of sentences, given by the number of pieces of each token."""
    counts = [count for sent in sents for count in sent]
    return Pieces(
        ids=numpy.arange(100, 100 + sum(counts), dtype="int32"),
        sents=numpy.cumsum([0, *map(sum, sents)]),
        sent_tokens=numpy.cumsum([0, *map(len, sents)]),
        pairs=(numpy.repeat(numpy.arange(len(counts)), counts), numpy.arange(sum(counts))),
        docs=numpy.asarray([0, len(sents)]),
        has_sents=numpy.asarray([has_sents]),
    )


def contents(windows, tokenizer):
    """Ids of every window without its special tokens, which are checked here."""
    starts, output = windows.starts.tolist(), []
    assert starts[0] == 0
    assert starts[-1] == len(windows.ids)
    n_prefix, n_suffix = len(tokenizer.prefix), len(tokenizer.suffix)
    for start, end in zip(starts, starts[1:]):
        ids = windows.ids[start:end].tolist()
        assert ids
        assert ids[:n_prefix] == tokenizer.prefix
        assert ids[len(ids) - n_suffix :] == tokenizer.suffix
        output.append(ids[n_prefix : len(ids) - n_suffix])
    return output


def token_rows(windows):
    """The rows of every token, as lists."""
    ends = numpy.cumsum(windows.align.lengths).tolist()
    data = windows.align.dataXd.tolist()
    return [data[end - length : end] for end, length in zip(ends, windows.align.lengths.tolist())]


def window_of(windows, row):
    assert 0 <= row < len(windows.ids)
    return int(numpy.searchsorted(windows.starts, row, side="right")) - 1


def to_lists(pairs):
    return list(zip(pairs[0].tolist(), pairs[1].tolist()))


# Alignment


@pytest.mark.parametrize(
    ("text", "tokens", "offsets", "expected"),
    [
        # One piece a token, and two.
        ("ab c", [(0, 2), (3, 4)], [(0, 2), (3, 4)], [(0, 0), (1, 1)]),
        ("ab c", [(0, 2), (3, 4)], [(0, 1), (1, 2), (3, 4)], [(0, 0), (0, 1), (1, 2)]),
        # White space counted to the word behind it, to none, to the one before it.
        ("ab c", [(0, 2), (3, 4)], [(0, 2), (2, 4)], [(0, 0), (1, 1)]),
        ("ab c", [(0, 2), (3, 4)], [(0, 2), (3, 3), (3, 4)], [(0, 0), (1, 2)]),
        ("ab c", [(0, 2), (3, 4)], [(0, 3), (3, 4)], [(0, 0), (1, 1)]),
        # White space alone: between tokens and as a token of its own.
        ("a  b", [(0, 1), (2, 3), (3, 4)], [(0, 1), (1, 3), (3, 4)], [(0, 0), (2, 2)]),
        # A piece across tokens belongs to all of them.
        ("abc", [(0, 1), (1, 2), (2, 3)], [(0, 3)], [(0, 0), (1, 0), (2, 0)]),
        ("abcd", [(0, 2), (2, 4)], [(0, 1), (1, 3), (3, 4)], [(0, 0), (0, 1), (1, 1), (1, 2)]),
        ("a b", [(0, 1), (2, 3)], [(0, 3)], [(0, 0), (1, 0)]),
        # Several pieces on one character.
        ("好", [(0, 1)], [(0, 1), (0, 1), (0, 1)], [(0, 0), (0, 1), (0, 2)]),
        # A token with white space inside; characters without a piece.
        ("a b", [(0, 3)], [(0, 1), (1, 2), (2, 3)], [(0, 0), (0, 2)]),
        ("a\u200bb", [(0, 1), (1, 2), (2, 3)], [(0, 1), (2, 3)], [(0, 0), (2, 1)]),
        # Pieces out of order, as normalisation leaves them.
        ("abc", [(0, 1), (1, 2), (2, 3)], [(2, 3), (0, 2)], [(0, 1), (1, 1), (2, 0)]),
        # Wider than 16 bits.
        ("🙂 a", [(0, 1), (2, 3)], [(0, 1), (1, 3)], [(0, 0), (1, 1)]),
        # Nothing.
        ("ab", [(0, 2)], [], []),
        ("  ", [(0, 2)], [(0, 1), (1, 2)], []),
        ("", [], [], []),
    ],
)
def test_align_tokens(text, tokens, offsets, expected):
    tokens = numpy.asarray(tokens, dtype="int64").reshape(-1, 2)
    offsets = numpy.asarray(offsets, dtype="int64").reshape(-1, 2)
    assert to_lists(align_tokens(text, tokens[:, 0], tokens[:, 1], offsets)) == expected


# Pieces of documents


@pytest.mark.parametrize(
    ("kind", "strings", "pairs"),
    [
        ("wordpiece", ["a", "##b", "a", "##b", "."], [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4)]),
        # Ġab is "ab" with the white space before it, and the token's alone.
        ("bytes", ["a", "b", "Ġab", "."], [(0, 0), (0, 1), (1, 2), (2, 3)]),
        ("bytes with prefix", ["Ġab", "Ġab", "."], [(0, 0), (1, 1), (2, 2)]),
        ("bytes trimmed", ["a", "b", "Ġab", "."], [(0, 0), (0, 1), (1, 2), (2, 3)]),
        ("unigram", ["▁", "ab", "▁", "ab", "."], [(0, 0), (0, 1), (1, 3), (2, 4)]),
        ("bare bpe", ["a", "b", "▁a", "b", "."], [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4)]),
    ],
)
def test_get_pieces(kind, strings, pairs):
    tokenizer = TOKENIZERS[kind]
    doc = Doc(VOCAB, words=["ab", "ab", "."], spaces=[True, False, False])
    pieces = get_pieces(tokenizer, [doc])
    assert tokenizer.strings(pieces.ids) == strings
    assert to_lists(pieces.pairs) == pairs
    assert pieces.sents.tolist() == [0, len(strings)]
    assert pieces.sent_tokens.tolist() == [0, 3]
    assert not pieces.has_sents[0]


def test_get_pieces_of_sentences():
    """The second sentence is read with the white space before it."""
    tokenizer = TOKENIZERS["bytes"]
    words = ["ab", ".", "ab", "\u200b"]
    doc = Doc(VOCAB, words=words, spaces=[False, True, True, False], sent_starts=[1, 0, 1, 0])
    other = Doc(VOCAB, words=["c"])
    pieces = get_pieces(tokenizer, [doc, other])
    strings = tokenizer.strings(pieces.ids)
    assert strings == ["a", "b", ".", "Ġab", "Ġ", "â", "Ģ", "ĭ", "c"]
    assert pieces.sents.tolist() == [0, 3, 8, 9]
    assert pieces.sent_tokens.tolist() == [0, 2, 4, 5]
    assert pieces.docs.tolist() == [0, 2, 3]
    assert pieces.doc_tokens.tolist() == [0, 4, 5]
    # Bytes of a character that isn't white space: its space before it is no part of it.
    expected = [(0, 0), (0, 1), (1, 2), (2, 3), (3, 5), (3, 6), (3, 7), (4, 8)]
    assert to_lists(pieces.pairs) == expected
    assert pieces.has_sents.tolist() == [True, True]  # spaCy's answer for a single token
    assert pieces.has_pieces.all()


def test_get_pieces_of_package():
    tokenizer = PieceTokenizer.from_huggingface(AutoTokenizer.from_pretrained(ENCODER))
    words = ["Zoë", " ", "lives", "in", "Saint-Denis", "\u200b", "[SEP]"]
    pieces = get_pieces(tokenizer, [Doc(VOCAB, words=words)])
    strings = tokenizer.strings(pieces.ids)
    assert strings == ["zoe", "lives", "in", "saint", "-", "denis", "[", "sep", "]"]
    expected = [(0, 0), (2, 1), (3, 2), (4, 3), (4, 4), (4, 5), (6, 6), (6, 7), (6, 8)]
    assert to_lists(pieces.pairs) == expected


# Windows


@pytest.mark.parametrize(
    ("sents", "window", "expected"),
    [
        # [CLS] and [SEP] take 2 of the window; limit is 12, 10 pieces.
        ([[1, 1], [2]], 6, [[100, 101, 102, 103]]),
        ([[1, 1], [2]], 5, [[100, 101], [102, 103]]),
        ([[1, 1], [2]], 0, [[100, 101], [102, 103]]),
        ([[1], [1], [1], [1]], 4, [[100, 101], [102, 103]]),
        ([[1], [1], [1], [1]], 0, [[100], [101], [102], [103]]),
        # A sentence over the window stays whole up to the limit, and alone.
        ([[1], [6], [1]], 5, [[100], [101, 102, 103, 104, 105, 106], [107]]),
        ([[1], [10], [1]], 5, [[100], list(range(101, 111)), [111]]),
        # Sentences of limit - 1, limit and limit + 1.
        ([[1] * 9], 0, [list(range(100, 109))]),
        ([[1] * 10], 0, [list(range(100, 110))]),
        ([[1] * 11], 0, [list(range(100, 110)), list(range(107, 111))]),
        ([[1] * 9, [1]], 12, [list(range(100, 110))]),
        ([[1] * 10, [1]], 12, [list(range(100, 110)), [110]]),
        ([[1] * 11, [1]], 12, [list(range(100, 110)), list(range(107, 111)), [111]]),
        ([[1], [1] * 11], 12, [[100], list(range(101, 111)), list(range(108, 112))]),
        # Sentences without pieces.
        ([[0]], 0, [[]]),
        ([[0], [1], [0]], 0, [[], [100], []]),
        ([[0], [1], [0]], 6, [[100]]),
    ],
)
def test_sentences(sents, window, expected):
    tokenizer = Specials()
    windows, _ = get_windows(tokenizer, make_pieces(sents), window=window, stride=0, limit=12)
    assert contents(windows, tokenizer) == expected


@pytest.mark.parametrize(
    ("n_tokens", "window", "stride", "expected"),
    [
        (4, 6, 0, [(100, 104)]),
        # 4 pieces in a window, and every 3 one.
        (5, 6, 0, [(100, 104), (103, 105)]),
        (8, 6, 0, [(100, 104), (103, 107), (106, 108)]),
        (8, 6, 1, [(i, i + 4) for i in range(100, 105)]),
        (8, 6, 2, [(100, 104), (102, 106), (104, 108)]),
        (8, 6, 4, [(100, 104), (104, 108)]),
        (8, 6, 50, [(100, 104), (104, 108)]),
        (3, 3, 0, [(100, 101), (101, 102), (102, 103)]),
        # Without a window: as long as the encoder reads.
        (10, 0, 0, [(100, 110)]),
        (11, 0, 0, [(100, 110), (107, 111)]),
    ],
)
def test_without_sentences(n_tokens, window, stride, expected):
    tokenizer = Specials()
    pieces = make_pieces([[1] * n_tokens], has_sents=False)
    windows, _ = get_windows(tokenizer, pieces, window=window, stride=stride, limit=12)
    assert contents(windows, tokenizer) == [list(range(*bounds)) for bounds in expected]


def test_stride_breaks_between_tokens():
    """Tokens of 3 pieces, windows of 8, a start every 4: the token behind it begins at 6."""
    tokenizer = Specials()
    windows, _ = get_windows(tokenizer, make_pieces([[3] * 5]), window=0, stride=4, limit=10)
    assert contents(windows, tokenizer) == [
        list(range(100, 106)),
        list(range(106, 112)),
        list(range(112, 115)),
    ]


def test_rows():
    """Two windows, rows 0 to 6 and 7 to 10."""
    tokenizer = Specials(n_prefix=1, n_suffix=1)
    windows, _ = get_windows(
        tokenizer, make_pieces([[2, 1], [1, 1], [2]]), window=7, stride=0, limit=12
    )
    assert windows.ids.tolist() == [1, 100, 101, 102, 103, 104, 11, 1, 105, 106, 11]
    assert windows.starts.tolist() == [0, 7, 11]
    assert windows.lengths.tolist() == [7, 4]
    assert token_rows(windows) == [[1, 2], [3], [4], [5], [8, 9]]
    dtypes = (windows.ids.dtype, windows.align.dataXd.dtype, windows.align.lengths.dtype)
    assert dtypes == ("int32", "int32", "int32")


def test_most_context():
    """10 tokens in windows of 6 pieces (rows 0 to 7, 8 to 15, 16 to 19), a start every 4. Token 4
    has 1 behind it in the first and none before it in the second: the first. Token 5 has 0 behind
    it, and 1 before it in the second. So do tokens 8 and 9."""
    tokenizer = Specials()
    windows, _ = get_windows(tokenizer, make_pieces([[1] * 12]), window=0, stride=4, limit=8)
    assert contents(windows, tokenizer) == [
        list(range(100, 106)),
        list(range(104, 110)),
        list(range(108, 112)),
    ]
    first, second, third = 1, 9, 17  # the first row of each behind [CLS]
    expected = [[first + i] for i in range(5)]
    expected += [[second + i - 4] for i in range(5, 9)]
    expected += [[third + i - 8] for i in range(9, 12)]
    assert token_rows(windows) == expected


def test_context_ties_to_the_first():
    """A stride of 1 and windows of 2: every token but the last ends and begins a window."""
    windows, _ = get_windows(Specials(), make_pieces([[1] * 4]), window=0, stride=1, limit=4)
    assert windows.starts.tolist() == [0, 4, 8, 12]
    assert token_rows(windows) == [[1], [2], [6], [10]]


@pytest.mark.parametrize(
    ("counts", "expected_ids", "expected_rows"),
    [
        # 4 pieces fit.
        ([6], [1, 100, 101, 102, 103, 11], [[1, 2, 3, 4]]),
        (
            [1, 6, 1],
            [1, 100, 11, 1, 101, 102, 103, 104, 11, 1, 107, 11],
            [[1], [4, 5, 6, 7], [10]],
        ),
        (
            [5, 0, 5],
            [1, 100, 101, 102, 103, 11, 1, 105, 106, 107, 108, 11],
            [[1, 2, 3, 4], [4], [7, 8, 9, 10]],
        ),
    ],
)
def test_token_over_limit(counts, expected_ids, expected_rows):
    """Keeps its first pieces."""
    windows, _ = get_windows(Specials(), make_pieces([counts]), window=0, stride=0, limit=6)
    assert windows.ids.tolist() == expected_ids
    assert token_rows(windows) == expected_rows


def test_shared_piece_of_token_over_limit():
    """Piece 105 is the last of token 0, which keeps 4, and the only one of token 1."""
    pieces = Pieces(
        ids=numpy.arange(100, 107, dtype="int32"),
        sents=numpy.asarray([0, 7]),
        sent_tokens=numpy.asarray([0, 3]),
        pairs=(numpy.asarray([0] * 6 + [1, 2]), numpy.asarray([0, 1, 2, 3, 4, 5, 5, 6])),
        docs=numpy.asarray([0, 1]),
        has_sents=numpy.asarray([True]),
    )
    windows, _ = get_windows(Specials(), pieces, window=0, stride=0, limit=6)
    ids = windows.ids
    assert [ids[rows].tolist() for rows in token_rows(windows)] == [
        [100, 101, 102, 103],
        [105],
        [106],
    ]
    assert max(windows.lengths) <= 6


def test_white_space_inside_token_over_limit():
    """3 pieces of a token with 6 of white space, which are no token's, between them: what stands
    between its pieces counts too."""
    pieces = Pieces(
        ids=numpy.arange(100, 112, dtype="int32"),
        sents=numpy.asarray([0, 12]),
        sent_tokens=numpy.asarray([0, 4]),
        pairs=(numpy.asarray([0, 1, 1, 1, 2, 3]), numpy.asarray([0, 1, 8, 9, 10, 11])),
        docs=numpy.asarray([0, 1]),
        has_sents=numpy.asarray([True]),
    )
    windows, _ = get_windows(Specials(), pieces, window=0, stride=0, limit=6)
    assert max(windows.lengths) <= 6
    firsts = [windows.ids[rows[0]].item() for rows in token_rows(windows)]
    assert firsts == [100, 101, 110, 111]


@pytest.mark.parametrize(
    ("sents", "window", "expected"),
    [
        # At the start: the window's first special token; in the middle and at the end: the last
        # piece before.
        ([[0, 2, 0, 0, 1, 0]], 0, [[0], [1, 2], [2], [2], [3], [3]]),
        # Alone: [CLS] [SEP].
        ([[0]], 0, [[0]]),
        ([[0, 0]], 8, [[0], [0]]),
        # At the start of a sentence: the sentence before, where it is in the same window.
        ([[1], [0, 1]], 8, [[1], [1], [2]]),
        ([[1], [0, 1]], 0, [[1], [3], [4]]),
        ([[1], [0], [1]], 0, [[1], [3], [6]]),
    ],
)
def test_tokens_without_pieces(sents, window, expected):
    windows, _ = get_windows(Specials(), make_pieces(sents), window=window, stride=0, limit=12)
    assert token_rows(windows) == expected


def test_tokens_without_pieces_in_cut_sentence():
    """Each goes with the token before it: 3 to the first window, where token 2 is best placed."""
    sent = [0, 1, 1, 0, 1, 1, 0, 1, 0]
    windows, _ = get_windows(Specials(), make_pieces([sent]), window=0, stride=2, limit=6)
    assert windows.ids.tolist() == [1, 100, 101, 102, 103, 11, 1, 102, 103, 104, 11]
    assert token_rows(windows) == [[0], [1], [2], [2], [3], [8], [8], [9], [9]]


@pytest.mark.parametrize(
    ("n_prefix", "n_suffix", "expected_ids", "expected_rows"),
    [
        (2, 1, [1, 2, 100, 11, 1, 2, 11], [[0], [2], [4]]),
        (0, 2, [100, 11, 12, 11, 12], [[1], [0], [3]]),
        # No special token at all: the piece that is there, and one for unknown text.
        (0, 0, [100, 99], [[0], [0], [1]]),
    ],
)
def test_other_special_tokens(n_prefix, n_suffix, expected_ids, expected_rows):
    tokenizer = Specials(n_prefix, n_suffix)
    windows, _ = get_windows(tokenizer, make_pieces([[0, 1], [0]]), window=0, stride=0, limit=12)
    assert windows.ids.tolist() == expected_ids
    assert token_rows(windows) == expected_rows


@pytest.mark.parametrize("blank", [3, 20])
def test_sentence_without_pieces_after_cut_one(blank):
    """Pieces of white space at the end of a long sentence are no token's; the sentence after it
    has none at all. No window takes more for it."""
    pieces = Pieces(
        ids=numpy.arange(100, 111 + blank, dtype="int32"),
        sents=numpy.asarray([0, 11 + blank, 11 + blank]),
        sent_tokens=numpy.asarray([0, 11, 13]),
        pairs=(numpy.arange(11), numpy.arange(11)),
        docs=numpy.asarray([0, 2]),
        has_sents=numpy.asarray([True]),
    )
    windows, _ = get_windows(Specials(), pieces, window=12, stride=0, limit=12)
    assert max(windows.lengths) <= 12


def test_sentence_of_white_space_over_limit():
    """20 pieces that are no token's, before a sentence without any."""
    pieces = Pieces(
        ids=numpy.arange(100, 120, dtype="int32"),
        sents=numpy.asarray([0, 20, 20]),
        sent_tokens=numpy.asarray([0, 1, 2]),
        pairs=(numpy.zeros(0, dtype="int64"), numpy.zeros(0, dtype="int64")),
        docs=numpy.asarray([0, 2]),
        has_sents=numpy.asarray([True]),
    )
    windows, _ = get_windows(Specials(), pieces, window=12, stride=0, limit=12)
    assert max(windows.lengths) <= 12
    assert [window_of(windows, row) for (row,) in token_rows(windows)] in ([0, 0], [0, 1])


@pytest.mark.parametrize(
    ("context", "limit", "expected"),
    [
        (0, 12, [(100, 102), (102, 105), (105, 106), (106, 108)]),
        (1, 12, [(100, 103), (101, 106), (104, 107), (105, 108)]),
        (2, 12, [(100, 104), (100, 107), (103, 108), (104, 108)]),
        (50, 12, [(100, 108), (100, 108), (100, 108), (100, 108)]),
        # 6 pieces fit: what one side doesn't have is left to the other.
        (50, 8, [(100, 106), (101, 107), (102, 108), (102, 108)]),
        (3, 8, [(100, 105), (101, 107), (102, 108), (103, 108)]),
        # Room for 1 piece around the longest sentence.
        (2, 6, [(100, 104), (102, 106), (104, 108), (104, 108)]),
        # None.
        (2, 5, [(100, 103), (102, 105), (104, 107), (105, 108)]),
    ],
)
def test_context(context, limit, expected):
    """Sentences of 2, 3, 1 and 2 pieces: tokens stay in the windows that they were in."""
    tokenizer = Specials()
    pieces = make_pieces([[2], [1, 2], [1], [1, 1]])
    windows, _ = get_windows(tokenizer, pieces, window=0, stride=0, limit=limit, context=context)
    assert contents(windows, tokenizer) == [list(range(*bounds)) for bounds in expected]
    rows = token_rows(windows)
    assert [windows.ids[own].tolist() for own in rows] == [
        [100, 101],
        [102],
        [103, 104],
        [105],
        [106],
        [107],
    ]
    assert [window_of(windows, own[0]) for own in rows] == [0, 1, 1, 2, 3, 3]


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 50), (0.5, 25)])
def test_context_dropout(share, expected):
    numpy.random.seed(0)
    tokenizer = Specials()
    windows, _ = get_windows(
        tokenizer,
        make_pieces([[1]] * 50),
        window=0,
        stride=0,
        limit=12,
        context=2,
        context_dropout=share,
    )
    alone = sum(len(ids) == 1 for ids in contents(windows, tokenizer))
    assert alone == expected if share in (0.0, 1.0) else abs(alone - expected) < 10


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    sents=st.lists(st.lists(st.sampled_from([0, 1, 2, 7]), min_size=1, max_size=20), min_size=1),
    limit=st.integers(4, 14),
    window=st.integers(0, 14),
    context=st.integers(1, 20),
    has_sents=st.booleans(),
)
def test_context_widens(sents, limit, window, context, has_sents):
    """Windows hold what they hold without context, and text around it up to the limit; no token
    changes its window or its pieces."""
    window = min(max(window, 3), limit) if window else 0
    tokenizer, pieces = Specials(), make_pieces(sents, has_sents)
    settings = {"window": window, "stride": 0, "limit": limit}
    plain, _ = get_windows(tokenizer, pieces, **settings)
    wide, _ = get_windows(tokenizer, pieces, **settings, context=context)
    kept = sorted({piece for ids in contents(plain, tokenizer) for piece in ids})
    assert max(wide.lengths) <= limit
    for ids, own in zip(contents(wide, tokenizer), contents(plain, tokenizer)):
        if not own:
            continue
        first, last = kept.index(ids[0]), kept.index(ids[-1])
        assert ids == kept[first : last + 1]
        left, right = kept.index(own[0]) - first, last - kept.index(own[-1])
        before, behind = kept.index(own[0]), len(kept) - 1 - kept.index(own[-1])
        assert 0 <= left <= context
        assert 0 <= right <= context
        # As much as there is, or as there is room for.
        there = min(context, before) + min(context, behind)
        assert left + right == min(limit - 2 - len(own), there)
    for one, other in zip(token_rows(plain), token_rows(wide)):
        assert window_of(plain, one[0]) == window_of(wide, other[0])
        if plain.ids[one[0]] >= 100:
            assert plain.ids[one].tolist() == wide.ids[other].tolist()


COUNTS = st.lists(st.sampled_from([0, 1, 1, 1, 2, 3, 7]), min_size=1, max_size=40)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    sents=st.lists(COUNTS, min_size=1, max_size=4),
    limit=st.integers(4, 14),
    window=st.integers(0, 14),
    stride=st.integers(0, 16),
    has_sents=st.booleans(),
)
def test_context_rule(sents, limit, window, stride, has_sents):
    """Against all windows that hold a token whole: the first of those with the most context."""
    if window:
        window = min(max(window, 3), limit)
    if not has_sents:
        sents = [[count for sent in sents for count in sent]]
    tokenizer = Specials()
    pieces = make_pieces(sents, has_sents)
    windows, _ = get_windows(tokenizer, pieces, window=window, stride=stride, limit=limit)
    longest = (limit if has_sents or not window else window) - 2
    assert max(windows.lengths) <= longest + 2
    held = contents(windows, tokenizer)
    first = 100
    for i, count in enumerate(count for sent in sents for count in sent):
        kept = list(range(first, first + min(count, longest)))
        first += count
        rows = token_rows(windows)[i]
        if not kept:
            assert len(rows) == 1
            continue
        assert windows.ids[rows].tolist() == kept
        owner = window_of(windows, rows[0])
        assert window_of(windows, rows[-1]) == owner
        context = {}
        for j, ids in enumerate(held):
            if kept[0] in ids and kept[-1] in ids:
                context[j] = min(ids.index(kept[0]), len(ids) - 1 - ids.index(kept[-1]))
        assert owner == max(context, key=lambda j: (context[j], -j))
    step = min(stride or max(1, 3 * longest // 4), longest)
    for ids, following in zip(held, held[1:]):
        if ids and following and following[0] <= ids[-1]:  # two windows of one sentence
            token = next(i for i in range(len(ids)) if ids[i] >= following[0])
            assert token >= min(step, len(ids))
            assert following[-1] >= ids[-1]


# Arbitrary text in arbitrary tokens


WORDS = [
    *["a", "ab", "Oslo", "inab", "cd", "x" * 12, "ab1-" * 8, "Abing.", "don't", "a b", "a   b"],
    *[" ", "  ", "\n\n", "\t", "\u3000", "\xa0", "a\xa0b", " " * 20],
    *["\u200b", "\ufe0f", "\xad", "a\xadb", "\u200d", "\u2028", "\x00", "\x85"],
    *["[SEP]", "<s>", "</s>", "[CLS]x", "<pad>", "<mask>", "##a", "▁", "Ġ"],
    *["é", "e\u0301", "\u0301", "e\u0323\u0301", "e\u0301\u0323", "\u0323", "ﬁ", "½", "İ", "ß"],
    *["👩\u200d👩\u200d👧", "👩", "❤\ufe0f", "🇳🇴", "好", "好人", "ำ", "한글", "각", "\U0001f468🏽"],
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
WORD = st.one_of(st.sampled_from(WORDS), st.sampled_from(WORDS), TEXT)


@st.composite
def docs(draw):
    words = draw(st.lists(WORD, min_size=1, max_size=25))
    spaces = draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    marks = st.sampled_from([None, True, False, False])
    sent_starts = draw(
        st.none() | st.lists(marks, min_size=len(words), max_size=len(words)).map(tuple)
    )
    return Doc(VOCAB, words=words, spaces=spaces, sent_starts=sent_starts)


def reference_pieces(tokenizer, doc):
    """Sentences one by one: ids of each, and which tokens each piece lies in, by its characters.

    RETURNS (List[Tuple[List[int], List[Tuple[int, List[int]]]]]): For every sentence its tokens,
        and an id and tokens for every piece.
    """
    marked = doc.has_annotation("SENT_START")
    added = tokenizer.backend.get_added_tokens_decoder().items()
    special = {i for i, token in added if token.special}
    sents, text = [], doc.text
    for token in doc:
        if not token.i or (marked and token.is_sent_start):
            sents.append([])
        sents[-1].append(token)
    output, cut = [], 0
    for sent in sents:
        end = sent[-1].idx + len(sent[-1].text)
        owner = {}
        for token in sent:
            for i, char in enumerate(token.text):
                assert text[token.idx + i] == char
                if not char.isspace():
                    owner[token.idx + i] = token.i
        encoding = tokenizer.backend.encode(text[cut:end], add_special_tokens=False)
        pieces = []
        for piece, (i, j) in zip(encoding.ids, encoding.offsets):
            owners = {owner[char] for char in range(cut + i, cut + j) if char in owner}
            pieces.append((tokenizer.filler if piece in special else piece, sorted(owners)))
        output.append(([token.i for token in sent], pieces))
        cut = end
    return output


def check(tokenizer, doc, *, window, stride, limit):
    pieces = get_pieces(tokenizer, [doc])
    sents = reference_pieces(tokenizer, doc)
    has_sents = doc.has_annotation("SENT_START")
    flat = [piece for _, sent in sents for piece in sent]
    expected_pairs = sorted((token, i) for i, (_, owners) in enumerate(flat) for token in owners)
    assert pieces.ids.tolist() == [piece for piece, _ in flat]
    assert to_lists(pieces.pairs) == expected_pairs
    has_pieces = [any(token == owner for owner, _ in expected_pairs) for token in range(len(doc))]
    assert pieces.has_pieces.tolist() == has_pieces
    windows, _ = get_windows(tokenizer, pieces, window=window, stride=stride, limit=limit)
    longest = (limit if has_sents or not window else window) - len(tokenizer.prefix)
    longest -= len(tokenizer.suffix)
    held = contents(windows, tokenizer)
    empty = not tokenizer.prefix and not tokenizer.suffix
    assert max(map(len, held)) <= longest
    assert windows.has_pieces.tolist() == has_pieces
    rows = token_rows(windows)
    assert len(rows) == len(doc)
    owners = []
    previous = None
    for token, own in enumerate(rows):
        assert own
        (window_index,) = {window_of(windows, row) for row in own}
        owners.append(window_index)
        ids = [flat[i][0] for t, i in expected_pairs if t == token]
        start = windows.starts[window_index].item()
        end = windows.starts[window_index + 1].item()
        if ids:
            # Nothing cut but of a token over the limit, whose first pieces stay, in order.
            got = windows.ids[own].tolist()
            assert got == ids[: len(got)]
            spread = [i for t, i in expected_pairs if t == token]
            assert len(got) == len(ids) or spread[-1] - spread[0] + 1 > longest
            assert own == sorted(own)
            first, last = start + len(tokenizer.prefix), end - len(tokenizer.suffix)
            assert all(first <= row < last for row in own)
            previous = own[-1]
        elif previous is not None and window_of(windows, previous) == window_index:
            assert own == [previous]
        elif tokenizer.prefix or empty:
            assert own == [start]
        else:
            assert own == [end - len(tokenizer.suffix)]
    assert owners == sorted(owners)
    cut = False
    for tokens, sent in sents:
        whole = len(sent) <= longest
        cut = cut or not whole
        if whole:
            assert len({owners[token] for token in tokens}) == 1
    if not cut:
        got = [piece for ids in held for piece in ids]
        blank = [] if not empty else [tokenizer.filler]
        assert [ids for ids in held if ids != blank] or not flat or empty
        if not empty:
            assert got == pieces.ids.tolist()
    if window and has_sents:
        # More than one sentence in a window: no more than `window`.
        for i, ids in enumerate(held):
            inside = [
                s for s, (tokens, sent) in enumerate(sents) if owners[tokens[0]] == i and sent
            ]
            if len(inside) > 1:
                assert len(ids) + limit - longest <= window


@pytest.mark.parametrize("kind", toy.TOKENIZERS)
@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    doc=docs(),
    window=st.integers(0, 16),
    limit=st.sampled_from([4, 5, 8, 16, 16, 64]),
    stride=st.sampled_from([0, 0, 1, 3, 50]),
)
def test_arbitrary_text(kind, doc, window, limit, stride):
    if window:
        window = min(max(window, 4), limit)
    check(TOKENIZERS[kind], doc, window=window, stride=stride, limit=limit)


@pytest.mark.parametrize("kind", toy.TOKENIZERS)
@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    many=st.lists(docs(), min_size=1, max_size=4),
    window=st.sampled_from([0, 8]),
    context=st.sampled_from([0, 2]),
)
def test_documents_are_independent(kind, many, window, context):
    """Each has the windows that it has alone, and nothing of the memory of the others."""
    tokenizer = TOKENIZERS[kind]
    how = WindowSettings(window=window, stride=0, context=context, batch_pieces=None)
    together = cut_docs(tokenizer, many, how, limit=8)
    for doc, windows in zip(many, together):
        (alone,) = cut_docs(tokenizer, [doc], how, limit=8)
        assert windows.ids.tolist() == alone.ids.tolist()
        assert windows.starts.tolist() == alone.starts.tolist()
        assert token_rows(windows) == token_rows(alone)
        assert windows.has_pieces.tolist() == alone.has_pieces.tolist()
        arrays = (windows.ids, windows.align.dataXd, windows.align.lengths, windows.has_pieces)
        assert all(array.base is None or array.base.size == array.size for array in arrays)


def test_no_documents():
    how = WindowSettings(window=0, stride=0, context=0, batch_pieces=None)
    assert cut_docs(TOKENIZERS["bytes"], [], how, limit=8) == []


@pytest.mark.parametrize("word", WORDS)
def test_odd_words(word):
    """Each by itself and between two others, read as well as can be in windows of 8."""
    for words in ([word], [word, word], ["a", word, "b"]):
        for spaces in ([False] * len(words), [True] * len(words)):
            for sent_starts in (None, [True] * len(words)):
                doc = Doc(VOCAB, words=words, spaces=spaces, sent_starts=sent_starts)
                for tokenizer in TOKENIZERS.values():
                    check(tokenizer, doc, window=0, stride=0, limit=8)
                    check(tokenizer, doc, window=8, stride=0, limit=8)
