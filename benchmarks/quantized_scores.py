"""What does quantization cost? F1 of pipelines and of their exports in 8 bits, on test data.

    python benchmarks/quantized_scores.py NAME PIPELINE [PIPELINE ...] --dev DEV --test TEST

Each pipeline is exported as `spacy bert-ner quantize --dev DEV` does with its defaults: DEV chooses
the step. The original computes in float32. Several pipelines are the same recipe with other seeds.
Writes results/quantized_scores_NAME.md, .json and .png.
"""

import argparse
import tempfile
from pathlib import Path

import numpy
import spacy
from harness import report

from spacy_bert_ner.commands.fidelity import measure
from spacy_bert_ner.commands.quantize import quantize
from spacy_bert_ner.formats import read_docs


def compare(pipeline, dev, test):
    """RETURNS (dict): Scores of a pipeline and of its export."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "export"
        result = quantize(pipeline, output, dev)
        fp32 = spacy.load(pipeline, config={"components.transformer.model.precision": "fp32"})
        gold = list(read_docs(test, fp32))
        before, docs = measure(fp32, gold, ["bert_ner"])
        after, _ = measure(spacy.load(output), gold, ["bert_ner"], docs)
    return {
        "fp32": before.scores["ents_f"],
        "int8": after.scores["ents_f"],
        "difference": after.scores["ents_f"] - before.scores["ents_f"],
        "agreement": after.agreement,
        "mb": result.export.n_bytes / 1e6,
        "step": result.step,
    }


def plot(axes, rows):
    places = numpy.arange(len(rows))
    for offset, key in enumerate(("fp32", "int8")):
        bars = axes.bar(places + 0.4 * offset - 0.2, [row[key] for row in rows], 0.4, label=key)
        axes.bar_label(bars, padding=2)
    axes.set_xticks(places, [row["pipeline"] for row in rows])
    axes.set_ylabel("F1 on test data")
    axes.legend()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("pipelines", nargs="+")
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    args = parser.parse_args()
    found = [compare(path, args.dev, args.test) for path in args.pipelines]
    means = {
        key: float(numpy.mean([row[key] for row in found])) for key in found[0] if key != "step"
    }
    names = [*map(str, range(1, len(found) + 1)), "mean"]
    rows = [
        {
            "pipeline": name,
            **{key: round(value, 2) if key != "step" else value for key, value in row.items()},
        }
        for name, row in zip(names, [*found, {**means, "step": ""}])
    ]
    report(
        f"quantized_scores_{args.name}",
        f"F1 before and after quantization: {args.name}",
        rows,
        notes=["Agreement: entities of both, in percent."],
        plot=lambda axes: plot(axes, rows),
    )


if __name__ == "__main__":
    main()
