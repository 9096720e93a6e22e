"""Report gold entities that can't be learned, or not exactly as annotated."""

from collections import Counter
from typing import Callable, Iterable, List, Optional, Sequence, Set, Tuple

import numpy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..characters import count_before, nonspace_table, visible_tokens
from ..findings import Finding, format_findings, show
from ..tagging.gold import get_incorrect_spans
from ..tagging.schemes import SCHEMES
from ..tagging.settings import Settings
from ..tagging.soft_labels import check_soft_labels, get_soft_labels
from ..tagging.spelling import find_misspelled
from ..tagging.words import Words, get_words
from ..types import Bools1d
from .sentences import get_sentence_setters


class GoldReport:
    """Counts the gold entities of a corpus that can't be learned, or not exactly as annotated.

    labels (Optional[Sequence[str]]): The model's labels, None if they come from this corpus.
    by_sentence (bool): Whether entities are decoded within sentences.
    scheme (str): The tag scheme.
    incorrect_spans_key (Optional[str]): Key of `doc.spans` with entities that are known to be
        wrong.
    align (str): What gets a tag, "token" or "word".
    find_read (Callable[[Doc], Bools1d]): Finds the tokens that are read, see `make_reader`.
    """

    def __init__(
        self,
        labels: Optional[Sequence[str]],
        *,
        by_sentence: bool,
        scheme: str = "BIO",
        incorrect_spans_key: Optional[str] = None,
        align: str = "token",
        find_read: Callable[[Doc], Bools1d] = visible_tokens,
    ):
        self.labels = None if labels is None else set(labels)
        self.align = align
        self.find_read = find_read
        self.scheme = scheme
        self.merges = not SCHEMES[scheme].separates
        self.incorrect_spans_key = incorrect_spans_key
        self.n_ents = 0
        self.label_counts: Counter[str] = Counter()
        self.lost = Finding("gold entities don't align with the tokens, which count as missing")
        self.blank = Finding(
            "gold entities begin or end with white space, or with characters that the encoder "
            "drops, which are left out"
        )
        self.unknown = Finding(
            "gold entities have labels the model doesn't have, and count as outside"
        )
        self.unknown_labels: Set[str] = set()
        self.divided = Finding(
            "gold entities begin or end inside a word, or include punctuation at its edge, and "
            'can\'t be predicted: set align = "token"'
        )
        self.crossing = Finding(
            "gold entities cross a sentence start, and can't be predicted: set decode_scope = "
            '"doc"'
            if by_sentence
            else "gold entities cross a sentence start, and may be split between two windows"
        )
        self.merged = Finding(
            "gold entities directly follow another entity with the same label: scheme = "
            f'"{scheme}" merges them, set scheme = "BIO"'
        )
        self.incorrect = Finding(
            f"spans of doc.spans['{incorrect_spans_key}'] aren't used in training: they don't "
            "align with the tokens, or have labels the model doesn't have"
        )

    @property
    def findings(self) -> List[Finding]:
        """RETURNS (List[Finding]): The findings about gold entities, by kind."""
        return [self.lost, self.blank, self.divided, self.unknown, self.crossing, self.merged]

    def add(self, example: Example) -> None:
        """Count the entities of one example.

        example (Example): An example; its `predicted` has the sentence starts of the pipeline, if
            any.
        RAISES (ValueError): For soft labels that can't be learned.
        """
        self._add_incorrect(example)
        doc, reference = example.predicted, example.reference
        soft = get_soft_labels(reference)
        if soft is not None:
            check_soft_labels(soft, self.scheme, self.align)
        if not reference.has_annotation("ENT_IOB"):
            return
        gold = list(reference.ents)
        self.n_ents += len(gold)
        self.label_counts.update(ent.label_ for ent in gold)
        aligned = example.get_aligned_spans_y2x(gold)
        found = set(_places(aligned, doc))
        visible = self.find_read(doc)
        starts = doc.to_array("SENT_START") == 1
        shown = numpy.nonzero(visible)[0]
        words = get_words(doc, shown, numpy.arange(len(shown)) == 0, self.align)
        for ent, place in zip(gold, _places(gold, reference)):
            if place not in found:
                self.lost.add(_show(ent))
            if not self._knows(ent):
                self.unknown.add(_show(ent))
                self.unknown_labels.add(ent.label_)
        before = (0, "")  # the word after the previous entity, and its label
        for ent in aligned:
            if not (visible[ent.start] and visible[ent.end - 1]):
                self.blank.add(_show(ent))
            if _divides(words, ent, visible):
                self.divided.add(_show(ent))
            if starts[ent.start + 1 : ent.end].any():
                self.crossing.add(_show(ent))
            i, j, _ = words.within(ent.start, ent.end)
            if self.merges and before == (i, ent.label_):
                self.merged.add(_show(ent))
            before = (j, ent.label_)

    def _add_incorrect(self, example: Example) -> None:
        aligned = get_incorrect_spans(example, self.incorrect_spans_key)
        found = set(_places(aligned, example.predicted))
        spans = list(example.reference.spans.get(self.incorrect_spans_key or "", []))
        for span, place in zip(spans, _places(spans, example.reference)):
            if place not in found or not self._knows(span):
                self.incorrect.add(_show(span))

    def _knows(self, ent: Span) -> bool:
        return self.labels is None or ent.label_ in self.labels

    def message(self) -> str:
        """RETURNS (str): One line for each kind of problem, with examples; empty if there is
        none."""
        lines = [
            format_findings(self.findings, total=self.n_ents),
            format_findings([self.incorrect, find_misspelled(self.label_counts)]),
        ]
        return "\n".join(line for line in lines if line)


def report_gold(
    examples: Iterable[Example],
    nlp: Optional[Language],
    labels: Optional[Sequence[str]],
    settings: Settings,
    find_read: Callable[[Doc], Bools1d],
) -> GoldReport:
    """Count the gold entities that a component can't learn exactly as annotated.

    examples (Iterable[Example]): The corpus.
    nlp (Optional[Language]): The pipeline, whose annotating components set the sentences.
    labels (Optional[Sequence[str]]): The labels of the component, None for those of the examples.
    settings (Settings): Its settings.
    find_read (Callable[[Doc], Bools1d]): Finds the tokens that it reads, see `make_reader`.
    RETURNS (GoldReport): The counts.
    """
    report = make_gold_report(labels, settings, find_read)
    pipes = [] if nlp is None else get_sentence_setters(nlp)
    for example in examples:
        doc = example.predicted.copy()
        for pipe in pipes:
            doc = pipe(doc)
        report.add(Example(doc, example.reference))
    return report


def make_gold_report(
    labels: Optional[Sequence[str]], settings: Settings, find_read: Callable[[Doc], Bools1d]
) -> GoldReport:
    """Construct a report by the settings of a component.

    labels (Optional[Sequence[str]]): Its labels, None for those of the examples.
    settings (Settings): Its settings.
    find_read (Callable[[Doc], Bools1d]): Finds the tokens that it reads, see `make_reader`.
    RETURNS (GoldReport): A report of nothing yet.
    """
    return GoldReport(
        labels,
        by_sentence=settings.by_sentence,
        scheme=settings.scheme,
        incorrect_spans_key=settings.incorrect_spans_key,
        align=settings.align,
        find_read=find_read,
    )


def _divides(words: Words, ent: Span, visible: Bools1d) -> bool:
    """Whether an entity differs from its words; false if it has no visible token."""
    inside = numpy.nonzero(visible[ent.start : ent.end])[0] + ent.start
    if not len(inside):
        return False
    i, j, fits = words.within(ent.start, ent.end)
    return not fits or (words.first[i], words.last[j - 1]) != (inside[0], inside[-1])


def _show(ent: Span) -> str:
    return f"{show(ent.text)} ({ent.label_})"


def _places(ents: Sequence[Span], doc: Doc) -> List[Tuple[int, int]]:
    """The positions of entities in the text of their document, without white space: the same for
    every tokenization."""
    position = count_before(doc.text, nonspace_table())
    return [(int(position[ent.start_char]), int(position[ent.end_char])) for ent in ents]
