"""Callbacks that a config names."""

from functools import partial
from typing import Any, Callable, Dict

import numpy
from spacy.language import Language
from spacy.pipeline.functions import DocCleaner
from spacy.tokens import Doc
from spacy.util import dot_to_object

from ..errors import UserError

# Of the meta of a pipeline, where what we know of it is.
META_KEY = "spacy_bert_ner"


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


def make_before_to_disk() -> Callable[[Language], Language]:
    """A callback for `[training] before_to_disk`: see `BeforeToDisk`.

    RETURNS (Callable[[Language], Language]): The callback, for one training.
    """
    return BeforeToDisk()


class BeforeToDisk:
    """What is done to a pipeline whenever training saves it: `interpolate_optimizer`, and a note in
    its meta that says which data it was trained on, and which have chosen it:

    train, dev (str): The paths of the corpora, as they were given.
    selection (str): "best" if its score on `dev` is the highest so far, as it is in model-best;
        "last" if it is whatever there was after the last step.
    patience (int): How many steps after the best score training ends, 0 if scores don't end it.
    """

    def __init__(self) -> None:
        """Nothing was saved yet."""
        self.performance: Any = None
        self.best = float("-inf")

    def __call__(self, nlp: Language) -> Language:
        """Change a pipeline that is saved.

        nlp (Language): The pipeline. Its config and its meta are changed.
        RETURNS (Language): The same pipeline.
        """
        config = nlp.config.interpolate()
        training = config["training"]
        # Each evaluation makes a new one, and is followed by a call; the last call follows none.
        performance = nlp.meta.get("performance")
        is_best = False
        if performance is not None and performance is not self.performance:
            score = _get_score(performance, training["score_weights"])
            is_best = score >= self.best
            self.best = max(score, self.best)
        self.performance = performance
        nlp.meta.setdefault(META_KEY, {})["training"] = {
            "train": _get_path(config, training["train_corpus"]),
            "dev": _get_path(config, training["dev_corpus"]),
            "selection": "best" if is_best else "last",
            "patience": training["patience"],
        }
        return interpolate_optimizer(nlp)


def _get_score(performance: Dict[str, Any], weights: Dict[str, Any]) -> float:
    """RETURNS (float): The score by which spaCy chooses."""
    return float(sum(performance.get(name, 0.0) * X for name, X in weights.items() if X))


def _get_path(config: Any, name: str) -> str:
    """RETURNS (str): The path of a corpus, or what reads it if that has none."""
    block = dot_to_object(config, name)
    return str(block.get("path") or block.get("@readers"))
