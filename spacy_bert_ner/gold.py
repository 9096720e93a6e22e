"""Gold annotation as tag ids, and an account of what can't be learned from it."""

from dataclasses import dataclass, field
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

import numpy
from spacy.tokens import Doc, Span
from spacy.training import Example

from .chars import count_before, nonspace_table, visible_tokens
from .schemes import TagSet
from .types import Ints1d

MISSING = -1
N_SHOWN = 5


def get_gold_tags(example: Example, tag_set: TagSet, label_ids: Dict[str, int]) -> Ints1d:
    """The tags that the tokens of `example.predicted` should get. Missing are: tokens without
    annotation, tokens of entities that don't align or whose label the model doesn't have, and
    tokens that show nothing (white space, U+200B), which have no wordpieces to learn from.

    label_ids (Dict[str, int]): Index of each label.
    RETURNS (Ints1d): Tag ids, -1 for missing, (n_tokens,).
    """
    doc = example.predicted
    tags = numpy.full(len(doc), MISSING, dtype="int64")
    visible = visible_tokens(doc)
    ents, biluo = example.get_aligned_ents_and_ner()
    tags[[tag == "O" for tag in biluo]] = 0
    for ent in ents:
        shown = ent.start + numpy.nonzero(visible[ent.start : ent.end])[0]
        if len(shown) and ent.label_ in label_ids:
            tags[shown] = tag_set.encode(len(shown), label_ids[ent.label_])
    tags[~visible] = MISSING
    return tags


@dataclass
class Finding:
    """One kind of gold entity that doesn't fit.

    Attributes
    ----------
    what (str): What is the matter with it, and what becomes of it.
    n (int): How many there are.
    shown (List[str]): The first of them.
    """

    what: str
    n: int = 0
    shown: List[str] = field(default_factory=list)

    def add(self, ent: Span) -> None:
        self.n += 1
        if len(self.shown) < N_SHOWN:
            self.shown.append(f"{ent.text!r} ({ent.label_})")


class GoldReport:
    """Counts the gold entities of a corpus that can't be learned, or not as they stand.

    labels (Optional[Sequence[str]]): The model's labels, None if they come from this corpus.
    by_sentence (bool): Whether entities are decoded within sentences.
    """

    def __init__(self, labels: Optional[Sequence[str]], *, by_sentence: bool):
        self.labels = None if labels is None else set(labels)
        self.n_ents = 0
        self.lost = Finding("don't align with the tokens, which count as missing")
        self.blank = Finding("begin or end with white space, which is left out")
        self.unknown = Finding("have labels the model doesn't have, so their tokens are missing")
        self.crossing = Finding(
            'cross a sentence start, and can\'t be predicted: set decode_scope = "doc"'
            if by_sentence
            else "cross a sentence start, and may be read in two windows"
        )

    @property
    def findings(self) -> List[Finding]:
        """RETURNS (List[Finding]): What was found, kind by kind."""
        return [self.lost, self.blank, self.unknown, self.crossing]

    def add(self, example: Example) -> None:
        """Count the entities of one example.

        example (Example): Its `predicted` has the sentence marks of the pipeline, if any.
        """
        doc, reference = example.predicted, example.reference
        if not reference.has_annotation("ENT_IOB"):
            return
        gold = list(reference.ents)
        self.n_ents += len(gold)
        aligned = example.get_aligned_spans_y2x(gold)
        found = set(_places(aligned, doc))
        visible = visible_tokens(doc)
        starts = doc.to_array("SENT_START") == 1
        for ent, place in zip(gold, _places(gold, reference)):
            if place not in found:
                self.lost.add(ent)
            if self.labels is not None and ent.label_ not in self.labels:
                self.unknown.add(ent)
        for ent in aligned:
            if not (visible[ent.start] and visible[ent.end - 1]):
                self.blank.add(ent)
            if starts[ent.start + 1 : ent.end].any():
                self.crossing.add(ent)

    def message(self) -> str:
        """RETURNS (str): One line for each kind found, with examples; empty if all fits."""
        lines = [
            f"{finding.n} of {self.n_ents} gold entities {finding.what}: "
            + ", ".join(finding.shown)
            + (", …" if finding.n > len(finding.shown) else "")
            for finding in self.findings
            if finding.n
        ]
        return "\n".join(lines)


def get_labels(examples: Iterable[Example]) -> List[str]:
    """RETURNS (List[str]): The labels of all gold entities, sorted."""
    return sorted({ent.label_ for example in examples for ent in example.reference.ents})


def _places(ents: Sequence[Span], doc: Doc) -> List[Tuple[int, int]]:
    """Where entities stand in the text of their document, white space not counted: the same for
    every tokenization."""
    position = count_before(doc.text, nonspace_table())
    return [(int(position[ent.start_char]), int(position[ent.end_char])) for ent in ents]
