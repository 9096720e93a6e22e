"""Guarantees: do thresholds that were chosen on some documents hold on others?

    python benchmarks/guarantees.py PIPELINE [PIPELINE ...] --test TEST.spacy

100 times, the documents of TEST are split into two random halves. On each, thresholds are chosen as
`spacy bert-ner calibrate --target-recall` and `--target-precision` do; on the other, recall and
precision are measured. TEST is data that the pipeline wasn't trained on. Several pipelines are the
same recipe with other seeds: figures are over all their splits.

Recall is guaranteed in expectation, so the mean has to be at least the target, and single splits
fall short; precision is guaranteed with a probability of 0.9, so at most one split in ten may fall
short. "refused" are splits whose half is too small for the target. Writes
results/guarantees_CORPUS.md, .json and .png, where CORPUS is the folder of TEST.
"""

import argparse
import math
from pathlib import Path

import numpy
import spacy
from harness import report

from spacy_bert_ner.commands.guarantees import find_precision_threshold, find_recall_threshold
from spacy_bert_ner.commands.scored_entities import read_sample, uncalibrated
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.pipeline.components import find_component

N_SPLITS = 100
RECALLS = (0.8, 0.9, 0.95)
PRECISIONS = (0.7, 0.8, 0.9)


def read(path, test):
    nlp = spacy.load(path)
    with uncalibrated(find_component(nlp)[1], with_candidates=True):
        return to_arrays(read_sample(nlp, test, "spacy"))


def to_arrays(sample):
    """RETURNS (Sample): The sample, with arrays for lists, of which splits take parts."""
    candidates = (f"candidate_{name}" for name in ("documents", "scores", "right"))
    for name in ("documents", "exact", *candidates):
        setattr(sample, name, numpy.array(getattr(sample, name)))
    return sample


def try_recall(sample, ours, target):
    """RETURNS (Dict[str, float]): What a threshold of our documents does to the others."""
    inside = [logs for doc, logs in sample.gold.items() if ours[doc]]
    outside = [logs for doc, logs in sample.gold.items() if not ours[doc]]
    threshold = find_recall_threshold(inside, target)
    kept = [(logs >= threshold).sum() for logs in outside]
    sizes = numpy.array([len(logs) for logs in outside])
    chosen = ~ours[sample.candidate_documents]
    chosen &= sample.candidate_scores >= math.exp(threshold) * (1 - 1e-6)  # float32
    return {
        "reached": float(numpy.mean(kept / sizes)),
        "of_all_entities": float(sum(kept) / sizes.sum()),
        "precision": float(sample.candidate_right[chosen].mean()),
        "spans_per_document": float(chosen.sum() / (~ours).sum()),
    }


def try_precision(sample, ours, target):
    """RETURNS (Dict[str, float]): What a threshold of our documents does to the others."""
    scores, inside = numpy.array(sample.scores["exact"]), ours[sample.documents]
    threshold = find_precision_threshold(scores[inside], sample.exact[inside], target)
    kept = ~inside & (scores >= threshold)
    n_gold = sum(len(logs) for doc, logs in sample.gold.items() if not ours[doc])
    return {
        "reached": float(sample.exact[kept].mean()),
        "of_all_entities": float(sample.exact[kept].sum() / n_gold),
        "precision": float(sample.exact[kept].mean()),
        "spans_per_document": float(kept.sum() / (~ours).sum()),
    }


def try_splits(samples, attempt, target):
    """RETURNS (Tuple[List[Dict], int]): The results of the splits, and how many were refused."""
    found, n_refused = [], 0
    for seed, sample in enumerate(samples):
        random = numpy.random.default_rng(seed)
        for _ in range(N_SPLITS):
            half = random.permutation(sample.n_docs) < sample.n_docs // 2
            for ours in (half, ~half):
                try:
                    found.append(attempt(sample, ours, target))
                except UserError:
                    n_refused += 1
    return found, n_refused


def to_row(name, target, found, n_refused):
    row = {"target": f"{name} {target}", "splits": len(found), "refused": n_refused}
    for key in ("reached", "of_all_entities", "precision", "spans_per_document"):
        row[key] = round(float(numpy.mean([one[key] for one in found])), 3) if found else None
    row["fell_short"] = sum(one["reached"] < target for one in found)
    row["lowest"] = round(min(one["reached"] for one in found), 3) if found else None
    return row


def plot(axes, reached):
    names = list(reached)
    axes.boxplot([reached[name] for name in names], vert=False, whis=(5, 95))
    axes.set_yticks(range(1, len(names) + 1), names)
    for place, name in enumerate(names, start=1):
        axes.plot(float(name.split()[1]), place, marker="|", markersize=24, color="tab:red")
    axes.set_xlabel("reached in the other half (red: the target)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipelines", type=Path, nargs="+")
    parser.add_argument("--test", type=Path, required=True)
    args = parser.parse_args()
    samples = [read(path, args.test) for path in args.pipelines]
    rows, reached = [], {}
    for name, attempt, targets in (
        ("recall", try_recall, RECALLS),
        ("precision", try_precision, PRECISIONS),
    ):
        for target in targets:
            found, n_refused = try_splits(samples, attempt, target)
            rows.append(to_row(name, target, found, n_refused))
            reached[f"{name} {target}"] = [one["reached"] for one in found]
    corpus = args.test.resolve().parent.name
    report(
        f"guarantees_{corpus}",
        f"Recall and precision that were guaranteed, and that were reached: {corpus}",
        rows,
        notes=[
            f"{N_SPLITS} random splits, in both directions, for each of {len(samples)} pipelines."
        ],
        plot=lambda axes: plot(axes, {key: value for key, value in reached.items() if value}),
    )


if __name__ == "__main__":
    main()
