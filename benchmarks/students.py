"""What students learn on WNUT-17: a table of what comparisons of workflows have measured.

    spacy bert-ner compare benchmarks/students_wnut17.yml benchmarks/results/students_wnut17
    spacy bert-ner compare benchmarks/students_wnut17.yml benchmarks/results/students_wnut17_gpu \
        --use-gpu 0
    python benchmarks/students.py

A GPU draws other random numbers than a CPU, so its runs with the same seeds count as further runs.
Differences are from the teacher of the same device and seed, with 95 % intervals by the paired
bootstrap over runs and documents.
"""

import argparse
from pathlib import Path

import numpy
from crosslingual import show, stack
from harness import RESULTS, plot_bars, report

from spacy_bert_ner.commands.runs import read_results
from spacy_bert_ner.commands.summary import draw_differences, get_difference, get_f1


def read_counts(folder, split):
    """RETURNS (dict): By system, and by device and seed, counts of documents, (n_docs, 3)."""
    counts = {}
    for path in sorted(folder.glob("students_wnut17*/results.jsonl")):
        with path.open("rb+") as file:
            for run in read_results(path, file).values():
                runs = counts.setdefault(run.cell, {})
                runs[path.parent.name, run.seed] = numpy.array(run.counts[split])
    return counts


def get_mean(runs):
    """RETURNS (float): F1 in the mean over runs."""
    return round(float(numpy.mean([get_f1(own.sum(axis=0)) for own in runs])), 1)


def make_row(name, dev, test):
    """RETURNS (dict): Scores of a system in the mean over runs, and how it differs from the
    teacher."""
    pair = stack(test["teacher"], test[name])
    row = {"system": name, "runs": len(test[name])}
    row["F1, dev"] = get_mean(dev[name].values())
    row["F1, test"] = get_mean(test[name].values())
    row["its teachers"] = row["difference"] = row["share"] = None
    if name != "teacher":
        row["its teachers"] = get_mean(pair[0])
        row["difference"] = show(get_difference(*pair), draw_differences(*pair, seed=0))
        row["share"] = f"{row['F1, test'] / row['its teachers']:.1%}"
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the comparisons")
    args = parser.parse_args()
    dev, test = (read_counts(args.results, split) for split in ("dev", "test"))
    rows = [make_row(name, dev, test) for name in test]

    def plot(axes):
        plot_bars(axes, rows, key="F1, test")

    report("students", "Students on WNUT-17", rows, plot=plot, folder=args.results)


if __name__ == "__main__":
    main()
