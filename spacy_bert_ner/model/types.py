"""Types of layers by their inputs and outputs. Arrays are on the device of the layer."""

from typing import List

from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Ragged

# From documents to a vector for each token, (n_tokens, width).
Tok2VecT = Model[List[Doc], List[Floats2d]]
# From the wordpieces of tokens, (n_pieces, width), to a vector for each token, (n_tokens, width).
PoolingT = Model[Ragged, Floats2d]
# From vectors of tokens to others, (n_tokens, nI) to (n_tokens, nO).
TokenLayerT = Model[Floats2d, Floats2d]
