import sys
import unicodedata

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_bert_ner.characters import (
    copy_sent_starts,
    count_before,
    nonspace_table,
    token_chars,
    visible_table,
    visible_tokens,
)

NLP = spacy.blank("xx")


@pytest.mark.parametrize(
    "word,expected",
    [
        ("Anna", True),
        (".", True),
        ("[SEP]", True),
        ("<s>", True),
        (" ", False),
        ("\n\n", False),
        ("\t", False),
        ("\u00a0", False),  # no-break space
        ("\u3000", False),  # ideographic space
        ("\u2028", False),  # line separator
        ("\x07", False),  # control
        ("\u200b", False),  # zero-width space
        ("\u200d", False),  # zero-width joiner
        ("\u00ad", False),  # soft hyphen
        ("\ufeff", False),  # byte order mark
        ("\ufe0f", False),  # variation selector, a mark without its base
        ("\u0301", False),  # combining acute
        ("\u20dd", False),  # enclosing circle
        ("\u200b\u00ad \n", False),
        ("e\u0301", True),
        ("\u200ba", True),
        ("\u2764\ufe0f", True),  # heart as emoji
        ("\U0001f469\u200d\U0001f680", True),  # astronaut: two emoji and a joiner
        ("\U0001f600", True),
        ("\U000e0020", False),  # tag space, an astral format character
        ("\u0628\u0651", True),  # Arabic letter with a mark
    ],
)
def test_visible_tokens(word, expected):
    doc = Doc(Vocab(), words=["\U0001f600", word, "x"], spaces=[False, False, True])
    assert visible_tokens(doc).tolist() == [True, expected, True]


def test_token_chars_count_code_points():
    doc = Doc(
        Vocab(),
        words=["\U0001f600\U0001f600", "a", "\U00010348b", "\n", "c"],
        spaces=[True, False, False, False, True],
    )
    starts, ends = token_chars(doc)
    assert starts.tolist() == [0, 3, 4, 6, 7]
    assert ends.tolist() == [2, 4, 6, 7, 8]
    assert starts.dtype == ends.dtype == "int64"


def test_empty_doc():
    doc = Doc(Vocab())
    starts, ends = token_chars(doc)
    assert starts.shape == ends.shape == (0,)
    assert visible_tokens(doc).shape == (0,)


@pytest.mark.parametrize(
    "words,expected",
    [
        (["a", "b", "c", "d", "e"], [1, -1, 0, 1, -1]),
        (["a b", "c", "d", "e"], [1, 0, 1, -1]),
        (["a", "b", "c d", "e"], [1, -1, 0, -1]),
        (["a b c d e"], [1]),
    ],
)
def test_sentence_starts_on_other_tokens(words, expected):
    source = Doc(Vocab(), words=list("abcde"), sent_starts=[True, False, None, True, False])
    doc = Doc(Vocab(), words=words)
    copy_sent_starts(source, doc)
    assert doc.to_array("SENT_START").astype("int64").tolist() == expected
    split = Doc(Vocab(), words=["ab", "c"], sent_starts=[True, True])
    doc = Doc(Vocab(), words=["a", "b", "c"], spaces=[False, True, True])
    copy_sent_starts(split, doc)
    assert [token.is_sent_start for token in doc] == [True, False, True]


def test_single_token():
    doc = Doc(Vocab(), words=["\u00e9"])
    starts, ends = token_chars(doc)
    assert (starts.tolist(), ends.tolist()) == ([0], [1])
    assert visible_tokens(doc).tolist() == [True]


@pytest.mark.parametrize(
    "text,nonspace,visible",
    [
        ("", [0], [0]),
        ("a", [0, 1], [0, 1]),
        (" ", [0, 0], [0, 0]),
        ("a b", [0, 1, 1, 2], [0, 1, 1, 2]),
        ("\U0001f600 \U00010348", [0, 1, 1, 2], [0, 1, 1, 2]),
        ("\U0001f469\u200d\U0001f680", [0, 1, 2, 3], [0, 1, 1, 2]),
        ("e\u0301\n\u200b", [0, 1, 2, 2, 3], [0, 1, 1, 1, 1]),
        ("\U0010fffd\u00a0", [0, 1, 1], [0, 1, 1]),
    ],
)
def test_count_before(text, nonspace, visible):
    assert count_before(text, nonspace_table()).tolist() == nonspace
    assert count_before(text, visible_table()).tolist() == visible


def test_tables_cover_all_code_points():
    nonspace, visible = nonspace_table(), visible_table()
    assert nonspace.shape == visible.shape == (sys.maxunicode + 1,)
    assert nonspace.dtype == visible.dtype == bool
    assert nonspace[visible].all()
    spaces = {code for code in range(sys.maxunicode + 1) if chr(code).isspace()}
    assert {int(code) for code in (~nonspace).nonzero()[0]} == spaces


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=40))
def test_any_text(text):
    doc = NLP.make_doc(text)
    starts, ends = token_chars(doc)
    assert [doc.text[start:end] for start, end in zip(starts, ends)] == [t.text for t in doc]
    hidden = {"Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Me"}
    assert visible_tokens(doc).tolist() == [
        any(unicodedata.category(char) not in hidden for char in token.text) for token in doc
    ]
    counts = count_before(text, nonspace_table()).tolist()
    assert counts == [len("".join(text[:i].split())) for i in range(len(text) + 1)]
