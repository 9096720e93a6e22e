"""Calibration: of the entities with a score of about 0.9, are nine out of ten right?

    python benchmarks/calibration.py PIPELINE GOLD.spacy [GOLD.spacy ...]

An entity is right if the gold annotation has one with the same start, end and label. Entities are
sorted by score into 15 bins with the same number of entities. The expected calibration error (ECE)
is the distance between the mean score and the share of right entities in a bin, averaged over the
entities. A small sample has an ECE above 0 even if its scores are perfect: "ece by chance" is the
mean ECE of 200 samples in which each entity is right with the probability that its score says.
Writes results/calibration_CORPUS.md, .json and .png, where CORPUS is the folder of the first GOLD.
"""

import argparse
from pathlib import Path

import numpy
import spacy
from harness import name_corpus, report
from sklearn.calibration import calibration_curve
from spacy.tokens import DocBin

from spacy_bert_ner.commands.annotate import predict
from spacy_bert_ner.tagging.entity_scores import iter_scores

N_BINS = 15
N_SAMPLES = 200


def read_entities(nlp, path):
    """RETURNS (ndarray): Score, 0 or 1 for right, and number of tokens of each entity that the
    pipeline finds, float64, (n_entities, 3)."""
    docs = DocBin().from_disk(path).get_docs(nlp.vocab)
    gold = [doc for doc in docs if doc.has_annotation("ENT_IOB")]
    rows = []
    for doc, found in zip(gold, predict(nlp, gold)):
        right = {(ent.start, ent.end, ent.label_) for ent in doc.ents}
        for ent, score in iter_scores(found):
            rows.append((score, (ent.start, ent.end, ent.label_) in right, len(ent)))
    return numpy.array(rows, dtype="float64").reshape(-1, 3)


def get_bins(scores, right):
    """Sort entities by score into bins of equally many, as `calibration_curve` does.

    scores, right (ndarray): The score of each, and 1 for right, 0 for wrong, (n_entities,).
    RETURNS (Tuple): Mean score, share of right entities, and number of entities of each bin that
        isn't empty, (n_bins,) each.
    """
    shares, means = calibration_curve(right, scores, n_bins=N_BINS, strategy="quantile")
    edges = numpy.percentile(scores, numpy.linspace(0, 100, N_BINS + 1))
    counts = numpy.bincount(numpy.searchsorted(edges[1:-1], scores), minlength=N_BINS)
    return means, shares, counts[counts > 0]


def get_error(scores, right):
    """RETURNS (float): The expected calibration error."""
    means, shares, counts = get_bins(scores, right)
    return float((counts * abs(means - shares)).sum() / counts.sum())


def get_error_by_chance(scores):
    """RETURNS (float): The mean error of samples in which scores are the probabilities."""
    random = numpy.random.default_rng(0)
    samples = (random.random((N_SAMPLES, len(scores))) < scores).astype(int)
    return float(numpy.mean([get_error(scores, right) for right in samples]))


def to_row(name, entities):
    scores, right = entities[:, 0], entities[:, 1].astype(int)
    return {
        "system": name,
        "entities": len(entities),
        "right": round(float(right.mean()), 3),
        "mean_score": round(float(scores.mean()), 3),
        "ece": round(get_error(scores, right), 3),
        "ece_by_chance": round(get_error_by_chance(scores), 3),
    }


def plot(axes, found):
    axes.plot([0, 1], [0, 1], color="gray", linestyle="--", label="perfectly calibrated")
    for name, entities in found.items():
        means, shares, _ = get_bins(entities[:, 0], entities[:, 1].astype(int))
        axes.plot(means, shares, marker="o", label=name)
    axes.set_xlabel("mean score of the entities of a bin")
    axes.set_ylabel("share of them that is right")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.legend()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("gold", type=Path, nargs="+")
    args = parser.parse_args()
    nlp = spacy.load(args.pipeline)
    found, rows = {}, []
    for path in args.gold:
        name = name_corpus(path)
        entities = read_entities(nlp, path)
        lengths = entities[:, 2]
        groups = {
            name: lengths > 0,
            f"{name}, of one token": lengths == 1,
            f"{name}, of several tokens": lengths > 1,
        }
        for group, chosen in groups.items():
            if chosen.sum() < N_BINS:
                parser.error(
                    f"The pipeline finds {chosen.sum()} entities in {group}: too few for {N_BINS} "
                    "bins. Use a larger corpus."
                )
            rows.append(to_row(group, entities[chosen]))
        found[name] = entities
    corpus = args.gold[0].resolve().parent.name
    report(
        f"calibration_{corpus}",
        f"Scores of entities, and how many of them are right: {corpus}",
        rows,
        notes=[f"{N_BINS} bins of equally many entities."],
        plot=lambda axes: plot(axes, found),
    )


if __name__ == "__main__":
    main()
