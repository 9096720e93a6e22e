"""Scores of groups of entities: by length, by length of the sentence, and by training data."""

from collections import Counter
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy
from spacy.tokens import Doc

from ..formats.files import get_fields
from ..types import Ints1d
from .entity_counts import Entities, Entity, to_score

# The longest of each group, in tokens; None for any length.
ENTITY_BOUNDS = (1, 2, 3, 4, None)
SENTENCE_BOUNDS = (10, 20, 40, None)
N_DOCS_SHOWN = 10
N_TOKENS_SHOWN = 12
# Longest text that is shown in one piece.
MAX_CHARS = 200
SEEN = ("seen with this label", "seen with others only", "not seen")


class Seen(NamedTuple):
    """The entities of training data.

    texts (Set[str]): Their texts, with single spaces.
    entities (Set[Tuple[str, str]]): Their texts and labels.
    """

    texts: Set[str]
    entities: Set[Tuple[str, str]]


def get_text(doc: Doc, entity: Entity) -> str:
    """RETURNS (str): The text of an entity, with single spaces.

    doc (Doc): The document.
    entity (Entity): The entity.
    """
    return " ".join(doc[entity.start : entity.end].text.split())


def shorten(text: str) -> str:
    """RETURNS (str): A text without its middle, if it is long.

    text (str): The text.
    """
    half = MAX_CHARS // 2
    return text if len(text) <= MAX_CHARS else f"{text[:half]} … {text[-half:]}"


def read_seen(docs: Iterable[Doc]) -> Seen:
    """RETURNS (Seen): The entities of training data.

    docs (Iterable[Doc]): Documents with gold entities.
    """
    pairs = {(" ".join(ent.text.split()), ent.label_) for doc in docs for ent in doc.ents}
    return Seen({text for text, _ in pairs}, pairs)


def score_groups(
    gold: Entities,
    predicted: Entities,
    names: Sequence[str],
    get_name: Callable[[int, Entity], str],
) -> List[Dict[str, Any]]:
    """Score groups of entities. A correct entity is in the same group in both annotations, so that
    precision, recall and F1 are defined.

    gold, predicted (Entities): The entities of each document.
    names (Sequence[str]): The groups, in order.
    get_name (Callable[[int, Entity], str]): Returns the group of an entity of a document, which is
        given by its place.
    RETURNS (List[Dict[str, Any]]): The "group" and its scores, see `to_score`.
    """
    counts: Counter = Counter()
    for i, (ours, theirs) in enumerate(zip(gold, predicted)):
        known = {entity.key for entity in ours}
        counts.update((get_name(i, entity), "gold") for entity in ours)
        counts.update((get_name(i, entity), "predicted") for entity in theirs)
        counts.update((get_name(i, e), "correct") for e in theirs if e.key in known)
    keys = ("correct", "predicted", "gold")
    rows = [(name, [counts[name, key] for key in keys]) for name in names]
    return [{"group": name, **to_score(numbers)} for name, numbers in rows]


def score_entity_lengths(gold: Entities, predicted: Entities) -> List[Dict[str, Any]]:
    """RETURNS (List[Dict[str, Any]]): See `score_groups`, by the number of tokens.

    gold, predicted (Entities): The entities of each document.
    """
    names = _name_bounds(ENTITY_BOUNDS)
    return score_groups(
        gold, predicted, names, lambda i, e: names[_find(e.end - e.start, ENTITY_BOUNDS)]
    )


def score_sentence_lengths(
    sentences: Sequence[Ints1d], gold: Entities, predicted: Entities
) -> List[Dict[str, Any]]:
    """RETURNS (List[Dict[str, Any]]): See `score_groups`, by the number of tokens of the sentence
        in which the entity begins.

    sentences (Sequence[Ints1d]): Number of the sentence of each token, (n_tokens,), by document.
    gold, predicted (Entities): The entities of each document.
    """
    names = _name_bounds(SENTENCE_BOUNDS)
    lengths = [numpy.bincount(numbers)[numbers] for numbers in sentences]
    return score_groups(
        gold, predicted, names, lambda i, e: names[_find(lengths[i][e.start], SENTENCE_BOUNDS)]
    )


def score_seen(
    docs: Sequence[Doc], gold: Entities, predicted: Entities, seen: Optional[Seen]
) -> List[Dict[str, Any]]:
    """RETURNS (List[Dict[str, Any]]): See `score_groups`, by whether the text of the entity is one
        of an entity in the training data; empty without training data.

    docs (Sequence[Doc]): The documents.
    gold, predicted (Entities): The entities of each document.
    seen (Optional[Seen]): The entities of the training data.
    """
    if seen is None:
        return []

    def get_name(i: int, entity: Entity) -> str:
        text = get_text(docs[i], entity)
        if (text, entity.label) in seen.entities:
            return SEEN[0]
        return SEEN[1] if text in seen.texts else SEEN[2]

    return score_groups(gold, predicted, SEEN, get_name)


def score_docs(docs: Sequence[Doc], gold: Entities, predicted: Entities) -> List[Dict[str, Any]]:
    """RETURNS (List[Dict[str, Any]]): The documents with most errors (entities that are missed, and
        predicted ones that are wrong): number, id, start of the text, tokens, errors and scores.

    docs (Sequence[Doc]): The documents.
    gold, predicted (Entities): The entities of each document.
    """
    rows = []
    for i, (ours, theirs) in enumerate(zip(gold, predicted)):
        correct = len({entity.key for entity in ours} & {entity.key for entity in theirs})
        rows.append((len(ours) + len(theirs) - 2 * correct, i, (correct, len(theirs), len(ours))))
    worst = sorted(rows, key=lambda row: (-row[0], row[1]))[:N_DOCS_SHOWN]
    return [
        {
            "document": i + 1,
            "id": get_fields(docs[i]).get("id"),
            "text": shorten(" ".join(docs[i][:N_TOKENS_SHOWN].text.split())),
            "tokens": len(docs[i]),
            "errors": errors,
            **to_score(numbers),
        }
        for errors, i, numbers in worst
        if errors
    ]


def _find(length: int, bounds: Sequence[Optional[int]]) -> int:
    return next(i for i, bound in enumerate(bounds) if bound is None or length <= bound)


def _name_bounds(bounds: Sequence[Optional[int]]) -> List[str]:
    names, least = [], 1
    for bound in bounds:
        if bound is None:
            names.append(f"{least} or more")
        else:
            names.append(f"{least}" if bound == least else f"{least} to {bound}")
            least = bound + 1
    return names
