"""Score predictions of entities: in total, by label and by group, with intervals and errors."""

from collections import Counter
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from spacy.tokens import Doc

from ..types import Floats1d, Ints1d
from .entity_counts import Counts, Entities, Row, count_entities, draw_f1, get_ends, to_score
from .entity_errors import (
    N_ERRORS,
    Pair,
    choose_worst,
    count_confusion,
    count_edges,
    count_kinds,
    pair_entities,
    show_error,
)
from .entity_groups import (
    Seen,
    score_docs,
    score_entity_lengths,
    score_seen,
    score_sentence_lengths,
)
from .score_curves import measure_scores
from .summary import MIN_DOCS


class GoldData(NamedTuple):
    """Documents with gold annotation.

    docs (List[Doc]): The documents.
    entities (Entities): Their gold entities.
    n_left_out (int): Number of documents without annotation, which are left out.
    """

    docs: List[Doc]
    entities: Entities
    n_left_out: int


class Answer(NamedTuple):
    """What a pipeline predicts.

    name (str): The pipeline.
    entities (Entities): The entities of each document.
    sentences (Optional[List[Ints1d]]): Number of the sentence of each token, (n_tokens,), by
        document; None if any document has no sentences.
    """

    name: str
    entities: Entities
    sentences: Optional[List[Ints1d]]


def evaluate(
    gold: GoldData, answers: Sequence[Answer], seen: Optional[Seen] = None
) -> Dict[str, Any]:
    """Score the predictions of one or two pipelines.

    gold (GoldData): The documents.
    answers (Sequence[Answer]): What each pipeline predicts.
    seen (Optional[Seen]): The entities of the training data.
    RETURNS (Dict[str, Any]): "documents", "tokens", "entities" and "documents_left_out": counts;
        "labels", in order of their gold entities; "pipelines", see `score_pipeline`; "differences"
        of F1, of the second pipeline from the first, or None; "errors", lists of errors to look at.
    """
    counts = [count_entities(gold.entities, answer.entities) for answer in answers]
    # With fewer documents, an interval isn't reliable.
    draws = [draw_f1(own, len(gold.docs)) if len(gold.docs) >= MIN_DOCS else {} for own in counts]
    pairs = [list(pair_entities(gold.entities, answer.entities)) for answer in answers]
    sentences = answers[0].sentences
    n_gold = Counter(entity.label for doc in gold.entities for entity in doc)
    labels = {label for own in counts for label, _ in own if label is not None}
    return {
        "documents": len(gold.docs),
        "documents_left_out": gold.n_left_out,
        "tokens": sum(map(len, gold.docs)),
        "entities": sum(map(len, gold.entities)),
        "labels": sorted(labels, key=lambda label: (-n_gold[label], label)),
        "pipelines": [
            {
                "name": answer.name,
                **score_counts(own_counts, own_draws),
                **score_pipeline(gold, answer._replace(sentences=sentences), own_pairs, seen),
            }
            for answer, own_counts, own_draws, own_pairs in zip(answers, counts, draws, pairs)
        ],
        "differences": compare_counts(counts, draws) if len(answers) == 2 else None,
        "errors": list_errors(gold, answers, pairs),
    }


def score_counts(counts: Dict[Row, Counts], draws: Dict[Row, Floats1d]) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): "totals" by schema, and "by_label", a list of scores by schema with
        the "label": see `to_score`.

    counts (Dict[Row, Counts]): See `count_entities`.
    draws (Dict[Row, Floats1d]): See `draw_f1`; empty for no intervals.
    """
    scores: Dict[Optional[str], Dict[str, Any]] = {}
    for (label, schema), own in counts.items():
        score = to_score(own.numbers.sum(axis=0), draws.get((label, schema)))
        scores.setdefault(label, {})[schema] = score
    totals = scores.pop(None)
    return {"totals": totals, "by_label": scores}


def score_pipeline(
    gold: GoldData, answer: Answer, pairs: Sequence[Pair], seen: Optional[Seen]
) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): "kinds" of errors, "confusion" of labels, "edges" that are wrong,
        scores by "entity_length", "sentence_length", "seen" and "documents", and what the "scores"
        of the entities are worth. Each is described where it is made.

    gold (GoldData): The documents.
    answer (Answer): What the pipeline predicts.
    pairs (Sequence[Pair]): Its entities, paired with gold entities.
    seen (Optional[Seen]): The entities of the training data.
    """
    both = gold.entities, answer.entities
    sentences = answer.sentences
    return {
        "kinds": count_kinds(pairs),
        "confusion": count_confusion(pairs),
        "edges": count_edges(gold.docs, pairs),
        "entity_length": score_entity_lengths(*both),
        "sentence_length": [] if sentences is None else score_sentence_lengths(sentences, *both),
        "seen": score_seen(gold.docs, *both, seen),
        "worst_documents": score_docs(gold.docs, *both),
        "scores": measure_scores(*both),
    }


def compare_counts(
    counts: Sequence[Dict[Row, Counts]], draws: Sequence[Dict[Row, Floats1d]]
) -> Dict[str, Any]:
    """Compare F1 of two pipelines by the paired bootstrap (Berg-Kirkpatrick et al. 2012).

    counts (Sequence[Dict[Row, Counts]]): See `count_entities`.
    draws (Sequence[Dict[Row, Floats1d]]): See `draw_f1`; empty for no intervals.
    RETURNS (Dict[str, Any]): "totals" and "by_label", each by schema: the "difference" of the
        second pipeline from the first, None where only one of them has such entities, and the
        "interval".
    """
    found: Dict[Optional[str], Dict[str, Any]] = {}
    for label, schema in {**counts[0], **counts[1]}:
        row = label, schema
        interval = None
        scores = [to_score(own[row].numbers.sum(axis=0))["f1"] for own in counts if row in own]
        difference = scores[1] - scores[0] if len(scores) == 2 else None
        if difference is not None and row in draws[0]:
            interval = get_ends(draws[1][row] - draws[0][row])
        one = {"difference": difference, "interval": interval}
        found.setdefault(label, {})[schema] = one
    totals = found.pop(None)
    return {"totals": totals, "by_label": found}


def list_errors(
    gold: GoldData, answers: Sequence[Answer], pairs: Sequence[Sequence[Pair]]
) -> List[Dict[str, Any]]:
    """Choose the errors to look at. Of two pipelines, those that only one of them makes.

    gold (GoldData): The documents.
    answers (Sequence[Answer]): What each pipeline predicts.
    pairs (Sequence[Sequence[Pair]]): Its entities, paired with gold entities.
    RETURNS (List[Dict[str, Any]]): For each pipeline, the number of errors to choose from "n",
        "wrong" predictions and "missed" entities, see `choose_worst` and `show_error`.
    """
    keys = [{pair.key for pair in own if pair.kind} for own in pairs]
    found = []
    for i, (answer, own) in enumerate(zip(answers, pairs)):
        others = set().union(*keys[:i], *keys[i + 1 :])
        errors = [pair for pair in own if pair.kind and pair.key not in others]
        lists = choose_worst(errors, N_ERRORS // len(answers))
        shown = [
            [
                show_error(gold.docs, answers[0].sentences, gold.entities, answer.entities, pair)
                for pair in chosen
            ]
            for chosen in lists
        ]
        found.append({"n": len(errors), "wrong": shown[0], "missed": shown[1]})
    return found
