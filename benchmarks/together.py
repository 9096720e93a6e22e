"""The gain of one system over another on several corpora together.

    python benchmarks/together.py benchmarks/wnut17.yml=benchmarks/results/wnut17 \\
        benchmarks/ewt.yml=benchmarks/results/ewt [--cell accurate]

Takes comparisons that are done: specs and the folders of their results. F1 is that of all test
entities of the corpora, by seed, and the interval that of `spacy bert-ner compare`, where documents
of each corpus are drawn among its own. Prints F1 by seed, and the gain over the first system.
"""

import argparse
import sys
from pathlib import Path

import numpy
import srsly

from spacy_bert_ner.commands.runs import Run
from spacy_bert_ner.commands.spec import read_spec
from spacy_bert_ner.commands.summary import N_RESAMPLES, get_f1


def read_counts(spec_path, folder, cell):
    """RETURNS (Dict[int, Array]): Counts of the test documents by seed, (n_docs, 3). Ends the
    program if there are none."""
    spec = read_spec(spec_path)
    name = cell or spec.cells[0].name
    runs = (Run(**line) for line in srsly.read_jsonl(folder / "results.jsonl"))
    counts = {run.seed: numpy.array(run.counts["test"]) for run in runs if run.cell == name}
    if not counts:
        names = ", ".join(cell.name for cell in spec.cells)
        raise SystemExit(f"{folder} has no results of the cell '{name}'. Cells (--cell): {names}.")
    return counts


def resample(corpora, rng):
    """The gain on documents and seeds that are drawn again."""
    n_seeds = len(corpora[0][0])
    seeds = rng.integers(n_seeds, size=n_seeds)
    sums = numpy.zeros((2, n_seeds, 3))
    for systems in corpora:
        docs = rng.integers(systems.shape[2], size=systems.shape[2])
        sums += systems[:, seeds][:, :, docs].sum(axis=2)
    return (get_f1(sums[1]) - get_f1(sums[0])).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("comparisons", nargs="+")
    parser.add_argument("--cell", default="accurate")
    args = parser.parse_args()
    corpora = []
    for pair in args.comparisons:
        spec, folder = map(Path, pair.split("="))
        first, second = (read_counts(spec, folder, cell) for cell in (None, args.cell))
        seeds = sorted(set(first) & set(second))
        corpora.append(
            numpy.array([[system[seed] for seed in seeds] for system in (first, second)])
        )
    f1 = get_f1(sum(systems.sum(axis=2) for systems in corpora))
    rng = numpy.random.default_rng(0)
    gains = [resample(corpora, rng) for _ in range(N_RESAMPLES)]
    low, high = numpy.quantile(gains, [0.025, 0.975])
    for name, values in zip(("first", args.cell), f1):
        shown = " ".join(f"{value:.2f}" for value in values)
        sys.stdout.write(f"{name}: {values.mean():.2f} ({shown})\n")
    gain = (f1[1] - f1[0]).mean()
    sys.stdout.write(f"gain: {gain:+.2f} (95 % interval {low:+.2f} to {high:+.2f})\n")


if __name__ == "__main__":
    main()
