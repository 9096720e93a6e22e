"""A corpus in which the type of an entity can be known from the previous sentence alone, read
with and without context.

    python benchmarks/previous_sentence.py [--steps 60] [--context 0 64]

A first sentence tells whether a person or a place is spoken of, and a second one has the name,
which is a person's in one document and a place's in another: by the second sentence alone, the
type can be guessed half the time. Every sentence is a window of its own (`window = 0`). Prints F1
on names that training has not seen.
"""

import argparse
import sys

import numpy
from spacy.tokens import Doc
from spacy.training import Example
from systems import make_bert_ner
from thinc.api import Adam, fix_random_seed

FIRST = {
    "PER": [
        "He met a writer .",
        "She hired a cook .",
        "We know an engineer .",
        "They saw a child .",
    ],
    "LOC": ["He left a town .", "She saw a village .", "We know a valley .", "They found a lake ."],
}
SECOND = [
    "{} was very old .",
    "Nobody knew {} in those days .",
    "It is about {} that they sing .",
    "Some think of {} with joy .",
]
STARTS = ["Vel", "Mor", "Tar", "Bel", "Kor", "Sel", "Dan", "Lor", "Fen", "Ras"]
ENDS = ["mar", "din", "a", "o", "wen", "ith", "ga", "ron", "las", "ek"]


def make_docs(vocab, n_docs, *, names, seed):
    rng = numpy.random.default_rng(seed)
    docs = []
    for i in range(n_docs):
        label = ("PER", "LOC")[i % 2]
        first = rng.choice(FIRST[label]).split()
        second = rng.choice(SECOND).format(rng.choice(names)).split()
        tags = ["O"] * len(first) + [f"B-{label}" if word in names else "O" for word in second]
        starts = [i in (0, len(first)) for i in range(len(tags))]
        docs.append(Doc(vocab, words=first + second, ents=tags, sent_starts=starts))
    return docs


def train_and_score(context, *, n_steps, seed=0):
    """RETURNS (float): F1, 0 to 1."""
    fix_random_seed(seed)
    nlp = make_bert_ner(window=0, context=context, precision="auto")
    nlp.remove_pipe("sentencizer")
    names = [start + end for start in STARTS for end in ENDS]
    train = make_docs(nlp.vocab, 16 * n_steps, names=names[::2], seed=1)
    test = make_docs(nlp.vocab, 100, names=names[1::2], seed=2)
    sgd = Adam(2e-4, grad_clip=1.0, use_averages=False)
    for start in range(0, len(train), 16):
        batch = [Example(blank(doc), doc) for doc in train[start : start + 16]]
        nlp.update(batch, sgd=False, drop=0.1)
        for _, pipe in nlp.pipeline:
            if hasattr(pipe, "finish_update"):
                pipe.finish_update(sgd)
    return nlp.evaluate([Example(blank(doc), doc) for doc in test])["ents_f"]


def blank(doc):
    starts = [bool(token.is_sent_start) for token in doc]
    return Doc(doc.vocab, words=[token.text for token in doc], sent_starts=starts)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--context", type=int, nargs="+", default=[0, 64])
    args = parser.parse_args()
    for context in args.context:
        f1 = train_and_score(context, n_steps=args.steps)
        sys.stdout.write(f"context {context}: F1 {100 * f1:.1f}\n")


if __name__ == "__main__":
    main()
