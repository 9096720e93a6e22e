"""Summarize a comparison: means, intervals and tables."""

import textwrap
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy

from ..pages.markdown import escape
from ..types import Floats1d, Ints2d
from .runs import Run
from .spec import Spec

N_RESAMPLES = 2000
# With fewer seeds or test documents, an interval isn't reliable.
MIN_SEEDS, MIN_DOCS = 2, 10
# Widths of a table of 80 columns: names of systems, and the other columns.
NAME_WIDTH, WIDTHS = 11, (5, 6, 7, 5, 25, 7, 7)
LEGEND = f"""\
F1 from 0 to 100, mean over the seeds; dev.: standard deviation of test F1 over
the seeds; difference: of test F1 from the first system, with its 95 % interval
(too little data: fewer than {MIN_SEEDS} common seeds or {MIN_DOCS} test documents); train: time
of one training; words/s: words read per second."""


class SystemScores(NamedTuple):
    """A row of the comparison: means over the seeds.

    cell (str): The name of the system.
    n_seeds (int): Number of trainings.
    dev, test (float): Strict entity F1, 0 to 100.
    deviation (Optional[float]): Standard deviation of `test` over the seeds, None for one seed.
    difference (Optional[Tuple[float, float, float]]): Difference of `test` from the first system,
        over the seeds that both have, and the ends of its 95 % interval.
    is_enough (bool): Whether there are enough seeds and documents for a reliable interval.
    train_seconds, words_per_second (float): Time of a training, and words read per second.
    """

    cell: str
    n_seeds: int
    dev: float
    test: float
    deviation: Optional[float]
    difference: Optional[Tuple[float, float, float]]
    is_enough: bool
    train_seconds: float
    words_per_second: float


def summarize(spec: Spec, runs: Sequence[Run]) -> List[SystemScores]:
    """RETURNS (List[SystemScores]): A row for each system that has runs.

    spec (Spec): The comparison.
    runs (Sequence[Run]): Results of any of the systems and seeds.
    """
    rows: List[SystemScores] = []
    first: Dict[int, List[List[int]]] = {}
    for cell in spec.cells:
        own = {run.seed: run for run in runs if run.cell == cell.name}
        if not own:
            continue
        dev, test = (
            numpy.array([run.counts[split] for run in own.values()]) for split in ("dev", "test")
        )
        scores = get_f1(test.sum(axis=1))
        difference = None
        common = [seed for seed in own if seed in first]
        if common:
            difference = get_interval(
                numpy.array([first[seed] for seed in common]),
                numpy.array([own[seed].counts["test"] for seed in common]),
            )
        rows.append(
            SystemScores(
                cell=cell.name,
                n_seeds=len(own),
                dev=float(get_f1(dev.sum(axis=1)).mean()),
                test=float(scores.mean()),
                deviation=float(scores.std(ddof=1)) if len(own) > 1 else None,
                difference=difference,
                is_enough=len(common) >= MIN_SEEDS and test.shape[1] >= MIN_DOCS,
                train_seconds=float(numpy.mean([run.train_seconds for run in own.values()])),
                words_per_second=float(numpy.mean([run.words_per_second for run in own.values()])),
            )
        )
        first = first or {seed: run.counts["test"] for seed, run in own.items()}
    return rows


def get_f1(counts: Ints2d) -> Floats1d:
    """RETURNS (Floats1d): F1, 0 to 100, (…,).

    counts (Ints2d): Numbers of correct, predicted and gold entities, int64, (…, 3).
    """
    return 200.0 * counts[..., 0] / numpy.maximum(counts[..., 1] + counts[..., 2], 1)


def get_interval(first: Ints2d, second: Ints2d) -> Tuple[float, float, float]:
    """The mean difference of F1 over seeds, and its 95 % interval, see `draw_differences`.

    first, second (Ints2d): Counts by seed and document, (n_seeds, n_docs, 3).
    RETURNS (Tuple[float, float, float]): The difference of the second from the first, and the ends.
    """
    low, high = numpy.quantile(draw_differences(first, second), [0.025, 0.975])
    return get_difference(first, second), float(low), float(high)


def get_difference(first: Ints2d, second: Ints2d) -> float:
    """RETURNS (float): The mean difference of F1 over seeds, of the second from the first.

    first, second (Ints2d): Counts by seed and document, (n_seeds, n_docs, 3).
    """
    return float((get_f1(second.sum(axis=1)) - get_f1(first.sum(axis=1))).mean())


def draw_differences(first: Ints2d, second: Ints2d, seed: int = 0) -> Floats1d:
    """Estimate the mean difference of F1 on other seeds and documents by the paired bootstrap
    (Efron 1979; Berg-Kirkpatrick et al. 2012): seeds and documents are resampled with replacement,
    the same ones for both systems.

    first, second (Ints2d): Counts by seed and document, (n_seeds, n_docs, 3).
    seed (int): Random seed of the resampling.
    RETURNS (Floats1d): Differences of the second from the first, (N_RESAMPLES,).
    """
    rng = numpy.random.default_rng(seed)
    n_seeds, n_docs, _ = first.shape
    differences = numpy.zeros(N_RESAMPLES)
    for i in range(N_RESAMPLES):
        seeds = rng.integers(n_seeds, size=n_seeds)
        weights = numpy.bincount(rng.integers(n_docs, size=n_docs), minlength=n_docs)
        one, other = (numpy.einsum("d,sdc->sc", weights, X[seeds]) for X in (first, second))
        differences[i] = (get_f1(other) - get_f1(one)).mean()
    return differences


def format_markdown(rows: Sequence[SystemScores]) -> str:
    """RETURNS (str): A table in Markdown.

    rows (Sequence[SystemScores]): The systems.
    """
    lines = [
        "| system | seeds | dev F1 | test F1 | deviation | difference (95 %) | training | words/s |"
    ]
    lines.append("| --- " * 8 + "|")
    lines += [f"| {escape(row.cell)} | {' | '.join(_cells(row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def format_table(rows: Sequence[SystemScores]) -> str:
    """RETURNS (str): A table of at most 80 columns, with a legend.

    rows (Sequence[SystemScores]): The systems.
    """
    header = ("seeds", "dev F1", "test F1", "dev.", "difference (95 %)", "train", "words/s")
    lines = []
    for name, cells in [("system", header), *((row.cell, _cells(row)) for row in rows)]:
        first, *more = textwrap.wrap(name, NAME_WIDTH)
        columns = " ".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS))
        lines += [f"{first:{NAME_WIDTH}} {columns}", *more]
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:], rule, LEGEND]) + "\n"


def _cells(row: SystemScores) -> Tuple[str, ...]:
    """The columns of a system in a table, without its name."""
    difference = ""
    if row.difference is not None:
        mean, low, high = row.difference
        interval = f"{low:+.2f} to {high:+.2f}" if row.is_enough else "too little data"
        difference = f"{mean:+.2f} ({interval})"
    return (
        str(row.n_seeds),
        f"{row.dev:.2f}",
        f"{row.test:.2f}",
        "" if row.deviation is None else f"{row.deviation:.2f}",
        difference,
        f"{row.train_seconds:.0f} s",
        f"{row.words_per_second:.0f}",
    )


def format_time(seconds: float) -> str:
    """RETURNS (str): A time as text: "40 s", "12 min", "3.5 h".

    seconds (float): The time.
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
