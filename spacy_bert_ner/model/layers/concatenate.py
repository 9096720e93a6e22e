from typing import Callable, List, Optional, Tuple, cast

from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from ...errors import UserError

InT = List[Doc]
OutT = List[Floats2d]


def concatenate(*layers: Model[InT, OutT]) -> Model[InT, OutT]:
    """Token vectors of several layers side by side: (n_tokens, width) of each layer and document to
    (n_tokens, sum of the widths). Differs from thinc's `concatenate.v1` for documents without
    tokens, for which a TransformerListener gives an array of no width.

    layers (Model[List[Doc], List[Floats2d]]): Layers of token vectors.
    RAISES (ValueError): If there are none.
    """
    if not layers:
        raise UserError(
            "Can't concatenate the vectors of no layers: add blocks such as "
            "[components.bert_ner.model.tok2vec.*.transformer]."
        )
    return Model("concatenate", forward, init=init, layers=layers, dims={"nO": None})


def forward(model: Model[InT, OutT], docs: InT, is_train: bool) -> Tuple[OutT, Callable]:
    outputs, backprops = zip(*(layer(docs, is_train) for layer in model.layers))
    xp = model.ops.xp
    widths = [layer.get_dim("nO") for layer in model.layers]
    Y = [
        xp.concatenate(parts, axis=1) if len(doc) else model.ops.alloc2f(0, sum(widths))
        for doc, parts in zip(docs, zip(*outputs))
    ]

    def backprop(dY: OutT) -> InT:
        start = 0
        for width, backprop_layer in zip(widths, backprops):
            end = start + width
            backprop_layer([model.ops.as_contig(d_doc[:, start:end]) for d_doc in dY])
            start = end
        return docs

    return Y, backprop


def init(model: Model[InT, OutT], X: Optional[InT] = None, Y: Optional[OutT] = None) -> None:
    for layer in model.layers:
        layer.initialize(X=X)
    model.set_dim("nO", sum(cast(int, layer.get_dim("nO")) for layer in model.layers))
