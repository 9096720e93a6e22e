"""How much of a GPU is used? Words per second of a pipeline, and the share of the time that its
encoder alone takes for the same micro-batches.

    python benchmarks/gpu.py [--corpus projects/students/assets/train.conll] [--gpu 0]
        [--processes 4,8] [--jobs 8]

The encoder has the size of BERT-base (12 layers, 768 wide) and random weights: what it finds
doesn't matter for the time. Texts are the sentences of a corpus, a tab between words and tags: one
each (short), ten (paragraph) or 400 (long). Utilization is what nvidia-smi says, in the mean over
the run.

With `--processes`, so many processes share the GPU, each with `annotate --shard` for its part of a
folder of short texts; with `--jobs`, the processes are those of one `annotate`. Their time counts
from when all of them write until the first is finished.

Writes results/gpu.md, .json and .png.
"""

import argparse
import subprocess
import sys
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
N_SHARE, N_JOB = 600_000, 150_000  # words for each process, with --shard and with --jobs


class Utilization(threading.Thread):
    """Asks nvidia-smi, three times a second, while it is entered."""

    command = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")

    def __init__(self):
        super().__init__(daemon=True)
        self.values, self.ended = {}, threading.Event()

    def run(self):
        while not self.ended.wait(0.3):
            output = subprocess.run(self.command, capture_output=True, text=True, check=True).stdout
            self.values[time.perf_counter()] = int(output.split()[0])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *args):
        self.ended.set()
        self.join()

    def describe(self, start=0.0, end=float("inf")):
        """RETURNS (str): The mean between two times."""
        values = [value for when, value in self.values.items() if start <= when <= end]
        return f"{numpy.mean(values):.0f} %" if values else "-"


def make_pipeline(encoder, precision, texts):
    """A pipeline that finds an entity in ten words or more of some texts."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    block = {"@architectures": "spacy-bert-ner.TransformerModel.v1", "name": encoder}
    config = {"max_batch_items": 100_000, "model": {**block, "precision": precision}}
    nlp.add_pipe("transformer", config=config)
    nlp.add_pipe("bert_ner")
    doc = nlp.make_doc("a")
    labels = [{"entities": [(0, 1, label)]} for label in ("LOC", "MISC", "ORG", "PER")]
    nlp.initialize(lambda: [Example.from_dict(doc, annotation) for annotation in labels])
    (head,) = (node for node in nlp.get_pipe("bert_ner").model.walk() if node.has_param("b"))
    while True:
        docs = list(nlp.pipe(texts))
        if 10 * sum(len(doc.ents) for doc in docs) <= sum(map(len, docs)):
            return nlp
        bias = head.get_param("b").copy()
        bias[0] += 0.3  # of the tag O
        head.set_param("b", bias)


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
        "utilization": utilization.describe(),
    }


def write_texts(folder, n_files, sentences, n_most):
    """RETURNS (int): The words of files with a sentence a line."""
    folder.mkdir()
    n_words = sum(text.count(" ") + 1 for text in sentences)
    n_copies = n_most // n_words
    for i in range(n_files):
        (folder / f"{i:02}.txt").write_text("\n".join(sentences * n_copies), encoding="utf-8")
    return n_files * n_copies * n_words


def annotate(pipeline, source, target, *options):
    """RETURNS (Popen): The command, which was started."""
    command = ["bert-ner", "annotate", pipeline, source, target, "--from", "lines", *options]
    command = [sys.executable, "-m", "spacy", *map(str, command), "--batch-size", "512"]
    return subprocess.Popen(command)


def follow(processes, folder, n_files):
    """RETURNS (tuple): When all files were written to, when the first was finished, and the share
    of the output that was written between."""
    samples = []
    while any(process.poll() is None for process in processes):
        sizes = [path.stat().st_size for path in folder.glob("*.part")]  # of what is unfinished
        if len(sizes) == n_files and all(sizes):
            samples.append((time.perf_counter(), sum(sizes)))
        time.sleep(0.1)
    assert not any(process.returncode for process in processes)
    total = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
    (start, first), (end, last) = samples[0], samples[-1]
    return start, end, (last - first) / total


def make_shared_row(nlp, sentences, alone, gpu, n_processes, n_jobs):
    """RETURNS (dict): As `make_row`, of processes that share the GPU.

    alone (dict): The row of one process.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nlp.to_disk(folder / "pipeline")
        (folder / "out").mkdir()
        if n_jobs == 1:
            n_words = write_texts(folder / "in", n_processes, sentences, N_SHARE)
            places = [folder / "pipeline", folder / "in", folder / "out", "--to", "jsonl"]
            parts = [f"{i + 1}/{n_processes}" for i in range(n_processes)]
            options = ["--use-gpu", gpu, "--shard"]
        else:
            n_words = write_texts(folder / "in", 1, sentences, n_jobs * N_JOB)
            places = [folder / "pipeline", folder / "in" / "00.txt", folder / "out" / "00.jsonl"]
            parts, options = [n_jobs], ["--use-gpu", gpu, "--jobs"]
        with Utilization() as utilization:
            processes = [annotate(*places, *options, part) for part in parts]
            start, end, share = follow(processes, folder / "out", len(parts))
    speed = share * n_words / (end - start)
    # Microseconds of a wordpiece when the whole GPU is used, by those of one process.
    us = alone["us per wordpiece"] * alone["words_per_second"] / speed
    return {
        "words_per_second": round(speed),
        "us per wordpiece": round(us, 2),
        "encoder alone": alone["encoder alone"],
        "its share": f"{alone['encoder alone'] / us:.1%}",
        "utilization": utilization.describe(start, end),
    }


def iter_rows(sentences, gpu, n_processes, n_jobs):
    """YIELDS (dict): A row for each precision and kind of texts, then for processes together."""
    with tempfile.TemporaryDirectory() as folder:
        encoder = save_encoder(folder)
        for precision in ("bf16", "fp32"):
            nlp = make_pipeline(encoder, precision, sentences[:500])
            for kind, (size, batch_size) in KINDS.items():
                texts = [" ".join(sentences[i : i + size]) for i in range(0, len(sentences), size)]
                texts *= max(1, N_WORDS // sum(text.count(" ") + 1 for text in texts))
                row = make_row(nlp, texts, batch_size)
                yield {"system": f"{precision}, {kind}", **row}
                if (precision, kind) == ("bf16", "short"):
                    alone = row
            if precision == "bf16":
                for n in n_processes:
                    row = make_shared_row(nlp, sentences, alone, gpu, n, 1)
                    yield {"system": f"bf16, short, {n} processes", **row}
                for n in n_jobs:
                    row = make_shared_row(nlp, sentences, alone, gpu, n, n)
                    yield {"system": f"bf16, short, --jobs {n}", **row}


def to_numbers(text):
    return [int(part) for part in text.split(",") if part]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, default=TRAIN, help="words and tags")
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--processes", type=to_numbers, default=[], help="such as 4,8")
    parser.add_argument("--jobs", type=to_numbers, default=[], help="such as 4,8")
    args = parser.parse_args()
    spacy.require_gpu(args.gpu)
    sentences = [" ".join(words) for words, _ in read_tagged([args.corpus])]
    rows = []
    for row in iter_rows(sentences, args.gpu, args.processes, args.jobs):
        sys.stderr.write(f"{row}\n")
        rows.append(row)
    notes = [torch.cuda.get_device_name(args.gpu), "us: microseconds"]
    report("gpu", "BERT-base on a GPU", rows, notes=notes, plot=lambda axes: plot_bars(axes, rows))


if __name__ == "__main__":
    main()
