"""Tiny tokenizers of each kind and tiny random encoders of each family, made without downloads."""

import string
import warnings

import torch
import transformers
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from spacy_bert_ner.model.encoder.huggingface import Encoder
from spacy_bert_ner.model.encoder.tokenizer import PieceTokenizer

# Both call torch.jit.script when they are imported, which torch deprecates.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
    import transformers.models.deberta.modeling_deberta
    import transformers.models.deberta_v2.modeling_deberta_v2

LETTERS = string.ascii_letters + string.digits + string.punctuation
BERT_SPECIALS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
ROBERTA_SPECIALS = {
    "bos_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "mask_token": "<mask>",
}
WIDTH = 16
# The most pieces that the tiny encoders with learned positions can read.
POSITIONS = 40


def wordpiece(lowercase=True, **settings):
    """BERT's: [CLS] … [SEP]. A word of n letters is n pieces, but for "ing" and "oslo"."""
    words = [*BERT_SPECIALS.values(), *LETTERS, *(f"##{char}" for char in LETTERS), "##ing", "oslo"]
    backend = Tokenizer(models.WordPiece(_ids(words), unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, **BERT_SPECIALS, **settings)


def byte_level(trim_offsets, add_prefix_space, **settings):
    """RoBERTa's (trim_offsets) and DeBERTa's: <s> … </s>. A byte is a piece, but for some pairs."""
    merges = [("Ġ", "a"), ("Ġa", "b"), ("Ġ", "Ġ"), ("c", "d")]
    words = [
        *dict.fromkeys(ROBERTA_SPECIALS.values()),
        *sorted(pre_tokenizers.ByteLevel.alphabet()),
    ]
    backend = Tokenizer(models.BPE(_ids(words + ["".join(pair) for pair in merges]), merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    backend.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=trim_offsets, add_prefix_space=add_prefix_space
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        add_prefix_space=add_prefix_space,
        **ROBERTA_SPECIALS,
        **settings,
    )


def unigram(prefix="<s>", suffix="</s>", **settings):
    """XLM-R's: <s> … </s>, Metaspace, control characters dropped. Unknown characters are <unk>."""
    vocab = [(token, 0.0) for token in dict.fromkeys(ROBERTA_SPECIALS.values())]
    vocab += [("▁", -4.0), ("▁a", -4.5), ("▁in", -5.0), ("ab", -6.0)]
    vocab += [(char, -7.0) for char in LETTERS]
    ids = _ids([token for token, _ in vocab])
    backend = Tokenizer(models.Unigram(vocab, unk_id=ids["<unk>"]))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single=f"{prefix} $A {suffix}".strip(),
        special_tokens=[("<s>", ids["<s>"]), ("</s>", ids["</s>"])],
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, **ROBERTA_SPECIALS, **settings)


def bare_bpe(**settings):
    """Metaspace without special tokens, that drops what isn't in its vocabulary: a text may have
    no pieces at all."""
    words = ["▁", *LETTERS, "▁a", "bc"]
    backend = Tokenizer(models.BPE(_ids(words), [("▁", "a"), ("b", "c")]))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    return PreTrainedTokenizerFast(tokenizer_object=backend, **settings)


# Every kind of tokenizer; none of them states a model_max_length.
TOKENIZERS = {
    "wordpiece": wordpiece,
    "wordpiece cased": lambda: wordpiece(lowercase=False),
    "bytes": lambda: byte_level(trim_offsets=False, add_prefix_space=False),
    "bytes with prefix": lambda: byte_level(trim_offsets=False, add_prefix_space=True),
    "bytes trimmed": lambda: byte_level(trim_offsets=True, add_prefix_space=False),
    "bytes trimmed with prefix": lambda: byte_level(trim_offsets=True, add_prefix_space=True),
    "unigram": unigram,
    "unigram suffix only": lambda: unigram(prefix="", suffix="</s>"),
    "bare bpe": bare_bpe,
}


def piece_tokenizer(kind):
    return PieceTokenizer.from_huggingface(TOKENIZERS[kind]())


_BERT = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 2 * WIDTH,
    "max_position_embeddings": POSITIONS,
}
_ROBERTA = {**_BERT, "max_position_embeddings": POSITIONS + 2}
_ROBERTA_IDS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
_DEBERTA = {**_BERT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}

# Family: tokenizer, class of the config, its settings.
FAMILIES = {
    "bert": (wordpiece, "BertConfig", _BERT),
    "roberta": (
        lambda **settings: byte_level(True, False, **settings),
        "RobertaConfig",
        {**_ROBERTA, **_ROBERTA_IDS},
    ),
    "xlm-roberta": (unigram, "XLMRobertaConfig", {**_ROBERTA, **_ROBERTA_IDS}),
    "camembert": (unigram, "CamembertConfig", {**_ROBERTA, **_ROBERTA_IDS}),
    "distilbert": (
        wordpiece,
        "DistilBertConfig",
        {
            "dim": WIDTH,
            "n_layers": 2,
            "n_heads": 2,
            "hidden_dim": 2 * WIDTH,
            "max_position_embeddings": POSITIONS,
        },
    ),
    "electra": (wordpiece, "ElectraConfig", {**_BERT, "embedding_size": 8}),
    "albert": (wordpiece, "AlbertConfig", {**_BERT, "embedding_size": 8}),
    "deberta": (
        lambda **settings: byte_level(False, False, **settings),
        "DebertaConfig",
        {**_DEBERTA, "pad_token_id": 1},
    ),
    "deberta-v2": (
        unigram,
        "DebertaV2Config",
        {
            **_DEBERTA,
            "pad_token_id": 1,
            "position_biased_input": False,
            "share_att_key": True,
            "position_buckets": 8,
            "norm_rel_ebd": "layer_norm",
        },
    ),
    "mpnet": (wordpiece, "MPNetConfig", _ROBERTA),
    "mobilebert": (
        wordpiece,
        "MobileBertConfig",
        {
            **_BERT,
            "embedding_size": 8,
            "intra_bottleneck_size": 8,
            "num_feedforward_networks": 2,
        },
    ),
    "modernbert": (
        lambda **settings: byte_level(False, False, **settings),
        "ModernBertConfig",
        {
            **_BERT,
            **_ROBERTA_IDS,
            "cls_token_id": 0,
            "sep_token_id": 2,
            "local_attention": 8,
            "reference_compile": False,
        },
    ),
    "xlnet": (
        lambda **settings: unigram(prefix="", suffix="</s> <s>", **settings),
        "XLNetConfig",
        {"d_model": WIDTH, "n_layer": 2, "n_head": 2, "d_inner": 2 * WIDTH},
    ),
}


def make_encoder(family, tokenizer_settings=None, **settings):
    """A tiny random encoder and its tokenizer.

    settings: Settings of its config, over those of FAMILIES.
    RETURNS (Encoder): The pair.
    """
    make_tokenizer, config_class, defaults = FAMILIES[family]
    tokenizer = make_tokenizer(**(tokenizer_settings or {}))
    config = getattr(transformers, config_class)(
        **{"vocab_size": len(tokenizer), **defaults, **settings}
    )
    torch.manual_seed(0)
    return Encoder(transformers.AutoModel.from_config(config).eval(), tokenizer)


def save_encoder(folder, family, tokenizer_settings=None, **settings):
    """Save what `make_encoder` gives.

    RETURNS (str): The folder, for `name` in a config.
    """
    encoder = make_encoder(family, tokenizer_settings, **settings)
    encoder.model.save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)
    return str(folder)


def _ids(words):
    assert len(set(words)) == len(words)
    return {word: i for i, word in enumerate(words)}
