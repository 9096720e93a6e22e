"""Gold annotation as tag ids, and an account of what can't be learned from it."""

from collections import Counter
from typing import Callable, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy
from spacy.errors import Errors
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..characters import count_before, nonspace_table, visible_tokens
from ..errors import UserError
from ..findings import Finding, format_findings, show
from ..types import Bools1d, Ints1d
from .schemes import SCHEMES, TagSet
from .settings import Settings
from .spelling import find_misspelled
from .words import Words, get_words

MISSING = -1


class Incorrect(NamedTuple):
    """An entity that is known to be wrong, as the tags that would spell it.

    rows, tags (Ints1d): Its tokens, without those that show nothing, and their tags, int64.
    follower (Optional[int]): The token that comes next.
    """

    rows: Ints1d
    tags: Ints1d
    follower: Optional[int]


class Gold(NamedTuple):
    """What is known of a document.

    tags (Ints1d): Tag ids, int64, -1 for missing, (n_tokens,).
    rows (Ints1d): The tokens that a tag is predicted for, int64, (n_rows,).
    incorrect (List[Incorrect]): Entities that are known to be wrong.
    reference (Doc): The document that it was read from.
    """

    tags: Ints1d
    rows: Ints1d
    incorrect: List[Incorrect]
    reference: Doc


def get_gold(
    example: Example,
    tag_set: TagSet,
    incorrect_spans_key: Optional[str] = None,
    *,
    align: str = "token",
    read: Optional[Bools1d] = None,
) -> Gold:
    """The tags that the tokens of `example.predicted` should get, and the entities that they
    shouldn't spell. Entities of labels that the model doesn't have are outside of those it has.
    Missing are: tokens without annotation, tokens of entities that don't align, and tokens that
    aren't read, since they show nothing (white space, U+200B) or have no wordpieces. By word, the
    first token has the word's tag and the others none, and words that an entity divides are
    missing.

    example (Example): The document to tag, and its gold annotation.
    tag_set (TagSet): The tags.
    incorrect_spans_key (Optional[str]): Where `example.reference.spans` has wrong entities.
    align (str): What gets a tag, "token" or "word".
    read (Optional[Bools1d]): The tokens of `example.predicted` that are read, see
        `get_read_tokens`, bool, (n_tokens,); None for those that show something.
    RETURNS (Gold): The tags, and the wrong entities.
    RAISES (ValueError): For an entity that is both right and wrong.
    """
    doc = example.predicted
    label_ids = {label: i for i, label in enumerate(tag_set.labels)}
    shown = numpy.nonzero(visible_tokens(doc) if read is None else read)[0]
    words = get_words(doc, shown, numpy.arange(len(shown)) == 0, align)
    firsts = shown[words.starts]  # the tokens that get the tags
    ents, biluo = example.get_aligned_ents_and_ner()
    outside = numpy.array([tag == "O" for tag in biluo], dtype=bool)
    for ent in ents:
        outside[ent.start : ent.end] |= ent.label_ not in label_ids
    tags = numpy.full(len(doc), MISSING, dtype="int64")
    if len(shown):
        known = numpy.logical_and.reduceat(outside[shown], words.starts)
        tags[firsts[known]] = 0
    before = (0, "")  # where the entity before ends, and its label
    for ent in ents:
        i, j, fits = words.within(ent.start, ent.end)
        if ent.label_ not in label_ids or i == j:
            continue
        again = before == (i, ent.label_)
        tags[firsts[i:j]] = (
            tag_set.encode(j - i, label_ids[ent.label_], again=again) if fits else MISSING
        )
        before = (j, ent.label_)
    incorrect = []
    for span in get_incorrect_spans(example, incorrect_spans_key):
        i, j, fits = words.within(span.start, span.end)
        if fits and span.label_ in label_ids:
            incorrect.append(
                Incorrect(
                    rows=firsts[i:j],
                    tags=numpy.array(tag_set.encode(j - i, label_ids[span.label_])),
                    follower=int(firsts[j]) if j < len(firsts) else None,
                )
            )
    return Gold(tags, firsts, incorrect, example.reference)


def get_incorrect_spans(example: Example, key: Optional[str]) -> List[Span]:
    """Find the entities that are known to be wrong.

    example (Example): A document and its gold annotation.
    key (Optional[str]): Where `example.reference.spans` has them, None for nowhere.
    RETURNS (List[Span]): The entities, on the tokens of `example.predicted`.
    RAISES (ValueError): For one that is an entity as well.
    """
    if key is None or key not in example.reference.spans:
        return []
    spans = example.reference.spans[key]
    right = {(ent.start, ent.end, ent.label) for ent in example.reference.ents}
    for span in spans:
        if (span.start, span.end, span.label) in right:
            places = (span.start_char, span.end_char, span.label_)
            raise UserError(Errors.E868.format(span=places))
    return example.get_aligned_spans_y2x(spans, allow_overlap=True)


class GoldReport:
    """Counts the gold entities of a corpus that can't be learned, or not as they stand.

    labels (Optional[Sequence[str]]): The model's labels, None if they come from this corpus.
    by_sentence (bool): Whether entities are decoded within sentences.
    scheme (str): The tag scheme.
    incorrect_spans_key (Optional[str]): Where documents have entities known to be wrong.
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
        self.merges = not SCHEMES[scheme].separates
        self.incorrect_spans_key = incorrect_spans_key
        self.n_ents = 0
        self.label_counts: Counter = Counter()
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
            "gold entities begin or end inside a word, or take in punctuation at its edge, and "
            'can\'t be predicted: set align = "token"'
        )
        self.crossing = Finding(
            "gold entities cross a sentence start, and can't be predicted: set decode_scope = "
            '"doc"'
            if by_sentence
            else "gold entities cross a sentence start, and may be read in two windows"
        )
        self.merged = Finding(
            "gold entities directly follow another entity with the same label: scheme = "
            f'"{scheme}" merges them, set scheme = "BIO"'
        )
        self.incorrect = Finding(
            f"spans of doc.spans['{incorrect_spans_key}'] teach nothing: they don't align with the "
            "tokens, or have labels the model doesn't have"
        )

    @property
    def findings(self) -> List[Finding]:
        """RETURNS (List[Finding]): What was found of entities, kind by kind."""
        return [self.lost, self.blank, self.divided, self.unknown, self.crossing, self.merged]

    def add(self, example: Example) -> None:
        """Count the entities of one example.

        example (Example): Its `predicted` has the sentence marks of the pipeline, if any.
        """
        self._add_incorrect(example)
        doc, reference = example.predicted, example.reference
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
        before = (0, "")  # the word behind the entity before, and its label
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
        """RETURNS (str): One line for each kind found, with examples; empty if all fits."""
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
    """Count the gold entities that a component can't learn as they stand.

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


def get_labels(examples: Iterable[Example]) -> List[str]:
    """Find the labels of a corpus.

    examples (Iterable[Example]): The corpus.
    RETURNS (List[str]): The labels of all gold entities, sorted.
    """
    return sorted({ent.label_ for example in examples for ent in example.reference.ents})


def _divides(words: Words, ent: Span, visible: Bools1d) -> bool:
    """Whether an entity isn't what its words give: those of nothing that shows give nothing."""
    inside = numpy.nonzero(visible[ent.start : ent.end])[0] + ent.start
    if not len(inside):
        return False
    i, j, fits = words.within(ent.start, ent.end)
    return not fits or (words.first[i], words.last[j - 1]) != (inside[0], inside[-1])


def _show(ent: Span) -> str:
    return f"{show(ent.text)} ({ent.label_})"


def _places(ents: Sequence[Span], doc: Doc) -> List[Tuple[int, int]]:
    """Where entities stand in the text of their document, white space not counted: the same for
    every tokenization."""
    position = count_before(doc.text, nonspace_table())
    return [(int(position[ent.start_char]), int(position[ent.end_char])) for ent in ents]


def marks_sentences(nlp: Language, name: str) -> bool:
    """Ask what a component sets.

    nlp (Language): The pipeline.
    name (str): Of the component.
    RETURNS (bool): Whether it sets sentence starts.
    """
    return bool({"token.is_sent_start", "doc.sents"} & set(nlp.get_pipe_meta(name).assigns))


def get_sentence_setters(nlp: Language) -> List[Callable[[Doc], Doc]]:
    """Find the components that set sentence starts in training, and those annotating before them
    on which they may depend. At initialization, they haven't run on the examples yet.

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
