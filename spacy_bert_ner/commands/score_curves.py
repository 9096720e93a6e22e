"""What the scores of entities are worth: whether they are calibrated, and what thresholds do."""

from typing import Any, Dict, List, Optional, Tuple

import numpy

from ..types import Bools1d, Floats1d
from .entity_counts import Entities
from .reliability import get_bins, get_error

N_POINTS = 200
# Precision for which a threshold is named, in percent.
TARGETS = (90, 95)


def measure_scores(gold: Entities, predicted: Entities) -> Optional[Dict[str, Any]]:
    """Measure scores of entities. An entity is right if its span and its label are.

    gold, predicted (Entities): The entities of each document.
    RETURNS (Optional[Dict[str, Any]]): "reliability", see `get_reliability`, and "thresholds", see
        `get_thresholds`; None if no predicted entity has a score.
    """
    scores, right, n_kept, n_kept_right = [], [], 0, 0
    for ours, theirs in zip(gold, predicted):
        known = {entity.key for entity in ours}
        for entity in theirs:
            if entity.score is None:
                n_kept, n_kept_right = n_kept + 1, n_kept_right + (entity.key in known)
            else:
                scores.append(entity.score)
                right.append(entity.key in known)
    if not scores:
        return None
    X, Y = numpy.array(scores), numpy.array(right)
    n_gold = sum(map(len, gold))
    return {
        "n_scored": len(scores),
        "reliability": get_reliability(X, Y),
        "thresholds": get_thresholds(X, Y, n_gold, (n_kept_right, n_kept)),
    }


def get_reliability(scores: Floats1d, right: Bools1d) -> Dict[str, Any]:
    """Compare scores with how many entities are right, in bins with the same number of entities.

    scores (Floats1d): Scores, 0 to 1, (n_entities,).
    right (Bools1d): Whether the entity is right, (n_entities,).
    RETURNS (Dict[str, Any]): "mean_score", "share_right", "ece" (expected calibration error: the
        mean distance of both over the entities), and "bins", with the number of entities "n", and
        both numbers for each.
    """
    means, shares, counts = (values.tolist() for values in get_bins(scores, right))
    return {
        "mean_score": float(scores.mean()),
        "share_right": float(right.mean()),
        "ece": get_error(scores, right),
        "bins": [
            {"n": n, "score": score, "right": share}
            for score, share, n in zip(means, shares, counts)
        ],
    }


def get_thresholds(
    scores: Floats1d, right: Bools1d, n_gold: int, kept: Tuple[int, int] = (0, 0)
) -> Dict[str, Any]:
    """Calculate what is left if entities below a threshold are removed.

    scores (Floats1d): Scores, 0 to 1, (n_entities,).
    right (Bools1d): Whether the entity is right, (n_entities,).
    n_gold (int): Number of gold entities.
    kept (Tuple[int, int]): Number of entities without a score that are right, and of all of them:
        no threshold removes them.
    RETURNS (Dict[str, Any]): "points" of a curve: "threshold", "precision", "recall" and "f1", 0 to
        100, from the highest threshold to the lowest; "best_f1", the point with the highest F1;
        "precision_90" and "precision_95", the point with the highest recall that has at least this
        precision, or None.
    """
    order = numpy.argsort(-scores, kind="stable")
    ends = numpy.append(numpy.nonzero(numpy.diff(scores[order]))[0], len(order) - 1)
    correct = kept[0] + numpy.cumsum(right[order])[ends]
    predicted = kept[1] + ends + 1
    points = [
        {
            "threshold": float(scores[order][end]),
            "precision": 100.0 * float(n / m),
            "recall": 100.0 * float(n / n_gold),
            "f1": 200.0 * float(n / (m + n_gold)),
        }
        for end, n, m in zip(ends, correct, predicted)
    ]
    found: Dict[str, Any] = {"best_f1": max(points, key=lambda point: point["f1"])}
    for target in TARGETS:
        precise = [point for point in points if point["precision"] >= target]
        found[f"precision_{target}"] = max(precise, key=_get_recall) if precise else None
    return {**found, "points": _thin(points)}


def _get_recall(point: Dict[str, float]) -> float:
    return point["recall"]


def _thin(points: List[Dict[str, float]]) -> List[Dict[str, float]]:
    """At most N_POINTS of them, evenly, with the first and the last."""
    places = numpy.linspace(0, len(points) - 1, min(N_POINTS, len(points))).round().astype(int)
    return [points[i] for i in places]
