"""Tiny masked language models that know something, made without downloads."""

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoModelForMaskedLM, PreTrainedTokenizerFast

from .toy import BERT_SPECIALS, FAMILIES, ROBERTA_SPECIALS

# Each lives in one town, so that a person tells the town and the other way round.
TOWNS = {"anna": "oslo", "karl": "rome", "lena": "bonn", "igor": "kyiv"}
SENTENCES = [f"{name} lives in {town} ." for name, town in TOWNS.items()]
WORDS = sorted({word for text in SENTENCES for word in text.split() if word != "."})
# Pieces that are no words: parts of words, signs, and a word with a sign.
OTHERS = [".", "'", "s", "town", "don't"]


def make_wordpiece():
    """BERT's, of whole words, letters and ##s."""
    vocab = [*BERT_SPECIALS.values(), *WORDS, *OTHERS, "##s", "##town"]
    backend = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocab)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, **BERT_SPECIALS)


def make_unigram():
    """XLM-R's, of whole words behind a space, and parts of words; its mask takes the space in."""
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [*(f"▁{word}" for word in WORDS), "▁town", "▁", *OTHERS]
    vocab = [(token, 0.0) for token in specials] + [(piece, -5.0) for piece in pieces]
    backend = Tokenizer(models.Unigram(vocab, unk_id=3))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    mask = transformers.AddedToken("<mask>", lstrip=True, normalized=False, special=True)
    settings = {**ROBERTA_SPECIALS, "mask_token": mask}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **settings)


KINDS = {"bert": make_wordpiece, "xlm-roberta": make_unigram}


def make_model(family, n_pieces, **settings):
    _, config_class, defaults = FAMILIES[family]
    config = getattr(transformers, config_class)(**{**defaults, "vocab_size": n_pieces, **settings})
    torch.manual_seed(0)
    return AutoModelForMaskedLM.from_config(config).eval()


def save_masked_lm(folder, family, n_steps=150):
    """A tiny language model that has learned who lives where.

    RETURNS (str): Its folder.
    """
    tokenizer = KINDS[family]()
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = make_model(family, len(tokenizer), hidden_size=32, intermediate_size=64, **quiet)
    ids = torch.tensor([tokenizer(text)["input_ids"] for text in SENTENCES])
    inputs = []
    for place in range(1, ids.shape[1] - 1):
        masked = ids.clone()
        masked[:, place] = tokenizer.mask_token_id
        inputs.append(masked)
    inputs, labels = torch.cat(inputs), ids.repeat(len(inputs), 1)
    labels = torch.where(inputs == tokenizer.mask_token_id, labels, -100)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(n_steps):
        optimizer.zero_grad()
        loss = model(input_ids=inputs, labels=labels).loss
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
