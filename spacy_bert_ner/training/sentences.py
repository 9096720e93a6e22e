"""Which components of a pipeline mark sentences."""

from typing import Callable, List

from spacy.language import Language
from spacy.tokens import Doc


def marks_sentences(nlp: Language, name: str) -> bool:
    """Check whether a component sets sentence starts.

    nlp (Language): The pipeline.
    name (str): Name of the component.
    RETURNS (bool): Whether it sets sentence starts.
    """
    return bool({"token.is_sent_start", "doc.sents"} & set(nlp.get_pipe_meta(name).assigns))


def get_sentence_setters(nlp: Language) -> List[Callable[[Doc], Doc]]:
    """Find the components that set sentence starts in training, and the annotating components
    before them, on which they may depend. At initialization, they haven't run on the examples yet.

    nlp (Language): The pipeline.
    RETURNS (List[Callable[[Doc], Doc]]): The components, in their order.
    """
    training = nlp.config.interpolate()["training"]
    pipes: List[Callable[[Doc], Doc]] = []
    last = 0
    for name, pipe in nlp.components:
        ready = name in training["frozen_components"] or not getattr(pipe, "is_trainable", False)
        if name not in training["annotating_components"] or not ready:
            continue
        pipes.append(pipe)
        if marks_sentences(nlp, name):
            last = len(pipes)
    return pipes[:last]
