"""The factory `bert_ner`: the component as a config makes it."""

from typing import Literal, Optional

from spacy.language import Language
from thinc.api import Config

from ..model.heads import ModelT
from ..training.losses import Loss
from .balance import balance_gradients
from .bert_ner import BertNER
from .loading import remember_pipeline
from .scorer import ScorerT

DEFAULT_MODEL = """
[model]
@architectures = "spacy-bert-ner.LinearSoftmax.v1"
dropout = null
nO = null

[model.tok2vec]
@architectures = "spacy-transformers.TransformerListener.v1"
grad_factor = 1.0
upstream = "*"

[model.tok2vec.pooling]
@layers = "spacy-bert-ner.reduce_first.v1"
"""


@Language.factory(
    "bert_ner",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type", "doc.spans", "span._.score"],
    default_config={
        "model": Config().from_str(DEFAULT_MODEL)["model"],
        "scheme": "BIO",
        "align": "token",
        "decoder": "constrained",
        "decode_scope": "doc",
        "threshold": 0.0,
        "annotate_ents": True,
        "overwrite_ents": False,
        "spans_key": "bert_ner",
        "loss": {"@losses": "spacy-bert-ner.CrossEntropy.v1"},
        "incorrect_spans_key": None,
        "scorer": {"@scorers": "spacy-bert-ner.bert_ner_scorer.v1"},
    },
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def make_bert_ner(
    nlp: Language,
    name: str,
    model: ModelT,
    scheme: Literal["BIO", "BILUO", "IOB1", "IO"],
    align: Literal["token", "word"],
    decoder: Literal["constrained", "greedy"],
    decode_scope: Literal["doc", "sentence"],
    threshold: float,
    annotate_ents: bool,
    overwrite_ents: bool,
    spans_key: str,
    loss: Loss,
    incorrect_spans_key: Optional[str],
    scorer: Optional[ScorerT],
) -> BertNER:
    """Construct a BertNER component, and balance the gradients of the components that train its
    encoder.

    nlp (Language): The pipeline that it will be part of.

    The other settings are those of `BertNER`.
    RETURNS (BertNER): The component.
    """
    balance_gradients(nlp, BertNER)
    component = BertNER(
        nlp.vocab,
        model,
        name,
        scheme=scheme,
        align=align,
        decoder=decoder,
        decode_scope=decode_scope,
        threshold=threshold,
        annotate_ents=annotate_ents,
        overwrite_ents=overwrite_ents,
        spans_key=spans_key,
        loss=loss,
        incorrect_spans_key=incorrect_spans_key,
        scorer=scorer,
    )
    remember_pipeline(component, nlp)
    return component
