"""Strict entity F1 on WNUT-17, by seqeval, over seeds.

    python benchmarks/wnut17.py CORPUS OUTPUT [--seeds 1 2 3] [--windows 0 128]

CORPUS holds train.spacy, dev.spacy and test.spacy (`python -m spacy project run convert-wnut17`).
The recipe: 32 documents a step, 4 epochs, learning rate 2e-4, 10 % warm-up, linear decay; the last
model. A pipeline that is in OUTPUT already is not trained again.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

import spacy
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from spacy.cli.train import train
from spacy.tokens import Doc, DocBin

CONFIG = Path(__file__).parent.parent / "configs" / "bert_ner.cfg"
STEPS_PER_EPOCH = 107  # 3,394 documents


def read_docs(path, vocab):
    return list(DocBin().from_disk(path).get_docs(vocab))


def get_tags(doc):
    return [f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O" for token in doc]


def score(nlp, path):
    gold = read_docs(path, nlp.vocab)
    docs = [Doc(nlp.vocab, words=[token.text for token in doc]) for doc in gold]
    predicted = [get_tags(doc) for doc in nlp.pipe(docs)]
    tags = [get_tags(doc) for doc in gold]
    return 100 * f1_score(tags, predicted, mode="strict", scheme=IOB2)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--windows", type=int, nargs="+", default=[0, 128])
    args = parser.parse_args()
    means = []
    for window in args.windows:
        rows = []
        for seed in args.seeds:
            folder = args.output / f"w{window}-s{seed}"
            if not (folder / "model-last").exists():
                overrides = {
                    "paths.train": str(args.corpus / "train.spacy"),
                    "paths.dev": str(args.corpus / "dev.spacy"),
                    "system.seed": seed,
                    "components.transformer.model.window": window,
                    "training.max_steps": 4 * STEPS_PER_EPOCH,
                    "training.eval_frequency": STEPS_PER_EPOCH,
                    "training.optimizer.learn_rate.warmup_steps": 43,
                }
                train(CONFIG, folder, overrides=overrides)
            nlp = spacy.load(folder / "model-last")
            row = {split: score(nlp, args.corpus / f"{split}.spacy") for split in ("dev", "test")}
            rows.append(row)
            line = {"window": window, "seed": seed, **{k: round(v, 1) for k, v in row.items()}}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
        mean = {key: round(statistics.mean(row[key] for row in rows), 1) for key in rows[0]}
        means.append(json.dumps({"window": window, "seeds": len(rows), "mean": mean}))
    sys.stdout.write("\n".join(means) + "\n")


if __name__ == "__main__":
    main()
