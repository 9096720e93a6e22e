"""How much of a GPU is used? Words per second of a pipeline, and the share of the time that its
encoder alone takes for the same micro-batches.

    python benchmarks/gpu.py [--corpus projects/students/assets/train.conll] [--gpu 0]

The encoder has the size of BERT-base (12 layers, 768 wide) and random weights: what it finds
doesn't matter for the time. Texts are the sentences of a corpus, a tab between words and tags: one
each (short), ten (paragraph) or 400 (long). Utilization is what nvidia-smi says, in the mean over
the run.

Writes results/gpu.md, .json and .png.
"""

import argparse
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy
import spacy
import torch
from harness import plot_bars, report
from spacy.training import Example
from systems import ENCODER, TRAIN, read_tagged
from transformers import AutoTokenizer, BertConfig, BertModel

# Sentences of a text, and texts that are read at once.
KINDS = {"short": (1, 512), "paragraph": (10, 64), "long": (400, 4)}
N_WORDS = 200_000


class Utilization(threading.Thread):
    """Asks nvidia-smi, three times a second, while it is entered."""

    command = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")

    def __init__(self):
        super().__init__(daemon=True)
        self.values, self.ended = [], threading.Event()

    def run(self):
        while not self.ended.wait(0.3):
            output = subprocess.run(self.command, capture_output=True, text=True, check=True).stdout
            self.values.append(int(output.split()[0]))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *args):
        self.ended.set()
        self.join()


def make_pipeline(encoder, precision):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    block = {"@architectures": "spacy-bert-ner.TransformerModel.v1", "name": encoder}
    config = {"max_batch_items": 100_000, "model": {**block, "precision": precision}}
    nlp.add_pipe("transformer", config=config)
    nlp.add_pipe("bert_ner")
    doc = nlp.make_doc("a")
    labels = [{"entities": [(0, 1, label)]} for label in ("LOC", "MISC", "ORG", "PER")]
    nlp.initialize(lambda: [Example.from_dict(doc, annotation) for annotation in labels])
    return nlp


def save_encoder(folder):
    """A BERT-base with random weights."""
    tokenizer = AutoTokenizer.from_pretrained(ENCODER)
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def measure(function):
    """RETURNS (tuple): Seconds of a call, and its result."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    result = function()
    torch.cuda.synchronize()
    return time.perf_counter() - start, result


def make_row(nlp, texts, batch_size):
    """RETURNS (dict): Speed of a pipeline, and of its encoder for the same micro-batches."""
    shim = nlp.get_pipe("transformer").model.shims[0]
    encode, batches = shim.encode, []
    shim.encode = lambda batch: (batches.append(batch), encode(batch))[1]
    list(nlp.pipe(texts, batch_size=batch_size))
    shim.encode = encode
    alone, _ = measure(lambda: [encode(batch) for batch in batches])
    with Utilization() as utilization:
        seconds, n_words = measure(lambda: sum(map(len, nlp.pipe(texts, batch_size=batch_size))))
    n_pieces = sum(int(batch.lengths.sum()) for batch in batches)
    return {
        "words_per_second": round(n_words / seconds),
        "us per wordpiece": round(1e6 * seconds / n_pieces, 2),
        "encoder alone": round(1e6 * alone / n_pieces, 2),
        "its share": f"{alone / seconds:.1%}",
        "utilization": f"{numpy.mean(utilization.values or [numpy.nan]):.0f} %",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, default=TRAIN, help="words and tags")
    parser.add_argument("--gpu", type=int, default=0)
    args = parser.parse_args()
    spacy.require_gpu(args.gpu)
    sentences = [" ".join(words) for words, _ in read_tagged([args.corpus])]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        encoder = save_encoder(folder)
        for precision in ("bf16", "fp32"):
            nlp = make_pipeline(encoder, precision)
            for kind, (size, batch_size) in KINDS.items():
                texts = [" ".join(sentences[i : i + size]) for i in range(0, len(sentences), size)]
                texts *= max(1, N_WORDS // sum(text.count(" ") + 1 for text in texts))
                row = make_row(nlp, texts, batch_size)
                rows.append({"system": f"{precision}, {kind}", **row})
    notes = [torch.cuda.get_device_name(args.gpu), "us: microseconds"]
    report("gpu", "BERT-base on a GPU", rows, notes=notes, plot=lambda axes: plot_bars(axes, rows))


if __name__ == "__main__":
    main()
