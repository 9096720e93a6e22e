"""Masked language models: which are some, what their pieces stand for, and what they fill in."""

import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from spacy_bert_ner.errors import UserError
from spacy_bert_ner.model.encoder.masked_lm import (
    MaskedLM,
    find_words,
    is_word,
    load_masked_lm,
)

from ...language_models import KINDS, TOWNS, WORDS, make_model, make_wordpiece, save_masked_lm
from ...toy import BERT_SPECIALS, FAMILIES, ROBERTA_SPECIALS, save_encoder

FAMILIES = {name: parts for name, parts in FAMILIES.items() if name != "xlnet"}


@pytest.fixture(scope="session")
def language_models(tmp_path_factory):
    """Folders of language models, by the kind of their tokenizer."""
    folder = tmp_path_factory.mktemp("language_models")
    return {family: save_masked_lm(folder / family, family) for family in KINDS}


@pytest.mark.parametrize("family", KINDS)
def test_words_of_the_vocabulary(family):
    """Whole words that begin one: no parts, no signs, nothing special."""
    tokenizer = KINDS[family]()
    found = find_words(tokenizer.backend_tokenizer)
    assert sorted(found.values()) == sorted([*WORDS, "town", *("s" * (family == "bert"))])
    for id_, word in found.items():
        piece = tokenizer.convert_ids_to_tokens(id_)
        assert piece == (word if family == "bert" else f"▁{word}")


def test_words_of_bytes():
    """Letters of several bytes are read back as letters."""
    words = ["Ġa", "ĠÃ¥s", "Ã¥s", "Ġ.", "ĠÃ"]
    vocab = [
        *dict.fromkeys(ROBERTA_SPECIALS.values()),
        *sorted(pre_tokenizers.ByteLevel.alphabet()),
    ]
    merges = [("Ġ", "a"), ("Ã", "¥"), ("Ã¥", "s"), ("Ġ", "Ã¥s")]
    vocab = [*vocab, *("".join(pair) for pair in merges)]
    backend = Tokenizer(models.BPE({w: i for i, w in enumerate(vocab)}, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    assert [vocab[id_] for id_ in find_words(backend)] == words[:2]
    assert list(find_words(backend).values()) == ["a", "ås"]


def test_is_word():
    assert all(map(is_word, ["Anna", "é", "हिन्दी", "B2", "42", "ß"]))
    assert not any(map(is_word, ["", " ", "don't", "e-mail", ".", "\ufffd", "a b", "##ing"]))


@pytest.mark.parametrize("family", KINDS)
def test_fills_in_what_fits(language_models, family):
    model = load_masked_lm(language_models[family])
    texts = []
    for name, town in TOWNS.items():
        texts += [f"{name} lives in {model.mask} .", f"{model.mask} lives in {town} ."]
    expected = [word for pair in TOWNS.items() for word in [pair[1], pair[0]]]
    assert model.fill(texts) == expected
    # Alone, and next to others of other lengths and in another order.
    assert [word for text in texts for word in model.fill([text])] == expected
    longer = [f"{model.mask} lives in oslo . anna lives in oslo .", *texts[::-1]]
    assert model.fill(longer)[1:] == expected[::-1]
    assert model.fill([]) == []
    two = f"{model.mask} lives in {model.mask} ."
    assert model.fill([two, "anna lives in oslo .", texts[0]]) == [None, None, expected[0]]


@pytest.mark.parametrize("family", KINDS)
def test_only_words_are_filled_in(language_models, family):
    """Whatever the model finds more probable: parts of words and signs are no words."""
    model = load_masked_lm(language_models[family])
    vocab = model.backend.get_vocab()
    bias = model.model.get_output_embeddings().bias
    with torch.no_grad():
        for piece in [".", "'", "##s" if family == "bert" else "s", model.mask, "don't"]:
            bias[vocab[piece]] += 100.0
        bias[vocab["town" if family == "bert" else "▁town"]] += 50.0
    assert model.fill([f"anna lives in {model.mask} ."]) == ["town"]


def test_counts_pieces(language_models):
    model = load_masked_lm(language_models["xlm-roberta"])
    assert model.count_pieces(["anna lives", "", "towns"]) == [4, 2, 4]
    assert model.limit == 40


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_the_mask_alone(family, tmp_path):
    """As those of the whole output, for each kind of head, and after loading."""
    make_tokenizer, *_ = FAMILIES[family]
    tokenizer = make_tokenizer()
    ByteLevel, Metaspace = decoders.ByteLevel, decoders.Metaspace
    kind = type(tokenizer.backend_tokenizer.pre_tokenizer).__name__
    decoder = {"ByteLevel": ByteLevel, "Metaspace": Metaspace}.get(kind, decoders.WordPiece)
    tokenizer.backend_tokenizer.decoder = decoder()
    model = make_model(family, len(tokenizer))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load_masked_lm(str(tmp_path))
    mask, pad = tokenizer.mask_token_id, tokenizer.pad_token_id
    plain = tokenizer("a b c d e")["input_ids"]
    rows = [[*plain[:3], mask, *plain[3:]], [plain[0], mask, plain[-1]]]
    n = len(rows[0])
    ids = torch.tensor([row + [pad] * (n - len(row)) for row in rows])
    marks = torch.tensor([[1] * len(row) + [0] * (n - len(row)) for row in rows])
    with torch.inference_mode():
        expected = model(input_ids=ids, attention_mask=marks).logits[[0, 1], [3, 1]]
    torch.testing.assert_close(loaded.get_logits(rows), expected, atol=1e-5, rtol=1e-4)
    # And no hook is left.
    with torch.inference_mode():
        output = loaded.model(input_ids=ids, attention_mask=marks)
    assert output.logits.shape[1] == n


def test_encoders_are_refused(tmp_path):
    path = save_encoder(tmp_path / "encoder", "bert")
    with pytest.raises(UserError, match="encoder', which is BertModel: it has no head") as error:
        load_masked_lm(path)
    assert "such as xlm-roberta-base" in str(error.value) and "\n" not in str(error.value)
    # What only says that it is one.
    config = json.loads((tmp_path / "encoder" / "config.json").read_text("utf-8"))
    config["architectures"] = ["BertForMaskedLM"]
    (tmp_path / "encoder" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UserError, match=r"lacks weights of BertForMaskedLM \(cls\.predictions"):
        load_masked_lm(path)
    with pytest.raises(UserError, match="There is no encoder .*nothing"):
        load_masked_lm(str(tmp_path / "nothing"))


def test_tokenizers_are_refused(tmp_path):
    tokenizer = make_wordpiece()
    model = make_model("bert", len(tokenizer))
    tokenizer.mask_token = None
    with pytest.raises(UserError, match="'x' has no fast tokenizer with a mask"):
        MaskedLM("x", model, tokenizer)
    with pytest.raises(UserError, match="it belongs to another model"):
        MaskedLM("x", make_model("bert", 7), make_wordpiece())
    vocab = {word: i for i, word in enumerate([*BERT_SPECIALS.values(), ".", "##a"])}
    backend = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **BERT_SPECIALS)
    with pytest.raises(UserError, match="No piece of the tokenizer of 'x' is a word"):
        MaskedLM("x", make_model("bert", 7), tokenizer)
