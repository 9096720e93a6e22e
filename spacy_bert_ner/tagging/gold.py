"""Gold annotation as tag ids."""

from typing import Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy
from spacy.errors import Errors
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..characters import add_before, visible_tokens
from ..errors import UserError
from ..types import Bools1d, Ints1d
from .schemes import TagSet
from .soft_labels import SoftTags, get_soft_labels, get_soft_tags
from .words import Words, get_words

MISSING = -1


class Incorrect(NamedTuple):
    """An entity that is known to be wrong, as the tags that encode it.

    rows, tags (Ints1d): Its visible tokens, and their tags, int64.
    follower (Optional[int]): The next token with a tag, None at the end.
    """

    rows: Ints1d
    tags: Ints1d
    follower: Optional[int]


class Gold(NamedTuple):
    """The annotation of a document, for training.

    tags (Ints1d): Tag ids, int64, -1 for missing, (n_tokens,).
    rows (Ints1d): The tokens that a tag is predicted for, int64, (n_rows,).
    incorrect (List[Incorrect]): Entities that are known to be wrong.
    reference (Doc): The gold document.
    soft (Optional[SoftTags]): Soft labels of teachers, None if there are none.
    """

    tags: Ints1d
    rows: Ints1d
    incorrect: List[Incorrect]
    reference: Doc
    soft: Optional[SoftTags] = None


def join(gold: Sequence[Gold]) -> Tuple[Ints1d, List[Incorrect]]:
    """Join the annotation of documents, as if they were one.

    gold (Sequence[Gold]): The annotation of each document.
    RETURNS (Tuple[Ints1d, List[Incorrect]]): The tags, int64, -1 for missing, (n_tokens,), and the
        entities that are known to be wrong, with the numbers of these tokens.
    """
    incorrect = []
    for doc, first in zip(gold, add_before([len(doc.tags) for doc in gold]).tolist()):
        for rows, tags, follower in doc.incorrect:
            after = None if follower is None else follower + first
            incorrect.append(Incorrect(rows + first, tags, after))
    return numpy.concatenate([doc.tags for doc in gold]), incorrect


def get_gold(
    example: Example,
    tag_set: TagSet,
    incorrect_spans_key: Optional[str] = None,
    *,
    align: str = "token",
    read: Optional[Bools1d] = None,
) -> Gold:
    """Get the tags that the tokens of `example.predicted` should have, and the entities that they
    shouldn't have. Entities with labels that the model doesn't have count as outside. Tags are
    missing for tokens without annotation, for tokens of entities that don't align, and for tokens
    that aren't read, because they are invisible (white space, U+200B) or have no wordpieces. With
    `align="word"`, the first token has the tag of the word and the others have none, and the tags
    of words that an entity divides are missing.

    example (Example): The document to tag, and its gold annotation.
    tag_set (TagSet): The tags.
    incorrect_spans_key (Optional[str]): Key of `example.reference.spans` with wrong entities.
    align (str): What gets a tag, "token" or "word".
    read (Optional[Bools1d]): The tokens of `example.predicted` that are read, see
        `get_read_tokens`, bool, (n_tokens,); None for all visible tokens.
    RETURNS (Gold): The tags, and the wrong entities.
    RAISES (ValueError): For an entity that is both right and wrong, and for soft labels that can't
        be learned.
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
    before = (0, "")  # end and label of the previous entity
    for ent in ents:
        i, j, fits = words.within(ent.start, ent.end)
        if ent.label_ not in label_ids or i == j:
            continue
        again = before == (i, ent.label_)
        tags[firsts[i:j]] = (
            tag_set.encode(j - i, label_ids[ent.label_], again=again) if fits else MISSING
        )
        before = (j, ent.label_)
    spans = get_incorrect_spans(example, incorrect_spans_key)
    incorrect = _encode_incorrect(spans, words, firsts, tag_set)
    soft = get_soft_tags(example, tag_set, align, firsts)
    return Gold(tags, firsts, incorrect, example.reference, soft)


def _encode_incorrect(
    spans: List[Span], words: Words, firsts: Ints1d, tag_set: TagSet
) -> List[Incorrect]:
    """Encode the wrong entities that fit the words."""
    incorrect = []
    for span in spans:
        i, j, fits = words.within(span.start, span.end)
        if fits and span.label_ in tag_set.labels:
            label_id = tag_set.labels.index(span.label_)
            incorrect.append(
                Incorrect(
                    rows=firsts[i:j],
                    tags=numpy.array(tag_set.encode(j - i, label_id)),
                    follower=int(firsts[j]) if j < len(firsts) else None,
                )
            )
    return incorrect


def get_incorrect_spans(example: Example, key: Optional[str]) -> List[Span]:
    """Find the entities that are known to be wrong.

    example (Example): A document and its gold annotation.
    key (Optional[str]): Key of `example.reference.spans` with these entities; None for none.
    RETURNS (List[Span]): The entities, on the tokens of `example.predicted`.
    RAISES (ValueError): For one that is a gold entity as well.
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


def get_labels(examples: Iterable[Example]) -> List[str]:
    """Find the labels of a corpus.

    examples (Iterable[Example]): The corpus.
    RETURNS (List[str]): The labels of all gold entities and soft labels, sorted.
    """
    labels: Set[str] = set()
    for example in examples:
        labels.update(ent.label_ for ent in example.reference.ents)
        soft = get_soft_labels(example.reference)
        if soft is not None:
            labels.update(soft.labels)
    return sorted(labels)
