"""Callbacks that a config names."""

from functools import partial
from typing import Any, Callable

import numpy
from spacy.language import Language
from spacy.pipeline.functions import DocCleaner
from spacy.tokens import Doc

from ..errors import UserError


def make_set_max_length(max_length: int) -> Callable[[Language], Language]:
    """A callback for `[nlp] after_pipeline_creation` that sets `nlp.max_length`: spaCy refuses
    texts of over 1,000,000 characters, and doesn't save any other limit with the pipeline. It also
    makes every `doc_cleaner` a `TensorCleaner`: the callback is in all pipelines that were made by
    our configs and by `from_huggingface`, those of earlier versions included.

    max_length (int): The longest text to accept, in characters.
    RETURNS (Callable[[Language], Language]): The callback.
    RAISES (ValueError): For a limit that no text could meet.
    """
    if max_length < 1:
        raise UserError(
            f"Can't accept texts of at most {max_length} characters: set max_length to 1 or more."
        )
    return partial(set_max_length, max_length=max_length)


def set_max_length(nlp: Language, max_length: int) -> Language:
    """See `make_set_max_length`.

    nlp (Language): A pipeline. Changed.
    max_length (int): The longest text to accept, in characters.
    RETURNS (Language): The same pipeline.
    """
    nlp.max_length = max_length
    for _, pipe in nlp.components:
        if type(pipe) is DocCleaner:
            pipe.__class__ = TensorCleaner
    return nlp


class TensorCleaner(DocCleaner):
    """spaCy's `doc_cleaner`, after which `doc.tensor` is empty instead of None: `span.as_doc()`,
    `doc.vector`, `doc.similarity` and an `entity_linker` fail on None. No config can ask for that:
    spaCy merges `attrs` with its default, {"tensor": null, "_.trf_data": null}, and JSON has no
    empty array."""

    def __call__(self, doc: Doc) -> Doc:
        """Clean a document.

        doc (Doc): The document. Changed.
        RETURNS (Doc): The same document.
        """
        doc = super().__call__(doc)
        tensor: Any = doc.tensor  # typed as an array, which it isn't any more
        if tensor is None:
            doc.tensor = numpy.zeros((0,), dtype="float32")  # as in a new Doc
        return doc


def make_interpolate_optimizer() -> Callable[[Language], Language]:
    """A callback for `[training] before_to_disk` that puts numbers in place of the variables in
    `[training.optimizer]`, such as `${training.max_steps}`: `nlp.create_optimizer` and
    `nlp.resume_training` of the saved pipeline read this block alone, and fail on them.

    RETURNS (Callable[[Language], Language]): The callback.
    """
    return interpolate_optimizer


def interpolate_optimizer(nlp: Language) -> Language:
    """See `make_interpolate_optimizer`.

    nlp (Language): A pipeline. Its config is changed.
    RETURNS (Language): The same pipeline.
    """
    nlp.config["training"]["optimizer"] = nlp.config.interpolate()["training"]["optimizer"]
    return nlp
