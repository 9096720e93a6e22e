"""The report: how long does `spacy bert-ner evaluate` take for 10,000 sentences beyond prediction?

    python benchmarks/report_time.py PIPELINE GOLD

The sentences of GOLD and what PIPELINE finds in them are repeated until there are 10,000. What is
timed is everything after the prediction: all scores and intervals, the page and the JSON. "two" is
the comparison with a second pipeline, which finds half of the entities. Times are the lowest of
three runs. Writes results/report_time.md, .json and .png.
"""

import argparse
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter

import spacy
import srsly
from harness import report

from spacy_bert_ner.commands.evaluate import ask, read_gold
from spacy_bert_ner.commands.evaluate_page import render_page
from spacy_bert_ner.commands.evaluation import GoldData, evaluate
from spacy_bert_ner.formats import read_docs

N_SENTENCES, N_RUNS = 10_000, 3


def repeat(values):
    return list(islice(cycle(values), N_SENTENCES))


def measure(gold, answers):
    """RETURNS (dict): The lowest time in seconds, and the size of the page in megabytes."""
    times = []
    for _ in range(N_RUNS):
        start = perf_counter()
        result = {"gold": "gold", "train": None, **evaluate(gold, answers, None)}
        page = render_page(result).encode("utf-8")
        srsly.json_dumps(result)
        times.append(perf_counter() - start)
    return {"seconds": round(min(times), 1), "page, MB": round(len(page) / 1e6, 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline")
    parser.add_argument("gold", type=Path)
    args = parser.parse_args()
    nlp = spacy.load(args.pipeline)
    small = read_gold(read_docs(args.gold, nlp))
    answer = ask(nlp, "first", small)
    numbers = None if answer.sentences is None else repeat(answer.sentences)
    gold = GoldData(repeat(small.docs), repeat(small.entities), 0)
    first = answer._replace(entities=repeat(answer.entities), sentences=numbers)
    second = first._replace(name="second", entities=[ents[::2] for ents in first.entities])
    n_ents = sum(map(len, gold.entities))
    rows = [
        {"pipelines": name, "sentences": N_SENTENCES, "entities": n_ents, **measure(gold, answers)}
        for name, answers in (("one", [first]), ("two", [first, second]))
    ]
    report(
        "report_time", "The report of 10,000 sentences, beyond prediction", rows, plot=plot(rows)
    )


def plot(rows):
    def draw(axes):
        bars = axes.bar([row["pipelines"] for row in rows], [row["seconds"] for row in rows])
        axes.bar_label(bars)
        axes.set_xlabel("pipelines")
        axes.set_ylabel("seconds beyond prediction")

    return draw


if __name__ == "__main__":
    main()
