"""Thresholds of scores with a guaranteed recall or precision."""

import math
from typing import Sequence

import numpy

from ..errors import UserError
from ..findings import number
from ..types import Bools1d, Floats1d

# The probability with which a guaranteed precision may be missed.
DELTA = 0.1
# Thresholds that are tested first: those that this many equal shares of the entities exceed.
N_STARTS = 5


def check_target(name: str, target: float) -> None:
    """RAISES (UserError): For a target that isn't between 0 and 1.

    name (str): The option.
    target (float): Its value.
    """
    if not 0.0 < target < 1.0:
        raise UserError(f"{name} is {target}: set it between 0 and 1, for example 0.9.")


def find_recall_threshold(documents: Sequence[Floats1d], target: float) -> float:
    """Find the highest threshold that keeps a share of the entities of a document in expectation,
    by conformal risk control (Angelopoulos et al. 2022). The loss of a document is the share of its
    entities below the threshold. For n documents, their mean loss is at most

        (1 - target) - target / n

    which leaves room for a new document that loses all of its entities.

    documents (Sequence[Floats1d]): By document with entities, the score of each of its gold
        entities on any scale; -inf for entities that no threshold keeps.
    target (float): The expected share of entities that are kept, above 0 and below 1.
    RETURNS (float): The threshold: scores that are as high are kept.
    RAISES (UserError): If there are too few documents, or if no threshold keeps enough entities.
    """
    n, allowed = len(documents), 1.0 - target
    needed = math.ceil(round(target / allowed, 9))
    if n < needed:
        raise UserError(
            f"--target-recall {target} needs at least {number(needed, 'document')} with entities, "
            f"but there are {n}. Use more documents, or a lower target."
        )
    scores = numpy.concatenate(documents)
    weights = numpy.concatenate([numpy.full(len(doc), 1.0 / len(doc)) for doc in documents])
    order = numpy.argsort(scores, kind="stable")
    scores, lost = scores[order], numpy.cumsum(weights[order])
    # What is lost below a score: that of scores which are equal isn't.
    firsts = numpy.searchsorted(scores, scores, side="left")
    below = numpy.concatenate([[0.0], lost])[firsts]
    # Rounded, since sums such as 0.1 + 0.2 are a little too high.
    fits = numpy.round(below + 1.0, 9) <= round(allowed * (n + 1), 9)
    threshold = float(scores[fits].max())
    if threshold == -math.inf:
        reached = float(weights[order][numpy.isfinite(scores)].sum()) / n
        raise UserError(
            f"--target-recall {target} can't be reached: the candidates of the pipeline have "
            f"{reached:.3f} of the entities of a document. Use a lower target."
        )
    return threshold


def find_precision_threshold(scores: Floats1d, right: Bools1d, target: float) -> float:
    """Find the lowest threshold above which a share of the entities is right, with a probability of
    at least 1 - `DELTA`, by Learn then Test (Angelopoulos et al. 2021). The hypothesis that the
    precision is too low is tested with a binomial test for one threshold after the other, from
    `N_STARTS` starts on towards lower ones, until a test fails.

    scores (Floats1d): Scores of the entities that were found, (n_entities,).
    right (Bools1d): Whether each is right, bool, (n_entities,).
    target (float): The precision, above 0 and below 1.
    RETURNS (float): The threshold, with 4 decimals.
    RAISES (UserError): If there are too few entities, or if no threshold has the precision.
    """
    from scipy.stats import binom  # of scikit-learn

    level = DELTA / N_STARTS
    needed = math.ceil(math.log(level) / math.log(target))
    if len(scores) < needed:
        raise UserError(
            f"--target-precision {target} needs at least {number(needed, 'entity', 'entities')}, "
            f"but the pipeline finds {len(scores)}. Use more documents, or a lower target."
        )
    rounded = numpy.floor(scores.astype("float64") * 1e4) / 1e4
    thresholds = numpy.unique(rounded)[::-1]
    order = numpy.argsort(-rounded, kind="stable")
    counts = numpy.searchsorted(-rounded[order], -thresholds, side="right")
    wrong = numpy.cumsum(~right[order])[counts - 1]
    passed = binom.cdf(wrong, counts, 1.0 - target) <= level
    lowest = -1
    for share in range(1, N_STARTS + 1):
        at = int(numpy.searchsorted(counts, len(scores) * share / N_STARTS))
        while at < len(thresholds) and passed[at]:
            lowest = max(lowest, at)
            at += 1
    if lowest < 0:
        raise UserError(
            f"--target-precision {target} can't be guaranteed: of {len(scores)} entities, "
            f"{right.mean():.3f} are right, and no threshold has a precision that is certain "
            "enough. Use more documents, or a lower target."
        )
    return float(thresholds[lowest])
