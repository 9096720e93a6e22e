from typing import Any, Callable, List, Optional, Tuple, cast

import numpy
from spacy.tokens import Doc
from thinc.api import Model, Ops
from thinc.types import Floats2d

from ...errors import UserError
from ..transfer import split_like
from ..types import Tok2VecT

InT = List[Doc]
OutT = List[Floats2d]


def concatenate(*layers: Tok2VecT) -> Tok2VecT:
    """Construct `spacy-bert-ner.concatenate.v1`: a layer that concatenates the token vectors of
    several layers, such as an encoder and a CNN. Unlike thinc's `concatenate.v1`, it accepts
    documents without tokens, for which a TransformerListener gives an array without a width.

    layers (Tok2VecT): Layers that give a vector for each token, (n_tokens, width).
    RETURNS (Tok2VecT): A layer that gives one vector for each token, (n_tokens, sum of the widths).
    RAISES (ValueError): If there are no layers.
    """
    if not layers:
        raise UserError(
            "spacy-bert-ner.concatenate.v1 has no layers to concatenate: add blocks such as "
            "[components.bert_ner.model.tok2vec.*.transformer]."
        )
    return Model("concatenate", forward, init=init, layers=layers, dims={"nO": None})


def forward(model: Tok2VecT, docs: InT, is_train: bool) -> Tuple[OutT, Callable[[OutT], InT]]:
    """Run the layers.

    model (Tok2VecT): The layer.
    docs (List[Doc]): The documents.
    is_train (bool): Whether to learn from them.
    RETURNS (Tuple[List[Floats2d], Callable]): Vectors, (n_tokens, sum of the widths), and a
        callback for their gradient.
    """
    outputs, backprops = zip(*(layer(docs, is_train) for layer in model.layers))
    widths = [layer.get_dim("nO") for layer in model.layers]
    Y = _join(model.ops, docs, outputs, sum(widths))

    def backprop(dY: OutT) -> InT:
        joined = dY if _is_host(model.ops) else [model.ops.flatten(dY)]
        start = 0
        for width, backprop_layer in zip(widths, backprops):
            end = start + width
            parts = [model.ops.as_contig(d[:, start:end]) for d in joined]
            backprop_layer(parts if _is_host(model.ops) else split_like(parts[0], dY))
            start = end
        return docs

    return Y, backprop


def init(model: Tok2VecT, X: Optional[InT] = None, Y: Optional[OutT] = None) -> None:
    """Initialize the layers, and set the width to the sum of theirs.

    model (Tok2VecT): The layer.
    X (Optional[List[Doc]]): A sample of documents.
    Y (Optional[List[Floats2d]]): Not used.
    """
    for layer in model.layers:
        layer.initialize(X=X)
    model.set_dim("nO", sum(cast(int, layer.get_dim("nO")) for layer in model.layers))


def _join(ops: Ops, docs: InT, outputs: Tuple[OutT, ...], width: int) -> OutT:
    """RETURNS (List[Floats2d]): The outputs of layers next to each other, (n_tokens, width). On a
    CPU, each document on its own, so that a large one is copied once. On a GPU, where each copy is
    a launch, all at once."""
    xp: Any = ops.xp
    if _is_host(ops) or not any(len(doc) for doc in docs):
        return [
            xp.concatenate(parts, axis=1) if len(doc) else ops.alloc2f(0, width)
            for doc, parts in zip(docs, zip(*outputs))
        ]
    joined = xp.concatenate([ops.flatten(cast(Any, arrays)) for arrays in outputs], axis=1)
    return split_like(joined, docs)


def _is_host(ops: Ops) -> bool:
    return ops.xp is numpy
