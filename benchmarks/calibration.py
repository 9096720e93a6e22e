"""Calibration: of the entities with a score of about 0.9, are nine out of ten right?

    python benchmarks/calibration.py PIPELINE [PIPELINE ...] --dev DEV.spacy --test TEST.spacy

Scores are calibrated on DEV as `spacy bert-ner calibrate` does, and measured on TEST, before and
after. Without DEV, for a pipeline that was trained on it, the documents of TEST are split into two
random halves: each is measured with what was fitted to the other. Several pipelines are the same
recipe with other seeds: figures are their means, and the JSON has each.

Entities are sorted by score into 15 bins with the same number of entities. The expected calibration
error (ECE) is the distance between the mean score and the share of right entities in a bin,
averaged over the entities. A small sample has an ECE above 0 even if its scores are perfect: "by
chance" is the mean ECE of 200 samples in which each event happens with the probability that the
calibrated score says. Writes results/calibration_CORPUS.md, .json and .png, where CORPUS is the
folder of TEST.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy
import spacy
from harness import report

from spacy_bert_ner.commands.calibrate import fit
from spacy_bert_ner.commands.reliability import get_bins, get_error
from spacy_bert_ner.commands.scored_entities import read_sample, uncalibrated
from spacy_bert_ner.pipeline.components import find_component
from spacy_bert_ner.tagging.calibration import NAMED

N_SAMPLES = 200
FIGURES = ("entities", "right", "before", "after", "ece_before", "ece_after", "by_chance")


def read(path, *paths):
    """RETURNS (List[Sample]): The scores that a pipeline gives to entities in documents."""
    nlp = spacy.load(path)
    with uncalibrated(find_component(nlp)[1], with_candidates=False):
        return [read_sample(nlp, gold, "spacy") for gold in paths]


def take(sample, rows):
    """RETURNS (Sample): Some of the entities of a sample."""
    chosen = {
        name: [getattr(sample, name)[i] for i in rows]
        for name in ("documents", "labels", "exact", "edges")
    }
    scores = {name: [values[i] for i in rows] for name, values in sample.scores.items()}
    return replace(sample, scores=scores, **chosen)


def halve(sample):
    """YIELDS (Tuple[Sample, Sample]): Two random halves of the documents, in both orders."""
    order = numpy.random.default_rng(0).permutation(sample.n_docs)
    inside = numpy.isin(sample.documents, order[: sample.n_docs // 2])
    for chosen in (inside, ~inside):
        yield take(sample, numpy.nonzero(chosen)[0]), take(sample, numpy.nonzero(~chosen)[0])


def apply(calibration, sample, name):
    """RETURNS (Tuple[ndarray, ndarray, ndarray]): A score before and after, and what is right."""
    rows = sample.get_rows(name)
    before, right = numpy.array(sample.scores[name])[rows], sample.get_event(name)[rows]
    labels = sorted(set(sample.labels))
    label_ids = numpy.array([labels.index(sample.labels[i]) for i in rows], dtype=int)
    curve = calibration.curves.get(name)
    return before, before if curve is None else curve.apply(before, label_ids, labels), right


def measure(before, after, right):
    return dict(
        zip(
            FIGURES,
            (
                len(right),
                right.mean(),
                before.mean(),
                after.mean(),
                get_error(before, right),
                get_error(after, right),
                get_error_by_chance(after),
            ),
        )
    )


def get_error_by_chance(scores):
    """RETURNS (float): The mean error of samples in which scores are the probabilities."""
    random = numpy.random.default_rng(0)
    samples = random.random((N_SAMPLES, len(scores))) < scores
    return numpy.mean([get_error(scores, right) for right in samples])


def plot(axes, found):
    axes.plot([0, 1], [0, 1], color="gray", linestyle="--", label="perfectly calibrated")
    before, after, right = (numpy.concatenate(column) for column in zip(*found))
    for name, scores in (("before", before), ("after", after)):
        means, shares, _ = get_bins(scores, right)
        axes.plot(means, shares, marker="o", label=name)
    axes.set_xlabel("mean score of the entities of a bin")
    axes.set_ylabel("share of them that is right")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.legend()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipelines", type=Path, nargs="+")
    parser.add_argument("--dev", type=Path)
    parser.add_argument("--test", type=Path, required=True)
    args = parser.parse_args()
    found = {name: [] for name in NAMED}
    for path in args.pipelines:
        if args.dev is None:
            pairs = list(halve(*read(path, args.test)))
        else:
            pairs = [read(path, args.dev, args.test)]
        fitted = [(fit(dev)[0], test) for dev, test in pairs]
        for name in NAMED:
            parts = [apply(calibration, test, name) for calibration, test in fitted]
            found[name].append([numpy.concatenate(column) for column in zip(*parts)])
    rows = []
    for name, runs in found.items():
        figures = [measure(*run) for run in runs]
        means = {key: round(float(numpy.mean([run[key] for run in figures])), 3) for key in FIGURES}
        rows.append({"score": name, "pipelines": len(runs), **means})
        rows[-1]["ece_after_of_each"] = " ".join(f"{run['ece_after']:.3f}" for run in figures)
    corpus = args.test.resolve().parent.name
    on = "the other half of its documents" if args.dev is None else "development data"
    report(
        f"calibration_{corpus}",
        f"Scores of entities before and after calibration on {on}: {corpus}",
        rows,
        notes=["15 bins of equally many entities; `exact` is plotted."],
        plot=lambda axes: plot(axes, found["exact"]),
    )


if __name__ == "__main__":
    main()
