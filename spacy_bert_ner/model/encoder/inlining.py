"""Functions that `nlp.replace_listeners` needs to put an encoder inside the model of a
component."""

import copy
from typing import Any, Dict, List, Optional

from spacy.tokens import Doc
from spacy_transformers.data_classes import FullTransformerBatch, TransformerData
from spacy_transformers.layers import split_trf_batch
from thinc.api import Model, chain


def split_by_doc(
    model: Model[List[Doc], FullTransformerBatch],
) -> Model[List[Doc], List[TransformerData]]:
    """Return the output document by document, as the listener does that it replaces in
    `nlp.replace_listeners`.

    model (Model[List[Doc], FullTransformerBatch]): The encoder.
    RETURNS (Model[List[Doc], List[TransformerData]]): With the encoder as its first layer.
    """
    return chain(model, split_trf_batch())


def replace_listener_cfg(
    tok2vec_model_cfg: Dict[str, Any], listener_model_cfg: Dict[str, Any]
) -> Dict[str, Any]:
    """The config of a component after `nlp.replace_listeners` has given it a copy of the encoder.

    tok2vec_model_cfg (Dict[str, Any]): The block of the encoder.
    listener_model_cfg (Dict[str, Any]): What spaCy considers the block of the listener:
        [model.tok2vec] of the component, which may contain several.
    RETURNS (Dict[str, Any]): The block of a `Tok2VecTransformer.v2`.
    """
    listener = _find_listener(listener_model_cfg) or {}
    return {
        "@architectures": "spacy-bert-ner.Tok2VecTransformer.v2",
        **{key: listener[key] for key in ("pooling", "grad_factor") if key in listener},
        "transformer": copy.deepcopy(tok2vec_model_cfg),
    }


def _find_listener(cfg: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """The block with a pooling layer."""
    if "pooling" in cfg:
        return cfg
    blocks = (_find_listener(value) for value in cfg.values() if isinstance(value, dict))
    return next((block for block in blocks if block is not None), None)
