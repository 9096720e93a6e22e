"""Peak memory of one document of 100,000 tokens in prediction, and of one of 20,000 in training.

    python benchmarks/memory.py [--runs 3]

Every measurement is a fresh process. Prediction: short sentences and one of 400 tokens; the peak
above the loaded pipeline, beside the size of the encoder's packed output (wordpieces x width x 4
bytes). Training: the peak of the whole process over one update.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy
import psutil
import spacy
from spacy.tokens import Doc
from spacy.training import Example
from systems import make_bert_ner, read_words


class Peak:
    """The highest resident memory of this process while the block runs, read every 5 ms."""

    def __enter__(self):
        self.process = psutil.Process()
        self.start = self.high = self.process.memory_info().rss
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.done.is_set():
            self.high = max(self.high, self.process.memory_info().rss)
            time.sleep(0.005)

    def __exit__(self, *exc):
        self.done.set()
        self.thread.join()


def make_doc(vocab, n_tokens, long_sentence=0):
    """A document of real words in sentences of 8 to 30 tokens, with one longer one."""
    rng = numpy.random.default_rng(0)
    words = rng.choice(read_words(), size=n_tokens).tolist()
    starts = numpy.zeros(n_tokens, dtype=bool)
    starts[numpy.cumsum(rng.integers(8, 30, size=n_tokens))[: n_tokens // 30]] = True
    starts[0] = True
    starts[1000 : 1000 + long_sentence] = False
    return Doc(vocab, words=words, sent_starts=starts.tolist())


def predict(folder, n_tokens, sender):
    nlp = spacy.load(folder)
    nlp("Warm up. Then read.")
    doc = make_doc(nlp.vocab, n_tokens, long_sentence=400)
    with Peak() as peak:
        for name, pipe in nlp.pipeline:
            if name != "doc_cleaner":
                doc = pipe(doc)
    n_pieces, width = doc._.trf_data.model_output.last_hidden_state.shape
    packed = n_pieces * width * 4
    sender.send({"above_mb": (peak.high - peak.start) / 1e6, "packed_mb": packed / 1e6})


def train(folder, n_tokens, sender):
    nlp = spacy.load(folder)
    doc = make_doc(nlp.vocab, n_tokens)
    doc.set_ents([spacy.tokens.Span(doc, i, i + 2, label="PER") for i in range(0, n_tokens, 50)])
    example = Example(Doc(nlp.vocab, words=[token.text for token in doc]), doc)
    with Peak() as peak:
        losses = nlp.update([example], sgd=nlp.create_optimizer(), annotates=["sentencizer"])
    assert numpy.isfinite(losses["bert_ner"])
    sender.send({"process_mb": peak.high / 1e6, "start_mb": peak.start / 1e6})


def run(target, *args):
    """What a function sends from a process of its own, which may end without."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(*args, sender))
    process.start()
    sender.close()  # that of this process: the other's end is the end of what is sent
    try:
        result = receiver.recv()
    except EOFError as error:
        process.join()
        raise RuntimeError(
            f"The process of {target.__name__} ended with code {process.exitcode}, and no result: "
            "what went wrong stands above, and -9 is want of memory."
        ) from error
    process.join()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        make_bert_ner().to_disk(Path(folder))
        results = {
            "predict_100k": [run(predict, folder, 100_000) for _ in range(runs)],
            "train_20k": [run(train, folder, 20_000) for _ in range(runs)],
        }
    for name, rows in results.items():
        medians = {key: round(statistics.median(row[key] for row in rows)) for key in rows[0]}
        sys.stdout.write(json.dumps({"question": name, **medians, "runs": rows}) + "\n")
    packed = results["predict_100k"][0]["packed_mb"]
    bound = 2 * packed + 500
    sys.stdout.write(f"bound for predict_100k: 2 x {packed:.0f} + 500 = {bound:.0f} MB\n")


if __name__ == "__main__":
    main()
