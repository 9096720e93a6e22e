"""Fit a learning curve, and tell what more data would give."""

from typing import Dict, NamedTuple, Optional

import numpy

from ..findings import number
from ..types import Floats1d, Floats2d, FloatsXd
from .summary import get_f1

N_RESAMPLES = 2000
# With fewer, nothing is concluded: a curve has three parameters, and noise shows in the differences
# between seeds and documents.
MIN_PARTS, MIN_SEEDS, MIN_DOCS = 4, 2, 10
# How far data is extrapolated, as a multiple of all.
TWICE = 2.0
# The widest interval of F1 with twice the data, in points, that is still shown.
MAX_WIDTH = 10.0
# Exponents that are tried. Hestness et al. (2017) found 0.07 to 0.35.
EXPONENTS = numpy.geomspace(0.05, 2.0, 150)


class Curves(NamedTuple):
    """Power laws with an offset (Figueroa et al. 2012; Hestness et al. 2017): the distance of F1
    from 100 with a share x of the data is floor + scale * x ** -exponent.

    floor (Floats1d): What no amount of data removes, at least 0, (n_curves,).
    scale (Floats1d): What is left of the rest with all data, at least 0, (n_curves,).
    exponent (Floats1d): How fast it falls, (n_curves,).
    """

    floor: Floats1d
    scale: Floats1d
    exponent: Floats1d

    def get_scores(self, shares: FloatsXd) -> Floats2d:
        """RETURNS (Floats2d): F1, 0 to 100, (n_curves, n_shares).

        shares (Floats1d): Sizes of data, as multiples of all, (n_shares,).
        """
        powers = shares ** -self.exponent[:, None]
        scores: Floats2d = 100.0 - self.floor[:, None] - self.scale[:, None] * powers
        return scores


def fit_curves(shares: Floats1d, scores: Floats2d) -> Curves:
    """Fit curves by least squares. For each of some exponents, the other two parameters are those
    of a linear regression (variable projection, Golub and Pereyra 1973), so the best fit is always
    found.

    shares (Floats1d): Sizes of the parts, as shares of all data, (n_parts,).
    scores (Floats2d): F1, 0 to 100, (n_curves, n_parts).
    RETURNS (Curves): The curves.
    """
    errors = 100.0 - scores
    powers = shares ** -EXPONENTS[:, None]  # (n_exponents, n_parts)
    centered = powers - powers.mean(axis=1, keepdims=True)
    scale = numpy.maximum(errors @ centered.T / (centered**2).sum(axis=1), 0.0)
    floor = errors.mean(axis=1, keepdims=True) - scale * powers.mean(axis=1)
    without_floor = errors @ powers.T / (powers**2).sum(axis=1)
    scale = numpy.where(floor < 0.0, without_floor, scale)
    floor = numpy.maximum(floor, 0.0)
    fitted = floor[..., None] + scale[..., None] * powers
    best = ((errors[:, None] - fitted) ** 2).sum(axis=2).argmin(axis=1)
    rows = numpy.arange(len(scores))
    return Curves(floor[rows, best], scale[rows, best], EXPONENTS[best])


def draw_scores(counts: FloatsXd, seed: int = 0) -> Floats2d:
    """Estimate what F1 would be with other documents and seeds. Documents are resampled with
    replacement (bootstrap, Efron 1979), the same ones for all parts. To the mean over the seeds,
    noise is added with Student's distribution: few seeds can't be resampled. Its variance is the
    mean of that between the seeds of the part, and of that of all parts.

    counts (FloatsXd): Numbers of correct, predicted and gold entities,
        (n_parts, n_seeds, n_docs, 3).
    seed (int): Random seed of the resampling.
    RETURNS (Floats2d): F1, 0 to 100, (N_RESAMPLES, n_parts).
    """
    rng = numpy.random.default_rng(seed)
    n_parts, n_seeds, n_docs, _ = counts.shape
    weights = rng.multinomial(n_docs, [1.0 / n_docs] * n_docs, size=N_RESAMPLES)
    totals = numpy.einsum("rd,psdc->rpsc", weights, counts, optimize=True)
    variances = get_f1(counts.sum(axis=2)).var(axis=1, ddof=1)
    deviations = numpy.sqrt((variances + variances.mean()) / 2.0 / n_seeds)
    noise = rng.standard_t(n_parts * (n_seeds - 1), size=(N_RESAMPLES, n_parts)) * deviations
    scores: Floats2d = numpy.clip(get_f1(totals).mean(axis=2) + noise, 0.0, 100.0)
    return scores


class Estimate(NamedTuple):
    """A value, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Conclusion(NamedTuple):
    """What a learning curve tells.

    text (str): The conclusion, or why there is none.
    kind (str): "grows", "flat", "noisy" or "too little data".
    growth (Optional[Estimate]): How much F1 with all data is above that with the smallest part.
    twice (Optional[Estimate]): F1 with twice the data; None if nothing is concluded about it.
    gain (Optional[Estimate]): How much that is above F1 with all data.
    curve (Optional[Curves]): The fitted curve, and those of the resampled scores,
        (1 + N_RESAMPLES,).
    """

    text: str
    kind: str
    growth: Optional[Estimate] = None
    twice: Optional[Estimate] = None
    gain: Optional[Estimate] = None
    curve: Optional[Curves] = None

    def get_estimates(self) -> Dict[str, Optional[Estimate]]:
        """RETURNS (Dict[str, Optional[Estimate]]): The estimates, by name."""
        return {"growth": self.growth, "twice": self.twice, "gain": self.gain}


def conclude(shares: Floats1d, counts: FloatsXd) -> Conclusion:
    """Tell what twice the data would give.

    shares (Floats1d): Sizes of the parts, as shares of all data, ascending, to 1, (n_parts,).
    counts (FloatsXd): Numbers of correct, predicted and gold entities,
        (n_parts, n_seeds, n_docs, 3).
    RETURNS (Conclusion): The conclusion.
    """
    problem = _find_problem(counts)
    if problem is not None:
        return Conclusion(f"No conclusion: {problem}.", "too little data")
    scores = get_f1(counts.sum(axis=2)).mean(axis=1)
    drawn = draw_scores(counts)
    growth = _estimate(scores[-1] - scores[0], drawn[:, -1] - drawn[:, 0])
    shown = f"from {shares[0]:.0%} of the data to all of it, F1 changes by {_show(growth)}"
    if growth.low <= 0.0:
        is_flat = growth.high - growth.low <= MAX_WIDTH
        text = (
            f"F1 doesn't grow measurably: {shown}. More of the same data is unlikely to help."
            if is_flat
            else f"No conclusion: the scores are too noisy; {shown}. Use more seeds, or more "
            "development data."
        )
        return Conclusion(text, "flat" if is_flat else "noisy", growth)
    curve = fit_curves(shares, numpy.concatenate([scores[None], drawn]))
    now, then = curve.get_scores(numpy.array([1.0, TWICE])).T
    twice, gain = _estimate(then[0], then[1:]), _estimate(then[0] - now[0], (then - now)[1:])
    if twice.high - twice.low > MAX_WIDTH:
        text = (
            f"No conclusion: F1 with twice the data is only known to be between {twice.low:.1f} "
            f"and {twice.high:.1f}. Use more seeds, more parts, or more development data."
        )
        return Conclusion(text, "noisy", growth)
    text = (
        f"With twice the data, expect an F1 of {twice.value:.1f} ({twice.low:.1f} to "
        f"{twice.high:.1f}), {gain.value:.1f} ({gain.low:.1f} to {gain.high:.1f}) more than with "
        "all data now."
    )
    return Conclusion(text, "grows", growth, twice, gain, curve)


def _find_problem(counts: FloatsXd) -> Optional[str]:
    """RETURNS (Optional[str]): Why there is too little data for a conclusion."""
    n_parts, n_seeds, n_docs, _ = counts.shape
    for n, least, what in (
        (n_parts, MIN_PARTS, "part"),
        (n_seeds, MIN_SEEDS, "seed"),
        (n_docs, MIN_DOCS, "development document"),
    ):
        if n < least:
            return f"{number(n, what)} {'is' if n == 1 else 'are'} too few, use at least {least}"
    return None


def _estimate(value: float, drawn: Floats1d) -> Estimate:
    low, high = numpy.quantile(drawn, [0.025, 0.975])
    return Estimate(float(value), float(low), float(high))


def _show(estimate: Estimate) -> str:
    return f"{estimate.value:+.1f} ({estimate.low:+.1f} to {estimate.high:+.1f})"
