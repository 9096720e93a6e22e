"""What does everything around the encoder cost? Time of one core per wordpiece, by stage.

    python benchmarks/road.py [--pipeline PIPELINE] [--repeats 5]

The encoder is replaced by a stub that returns what the encoder returned for the same texts before,
so that the rest is all that is left. Time is that of the thread, not of the clock: other programs
don't count. The fastest of several rounds is taken. Texts are sentences of the sample corpus: one
each (short), ten (paragraph), or 400 (long).

Writes results/road.md, .json and .png.
"""

import argparse
import os
import time
from collections import Counter
from contextlib import contextmanager
from functools import partial

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # threads of its own wouldn't be counted

import spacy
import torch
from harness import report
from systems import make_texts

from spacy_bert_ner.pipeline.encoders import iter_encoders

# Sentences of a text, number of texts, and texts that are read at once.
KINDS = {"short": (1, 2000, 256), "paragraph": (10, 200, 64), "long": (400, 6, 6)}
GPU_PIECES = 16384  # of a micro-batch: a call of the stub costs nothing, as a GPU's costs little
OTHER = "spaCy: pipe, sentencizer, doc_cleaner"


class Clock:
    """Time of functions by stage, without that of other timed functions that they call."""

    def __init__(self):
        self.seconds, self.inner = Counter(), []

    def time(self, function, stage):
        def timed(*args, **kwargs):
            start = time.thread_time()
            self.inner.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                seconds = time.thread_time() - start
                self.seconds[stage] += seconds - self.inner.pop()
                if self.inner:
                    self.inner[-1] += seconds

        return timed


def get_stages(nlp):
    """RETURNS (list): Functions of the road: their owners, their names, and their stages."""
    from spacy_bert_ner.model.encoder import layer, pieces, windows
    from spacy_bert_ner.pipeline import bert_ner
    from spacy_bert_ner.tagging import entities

    transformer, ner = nlp.get_pipe("transformer"), nlp.get_pipe("bert_ner")
    shim = transformer.model.shims[0]
    return [
        (nlp, "_ensure_doc", "spaCy's tokenizer"),
        (type(shim.pieces), "__call__", "tokenizer of the encoder"),
        (windows, "get_pieces", "wordpieces"),
        (pieces, "align_tokens", "alignment"),
        (layer, "cut_docs", "windows"),
        (layer, "get_batches", "micro-batches"),
        (layer, "_doc_data", "strings"),
        (transformer.model, "_func", "packing"),
        (transformer, "predict", "transformer component"),
        (transformer, "set_annotations", "transformer component"),
        (ner, "predict", "listener and head"),
        (ner, "set_annotations", "entities, rest"),
        (entities, "get_constraints", "constraints"),
        (bert_ner, "get_units", "constraints"),
        (bert_ner, "decode_units", "decode"),
        (bert_ner, "write_entities", "write"),
    ]


def to_list(generator, *args, **kwargs):
    return list(generator(*args, **kwargs))


@contextmanager
def timing(nlp, clock):
    """Time the stages."""
    originals = []
    for owner, name, stage in get_stages(nlp):
        original = getattr(owner, name)
        originals.append((owner, name, original))
        timed = clock.time(original, stage)
        if name == "get_batches":  # a generator
            timed = clock.time(partial(to_list, original), stage)
        setattr(owner, name, timed)
    try:
        yield
    finally:
        for owner, name, original in reversed(originals):
            setattr(owner, name, original)


class Stub:
    """Returns what the encoder returned for the same micro-batch before."""

    def __init__(self, shim):
        self.encode, self.outputs, self.n_pieces = shim.encode, {}, 0
        shim.encode = self

    def __call__(self, batch):
        key = batch.ids.tobytes()
        if key not in self.outputs:
            self.outputs[key] = self.encode(batch)
        self.n_pieces += int(batch.lengths.sum())
        return self.outputs[key]


def put_stub(nlp):
    """RETURNS (Stub): In place of the encoder."""
    (found,) = iter_encoders(nlp.get_pipe("transformer").model)
    found.node.attrs["settings"].batch_pieces = GPU_PIECES
    return Stub(found.shim)


def run(nlp, texts, batch_size, stub):
    """RETURNS (Counter): Microseconds per wordpiece, by stage, with their total."""
    clock, stub.n_pieces = Clock(), 0
    with timing(nlp, clock):
        start = time.thread_time()
        for _ in nlp.pipe(texts, batch_size=batch_size):
            pass
        total = time.thread_time() - start
    clock.seconds[OTHER] = total - clock.seconds.total()
    clock.seconds["total"] = total
    return Counter({name: 1e6 * value / stub.n_pieces for name, value in clock.seconds.items()})


def plot_stages(axes, rows):
    names = [row["stage"] for row in rows[1:]]
    for offset, kind in enumerate(KINDS):
        places = [-place - 0.25 * offset for place in range(len(names))]
        axes.barh(places, [row[kind] for row in rows[1:]], height=0.25, label=kind)
    axes.set_yticks([-place - 0.25 for place in range(len(names))], names)
    axes.set_xlabel("microseconds per wordpiece")
    axes.legend()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipeline", default="training/sample/model-last")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    nlp = spacy.load(args.pipeline)
    stub = put_stub(nlp)
    columns = {}
    for kind, (n_sentences, n_texts, batch_size) in KINDS.items():
        texts = make_texts(n_texts, n_sentences)
        list(nlp.pipe(texts, batch_size=batch_size))
        rounds = [run(nlp, texts, batch_size, stub) for _ in range(args.repeats)]
        columns[kind] = min(rounds, key=lambda one: one["total"])
    names = sorted(columns["short"], key=lambda name: -columns["short"][name])
    rows = [
        {"stage": name, **{kind: round(found[name], 2) for kind, found in columns.items()}}
        for name in names
    ]
    report(
        "road",
        "Microseconds of one core per wordpiece, around the encoder",
        rows,
        notes=["A stub in place of the encoder; short, paragraph and long texts."],
        plot=lambda axes: plot_stages(axes, rows),
    )


if __name__ == "__main__":
    main()
