"""Fit and measure the calibration of scores."""

from typing import Any, Optional, Sequence, Tuple

import numpy

from ..tagging.calibration import Curve, get_logits
from ..types import Bools1d, Floats1d, Ints1d
from .checks import needing_sklearn

N_BINS = 15
N_FOLDS = 5
# Ten of the rarer outcome for each parameter (Peduzzi et al. 1996), which are two: a slope and an
# intercept.
LEAST_OUTCOMES = 20
# With a prior of variance 1 for shifts of labels, the slope has one of 100, which changes nothing.
SLOPE_STD = 10.0


def import_sklearn() -> Any:
    """RETURNS (ModuleType): scikit-learn, with the modules that are used here.
    RAISES (UserError): If it isn't installed.
    """
    with needing_sklearn("calibrate scores"):
        import sklearn.linear_model
    return sklearn


def fit_curve(
    scores: Floats1d,
    right: Bools1d,
    labels: Optional[Sequence[str]] = None,
    *,
    least: int = LEAST_OUTCOMES,
) -> Optional[Curve]:
    """Fit a logistic regression of an event on the logit of a score. The shift of a label has a
    normal prior with variance 1: with few entities of the label, it stays close to 0.

    scores (Floats1d): Scores, 0 to 1, (n_entities,).
    right (Bools1d): Whether the event happened, bool, (n_entities,).
    labels (Optional[Sequence[str]]): The label of each entity; None for no shifts, which keeps the
        order of all scores.
    least (int): How many entities are needed for which the event happened, and for which not.
    RETURNS (Optional[Curve]): The curve; None if there are fewer, or if higher scores don't mean a
        higher probability.
    RAISES (UserError): If scikit-learn isn't installed.
    """
    sklearn = import_sklearn()
    if min(int(right.sum()), int((~right).sum())) < least:
        return None
    names = [] if labels is None else sorted(set(labels))
    columns = [SLOPE_STD * get_logits(scores)]
    columns += [numpy.array([label == name for label in labels or ()]) for name in names]
    model = sklearn.linear_model.LogisticRegression(max_iter=1000)
    model.fit(numpy.stack(columns, axis=1), right)
    slope, *shifts = numpy.round(model.coef_[0], 6).tolist()
    slope, intercept = round(SLOPE_STD * slope, 6), round(float(model.intercept_[0]), 6)
    return Curve(slope, intercept, dict(zip(names, shifts))) if slope > 0 else None


def fit_held_out(
    scores: Floats1d, right: Bools1d, labels: Optional[Sequence[str]], documents: Ints1d
) -> Floats1d:
    """Calibrate the scores of each document with a curve of other documents, for an honest figure
    of what calibration does.

    scores (Floats1d): Scores, 0 to 1, (n_entities,).
    right (Bools1d): Whether the event happened, bool, (n_entities,).
    labels (Optional[Sequence[str]]): See `fit_curve`.
    documents (Ints1d): Number of the document of each entity, int64, (n_entities,).
    RETURNS (Floats1d): Calibrated scores, (n_entities,). Where other documents are too few, the
        scores as they are.
    """
    n_documents = int(documents.max(initial=0)) + 1
    folds = (numpy.random.default_rng(0).permutation(n_documents) % N_FOLDS)[documents]
    names = sorted({"", *(labels or ())})
    label_ids = numpy.array([names.index(label) for label in labels or [""] * len(scores)])
    held_out = scores.astype("float64")
    for fold in range(N_FOLDS):
        inside, outside = folds == fold, folds != fold
        others = None if labels is None else [labels[i] for i in numpy.nonzero(outside)[0]]
        curve = fit_curve(scores[outside], right[outside], others, least=LEAST_OUTCOMES // 2)
        if curve is not None:
            held_out[inside] = curve.apply(scores[inside], label_ids[inside], names)
    return held_out


def get_bins(scores: Floats1d, right: Bools1d) -> Tuple[Floats1d, Floats1d, Ints1d]:
    """Sort entities by score into bins with the same number of them. Entities with the same score
    are in one bin. The bins are those of scikit-learn's `calibration_curve` with quantiles, which
    doesn't tell the numbers of entities.

    scores (Floats1d): Scores, 0 to 1, at least one, (n_entities,).
    right (Bools1d): Whether the event happened, bool, (n_entities,).
    RETURNS (Tuple[Floats1d, Floats1d, Ints1d]): The mean score, the share of events, and the number
        of entities of each bin that isn't empty, (n_bins,) each.
    """
    edges = numpy.percentile(scores, numpy.linspace(0, 100, N_BINS + 1))
    bins = numpy.searchsorted(edges[1:-1], scores)
    counts = numpy.bincount(bins, minlength=N_BINS)
    kept = counts > 0
    means, shares = (
        numpy.bincount(bins, weights=values, minlength=N_BINS)[kept] / counts[kept]
        for values in (scores, right)
    )
    return means, shares, counts[kept]


def get_error(scores: Floats1d, right: Bools1d) -> float:
    """RETURNS (float): The expected calibration error: the distance between mean score and share of
    events in a bin, averaged over entities.

    scores (Floats1d): Scores, 0 to 1, at least one, (n_entities,).
    right (Bools1d): Whether the event happened, bool, (n_entities,).
    """
    means, shares, counts = get_bins(scores, right)
    return float((counts * abs(means - shares)).sum() / counts.sum())
