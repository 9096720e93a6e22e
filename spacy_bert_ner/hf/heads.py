"""Classifiers of Hugging Face's models and architectures of this package: the same weights with
different names."""

from typing import Any, Dict, List, NamedTuple, Tuple, cast

import numpy
import torch
from thinc.api import Model
from transformers import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING, MODEL_MAPPING

from ..errors import UserError
from ..types import Floats2d


class Head(NamedTuple):
    """A kind of classifier.

    architecture (str): The registered name of the architecture in this package.
    weights (Dict[str, Tuple[str, str]]): Hugging Face's name of each weight, and its name in this
        package: a node of the model by the name of its reference, and a parameter of that node.
    optional (Tuple[str, ...]): Weights that not all classifiers of this kind have.
    """

    architecture: str
    weights: Dict[str, Tuple[str, str]]
    optional: Tuple[str, ...] = ()

    @property
    def rows(self) -> List[str]:
        """RETURNS (List[str]): Weights with a row for each label, by Hugging Face's names."""
        return [theirs for theirs, (node, _) in self.weights.items() if node == "output_layer"]

    def is_of(self, names: List[str]) -> bool:
        """RETURNS (bool): Whether these are the names of its weights.

        names (List[str]): Hugging Face's names of weights.
        """
        return set(self.weights) - set(self.optional) <= set(names) <= set(self.weights)


HEADS = (
    # BERT and nearly all encoders.
    Head(
        "spacy-bert-ner.LinearSoftmax.v1",
        {
            "classifier.weight": ("output_layer", "W"),
            "classifier.bias": ("output_layer", "b"),
        },
    ),
    # Decoders: Llama, Qwen and similar models.
    Head(
        "spacy-bert-ner.LinearSoftmax.v1",
        {"score.weight": ("output_layer", "W"), "score.bias": ("output_layer", "b")},
    ),
    # ModernBERT.
    Head(
        "spacy-bert-ner.DenseSoftmax.v1",
        {
            "head.dense.weight": ("dense_norm", "W"),
            "head.dense.bias": ("dense_norm", "b"),
            "head.norm.weight": ("dense_norm", "G"),
            "head.norm.bias": ("dense_norm", "norm_b"),
            "classifier.weight": ("output_layer", "W"),
            "classifier.bias": ("output_layer", "b"),
        },
        optional=("head.dense.bias", "head.norm.bias"),
    ),
)

_LAYOUT = "it needs the positions of words on a page, which a text doesn't have"
_DECODED = "its encoder is only a part of the model that AutoModel creates"
# Kinds of models with a class for token classification that the encoder can't run.
REFUSED = {
    "bros": _LAYOUT,
    "layoutlm": _LAYOUT,
    "layoutlmv2": _LAYOUT,
    "layoutlmv3": _LAYOUT,
    "lilt": _LAYOUT,
    "markuplm": "it needs the nesting of HTML tags, which a text doesn't have",
    "fnet": "it can't ignore padding, so that its predictions depend on the other texts",
    "t5": _DECODED,
    "mt5": _DECODED,
    "umt5": _DECODED,
    "t5gemma": _DECODED,
}


def check_family(config: Any, name: str) -> None:
    """RAISES (ValueError): For a kind of model that can't be used in a pipeline.

    config (PretrainedConfig): The config.json of the model.
    name (str): What to call it.
    """
    kind = config.model_type
    if kind in REFUSED:
        raise UserError(
            f"Can't use '{name}', a model of type '{kind}': {REFUSED[kind]}. Use an "
            "encoder such as BERT, RoBERTa or DeBERTa."
        )
    if type(config) not in MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING or type(config) not in (
        MODEL_MAPPING
    ):
        raise UserError(
            f"Can't use '{name}', a model of type '{kind}': the installed transformers has no "
            "class for token classification with it. Use an encoder such as BERT, RoBERTa or "
            "DeBERTa."
        )


def get_model_class(config: Any) -> Any:
    """RETURNS (type): Hugging Face's class for token classification, e.g.
    BertForTokenClassification.

    config (PretrainedConfig): The config.json of a model.
    """
    found = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING[type(config)]
    return found[0] if isinstance(found, tuple) else found


def split_state(model: Any) -> Tuple[Any, Dict[str, torch.Tensor]]:
    """RETURNS (Tuple[PreTrainedModel, Dict[str, torch.Tensor]]): The encoder of a token
    classifier, and the weights that are not part of it.

    model (PreTrainedModel): The token classifier.
    """
    prefix = model.base_model_prefix
    weights = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith(f"{prefix}.")
    }
    return getattr(model, prefix), weights


def find_head(names: List[str], kind: str) -> Head:
    """Find the head with these weights.

    names (List[str]): Hugging Face's names.
    kind (str): The type of the model, for errors.
    RETURNS (Head): The kind of classifier.
    RAISES (ValueError): For a classifier with other layers.
    """
    for head in HEADS:
        if head.is_of(names):
            return head
    raise UserError(
        f"Can't use the classifier of a model of type '{kind}': its weights {sorted(names)} don't "
        f"fit any of the architectures {', '.join(sorted({head.architecture for head in HEADS}))}. "
        "Use a model with one linear layer as its classifier."
    )


def get_head_settings(model: Any, head: Head) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The block `[components.bert_ner.model]` for the head of a token
    classifier, without its tok2vec, with the dropout that it was trained with.

    model (PreTrainedModel): The token classifier.
    head (Head): Its kind.
    """
    _, weights = split_state(model)
    settings: Dict[str, Any] = {
        "@architectures": head.architecture,
        "dropout": get_rate(model),
        "nO": None,
    }
    if "head.norm.weight" in head.weights:
        settings.update(
            activation=model.config.classifier_activation,
            bias="head.dense.bias" in weights,
            norm_bias="head.norm.bias" in weights,
            eps=model.config.norm_eps,
        )
    return settings


def get_params(model: Model, head: Head) -> Dict[str, Floats2d]:
    """RETURNS (Dict[str, Floats2d]): The weights of a component's model, by Hugging Face's names.

    model (Model): The model of a component.
    head (Head): The kind of its classifier.
    """
    params = {}
    for theirs, (ref, param) in head.weights.items():
        node = model.get_ref(ref) if model.has_ref(ref) else None
        if node is not None and node.has_param(param):
            params[theirs] = node.ops.to_numpy(node.get_param(param))
    return params


def set_params(model: Model, head: Head, params: Dict[str, Floats2d]) -> None:
    """Write weights with Hugging Face's names to the model of a component, which is initialized.

    model (Model): The model of a component.
    head (Head): The kind of its classifier.
    params (Dict[str, Floats2d]): The weights, float32, by Hugging Face's names.
    """
    for theirs, value in params.items():
        ref, param = head.weights[theirs]
        node = model.get_ref(ref)
        array: Any = numpy.ascontiguousarray(value, dtype="float32")
        node.set_param(param, cast(Any, node.ops.asarray(array)))


def get_rate(model: Any) -> float:
    """RETURNS (float): The rate of dropout before the classifier of a token classifier.

    model (PreTrainedModel): The token classifier.
    """
    rates = [
        module.p for _, module in model.named_children() if isinstance(module, torch.nn.Dropout)
    ]
    return float(rates[0]) if rates else 0.0
