"""Which curve calibrates the exact score of entities best, by cross-validation on development data.

    python benchmarks/calibration_curves.py PIPELINE DEV.spacy

Each document is calibrated with a curve that was fitted to other documents, in 5 folds, for 10
random orders of the documents. The loss is the mean negative logarithm of the probability of what
happened (right or wrong); the ECE is that of benchmarks/calibration.py. Writes
results/calibration_curves_CORPUS.md, .json and .png, where CORPUS is the folder of DEV.
"""

import argparse
from pathlib import Path

import numpy
from calibration import read
from harness import report
from sklearn.linear_model import LogisticRegression

from spacy_bert_ner.commands.reliability import N_FOLDS, fit_curve, get_error
from spacy_bert_ner.tagging.calibration import Curve, get_logits

N_ORDERS = 10


def fit_temperature(scores, right, labels):
    model = LogisticRegression(fit_intercept=False).fit(get_logits(scores)[:, None], right)
    return Curve(float(model.coef_[0, 0]), 0.0)


CURVES = {
    "none": lambda scores, right, labels: Curve(1.0, 0.0),
    "temperature": fit_temperature,
    "slope and intercept": lambda scores, right, labels: fit_curve(scores, right, least=1),
    "slope, intercept, shift of the label": lambda *data: fit_curve(*data, least=1),
}


def calibrate(fit, scores, right, labels, folds):
    """RETURNS (ndarray): Scores that are calibrated with curves of other folds, (n_entities,)."""
    names = sorted(set(labels))
    label_ids = numpy.array([names.index(label) for label in labels])
    found = numpy.zeros(len(scores))
    for fold in range(N_FOLDS):
        inside, outside = folds == fold, folds != fold
        others = [label for label, chosen in zip(labels, outside) if chosen]
        curve = fit(scores[outside], right[outside], others)
        found[inside] = curve.apply(scores[inside], label_ids[inside], names)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("dev", type=Path)
    args = parser.parse_args()
    (sample,) = read(args.pipeline, args.dev)
    scores, right = numpy.array(sample.scores["exact"]), sample.get_event("exact")
    rows = []
    for name, fit in CURVES.items():
        losses, errors = [], []
        for seed in range(N_ORDERS):
            order = numpy.random.default_rng(seed).permutation(sample.n_docs)
            folds = (order % N_FOLDS)[sample.documents]
            after = calibrate(fit, scores, right, sample.labels, folds)
            losses.append(-numpy.log(numpy.where(right, after, 1 - after).clip(1e-9)).mean())
            errors.append(get_error(after, right))
        means = {"loss": float(numpy.mean(losses)), "ece": float(numpy.mean(errors))}
        rows.append({"curve": name, **{key: round(value, 4) for key, value in means.items()}})
    corpus = args.dev.resolve().parent.name
    report(
        f"calibration_curves_{corpus}",
        f"Curves of the exact score, by cross-validation on {len(scores)} entities: {corpus}",
        rows,
        notes=[f"{N_FOLDS} folds, {N_ORDERS} orders."],
        plot=lambda axes: axes.barh([row["curve"] for row in rows], [row["loss"] for row in rows]),
    )


if __name__ == "__main__":
    main()
