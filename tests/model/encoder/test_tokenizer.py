import copy
import json
import pickle

import pytest
from transformers import AutoTokenizer, BertTokenizer

from spacy_bert_ner.model.encoder import tokenizer as tokenizer_module
from spacy_bert_ner.model.encoder.tokenizer import PieceTokenizer

from ... import toy
from ...util import ENCODER, TRANSFORMERS_5

LONG = "ab cd " * 300


def test_package_truncates_before():
    """What the next test is worth: this tokenizer.json cuts at 128 and pads up to it."""
    tokenizer = AutoTokenizer.from_pretrained(ENCODER)
    assert len(tokenizer.backend_tokenizer.encode(LONG)) == 128
    assert len(tokenizer.backend_tokenizer.encode("a")) == 128


def test_package_truncation_and_padding_off():
    tokenizer = AutoTokenizer.from_pretrained(ENCODER)
    ids, offsets, lengths = PieceTokenizer.from_huggingface(tokenizer)([LONG, "a"])
    assert lengths.tolist() == [600, 1]
    assert len(ids) == len(offsets) == 601
    assert offsets[599].tolist() == [6 * 299 + 3, 6 * 299 + 5]


@pytest.mark.parametrize("kind", toy.TOKENIZERS)
def test_truncation_and_padding_off(kind, tmp_path):
    """For every kind, and in what is saved."""
    tokenizer = toy.TOKENIZERS[kind]()
    expected = tokenizer.backend_tokenizer.encode(LONG, add_special_tokens=False).ids
    tokenizer.backend_tokenizer.enable_truncation(8)
    tokenizer.backend_tokenizer.enable_padding(length=8)
    pieces = PieceTokenizer.from_huggingface(tokenizer)
    assert pieces([LONG])[0].tolist() == expected
    assert pieces(["a"])[2].item() < 3
    tokenizer.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert saved["truncation"] is None
    assert saved["padding"] is None


@pytest.mark.parametrize(
    ("kind", "prefix", "suffix", "filler"),
    [
        ("wordpiece", ["[CLS]"], ["[SEP]"], "[UNK]"),
        ("bytes", ["<s>"], ["</s>"], "<unk>"),
        ("bytes trimmed with prefix", ["<s>"], ["</s>"], "<unk>"),
        ("unigram", ["<s>"], ["</s>"], "<unk>"),
        ("unigram suffix only", [], ["</s>"], "<unk>"),
        ("bare bpe", [], [], "▁"),
    ],
)
def test_special_ids(kind, prefix, suffix, filler):
    pieces = toy.piece_tokenizer(kind)
    assert pieces.strings(pieces.prefix) == prefix
    assert pieces.strings(pieces.suffix) == suffix
    assert pieces.strings([pieces.filler]) == [filler]


def test_special_ids_of_two():
    pieces = PieceTokenizer.from_huggingface(toy.unigram(prefix="", suffix="</s> <s>"))
    assert pieces.prefix == []
    assert pieces.strings(pieces.suffix) == ["</s>", "<s>"]


def test_special_ids_of_package():
    pieces = PieceTokenizer.from_huggingface(AutoTokenizer.from_pretrained(ENCODER))
    assert (pieces.prefix, pieces.suffix) == ([101], [102])


@pytest.mark.parametrize("kind", toy.TOKENIZERS)
@pytest.mark.parametrize(
    "text", ["[SEP]", "<s>", "</s>", "<pad>", "[PAD] [CLS]", "a<mask>b [MASK]"]
)
def test_special_text_is_text(kind, text):
    """Not one special id but that for unknown pieces, and all characters read."""
    tokenizer = toy.TOKENIZERS[kind]()
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    ids, offsets, _ = PieceTokenizer.from_huggingface(tokenizer)([text])
    assert not special & set(ids.tolist())
    covered = {i for start, end in offsets.tolist() for i in range(start, end)}
    assert {i for i, char in enumerate(text) if char != " "} <= covered


def test_special_text_is_text_in_package():
    pieces = PieceTokenizer.from_huggingface(AutoTokenizer.from_pretrained(ENCODER))
    ids, offsets, _ = pieces(["a [SEP] b"])
    assert pieces.strings(ids) == ["a", "[", "sep", "]", "b"]
    assert offsets.tolist() == [[0, 1], [2, 3], [3, 6], [6, 7], [8, 9]]


@pytest.mark.parametrize("kind", [kind for kind in toy.TOKENIZERS if kind != "bare bpe"])
@pytest.mark.parametrize("how", ["additional", "added"])
def test_special_tokens_of_the_users_own_are_words(kind, how):
    """As Hugging Face reads them, whatever they are next to, while control tokens are text."""
    tokenizer = toy.TOKENIZERS[kind]()
    own = ["[URL]", "<nl>"]
    if how == "additional":
        tokenizer.add_special_tokens({"additional_special_tokens": own})
    else:
        tokenizer.add_tokens(own, special_tokens=True)
    saved = tokenizer.backend_tokenizer.to_str()
    text = "ab [URL] a<nl>cd[URL][URL]"
    expected = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    pieces = PieceTokenizer.from_huggingface(tokenizer)
    ids, offsets, _ = pieces([text])
    assert ids.tolist() == expected["input_ids"]
    assert offsets.tolist() == [list(pair) for pair in expected["offset_mapping"]]
    control = {tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id}
    around = f"{tokenizer.sep_token}[URL]{tokenizer.mask_token} <nl>"
    ids = set(pieces([around])[0].tolist())
    assert set(tokenizer.convert_tokens_to_ids(own)) <= ids
    assert not control & ids
    assert tokenizer.backend_tokenizer.to_str() == saved


def test_special_tokens_without_a_vector_are_text():
    """In pipelines whose embeddings weren't grown: they were text when these were trained."""
    tokenizer = toy.wordpiece()
    n_rows = len(tokenizer)
    plain = PieceTokenizer.from_huggingface(toy.wordpiece())(["a [URL]"])[0].tolist()
    tokenizer.add_special_tokens({"additional_special_tokens": ["[URL]"]})
    assert PieceTokenizer.from_huggingface(tokenizer, n_rows)(["a [URL]"])[0].tolist() == plain
    assert PieceTokenizer.from_huggingface(tokenizer, n_rows + 1)(["a [URL]"])[0].tolist() == [
        plain[0],
        n_rows,
    ]


@pytest.mark.parametrize("own", [[], ["[URL]"]])
@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda pieces: pickle.loads(pickle.dumps(pieces))]
)
def test_copies_read_the_same(clone, own):
    tokenizer = toy.wordpiece()
    tokenizer.add_special_tokens({"additional_special_tokens": own})
    pieces = PieceTokenizer.from_huggingface(tokenizer)
    text = "a [SEP] [URL] b"
    expected = pieces([text])[0].tolist()
    assert clone(pieces)([text])[0].tolist() == expected
    assert pieces([text])[0].tolist() == expected
    assert tokenizer.sep_token_id not in expected


def test_pieces_of_texts():
    pieces = toy.piece_tokenizer("wordpiece")
    ids, offsets, lengths = pieces(["Oslo é", "", "abing"])
    assert pieces.strings(ids) == ["oslo", "e", "a", "##b", "##ing"]
    assert offsets.tolist() == [[0, 4], [5, 6], [0, 1], [1, 2], [2, 5]]
    assert lengths.tolist() == [2, 0, 3]
    assert (ids.dtype, offsets.dtype, lengths.dtype) == ("int32", "int64", "int64")


@pytest.mark.parametrize("texts", [[], [""], ["\u200b", " "]])
def test_nothing_to_cut(texts):
    ids, offsets, lengths = toy.piece_tokenizer("wordpiece")(texts)
    assert ids.shape == (0,)
    assert offsets.shape == (0, 2)
    assert lengths.tolist() == [0] * len(texts)


def test_chunks_change_nothing(monkeypatch):
    pieces = toy.piece_tokenizer("unigram")
    texts = ["ab cd", "", "e", " in a", "x" * 20, "é"]
    expected = [array.tolist() for array in pieces(texts)]
    for size in (1, 3, 7, 1000):
        monkeypatch.setattr(tokenizer_module, "CHUNK_CHARS", size)
        assert [array.tolist() for array in pieces(texts)] == expected


def test_strings():
    pieces = toy.piece_tokenizer("wordpiece")
    ids, _, _ = pieces(["Oslo abing 好"])
    assert pieces.strings(ids) == ["oslo", "a", "##b", "##ing", "[UNK]"]
    assert pieces.strings(ids[:0]) == []


def test_strings_of_added_tokens():
    tokenizer = toy.wordpiece()
    tokenizer.add_tokens(["<url>"])
    pieces = PieceTokenizer.from_huggingface(tokenizer)
    ids, _, _ = pieces(["a <url>"])
    assert pieces.strings(ids) == ["a", "<url>"]


@pytest.mark.skipif(TRANSFORMERS_5, reason="transformers 5 has no slow twin of this tokenizer")
def test_slow_tokenizer_refused(tmp_path):
    vocab = tmp_path / "vocab.txt"
    vocab.write_text("\n".join([*toy.BERT_SPECIALS.values(), "a"]), encoding="utf-8")
    with pytest.raises(ValueError, match='pieces of BertTokenizer .*"use_fast": true'):
        PieceTokenizer.from_huggingface(BertTokenizer(str(vocab)))
