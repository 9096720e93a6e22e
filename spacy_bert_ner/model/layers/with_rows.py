from typing import Any, Callable, List, Optional, Tuple

from thinc.api import Model
from thinc.types import Floats2d

from ..transfer import join, split_like
from ..types import TokenLayerT

InT = List[Floats2d]
OutT = List[Floats2d]


def with_rows(layer: TokenLayerT) -> Model[InT, OutT]:
    """Run a layer on the tokens of all documents at once. Thinc's `with_array` does the same, but
    copies the vectors of all tokens, even if they are rows of one array.

    layer (TokenLayerT): From vectors of tokens to others, (n_tokens, nI) to (n_tokens, nO).
    RETURNS (Model[List[Floats2d], List[Floats2d]]): The layer, with an array for each document.
    """
    return Model(
        f"with_array({layer.name})",  # the name in pipelines that are saved
        forward,
        init=init,
        layers=[layer],
        attrs={"pad": 0},  # of `with_array`: pipelines have it in their files
        dims={name: layer.maybe_get_dim(name) for name in layer.dim_names},
    )


def init(model: Model[InT, OutT], X: Optional[InT] = None, Y: Optional[OutT] = None) -> None:
    """Initialize the layer inside.

    model (Model[List[Floats2d], List[Floats2d]]): The layer.
    X (Optional[List[Floats2d]]): A sample of vectors.
    Y (Optional[List[Floats2d]]): A sample of outputs.
    """
    layer: Model[Any, Any] = model.layers[0]
    layer.initialize(
        X=None if X is None else join(model.ops, X), Y=None if Y is None else join(model.ops, Y)
    )
    for name in layer.dim_names:
        if layer.has_dim(name):
            model.set_dim(name, layer.get_dim(name))


def forward(model: Model[InT, OutT], X: InT, is_train: bool) -> Tuple[OutT, Callable[[OutT], InT]]:
    """Run the layer.

    model (Model[List[Floats2d], List[Floats2d]]): The layer.
    X (List[Floats2d]): Vectors of the tokens of each document, (n_tokens, nI).
    is_train (bool): Whether to learn from them.
    RETURNS (Tuple[List[Floats2d], Callable]): Vectors of the tokens of each document,
        (n_tokens, nO), and a callback for their gradient.
    """
    layer: TokenLayerT = model.layers[0]
    Y, backprop_layer = layer(join(model.ops, X), is_train)
    sizes = [range(len(vectors)) for vectors in X]  # the callback keeps no vectors

    def backprop(dY: OutT) -> InT:
        return split_like(backprop_layer(join(model.ops, dY)), sizes)

    return split_like(Y, sizes), backprop
