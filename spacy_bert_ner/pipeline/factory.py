"""The factory `bert_ner`, which creates the component from a config."""

from importlib.util import find_spec
from typing import Any, Literal, Optional

from spacy.language import Language
from thinc.api import Config

from ..errors import needing_torch
from ..model.heads import ModelT
from ..training.losses import Loss
from .balance import balance_gradients
from .bert_ner import BertNER
from .owners import remember_pipeline
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
    assigns=[
        "doc.ents",
        "token.ent_iob",
        "token.ent_type",
        "doc.spans",
        "span._.score",
        "span._.edges_score",
        "span._.type_score",
    ],
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
    """Construct a `BertNER` component. Also balances the gradients of the components that train its
    encoder, so that none of them dominates.

    nlp (Language): The pipeline that it will be part of.
    name (str): The name of the component instance, under which losses are recorded.
    model (ModelT): The model: a head such as `spacy-bert-ner.LinearSoftmax.v1`, with a layer of
        token vectors as its `tok2vec`. The default listens to the `transformer` of the pipeline.
    scheme (Literal["BIO", "BILUO", "IOB1", "IO"]): Tag scheme. "BILUO" is the same as IOBES.
        Default "BIO".
    align (Literal["token", "word"]): What gets a tag: each token ("token"), or all tokens between
        two spaces as one word, by its first wordpiece ("word"). Default "token".
    decoder (Literal["constrained", "greedy"]): "constrained" for the most probable valid tag
        sequence, or "greedy" for the most probable tag of each token, with invalid sequences
        repaired as conlleval does. Default "constrained".
    decode_scope (Literal["doc", "sentence"]): Whether entities may cross sentence starts ("doc") or
        end there ("sentence"). Default "doc".
    threshold (float): The lowest score of an entity, 0 to 1. Default 0.0, for all entities.
    annotate_ents (bool): Whether to write entities to `doc.ents` as well as to `doc.spans`. Default
        true.
    overwrite_ents (bool): Whether to replace entities that other components have set. Default
        false: they are kept, and entities are predicted around them.
    spans_key (str): Key of `doc.spans` for the predicted entities with their scores. Default
        "bert_ner".
    loss (Loss): The loss that training minimizes. Default `spacy-bert-ner.CrossEntropy.v1`.
    incorrect_spans_key (Optional[str]): Key of `doc.spans` of gold documents with entities that are
        known to be wrong. Default null, for none.
    scorer (Optional[ScorerT]): The scoring method. Default `spacy-bert-ner.bert_ner_scorer.v1`.
    RETURNS (BertNER): The component.
    """
    if find_spec("spacy_transformers") is not None:
        from ..model.encoder.token_vectors import use_token_vectors

        use_token_vectors(model)
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


def refuse_transformer(
    nlp: Language,
    name: str,
    model: Any,
    set_extra_annotations: Any = None,
    max_batch_items: int = 4096,
) -> None:
    """The factory `transformer` where spacy-transformers isn't installed. spaCy has an error for a
    missing factory, but it doesn't say how to install one. With this one, the model is made first,
    and its error says so.

    nlp (Language): The pipeline.
    name (str): The name of the component instance.
    model (Any): Its model.
    set_extra_annotations (Any): Not used.
    max_batch_items (int): Not used.
    RAISES (UserError): Always.
    """
    with needing_torch():
        raise ModuleNotFoundError(name="spacy_transformers")


if find_spec("spacy_transformers") is None:
    Language.factory("transformer", func=refuse_transformer)
