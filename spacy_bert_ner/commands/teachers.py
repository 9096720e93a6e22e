"""Teachers: pipelines that label texts to train other ones, alone or together."""

from typing import Dict, Iterable, List, NamedTuple, Sequence, Tuple

import numpy
from spacy.language import Language
from spacy.tokens import Doc

from ..errors import UserError
from ..findings import number
from ..model.heads import get_head, get_transitions
from ..pipeline.bert_ner import BertNER
from ..pipeline.reading import get_read_tokens
from ..tagging.entities import check_scores, get_tag_probs, get_units
from ..tagging.schemes import TagSet, get_tag_set
from ..tagging.soft_labels import find_scheme, map_tags
from ..types import Bools1d, Floats2d
from .pipelines import explain_no_ents, explain_pipeline, load_pipeline


class Opinion(NamedTuple):
    """The predictions of a teacher for a document.

    doc (Doc): The document after the whole pipeline.
    probs (Floats2d): Probabilities of the teacher's tags, zeros for tokens without a tag,
        (n_tokens, n_tags).
    read (Bools1d): Whether the teacher reads each token, bool, (n_tokens,).
    """

    doc: Doc
    probs: Floats2d
    read: Bools1d


class Teacher(NamedTuple):
    """A trained pipeline.

    name (str): Its name or path, as given by the user.
    nlp (Language): The pipeline.
    ner (BertNER): Its component.
    """

    name: str
    nlp: Language
    ner: BertNER

    def label(self, docs: Iterable[Doc], batch_size: int) -> List[Opinion]:
        """Label documents, in the order of the pipeline's components.

        docs (Iterable[Doc]): Documents without annotation, with the vocabulary of the pipeline.
            They are changed.
        batch_size (int): Documents read at once.
        RETURNS (List[Opinion]): One for each document.
        RAISES (ValueError): If the pipeline can't predict.
        """
        ner, names = self.ner, self.nlp.pipe_names
        place = names.index(ner.name)
        with explain_pipeline(self.name):
            read_docs = list(self.nlp.pipe(docs, batch_size=batch_size, disable=names[place:]))
            scores = ner.predict(read_docs)
            check_scores(scores, ner.name)
            read = get_read_tokens(read_docs, ner.model, is_train=False)
            units = get_units(read_docs, read, ner.settings)
            transitions = get_transitions(ner.model)
            probs = [
                get_tag_probs(doc, its_units, X, ner.tag_set, transitions)
                for doc, its_units, X in zip(
                    read_docs, units, get_head(ner.model).to_scores(scores)
                )
            ]
            ner.set_annotations(read_docs, scores)
            rest = names[: place + 1]
            done = list(self.nlp.pipe(read_docs, batch_size=batch_size, disable=rest))
        return [Opinion(*parts) for parts in zip(done, probs, read)]


def load_teacher(name: str) -> Teacher:
    """Load a pipeline to learn from.

    name (str): Its name or path.
    RETURNS (Teacher): The pipeline.
    RAISES (UserError): For a pipeline that is damaged, has no or several `bert_ner`, or writes no
        entities. OSError: If it doesn't exist.
    """
    nlp = load_pipeline(name)
    found = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, BertNER)]
    if len(found) != 1:
        problem = "it has no bert_ner, whose probabilities a student could learn"
        way_out = "Choose another pipeline."
        if found:
            names = ", ".join(f"'{pipe.name}'" for pipe in found)
            problem = (
                f"it has several bert_ner ({names}), but a student learns the tags of only one"
            )
            way_out = (
                "Remove all but one of them with nlp.remove_pipe, and save it with nlp.to_disk."
            )
        raise UserError(f"Can't learn from the pipeline '{name}': {problem}. {way_out}")
    no_ents = explain_no_ents(nlp, name)
    if no_ents is not None:
        raise UserError(no_ents)
    return Teacher(name, nlp, found[0])


class School(NamedTuple):
    """Teachers whose predictions can be averaged.

    teachers (List[Teacher]): At least one. All read the words of a document; for plain texts, those
        of the first teacher's tokenizer.
    tag_set (TagSet): The tags of all labels that any of them knows.
    align (str): What gets a tag, "token" or "word".
    """

    teachers: List[Teacher]
    tag_set: TagSet
    align: str

    def find_partly_known(self) -> Dict[str, List[str]]:
        """RETURNS (Dict[str, List[str]]): Labels that not all teachers know, and the names of the
        teachers that do."""
        knowing = {
            label: [teacher.name for teacher in self.teachers if label in teacher.ner.labels]
            for label in self.tag_set.labels
        }
        n = len(self.teachers)
        return {label: names for label, names in knowing.items() if len(names) < n}

    def translate(self, probs: Sequence[Floats2d]) -> Tuple[List[Floats2d], List[Bools1d]]:
        """Map the tags of each teacher to the columns of all tags.

        probs (Sequence[Floats2d]): By teacher, probabilities of its tags, (n_tokens, n_tags).
        RETURNS (Tuple[List[Floats2d], List[Bools1d]]): By teacher, probabilities of all tags,
            (n_tokens, n_all_tags), and whether it knows each one, bool, (n_all_tags,).
        """
        maps = [map_tags(teacher.ner.tag_set, self.tag_set) for teacher in self.teachers]
        return [X @ matrix for X, matrix in zip(probs, maps)], [numpy.any(X, axis=0) for X in maps]


def make_school(teachers: List[Teacher]) -> School:
    """Check that teachers can be averaged.

    teachers (List[Teacher]): At least one.
    RETURNS (School): The teachers, and the tags of their mean.
    RAISES (UserError): If their tags don't have the same meaning.
    """
    aligns = [teacher.ner.settings.align for teacher in teachers]
    if len(set(aligns)) > 1:
        raise UserError(
            f"Can't average teachers that tag different tokens (align = {_list(teachers, aligns)}):"
            " name teachers with the same align."
        )
    schemes = [teacher.ner.settings.scheme for teacher in teachers]
    scheme = find_scheme(schemes)
    if scheme is None:
        raise UserError(
            f"Can't average teachers with these schemes ({_list(teachers, schemes)}): their tags "
            "can't be converted token by token. Name teachers with the same scheme, or with BILUO "
            "and BIO."
        )
    labels = dict.fromkeys(label for teacher in teachers for label in teacher.ner.labels)
    return School(teachers, get_tag_set(scheme, tuple(labels)), aligns[0])


def check_weights(weights: Sequence[float], n_teachers: int) -> None:
    """RAISES (UserError): For invalid weights of teachers.

    weights (Sequence[float]): One for each teacher.
    n_teachers (int): Number of teachers.
    """
    if len(weights) != n_teachers:
        raise UserError(
            f"Can't use {number(len(weights), 'weight')} for {number(n_teachers, 'teacher')}: give "
            "one for each."
        )
    if not all(numpy.isfinite(weight) and weight > 0 for weight in weights):
        numbers = ", ".join(map(str, weights))
        raise UserError(f"Can't use the weights {numbers}: give numbers above 0.")


def _list(teachers: List[Teacher], values: List[str]) -> str:
    return ", ".join(f"{value} of '{one.name}'" for one, value in zip(teachers, values))
