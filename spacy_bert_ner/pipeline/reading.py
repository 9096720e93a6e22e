"""Find the tokens that a component reads: visible tokens for which its encoder has wordpieces. A
tokenizer drops characters without a wordpiece (BERT's drops U+FFFD and private characters such as
the bullets in PDFs). Their tokens get the vector of a neighbor, from which no tag is learned or
predicted."""

from typing import Any, Callable, List, Optional, Sequence

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model

from ..characters import split_by_doc, visible_tokens
from ..model.encoder.pieces import get_pieces
from ..model.encoder.tokenizer import PieceTokenizer
from ..types import Bools1d
from .encoders import Found, iter_encoders
from .listeners import get_listeners, get_pieced


def get_read_tokens(docs: List[Doc], model: Model[Any, Any], *, is_train: bool) -> List[Bools1d]:
    """Find the tokens that all encoders of a model have just read. Encoders for which this is
    unknown, such as spaCy's CNN, read all visible tokens.

    docs (List[Doc]): The documents.
    model (Model): The model.
    is_train (bool): Whether the model was called for training.
    RETURNS (List[Bools1d]): bool, (n_tokens,).
    """
    read = split_by_doc(visible_tokens(*docs), docs)
    answers: List[Sequence[Optional[Bools1d]]] = [
        _ask_encoder(docs, found) for found in iter_encoders(model) if found.pieces is not None
    ]
    answers += [get_pieced(docs, node, is_train=is_train) for node in get_listeners(model)]
    for answer in answers:
        for marks, pieced in zip(read, answer):
            if pieced is not None and len(pieced) == len(marks):
                marks &= pieced
    return read


def make_reader(
    model: Model[Any, Any], nlp: Optional[Language], name: str
) -> Callable[[Doc], Bools1d]:
    """Make a function that finds the tokens that a component reads.

    model (Model): Its model.
    nlp (Optional[Language]): The pipeline, with the encoder that it listens to.
    name (str): Name of the component.
    RETURNS (Callable[[Doc], Bools1d]): bool, (n_tokens,).
    """
    found = [encoder.pieces for encoder in iter_encoders(model, name, nlp)]
    tokenizers = [pieces for pieces in found if pieces is not None]

    def find_read(doc: Doc) -> Bools1d:
        read = visible_tokens(doc)
        for tokenizer in tokenizers:
            read &= _ask_tokenizer([doc], tokenizer)[0]
        return read

    return find_read


def _ask_encoder(docs: List[Doc], found: Found) -> Sequence[Optional[Bools1d]]:
    """Whether tokens have wordpieces, bool, (n_tokens,); None for documents without tokens. An
    exported encoder knows it of documents that it has just read."""
    known: List[Optional[Bools1d]] = found.shim.get_read(docs) if found.is_exported else []
    if known and all(marks is not None or not len(doc) for marks, doc in zip(known, docs)):
        return known
    assert found.pieces is not None
    return _ask_tokenizer(docs, found.pieces)


def _ask_tokenizer(docs: List[Doc], tokenizer: PieceTokenizer) -> List[Bools1d]:
    """Whether tokens have wordpieces, bool, (n_tokens,)."""
    read = [doc for doc in docs if len(doc)]
    if not read:
        return [numpy.zeros(0, dtype=bool) for _ in docs]
    return split_by_doc(get_pieces(tokenizer, read).has_pieces, docs)
