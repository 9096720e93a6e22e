"""`spacy bert-ner annotate` over a large text file of distinct lines: memory, speed, and what comes
out after the process was killed.

    python benchmarks/annotate.py [--mb 200] [--kills 2] [--pipeline PATH] [--to jsonl]

The file is made of the words of the sample corpus and of words that are in no other line, the same
in every run. Without a pipeline, one with a tiny random encoder and the vocabulary of a real one
is made: what is measured is reading and writing then. The command is run in a process of its own,
whose resident memory is sampled: what it grows by is the highest after 5 % of the output, less what
it was at 5 %. With kills, it is run again, and killed at equal shares of the output.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy
import psutil
import torch
import transformers
from spacy.tokens import Doc
from spacy.training import Example
from systems import DEV, ENCODER, make_bert_ner, read_words

from spacy_bert_ner.formats import read_docs

INTERVAL = 0.05
TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


class Sample(NamedTuple):
    """Resident memory of the process, and what is written by then."""

    seconds: float
    rss: int
    n_bytes: int


def make_lines(path, n_bytes):
    """RETURNS (int): How many lines of 5 to 25 words were written, all distinct."""
    rng = numpy.random.default_rng(0)
    words = read_words().tolist()
    n_lines = 0
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < n_bytes:
            for _ in range(1000):
                drawn = rng.integers(len(words), size=int(rng.integers(5, 25)))
                line = [words[i] for i in drawn]
                line[len(line) // 2] = f"{line[0].lower()}{n_lines:x}"
                n_lines += 1
                file.write(" ".join(line) + f" no. {n_lines}\n")
    return n_lines


def make_tiny(folder):
    """A pipeline of a random encoder, which takes next to no time."""
    transformers.AutoTokenizer.from_pretrained(ENCODER).save_pretrained(folder / "encoder")
    settings = transformers.AutoConfig.from_pretrained(ENCODER).to_dict()
    torch.manual_seed(0)
    encoder = transformers.BertModel(transformers.BertConfig(**{**settings, **TINY}))
    encoder.save_pretrained(folder / "encoder")
    nlp = make_bert_ner(name=str(folder / "encoder"))
    # Enough to know that most words are outside of entities.
    docs = list(read_docs(DEV, nlp))
    examples = [Example(Doc(nlp.vocab, words=[token.text for token in doc]), doc) for doc in docs]
    optimizer = nlp.create_optimizer()
    optimizer.learn_rate = 1e-2
    for _ in range(20):
        nlp.update(examples, sgd=optimizer, annotates=["sentencizer"])
    nlp.to_disk(folder / "pipeline")
    return folder / "pipeline"


def run(pipeline, source, target, options, kill_at=None):
    """Annotate a file, and kill the process once so many bytes are written.

    RETURNS (List[Sample]): What the process was like, until its end.
    """
    command = ["bert-ner", "annotate", pipeline, source, target, "--from", "lines", *options]
    part = target.with_name(f"{target.name}.part")
    start = time.perf_counter()
    process = psutil.Popen([sys.executable, "-m", "spacy", *map(str, command)])
    samples = []
    while process.poll() is None:
        n_bytes = part.stat().st_size if part.exists() else 0
        if process.status() != psutil.STATUS_ZOMBIE:
            rss = process.memory_info().rss
            samples.append(Sample(time.perf_counter() - start, rss, n_bytes))
        if kill_at is not None and n_bytes >= kill_at:
            process.kill()
            process.wait()
            return samples
        time.sleep(INTERVAL)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return samples


def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def measure(samples, first, total):
    """Memory in MB: at 5 % of the output, of which the process wrote what is behind `first`; and
    the highest behind that."""
    late = [s.rss for s in samples if s.n_bytes >= first + 0.05 * total]
    return late[0] / 1e6, max(late) / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=float, default=200)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--pipeline", type=Path)
    parser.add_argument("--to", default="jsonl")
    parser.add_argument("--folder", type=Path, help="where there is room, else a temporary one")
    args, options = parser.parse_known_args()
    options += ["--to", args.to]
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        pipeline = args.pipeline or make_tiny(folder)
        source, whole, cut = folder / "lines.txt", folder / "whole", folder / "cut"
        n_lines = make_lines(source, args.mb * 1e6)
        samples = run(pipeline, source, whole, options)
        total = whole.stat().st_size
        rows = [["uninterrupted", samples, 0]]
        first = 0
        for i in range(args.kills):
            kill_at = total * (i + 1) // (args.kills + 1)
            samples = run(pipeline, source, cut, options, kill_at)
            rows.append([f"killed at {kill_at / total:.0%}", samples, first])
            first = samples[-1].n_bytes
        if args.kills:
            rows.append(["gone on to the end", run(pipeline, source, cut, options), first])
        print_table(rows, n_lines, source.stat().st_size, total)
        if args.kills:
            same = "identical" if digest(whole) == digest(cut) else "NOT identical"
            sys.stdout.write(f"\nOutput of the interrupted runs: {same}.\n")


def print_table(rows, n_lines, n_read, n_written):
    out = sys.stdout
    out.write(f"{n_read / 1e6:.0f} MB, {n_lines} lines; {n_written / 1e6:.0f} MB written\n\n")
    out.write("| run | s | MB at 5 % | highest behind | growth |\n")
    out.write("| --- | ---: | ---: | ---: | ---: |\n")
    for name, samples, first in rows:
        start, high = measure(samples, first, n_written)
        cells = f"{start:.0f} | {high:.0f} | {high - start:.0f}"
        out.write(f"| {name} | {samples[-1].seconds:.0f} | {cells} |\n")


if __name__ == "__main__":
    main()
