"""Pipelines from Hugging Face checkpoints."""

import re
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Union

import numpy
import srsly
from spacy.language import Language
from spacy.training import Example
from spacy.util import get_lang_class

from ..errors import UserError, warn
from ..model.encoder.huggingface import get_limit
from ..pipeline.bert_ner import BertNER
from ..pipeline.encoders import OURS, find_encoder
from ..pipeline.lang import check_lang
from .checkpoint import Checkpoint, read_checkpoint
from .heads import get_params, set_params
from .rows import LabelsT

# Wordpieces that are read at once: as many as most encoders can, all of an ordinary text.
WINDOW = 512
DEFAULTS = {"align": "token", "decoder": "greedy"}


class HuggingFaceCheckpoint:
    """Initializes a `bert_ner` and the encoder that it reads with from a token classifier.

    name (str): A folder, an installed Python package, or a name on the Hugging Face hub.
    labels, scheme: See `read_checkpoint`.
    """

    def __init__(self, name: str, labels: LabelsT = None, scheme: Optional[str] = None):
        self.name = name
        self.labels = labels
        self.scheme = scheme

    def read(self) -> Checkpoint:
        """RETURNS (Checkpoint): The checkpoint.
        RAISES (ValueError): If it can't be read or understood.
        """
        return read_checkpoint(self.name, labels=self.labels, scheme=self.scheme)

    def prepare(self, component: BertNER, nlp: Optional[Language]) -> Callable[[], None]:
        """Give a component the labels of the checkpoint, and its encoder the weights.

        component (BertNER): The component.
        nlp (Optional[Language]): Its pipeline, with the encoder that it listens to.
        RETURNS (Callable[[], None]): Writes the weights of the classifier, once the model of the
            component is initialized.
        RAISES (ValueError): If the checkpoint can't be read, or doesn't fit the component.
        """
        return prepare(self.read(), component, nlp)


def make_checkpoint_loader(
    name: Optional[str],
    labels: Optional[Dict[str, Optional[str]]] = None,
    scheme: Optional[str] = None,
) -> Optional[HuggingFaceCheckpoint]:
    """Construct `spacy-bert-ner.HuggingFaceCheckpoint.v1`, for `checkpoint` in
    `[initialize.components.bert_ner]`.

    name (Optional[str]): A folder, an installed Python package, or a name on the Hugging Face hub;
        null for none, so that configs have a place to name one.
    labels (Optional[Dict[str, Optional[str]]]): Other names for its labels.
    scheme (Optional[str]): "BIO" or "IOB1", where the labels don't tell.
    RETURNS (Optional[HuggingFaceCheckpoint]): The loader, None without a name.
    """
    return None if name is None else HuggingFaceCheckpoint(name, labels, scheme)


def prepare(
    checkpoint: Checkpoint, component: BertNER, nlp: Optional[Language]
) -> Callable[[], None]:
    """See `HuggingFaceCheckpoint.prepare`."""
    name, model = component.name, component.model
    block = f"[components.{name}.model]"
    if component.cfg["scheme"] != checkpoint.scheme:
        raise UserError(
            f"'{name}' has the scheme {component.cfg['scheme']}, and '{checkpoint.name}' has tags "
            f'of {checkpoint.scheme}: set scheme = "{checkpoint.scheme}" in [components.{name}].'
        )
    is_dense = any(ref == "dense_norm" for ref, _ in checkpoint.head.weights.values())
    if (
        not model.has_ref("output_layer")
        or bool(model.has_ref("dense_norm")) != is_dense
        or not _has_params(model, checkpoint)
    ):
        raise UserError(
            f"'{name}' has another classifier than '{checkpoint.name}': in {block}, set "
            f'@architectures = "{checkpoint.head.architecture}".'
        )
    found = find_encoder(nlp, name, model)
    frozen = [] if nlp is None else nlp.config["training"]["frozen_components"]
    if found.component in frozen:
        raise UserError(
            f"'{checkpoint.name}' brings an encoder of its own, and '{found.component}' is frozen: "
            "take it out of frozen_components in [training]."
        )
    width = checkpoint.encoder.model.config.hidden_size
    if found.node.has_dim("nO") and found.node.get_dim("nO") != width:
        raise UserError(
            f"'{checkpoint.name}' has vectors of {width} numbers, and '{found.component}' gives "
            f"{found.node.get_dim('nO')}: set name in [components.{found.component}.model] to "
            f"'{checkpoint.name}' as well."
        )
    found.shim.set_encoder(checkpoint.encoder)
    for label in checkpoint.labels:
        component.add_label(label)
    return lambda: _write_head(checkpoint, component)


def _has_params(model: Any, checkpoint: Checkpoint) -> bool:
    """Whether a model has a parameter for each weight of a classifier."""
    ours = [checkpoint.head.weights[theirs] for theirs in checkpoint.params]
    return all(param in model.get_ref(ref).param_names for ref, param in ours)


def _write_head(checkpoint: Checkpoint, component: BertNER) -> None:
    tags = component.tag_set.tags
    theirs = type(component.tag_set)(checkpoint.scheme, checkpoint.labels).tags
    places = [tags.index(tag) for tag in theirs]
    params = {}
    current = get_params(component.model, checkpoint.head)
    for key, value in checkpoint.params.items():
        if key in checkpoint.head.rows:  # new labels keep the rows they were initialized with
            rows = numpy.array(current[key])
            rows[places] = value
            value = rows
        params[key] = value
    set_params(component.model, checkpoint.head, params)


def from_huggingface(
    name_or_path: Union[str, Path],
    lang: str = "en",
    *,
    labels: LabelsT = None,
    scheme: Optional[str] = None,
    align: Optional[str] = None,
    decoder: Optional[str] = None,
    window: Optional[int] = None,
) -> Language:
    """Make a pipeline of a token classifier: encoder, tokenizer, classifier and labels. It predicts
    as Hugging Face's own pipeline does with `aggregation_strategy="first"`, on spaCy's tokens.

    name_or_path (Union[str, Path]): A folder, an installed Python package, or a name on the
        Hugging Face hub.
    lang (str): Code of the language, whose tokenizer reads texts.
    labels (LabelsT): Other names for the labels, by their names or numbers; for a model without a
        token classifier, the labels of a new one, which has to be trained.
    scheme (Optional[str]): "BIO" or "IOB1", where the labels don't tell; that of a new classifier.
    align, decoder, window: Settings of `bert_ner` and `TransformerModel.v1`. None for those of an
        exported pipeline, or else "token", "greedy" as Hugging Face's pipeline decodes, and as many
        wordpieces as the encoder can read, up to 512. Where sentences are read (`window=0`) or
        decoded (as the exported pipeline does) one by one, a sentencizer marks them. An exported
        pipeline that had none, and read whole documents with `window=0`, gets none.
    RETURNS (Language): The pipeline, which predicts and can be trained further.
    RAISES (ValueError): For a checkpoint that can't be read or understood, and for an unknown
        language.
    """
    lang = check_lang(lang)
    checkpoint = HuggingFaceCheckpoint(str(name_or_path), labels, scheme).read()
    given = {"align": align, "decoder": decoder}
    settings = {**DEFAULTS, **checkpoint.settings, **{k: v for k, v in given.items() if v}}
    # An exported pipeline may have had no sentences, and read whole documents with a window of 0.
    whole_docs = window is None and not settings.get("marks_sentences", True)
    if window is None:
        window = settings.get("window", min(WINDOW, get_limit(checkpoint.encoder)))
    by_sentence = settings.get("decode_scope") == "sentence" or (window == 0 and not whole_docs)
    config = _make_config(checkpoint, lang, settings, int(window), by_sentence)
    nlp = get_lang_class(lang).from_config(config)
    transformer, ner = nlp.get_pipe("transformer"), nlp.get_pipe("bert_ner")
    find_encoder(nlp, "bert_ner", ner.model).shim.set_encoder(  # type: ignore[attr-defined]
        checkpoint.encoder
    )
    examples = [Example.from_dict(nlp.make_doc("a"), {})]
    transformer.initialize(lambda: examples, nlp=nlp)  # type: ignore[attr-defined]
    ner.initialize(  # type: ignore[attr-defined]
        lambda: examples, nlp=nlp, labels=[], checkpoint=_Read(checkpoint)
    )
    _set_meta(nlp, checkpoint)
    if not checkpoint.params:
        warn(
            f"'{name_or_path}' has no token classifier: that of the pipeline, for the labels "
            f"{checkpoint.labels}, is new and has to be trained."
        )
    return nlp


class _Read:
    """A checkpoint that was read already."""

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint

    def prepare(self, component: BertNER, nlp: Optional[Language]) -> Callable[[], None]:
        return prepare(self.checkpoint, component, nlp)


def _make_config(
    checkpoint: Checkpoint, lang: str, settings: Mapping[str, Any], window: int, by_sentence: bool
) -> Dict[str, Any]:
    tok2vec = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "upstream": "transformer",
        "pooling": {"@layers": "spacy-bert-ner.reduce_first.v1"},
    }
    encoder = {"@architectures": OURS, "name": checkpoint.name, "window": window}
    encoder.update({key: settings[key] for key in ("stride", "context") if key in settings})
    component = {key: settings[key] for key in ("decode_scope", "threshold") if key in settings}
    sentencizer = {"sentencizer": {"factory": "sentencizer"}} if by_sentence else {}
    return {
        "nlp": {
            "lang": lang,
            "pipeline": [*sentencizer, "transformer", "bert_ner", "doc_cleaner"],
            "batch_size": 64,
            "after_pipeline_creation": {
                "@callbacks": "spacy-bert-ner.set_max_length.v1",
                "max_length": 10**8,
            },
        },
        "components": {
            **sentencizer,
            "transformer": {
                "factory": "transformer",
                "max_batch_items": 100_000,
                "model": encoder,
            },
            "bert_ner": {
                "factory": "bert_ner",
                "scheme": checkpoint.scheme,
                "align": settings["align"],
                "decoder": settings["decoder"],
                **component,
                "model": {**checkpoint.head_settings, "tok2vec": tok2vec},
            },
            "doc_cleaner": {
                "factory": "doc_cleaner",
                "attrs": {"_.trf_data": None},
                "silent": True,
            },
        },
    }


def _set_meta(nlp: Language, checkpoint: Checkpoint) -> None:
    front = read_front_matter(checkpoint.card)
    name = Path(checkpoint.name).name or checkpoint.name
    nlp.meta["description"] = f"Named entity recognition with {name}"
    nlp.meta["sources"] = [{"name": name}]
    licence = front.get("license")
    if isinstance(licence, str):
        nlp.meta["license"] = licence
        nlp.meta["sources"][0]["license"] = licence
    data = front.get("datasets")
    if isinstance(data, list):
        nlp.meta["sources"] += [{"name": str(entry)} for entry in data]


def read_front_matter(card: str) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): What a model card says for machines, empty if nothing.

    card (str): The README.md of a checkpoint.
    """
    match = re.match(r"---\r?\n(.*?)\r?\n---", card, re.DOTALL)
    try:
        front = srsly.yaml_loads(match[1]) if match else {}
    except ValueError:
        return {}
    return dict(front) if isinstance(front, dict) else {}
