"""Export pipelines as Hugging Face checkpoints."""

import copy
from pathlib import Path
from typing import Any, Optional, Tuple, Union

import torch
from spacy.language import Language

from ..errors import UserError
from ..model.encoder.huggingface import get_limit
from ..model.encoder.pretrained import (
    DTYPE,
    tokenizer_from_files,
    tokenizer_to_files,
    without_bars,
)
from ..model.heads import get_head, is_initialized
from ..pipeline.bert_ner import BertNER
from ..pipeline.components import find_component
from ..pipeline.encoders import Found, find_encoder, get_pooling
from ..pipeline.settings import get_dropout
from ..training.sentences import marks_sentences
from .card import make_card
from .checkpoint import SETTINGS_KEY, quiet
from .folders import check_folder, write_folder
from .heads import (
    Head,
    check_family,
    find_head,
    get_model_class,
    get_params,
    get_rate,
    split_state,
)
from .labels import name_tags

# Names in a config for the rate of dropout before the classifier.
DROPOUT_NAMES = ("classifier_dropout", "classifier_dropout_prob")


def to_huggingface(
    nlp: Language,
    path: Union[str, Path],
    *,
    component: Optional[str] = None,
    force: bool = False,
) -> None:
    """Export the encoder, tokenizer and classifier of a pipeline as a Hugging Face checkpoint with
    a model card. `AutoModelForTokenClassification`, `AutoTokenizer` and
    `pipeline("token-classification", aggregation_strategy="first")` load it without spaCy. If the
    export fails, nothing is written.

    Hugging Face's pipeline uses the most probable tag of each word, as `decoder = "greedy"` does,
    and only knows the prefixes B and I. So tags of other schemes are renamed in the checkpoint: L
    becomes I, and U becomes B. Each tag keeps its own weights, and valid tag sequences give the
    same entities. `config.json` keeps the original names for `from_huggingface`.

    nlp (Language): The pipeline.
    path (Union[str, Path]): The folder to write, new or empty.
    component (Optional[str]): Name of the `bert_ner` to export; None if there is only one.
    force (bool): Whether to replace a folder that isn't empty.
    RAISES (ValueError): For a pipeline that Hugging Face has no model class for.
    """
    path = Path(path)
    check_folder(path, force)
    name, ner = find_component(nlp, component)
    found = find_encoder(nlp, name, ner.model)
    model, tokenizer = make_model(name, ner, found, dropout=get_dropout(nlp, name))
    getattr(model.config, SETTINGS_KEY)["marks_sentences"] = any(
        marks_sentences(nlp, component) for component in nlp.pipe_names
    )
    card = make_card(nlp, ner, found)
    with write_folder(path, force=force) as folder:
        with quiet(), without_bars():
            model.save_pretrained(folder, safe_serialization=True)
            tokenizer.save_pretrained(folder, legacy_format=False)
        (folder / "README.md").write_text(card, encoding="utf-8")


def make_model(
    name: str, ner: BertNER, found: Found, *, dropout: Optional[float]
) -> Tuple[Any, Any]:
    """Make Hugging Face's model and tokenizer with the weights of a component.

    name (str): Name of the component.
    ner (BertNER): The component.
    found (Found): Its encoder.
    dropout (Optional[float]): The rate of dropout before the classifier; None for that of the
        config.
    RETURNS (Tuple[PreTrainedModel, PreTrainedTokenizerFast]): The model and the tokenizer.
    RAISES (ValueError): If Hugging Face has no class for such a model.
    """
    encoder = found.shim.encoder
    if encoder is None or not is_initialized(ner.model.get_ref("output_layer")):
        raise UserError(f"'{name}' has no weights to export: train or initialize it first.")
    our_head = get_head(ner.model)
    if our_head.no_export is not None:
        raise UserError(
            f"'{name}' is {our_head.name}, and {our_head.no_export}: train it with "
            f"spacy-bert-ner.LinearSoftmax.v1 in [components.{name}.model] and "
            f"spacy-bert-ner.CrossEntropy.v1 in [components.{name}.loss]."
        )
    if any(node.param_names for node in ner.model.get_ref("tok2vec").walk()):
        raise UserError(
            f"'{name}' uses other vectors besides those of its encoder, which Hugging Face's "
            "models don't have: train it with only a listener as "
            f"[components.{name}.model.tok2vec]."
        )
    pooling = get_pooling(ner.model)
    if pooling != "reduce_first":
        raise UserError(
            f"'{name}' uses {pooling} of wordpieces, but Hugging Face's models use only the first "
            'wordpiece of a word: train with pooling = {"@layers": '
            '"spacy-bert-ner.reduce_first.v1"}.'
        )
    if found.shim.mixed_layers > 1:
        raise UserError(
            f"'{name}' uses the mean of the last {found.shim.mixed_layers} layers of its encoder, "
            "but Hugging Face's models use only the last one: train with mixed_layers = 1."
        )
    check_family(encoder.model.config, name)
    config = copy.deepcopy(encoder.model.config)
    config.name_or_path = ""  # a folder of this machine, which old versions of transformers save
    _set_labels(config, ner, found)
    model_class = get_model_class(config)
    with quiet():
        model = model_class(config)
    if dropout is not None and dropout != get_rate(model):
        for key in DROPOUT_NAMES:
            if hasattr(config, key):
                setattr(model.config, key, dropout)
    _set_weights(name, ner, model, encoder.model)
    tokenizer = tokenizer_from_files(tokenizer_to_files(encoder.tokenizer))
    tokenizer.model_max_length = get_limit(encoder)  # beyond it, the pipeline cuts text off
    return model.eval(), tokenizer


def _set_labels(config: Any, ner: BertNER, found: Found) -> None:
    tag_set = ner.tag_set
    names = name_tags(tag_set, ner.cfg["scheme"])
    config.id2label = dict(enumerate(names))
    config.label2id = {}
    for i, label in enumerate(names):
        config.label2id.setdefault(label, i)
    settings = found.node.attrs["settings"]
    setattr(config, DTYPE, torch.float32)
    setattr(
        config,
        SETTINGS_KEY,
        {
            "tags": tag_set.tags,
            "window": settings.window,
            "stride": settings.stride,
            "context": settings.context,
            **{
                key: ner.cfg[key]
                for key in ("scheme", "align", "decoder", "decode_scope", "threshold")
            },
        },
    )


def _set_weights(name: str, ner: BertNER, model: Any, encoder: Any) -> None:
    theirs, weights = split_state(model)
    head = _find_ours(name, ner, list(weights), model.config.model_type)
    state = {key: value.cpu() for key, value in encoder.state_dict().items()}
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    # The classes for token classification have no pooling layer.
    unexpected = [key for key in unexpected if not key.startswith("pooler.")]
    if missing or unexpected:
        raise UserError(
            f"The encoder of '{name}' doesn't fit {type(model).__name__}: missing {missing}, "
            f"unexpected {unexpected}."
        )
    params = {
        key: torch.from_numpy(value.copy()) for key, value in get_params(ner.model, head).items()
    }
    model.load_state_dict(params, strict=False)


def _find_ours(name: str, ner: BertNER, names: list, kind: str) -> Head:
    """The head of Hugging Face's class, if the component has the same weights."""
    head = find_head(names, kind)
    nodes = [ner.model.get_ref(ref) for ref, _ in head.weights.values() if ner.model.has_ref(ref)]
    known = {*nodes, *ner.model.get_ref("tok2vec").walk()}
    # Weights that Hugging Face's class has no place for, such as a dense layer.
    others = [node for node in ner.model.walk() if node.param_names and node not in known]
    if set(get_params(ner.model, head)) != set(names) or others:
        raise UserError(
            f"'{name}' has a different classifier from Hugging Face's models of type '{kind}': "
            f"train it with {head.architecture} in [components.{name}.model]."
        )
    return head
