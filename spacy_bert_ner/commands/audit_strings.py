"""Strings that are annotated in different ways in one corpus."""

from collections import Counter, defaultdict
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy
from spacy.matcher import PhraseMatcher
from spacy.tokens import Doc

from ..tagging.presets import MISSING_IOB
from .entity_counts import Entity
from .entity_groups import get_text

# Documents that are listed for each way to annotate a string.
N_EXAMPLES = 5


class Inconsistency(NamedTuple):
    """A string that is annotated in several ways.

    text (str): The string, with single spaces.
    counts (Dict[Optional[str], int]): How often it has each label, None for no entity; the most
        frequent one first.
    docs (Dict[Optional[str], List[int]]): Places of the first documents of each.
    """

    text: str
    counts: Dict[Optional[str], int]
    docs: Dict[Optional[str], List[int]]

    @property
    def n_rare(self) -> int:
        """RETURNS (int): How often it isn't annotated in the most frequent way."""
        return sum(self.counts.values()) - max(self.counts.values())

    def to_record(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): The string, and a list of "labels", each with its count and
        with numbers of documents, from 1."""
        labels = [
            {"label": label, "n": n, "documents": [i + 1 for i in self.docs[label]]}
            for label, n in self.counts.items()
        ]
        return {"text": self.text, "n_rare": self.n_rare, "labels": labels}


def find_inconsistencies(docs: Sequence[Doc]) -> List[Inconsistency]:
    """Find strings that are an entity somewhere, and have another label or none elsewhere. Upper
    and lower case are different. Occurrences within or across other entities, and those with
    missing annotation, aren't counted.

    docs (Sequence[Doc]): Annotated documents with one vocabulary.
    RETURNS (List[Inconsistency]): The strings; those that most often deviate from their most
        frequent label first.
    """
    found: Dict[str, List[Tuple[Optional[str], int]]] = defaultdict(list)
    matcher = _make_matcher(docs)
    for i, doc in enumerate(docs):
        taken = doc.to_array("ENT_IOB") == MISSING_IOB
        for ent in doc.ents:
            taken[ent.start : ent.end] = True
            found[get_text(doc, Entity(ent.start, ent.end, ent.label_))].append((ent.label_, i))
        for _, start, end in matcher(doc):
            if not taken[start:end].any():
                found[get_text(doc, Entity(start, end, ""))].append((None, i))
    several = [
        _count(text, uses) for text, uses in found.items() if len({label for label, _ in uses}) > 1
    ]
    return sorted(several, key=lambda one: (-one.n_rare, one.text))


def _make_matcher(docs: Sequence[Doc]) -> PhraseMatcher:
    """RETURNS (PhraseMatcher): Finds the words of all entities, whatever the white space."""
    phrases = {tuple(token.text for token in ent) for doc in docs for ent in doc.ents}
    vocab = docs[0].vocab
    matcher = PhraseMatcher(vocab)
    matcher.add("entity", [Doc(vocab, words=list(words)) for words in sorted(phrases)])
    return matcher


def _count(text: str, uses: List[Tuple[Optional[str], int]]) -> Inconsistency:
    counts = Counter(label for label, _ in uses)
    order = sorted(counts, key=lambda label: (-counts[label], label is None, label or ""))
    docs = {
        label: numpy.unique([i for its, i in uses if its == label])[:N_EXAMPLES].tolist()
        for label in order
    }
    return Inconsistency(text, {label: counts[label] for label in order}, docs)
