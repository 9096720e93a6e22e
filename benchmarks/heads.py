"""Greedy, constrained and CRF decoding on the same data: F1, invalid sequences and time.

    python -m spacy bert-ner compare benchmarks/wnut17.yml benchmarks/results/wnut17 --keep
    python benchmarks/heads.py benchmarks/results/wnut17 corpus/wnut17/test.spacy

Takes the pipelines `softmax-SEED` and `crf-SEED` that the comparison has kept. A sequence is
invalid if the most probable tags of its tokens break the scheme, which greedy decoding repairs as
conlleval reads it. Writes results/heads.md, .json and .png.
"""

import argparse
import statistics
from pathlib import Path

import numpy
import spacy
from harness import measure, name_corpus, plot_bars, report
from spacy.tokens import Doc, DocBin

from spacy_bert_ner.commands.compare import count
from spacy_bert_ner.commands.summary import get_f1


def count_invalid(nlp, docs):
    """How many documents' most probable tags break the scheme."""
    ner = nlp.get_pipe("bert_ner")
    tag_set = ner.tag_set
    n_invalid = 0
    for probs in ner.predict(docs):
        tags = probs.argmax(axis=1)
        follows = tag_set.allowed[tags[:-1], tags[1:]].all()
        n_invalid += not (tag_set.first[tags[0]] and follows and tag_set.last[tags[-1]])
    return n_invalid


def measure_decoder(nlp, docs, repeats=5):
    """Seconds of decoding and writing alone, for the decoders in turn."""
    ner = nlp.get_pipe("bert_ner")
    scores = ner.predict(docs)

    def run(decoder):
        ner.cfg["decoder"] = decoder
        ner.cfg["overwrite_ents"] = True
        ner.set_annotations(docs, scores)

    systems = {name: lambda name=name: run(name) for name in ("greedy", "constrained")}
    return {name: statistics.median(t) for name, t in measure(systems, repeats).items()}


def encode(nlp, path):
    """Documents that have been through all components before the last ones."""
    gold = DocBin().from_disk(path).get_docs(nlp.vocab)
    docs = [Doc(nlp.vocab, words=[token.text for token in doc]) for doc in gold]
    return list(nlp.pipe(docs, disable=["bert_ner", "doc_cleaner"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("test", type=Path)
    args = parser.parse_args()
    if not list(args.folder.glob("softmax-[0-9]*/model-last")):
        parser.error(f"{args.folder} holds no pipelines softmax-SEED: run compare with --keep")
    rows = {}
    for head, decoders in (("softmax", ("greedy", "constrained")), ("crf", ("constrained",))):
        for path in sorted(args.folder.glob(f"{head}-[0-9]*/model-last")):
            nlp = spacy.load(path)
            ner = nlp.get_pipe("bert_ner")
            docs = encode(nlp, args.test)
            n_invalid = count_invalid(nlp, docs) if head == "softmax" else 0
            seconds = measure_decoder(nlp, docs)
            for decoder in decoders:
                ner.cfg["decoder"], ner.cfg["overwrite_ents"] = decoder, False
                counts, speed = count(nlp, args.test)
                row = rows.setdefault((head, decoder), {"f1": [], "invalid": [], "share": []})
                row["f1"].append(float(get_f1(numpy.array(counts).sum(axis=0))))
                row["invalid"].append(n_invalid if decoder == "greedy" else 0)
                row["share"].append(100 * seconds[decoder] * speed / sum(map(len, docs)))
    table = [
        {
            "system": f"{head}, {decoder}",
            "f1": round(statistics.mean(row["f1"]), 2),
            "by_seed": " ".join(f"{f1:.2f}" for f1 in row["f1"]),
            "invalid_sequences": round(statistics.mean(row["invalid"]), 1),
            "percent_of_time": round(statistics.mean(row["share"]), 2),
        }
        for (head, decoder), row in rows.items()
    ]
    report(
        "heads",
        f"Softmax and CRF on {name_corpus(args.test)}",
        table,
        notes=["Percent of time: decoding and writing entities, of prediction as a whole."],
        plot=lambda axes: plot_bars(axes, table, key="f1"),
    )


if __name__ == "__main__":
    main()
