"""Selection: how many labels does it save, compared with random texts? And does the learning curve
of random texts tell what twice as many would give?

    python benchmarks/selection.py --pool en/dev.iob2 --test en/test.iob2 [--seeds 5]

From 100 random sentences of POOL, more are labeled in rounds, to 200, 400 and 800: random ones, or
those that `spacy bert-ner select --sentences` would select, with the pipeline of the round before.
After each round, a new pipeline is trained from the beginning, and scored on TEST.

So that five seeds take minutes, the encoder is frozen and reads each sentence once; what is trained
is the rest of accurate.cfg: the vectors of the shapes of words and the classifier. F1 is lower than
with a trained encoder. "Labels needed" interpolates F1 between the rounds, on a logarithmic scale
of sentences.

The curve of `spacy bert-ner learning-curve` is fitted to the random rounds, and its estimate for
1600 sentences is compared with trainings on 1600.

Writes results/selection_CORPUS.md, .json, .jsonl and .png, where CORPUS is the folder of POOL; a
seed in the .jsonl isn't run again.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy
import spacy
from harness import RESULTS, report
from spacy.training import Example
from spacy.util import registry
from thinc.api import fix_random_seed

from spacy_bert_ner.commands.annotate import copy_words
from spacy_bert_ner.commands.checks import load_blank
from spacy_bert_ner.commands.curve_fit import conclude
from spacy_bert_ner.commands.diversity import choose_diverse
from spacy_bert_ner.commands.near_duplicates import NGrams, find_distinct, mark_contained
from spacy_bert_ner.commands.select import N_CLUSTERED, N_COMPARED
from spacy_bert_ner.commands.summary import get_f1
from spacy_bert_ner.commands.uncertainty import listing_candidates, measure
from spacy_bert_ner.formats import read_docs

CONFIG = Path(__file__).parent.parent / "configs" / "accurate.cfg"
SIZES, TWICE = (100, 200, 400, 800), 1600
N_STEPS, BATCH, N_READ = 300, 16, 256
STRATEGIES = ("random", "select")


def read_sentences(path):
    """RETURNS (Tuple[List[Doc], List[int]]): Sentences, and the number of the document of each."""
    docs = enumerate(read_docs(path, spacy.blank("en")))
    pairs = [(sentence.as_doc(), i) for i, doc in docs for sentence in doc.sents]
    return [list(column) for column in zip(*pairs)]


def make_nlp(gold, seed):
    fix_random_seed(seed)
    rate = "training.optimizer.learn_rate"
    overrides = {
        "training.max_steps": N_STEPS,
        f"{rate}.warmup_steps": N_STEPS // 10,
        f"{rate}.total_steps": N_STEPS,
    }
    nlp = load_blank(CONFIG, overrides)
    nlp.initialize(lambda: [Example(copy_words(nlp, doc, False), doc) for doc in gold])
    return nlp


class Corpus:
    """Sentences, and what the frozen encoder makes of them."""

    def __init__(self, docs, owners):
        self.docs, self.owners, self.data = docs, owners, []
        nlp = make_nlp(docs, 0)
        split, transformer = nlp.get_pipe("sentencizer"), nlp.get_pipe("transformer")
        for start in range(0, len(docs), N_READ):
            part = [split(copy_words(nlp, doc, False)) for doc in docs[start : start + N_READ]]
            self.data += [doc._.trf_data for doc in transformer.pipe(part, batch_size=N_READ)]

    def copy(self, nlp, rows):
        """Documents that the encoder has read."""
        docs = [nlp.get_pipe("sentencizer")(copy_words(nlp, self.docs[i], False)) for i in rows]
        for doc, i in zip(docs, rows):
            doc._.trf_data = self.data[i]
        return docs


def train(corpus, rows, seed):
    nlp = make_nlp([corpus.docs[i] for i in rows], seed)
    ner = nlp.get_pipe("bert_ner")
    settings = nlp.config.interpolate()["training"]["optimizer"]
    optimizer = registry.resolve({"optimizer": settings})["optimizer"]
    rng, queue = numpy.random.default_rng(seed), []
    for _ in range(N_STEPS):
        if len(queue) < BATCH:
            queue += rng.permutation(rows).tolist()
        batch, queue = queue[:BATCH], queue[BATCH:]
        docs = corpus.copy(nlp, batch)
        for listener in nlp.get_pipe("transformer").listeners:
            data = [corpus.data[i] for i in batch]
            listener.receive(listener.get_batch_id(docs), data, lambda *gradient: [])
        examples = [Example(doc, corpus.docs[i]) for doc, i in zip(docs, batch)]
        ner.update(examples, drop=0.1, sgd=optimizer)
        optimizer.step_schedules()
    return nlp, ner


def get_places(doc):
    return {(ent.start, ent.end, ent.label_) for ent in doc.ents}


def score(nlp, ner, corpus):
    """RETURNS (ndarray): Correct, predicted and gold entities of each document, (n_docs, 3)."""
    counts = numpy.zeros((max(corpus.owners) + 1, 3), dtype="int64")
    rows = numpy.arange(len(corpus.docs))
    for part in numpy.array_split(rows, len(rows) // N_READ + 1):
        docs = corpus.copy(nlp, part)
        ner.set_annotations(docs, ner.predict(docs))
        for doc, i in zip(docs, part):
            found, gold = get_places(doc), get_places(corpus.docs[i])
            counts[corpus.owners[i]] += len(found & gold), len(found), len(gold)
    return counts


def select(nlp, ner, corpus, labeled, n, seed):
    """RETURNS (List[int]): What `spacy bert-ner select` chooses, with the vectors of the corpus."""
    left = numpy.setdiff1d(numpy.arange(len(corpus.docs)), labeled)
    uncertainties, vectors = [], []
    with listing_candidates(ner):
        for part in numpy.array_split(left, len(left) // N_READ + 1):
            docs = corpus.copy(nlp, part)
            scores = ner.predict(docs)
            vectors += [X.mean(axis=0) for X in ner.model.get_ref("tok2vec").predict(docs)]
            ner.set_annotations(docs, scores)
            uncertainties += measure(docs, 0, sentences=False)["uncertainty"].tolist()
    uncertainties = numpy.array(uncertainties)
    order = numpy.argsort(-uncertainties, kind="stable")[: N_COMPARED * n]
    grams = NGrams()
    counts = grams.count(corpus.docs[i].text for i in left[order])
    others = grams.count(corpus.docs[i].text for i in labeled)
    order = order[~mark_contained(counts, others)]
    counts = grams.count(corpus.docs[i].text for i in left[order])
    order = order[find_distinct(counts)][: N_CLUSTERED * n]
    vectors = numpy.array(vectors)[order]
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    return left[order[choose_diverse(vectors, uncertainties[order], n, seed)]].tolist()


def run(pool, test, seed, write):
    order = numpy.random.default_rng(seed).permutation(len(pool.docs)).tolist()
    first = train(pool, order[: SIZES[0]], seed)
    for strategy in STRATEGIES:
        rows, trained = order[: SIZES[0]], first
        for size in (*SIZES, TWICE) if strategy == "random" else SIZES:
            if size > SIZES[0]:
                if strategy == "random":
                    rows = order[:size]
                else:
                    rows = rows + select(*trained, pool, rows, size - len(rows), seed)
                trained = train(pool, rows, seed)
            counts = score(*trained, test)
            line = {
                "seed": seed,
                "strategy": strategy,
                "sentences": len(rows),
                "tokens": sum(len(pool.docs[i]) for i in rows),
                "entities": sum(len(pool.docs[i].ents) for i in rows),
                "f1": round(float(get_f1(counts.sum(axis=0))), 2),
            }
            sys.stderr.write(f"{line}\n")
            write({**line, "counts": counts.tolist() if strategy == "random" else None})


def get_needed(found, target, key):
    """RETURNS (float): Where a curve of rounds reaches an F1, between two rounds on a logarithmic
    scale; infinity if it doesn't."""
    for before, after in zip(found, found[1:]):
        if after["f1"] >= target:
            low, high = numpy.log(before[key]), numpy.log(after[key])
            share = (target - before["f1"]) / (after["f1"] - before["f1"])
            return float(numpy.exp(low + max(share, 0.0) * (high - low)))
    return float("inf")


def summarize(lines):
    """RETURNS (List[Dict]): A row for each size: means over the seeds, and the share of the random
    labels that selection needs for the same F1."""
    seeds = sorted({line["seed"] for line in lines})
    curves = {
        (seed, name): [one for one in lines if (one["seed"], one["strategy"]) == (seed, name)]
        for seed in seeds
        for name in STRATEGIES
    }
    rows = []
    for i, size in enumerate(SIZES):
        points = {name: [curves[seed, name][i] for seed in seeds] for name in STRATEGIES}
        row = {"sentences": size}
        for name in STRATEGIES:
            f1 = [point["f1"] for point in points[name]]
            row[f"F1 of {name}"] = f"{numpy.mean(f1):.1f} ± {numpy.std(f1, ddof=1):.1f}"
            row[f"entities of {name}"] = round(
                numpy.mean([one["entities"] for one in points[name]])
            )
        for key in ("sentences", "tokens"):
            shares = [
                get_needed(curves[seed, "select"], point["f1"], key) / point[key]
                for seed, point in zip(seeds, points["random"])
            ]
            shown = f"{numpy.mean(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})"
            row[f"needed {key}"] = shown if i else ""
        rows.append(row)
    return rows


def predict_twice(lines):
    """RETURNS (str): What the curve of the random rounds says of twice the data, and the truth."""
    lines = [line for line in lines if line["strategy"] == "random"]
    by_size = [[line for line in lines if line["sentences"] == size] for size in (*SIZES, TWICE)]
    counts = numpy.array([[line["counts"] for line in group] for group in by_size])
    conclusion = conclude(numpy.array(SIZES) / SIZES[-1], counts[:-1])
    truth = get_f1(counts[-1].sum(axis=1))
    return (
        f"Learning curve of the random rounds to {SIZES[-1]} sentences: {conclusion.text} Trained "
        f"on {TWICE}: {truth.mean():.1f} ± {truth.std(ddof=1):.1f}."
    )


def plot(axes, lines):
    for name in STRATEGIES:
        mine = [line for line in lines if line["strategy"] == name]
        scores = [[one["f1"] for one in mine if one["sentences"] == size] for size in SIZES]
        axes.plot(SIZES, [numpy.mean(one) for one in scores], marker="o", label=name)
        axes.fill_between(
            SIZES, [min(one) for one in scores], [max(one) for one in scores], alpha=0.2
        )
    axes.set_xscale("log")
    axes.set_xticks(SIZES, SIZES)
    axes.minorticks_off()
    axes.set_xlabel("labeled sentences")
    axes.set_ylabel("F1 on the test data (band: lowest and highest seed)")
    axes.legend()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    name = f"selection_{args.pool.resolve().parent.name}"
    path = RESULTS / f"{name}.jsonl"
    lines = [json.loads(line) for line in path.open()] if path.exists() else []
    todo = sorted(set(range(1, args.seeds + 1)) - {line["seed"] for line in lines})
    if todo:
        pool, test = (Corpus(*read_sentences(path)) for path in (args.pool, args.test))
    for seed in todo:
        run(pool, test, seed, lines.append)
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    lines = [line for line in lines if line["seed"] <= args.seeds]
    report(
        name,
        "Labels that selection saves",
        summarize(lines),
        notes=[
            f"{args.seeds} seeds. Needed: the share of the random labels that selection needs for "
            "the same F1, and that of the lowest and the highest seed.",
            "",
            predict_twice(lines),
        ],
        plot=lambda axes: plot(axes, lines),
    )


if __name__ == "__main__":
    main()
