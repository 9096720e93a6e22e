"""Callbacks that a config names."""

from functools import partial
from typing import Callable

from spacy.language import Language

from .errors import UserError


def make_set_max_length(max_length: int) -> Callable[[Language], Language]:
    """A callback for `[nlp] after_pipeline_creation` that sets `nlp.max_length`: spaCy refuses
    texts of over 1,000,000 characters, and doesn't save any other limit with the pipeline.

    max_length (int): The longest text to accept, in characters.
    RAISES (ValueError): For a limit that no text could meet.
    """
    if max_length < 1:
        raise UserError(
            f"Can't accept texts of at most {max_length} characters: set max_length to 1 or more."
        )
    return partial(set_max_length, max_length=max_length)


def set_max_length(nlp: Language, max_length: int) -> Language:
    nlp.max_length = max_length
    return nlp


def make_interpolate_optimizer() -> Callable[[Language], Language]:
    """A callback for `[training] before_to_disk` that puts numbers in place of the variables in
    `[training.optimizer]`, such as `${training.max_steps}`: `nlp.create_optimizer` and
    `nlp.resume_training` of the saved pipeline read this block alone, and fail on them."""
    return interpolate_optimizer


def interpolate_optimizer(nlp: Language) -> Language:
    nlp.config["training"]["optimizer"] = nlp.config.interpolate()["training"]["optimizer"]
    return nlp
