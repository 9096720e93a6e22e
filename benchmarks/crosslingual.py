"""How well pipelines read a language that they have no labels of: a table and a plot of what
comparisons of workflows have measured, by language and in the mean of both.

    spacy bert-ner compare benchmarks/crosslingual_da.yml benchmarks/results/crosslingual_da
    spacy bert-ner compare benchmarks/crosslingual_sv.yml benchmarks/results/crosslingual_sv
    spacy bert-ner compare benchmarks/crosslingual_da.yml benchmarks/results/crosslingual_da_gpu \
        --use-gpu 0
    spacy bert-ner compare benchmarks/crosslingual_sv.yml benchmarks/results/crosslingual_sv_gpu \
        --use-gpu 0
    python benchmarks/crosslingual.py

What the comparisons need is in the heads of these files. A GPU draws other random numbers than a
CPU, so its runs with the same seeds count as further runs. Differences are from zero-shot, of the
same device and seed, with 95 % intervals by the paired bootstrap over runs and documents; for the
mean of both languages, these are drawn for each on its own.
"""

import argparse
from pathlib import Path

import numpy
from harness import RESULTS, report

from spacy_bert_ner.commands.runs import read_results
from spacy_bert_ner.commands.spec import read_spec
from spacy_bert_ner.commands.summary import draw_differences, get_difference, get_f1

HERE = Path(__file__).parent
LANGUAGES = {"da": "Danish", "sv": "Swedish"}


def read_counts(lang, folder):
    """RETURNS (dict): By system, and by device and seed, counts of the test documents,
    (n_docs, 3)."""
    names = [cell.name for cell in read_spec(HERE / f"crosslingual_{lang}.yml").cells]
    counts = {name: {} for name in names}
    for path in sorted(folder.glob(f"crosslingual_{lang}*/results.jsonl")):
        with path.open("rb+") as file:
            runs = read_results(path, file).values()
        for run in runs:
            if run.cell in counts:
                counts[run.cell][path.parent.name, run.seed] = numpy.array(run.counts["test"])
    return {name: runs for name, runs in counts.items() if runs}


def stack(first, second):
    """RETURNS (tuple): Counts of two systems, of common runs, (n_runs, n_docs, 3)."""
    common = sorted(set(first) & set(second))
    return tuple(numpy.array([own[run] for run in common]) for own in (first, second))


def show(difference, draws):
    """RETURNS (str): A difference with its interval."""
    low, high = numpy.quantile(draws, [0.025, 0.975])
    return f"{difference:+.2f} ({low:+.2f} to {high:+.2f})"


def get_mean(counts, lang, name):
    """RETURNS (float): F1 in the mean over runs, not a number if there is none."""
    runs = counts[lang].get(name, {}).values()
    return float(numpy.mean([get_f1(own.sum(axis=0)) for own in runs])) if runs else numpy.nan


def make_row(name, counts):
    """RETURNS (dict): Scores of a system in each language, and how it differs from the first."""
    row, differences, draws = {"system": name}, [], []
    for number, (lang, title) in enumerate(LANGUAGES.items()):
        first, *_ = counts[lang]
        runs = counts[lang].get(name, {})
        mean = get_mean(counts, lang, name)
        row[f"{title} (runs)"] = f"{mean:.1f} ({len(runs)})" if runs else None
        row[f"{title}, difference"] = None
        if runs and name != first:
            pair = stack(counts[lang][first], runs)
            differences.append(get_difference(*pair))
            draws.append(draw_differences(*pair, seed=number))
            row[f"{title}, difference"] = show(differences[-1], draws[-1])
    is_both = len(differences) == len(LANGUAGES)
    row["both"] = show(numpy.mean(differences), numpy.mean(draws, axis=0)) if is_both else None
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="Folder of the comparisons")
    args = parser.parse_args()
    counts = {lang: read_counts(lang, args.results) for lang in LANGUAGES}
    names = dict.fromkeys(name for own in counts.values() for name in own)
    rows = [make_row(name, counts) for name in names]
    sizes = [
        f"{title}: {len(docs)} documents, {docs[:, 2].sum()} entities"
        for lang, title in LANGUAGES.items()
        for docs in [next(iter(next(iter(counts[lang].values())).values()))]
    ]

    def plot(axes):
        places = numpy.arange(len(rows))
        for i, (lang, title) in enumerate(LANGUAGES.items()):
            values = [get_mean(counts, lang, row["system"]) for row in rows]
            bars = axes.barh(places + 0.4 * i - 0.2, values, height=0.38, label=title)
            axes.bar_label(
                bars, ["" if numpy.isnan(value) else f"{value:.1f}" for value in values], padding=3
            )
        axes.set_yticks(places, [row["system"] for row in rows])
        axes.invert_yaxis()
        axes.set_xlabel("strict F1, test")
        axes.margins(x=0.12)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=len(LANGUAGES))

    report("crosslingual", "From English labels", rows, notes=sizes, plot=plot, folder=args.results)


if __name__ == "__main__":
    main()
