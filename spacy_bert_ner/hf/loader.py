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

# The longest default window in wordpieces: the limit of most encoders.
WINDOW = 512
DEFAULTS = {"align": "token", "decoder": "greedy"}


class HuggingFaceCheckpoint:
    """Initializes a `bert_ner` and its encoder from a Hugging Face token classifier.

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
        """Set the labels of a component and the weights of its encoder to those of the checkpoint.

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
    `[initialize.components.bert_ner]`: training starts from the encoder, classifier and labels of a
    Hugging Face token classifier.

    name (Optional[str]): A folder, an installed Python package, or a name on the Hugging Face hub;
        null for no checkpoint.
    labels (Optional[Dict[str, Optional[str]]]): A map from labels, or their numbers, to new names,
        such as {"LABEL_1": "B-PER"}; labels that map to null are ignored. By default, all labels
        keep their names.
    scheme (Optional[str]): "BIO" or "IOB1", if the labels don't show which of the two they use.
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
            f"'{name}' has the scheme {component.cfg['scheme']}, but the tags of "
            f"'{checkpoint.name}' are {checkpoint.scheme}: set scheme = \"{checkpoint.scheme}\" in "
            f"[components.{name}]."
        )
    is_dense = any(ref == "dense_norm" for ref, _ in checkpoint.head.weights.values())
    if (
        not model.has_ref("output_layer")
        or bool(model.has_ref("dense_norm")) != is_dense
        or not _has_params(model, checkpoint)
    ):
        raise UserError(
            f"'{name}' has a different classifier from '{checkpoint.name}': in {block}, set "
            f'@architectures = "{checkpoint.head.architecture}".'
        )
    found = find_encoder(nlp, name, model)
    frozen = [] if nlp is None else nlp.config["training"]["frozen_components"]
    if found.component in frozen:
        raise UserError(
            f"'{checkpoint.name}' has its own encoder, but '{found.component}' is frozen: remove "
            "it from frozen_components in [training]."
        )
    width = checkpoint.encoder.model.config.hidden_size
    if found.node.has_dim("nO") and found.node.get_dim("nO") != width:
        raise UserError(
            f"'{checkpoint.name}' needs vectors of width {width}, but those of '{found.component}' "
            f"have width {found.node.get_dim('nO')}: set name in "
            f"[components.{found.component}.model] to '{checkpoint.name}' as well."
        )
    found.shim.set_encoder(checkpoint.encoder)
    for label in checkpoint.labels:
        component.add_label(label)
    return lambda: _write_head(checkpoint, component)


def _has_params(model: Any, checkpoint: Checkpoint) -> bool:
    """Whether a model has a parameter for each weight of the checkpoint's classifier."""
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
    """Make a pipeline from a Hugging Face token classifier, with its encoder, tokenizer, classifier
    and labels. It predicts as Hugging Face's own pipeline does with `aggregation_strategy="first"`,
    but on spaCy's tokens.

    name_or_path (Union[str, Path]): A folder, an installed Python package, or a name on the Hugging
        Face hub.
    lang (str): Code of the language, such as "en"; its tokenizer splits texts into tokens.
    labels (LabelsT): A map from labels, or their numbers, to new names, such as {"LABEL_1":
        "B-PER"}; labels that map to None are ignored. By default, all labels keep their names. For
        a model without a token classifier, a list of the labels of a new one, which has to be
        trained.
    scheme (Optional[str]): "BIO" or "IOB1", if the labels don't show which of the two they use; for
        a new classifier, its tag scheme (default "BIO").
    align (Optional[str]): What gets a tag, as the setting of `bert_ner`. None for the value of an
        exported pipeline, else "token".
    decoder (Optional[str]): How tags are decoded, as the setting of `bert_ner`. None for the value
        of an exported pipeline, else "greedy", as in Hugging Face's pipeline.
    window (Optional[int]): Length of a window in wordpieces, 0 for one sentence in each window, see
        `TransformerModel.v1`. None for the value of an exported pipeline, else the limit of the
        encoder, up to 512.
    RETURNS (Language): The pipeline, which predicts and can be trained further.
    RAISES (ValueError): For a checkpoint that can't be read or understood, and for an unknown
        language.

    An exported pipeline is a checkpoint that `to_huggingface` wrote. A sentencizer is added if
    sentences are read one by one (`window=0`) or decoded one by one, unless `window=0` comes from
    an exported pipeline without sentence starts.
    """
    lang = check_lang(lang)
    checkpoint = HuggingFaceCheckpoint(str(name_or_path), labels, scheme).read()
    given = {"align": align, "decoder": decoder}
    settings = {**DEFAULTS, **checkpoint.settings, **{k: v for k, v in given.items() if v}}
    # An exported pipeline may have had no sentence starts, and read whole documents with window =
    # 0.
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
            f"'{name_or_path}' has no token classifier. The pipeline has a new one for the labels "
            f"{checkpoint.labels}, which has to be trained."
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
    """RETURNS (Dict[str, Any]): The front matter of a model card, empty if it has none.

    card (str): The README.md of a checkpoint.
    """
    match = re.match(r"---\r?\n(.*?)\r?\n---", card, re.DOTALL)
    try:
        front = srsly.yaml_loads(match[1]) if match else {}
    except ValueError:
        return {}
    return dict(front) if isinstance(front, dict) else {}
