"""Callbacks that a config names."""

from functools import partial
from typing import Any, Callable, Dict

import numpy
from spacy.language import Language
from spacy.pipeline.functions import DocCleaner
from spacy.tokens import Doc
from spacy.util import dot_to_object

from ..errors import UserError

# Key of the meta of a pipeline with the entries of this package.
META_KEY = "spacy_bert_ner"


def make_set_max_length(max_length: int) -> Callable[[Language], Language]:
    """Construct `spacy-bert-ner.set_max_length.v1`: a callback for `[nlp] after_pipeline_creation`
    that sets `nlp.max_length`. spaCy refuses texts of more than 1,000,000 characters, and doesn't
    save another limit with the pipeline. The callback also makes every `doc_cleaner` leave
    `doc.tensor` empty instead of None: `span.as_doc()`, `doc.vector` and an `entity_linker` fail on
    None.

    max_length (int): The longest text to accept, in characters, 1 or more.
    RETURNS (Callable[[Language], Language]): The callback.
    RAISES (ValueError): For a limit below 1.
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
    # Here, since the pipelines of earlier versions have this callback, too.
    for _, pipe in nlp.components:
        if type(pipe) is DocCleaner:
            pipe.__class__ = TensorCleaner
    return nlp


class TensorCleaner(DocCleaner):
    """spaCy's `doc_cleaner`, but it leaves `doc.tensor` empty instead of None: `span.as_doc()`,
    `doc.vector`, `doc.similarity` and an `entity_linker` fail on None. A config can't set this:
    spaCy merges `attrs` with its default, {"tensor": null, "_.trf_data": null}, and JSON has no
    NumPy arrays."""

    def __call__(self, doc: Doc) -> Doc:
        """Clean a document.

        doc (Doc): The document. Changed.
        RETURNS (Doc): The same document.
        """
        doc = super().__call__(doc)
        tensor: Any = doc.tensor  # typed as an array, but None here
        if tensor is None:
            doc.tensor = numpy.zeros((0,), dtype="float32")  # as in a new Doc
        return doc


def make_interpolate_optimizer() -> Callable[[Language], Language]:
    """Construct `spacy-bert-ner.interpolate_optimizer.v1`: a callback for `[training]
    before_to_disk` that replaces variables in `[training.optimizer]`, such as
    `${training.max_steps}`, by their values. `nlp.create_optimizer` and `nlp.resume_training` of
    the saved pipeline read only this block, and fail on variables.

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
    """Construct `spacy-bert-ner.before_to_disk.v1`: a callback for `[training] before_to_disk`.
    Whenever training saves the pipeline, it replaces variables in `[training.optimizer]` by their
    values, as `interpolate_optimizer.v1` does, and writes to `meta.json` how the pipeline was
    trained: the paths of the corpora, whether it has the best score so far ("best") or is the model
    after the last step ("last"), and the patience.

    RETURNS (Callable[[Language], Language]): The callback, for one training.
    """
    return BeforeToDisk()


class BeforeToDisk:
    """Changes a pipeline whenever training saves it: calls `interpolate_optimizer`, and writes to
    its meta which data it was trained on and selected by:

    train, dev (str): The paths of the corpora, as they were given.
    selection (str): "best" if its score on `dev` is the highest so far, as in model-best; "last" if
        it is the model after the last step, as in model-last.
    patience (int): Training ends this many steps after the best score; 0 if scores don't end it.
    """

    def __init__(self) -> None:
        """Start with nothing saved."""
        self.performance: Any = None
        self.best = float("-inf")

    def __call__(self, nlp: Language) -> Language:
        """Change a pipeline that is saved.

        nlp (Language): The pipeline. Its config and its meta are changed.
        RETURNS (Language): The same pipeline.
        """
        config = nlp.config.interpolate()
        training = config["training"]
        # Each evaluation sets a new dict and is followed by a call; the last call is without an
        # evaluation.
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
    """RETURNS (float): The score by which spaCy selects model-best."""
    return float(sum(performance.get(name, 0.0) * X for name, X in weights.items() if X))


def _get_path(config: Any, name: str) -> str:
    """RETURNS (str): The path of a corpus, or the name of its reader if it has no path."""
    block = dot_to_object(config, name)
    return str(block.get("path") or block.get("@readers"))
