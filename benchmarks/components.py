"""What does a second component on one exported encoder cost?

    OMP_NUM_THREADS=1 python benchmarks/components.py PIPELINE TEST --name NAME [--repeats 5]

PIPELINE is an export of `quantize`, TEST has texts. It is run as it is, and with a copy of its
`bert_ner` after it, which shares its encoder: over short texts of one document of TEST, and long
ones of 40. Times are those of the processor, the least of all rounds: what else the machine does
counts little. Writes results/components_NAME.md, .json and .png.
"""

import argparse
import time
from pathlib import Path

import spacy
from harness import name_corpus, report

from spacy_bert_ner.formats import read_docs

ONE, TWO = "one component", "two components"
MOST_DOCS, N_LONG = 160, 40


def load(path):
    """RETURNS (dict): The pipeline with one and with two components."""
    pipelines = {ONE: spacy.load(path), TWO: spacy.load(path)}
    pipelines[TWO].add_pipe("bert_ner", name="second", source=pipelines[ONE], after="bert_ner")
    pipelines[TWO].get_pipe("second").cfg.update(spans_key="second", annotate_ents=False)
    return pipelines


def measure(pipelines, texts, repeats):
    """Run pipelines in turn, after one round to warm up.

    RETURNS (Dict[str, float]): The least seconds of each.
    """
    seconds = {name: [] for name in pipelines}
    for _ in range(repeats + 1):
        for name, nlp in pipelines.items():
            start = time.process_time()
            list(nlp.pipe(texts))
            seconds[name].append(time.process_time() - start)
    return {name: min(times[1:]) for name, times in seconds.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    pipelines = load(args.pipeline)
    texts = [doc.text for doc in read_docs(args.test, pipelines[ONE])][:MOST_DOCS]
    rows = {name: {"system": name} for name in pipelines}
    for kind, size in (("short", 1), ("long", N_LONG)):
        joined = [" ".join(texts[i : i + size]) for i in range(0, len(texts), size)]
        seconds = measure(pipelines, joined, args.repeats)
        for name, least in seconds.items():
            rows[name][f"{kind}_s"] = round(least, 3)
            rows[name][f"{kind}_ratio"] = round(least / seconds[ONE], 2)
    report(
        f"components_{args.name}",
        f"Components on one export of {args.name}, {name_corpus(args.test)}",
        list(rows.values()),
        notes=["Seconds of the processor, and ratios to one component.", ""],
        plot=lambda axes: axes.barh(list(rows), [row["short_s"] for row in rows.values()]),
    )


if __name__ == "__main__":
    main()
