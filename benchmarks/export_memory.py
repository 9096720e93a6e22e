"""Does the memory of a pipeline grow over many texts of mixed lengths?

    OMP_NUM_THREADS=1 python benchmarks/export_memory.py PIPELINE... --name NAME [--texts 100000]
        [--python PYTHON]

Each pipeline, such as the exports of `quantize`, predicts the texts in a process of its own. They
are 1 to 5,000 words long, 5.5 on average: the frequency of a length falls with its square. The
longest comes first, so that no later one needs more. The words are those of the sample corpus:
spaCy keeps each new word, which isn't what is measured here. PYTHON is that of another environment
with psutil, such as one without torch, see docs/deploy.md. Writes results/export_memory_NAME.md,
.json and .png.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy
import psutil
import spacy

FOLDER = Path(__file__).parent
SAMPLE = FOLDER.parent / "assets" / "sample" / "train.iob2"
MOST_WORDS = 5000
SHARES = (0.01, 0.1, 0.5, 1.0)
PROGRAM = "import sys; from export_memory import predict; predict(sys.argv[1], int(sys.argv[2]))"


def make_texts(n_texts):
    """YIELDS (str): Texts, one at a time: together, they are megabytes."""
    rng = numpy.random.default_rng(0)
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    words = numpy.array([line.split("\t")[0] for line in lines if line.strip()])
    shares = 1 / numpy.arange(1, MOST_WORDS + 1) ** 2
    lengths = rng.choice(MOST_WORDS, size=n_texts, p=shares / shares.sum()) + 1
    lengths[0] = MOST_WORDS
    for length in lengths.tolist():
        yield " ".join(rng.choice(words, size=length))


def predict(path, n_texts):
    """Print a line of JSON with the memory of this process, in MB, after each share of the texts,
    and before the first."""
    nlp = spacy.load(path)
    process = psutil.Process()
    marks = {max(1, round(share * n_texts)): f"{share:.0%}" for share in SHARES}
    row = {"loaded_MB": process.memory_info().rss / 1e6}
    n_words = 0
    for i, doc in enumerate(nlp.pipe(make_texts(n_texts)), start=1):
        n_words += len(doc)
        if i in marks:
            row[f"at_{marks[i]}_MB"] = process.memory_info().rss / 1e6
    row["highest_MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    row["words"] = n_words
    sys.stdout.write(json.dumps({key: round(value) for key, value in row.items()}) + "\n")


def measure(python, path, n_texts):
    """RETURNS (dict): What `predict` prints in a process of its own."""
    result = subprocess.run(
        [python, "-W", "ignore", "-c", PROGRAM, path, str(n_texts)],
        env={**os.environ, "PYTHONPATH": f"{FOLDER}:{os.environ.get('PYTHONPATH', '')}"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(result.stdout.splitlines()[-1])


def plot(axes, rows):
    for row in rows:
        values = [row[f"at_{share:.0%}_MB"] for share in SHARES]
        axes.plot(SHARES, values, marker="o", label=row["system"])
    axes.set(xlabel="share of the texts", ylabel="MB", ylim=0)
    axes.legend()


def write(name, n_texts, rows):
    from harness import report  # it names the machine, with torch

    report(
        f"export_memory_{name}",
        f"Resident memory over {n_texts:,} texts, {name}",
        rows,
        notes=[
            "Memory of the process with the pipeline loaded, and after shares of the texts, the "
            "first of which is the longest.",
            "",
        ],
        plot=lambda axes: plot(axes, rows),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipelines", type=Path, nargs="+")
    parser.add_argument("--name", required=True)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--python", default=sys.executable)
    args = parser.parse_args()
    rows = [
        {"system": path.name, **measure(args.python, str(path.resolve()), args.texts)}
        for path in args.pipelines
    ]
    write(args.name, args.texts, rows)


if __name__ == "__main__":
    main()
