"""How long do import and loading take?

    python benchmarks/startup.py [--repeats 5]

Every measurement is a fresh process that takes the time of one statement. Writes
results/startup.md, .json and .png.
"""

import argparse
import statistics
import subprocess
import sys

from harness import plot_bars, report
from systems import get_checkpoint, get_trained, make_bert_ner, make_spacy_ner

TIMED = """
import time
{before}
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""


def get_programs():
    """RETURNS (dict): What to run before, and what to take the time of, by name."""
    ours = get_trained("bert_ner", make_bert_ner)
    theirs = get_trained("spacy_ner", lambda: make_spacy_ner("strided"))
    transformers = "import torch, transformers, spacy_transformers, spacy"
    pipeline = f'transformers.pipeline("token-classification", "{get_checkpoint()}", device="cpu")'
    return {
        "import spacy": ("", "import spacy"),
        "import spacy_bert_ner": ("", "import spacy_bert_ner"),
        "import spacy_bert_ner.pipeline.bert_ner, after spacy": (
            "import spacy",
            "import spacy_bert_ner.pipeline.bert_ner",
        ),
        "import torch, transformers, spacy_transformers": ("", transformers),
        "bert_ner: spacy.load after imports": (transformers, f'spacy.load(r"{ours}")'),
        "spaCy transformer + ner: spacy.load after imports": (
            transformers,
            f'spacy.load(r"{theirs}")',
        ),
        "Hugging Face: pipeline after imports": (transformers, pipeline),
        "bert_ner: first text after loading": (
            f'{transformers}; nlp = spacy.load(r"{ours}")',
            'nlp("Anna Berg lives in Oslo.")',
        ),
    }


def run(before, statement):
    program = TIMED.format(before=before, statement=statement)
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    return float(result.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    programs = get_programs()
    seconds = {name: [] for name in programs}
    for repeat in range(args.repeats + 1):
        for name, program in programs.items():
            value = run(*program)
            if repeat:  # the first is to warm the disk's cache
                seconds[name].append(value)
    rows = [
        {
            "system": name,
            "median_s": round(statistics.median(times), 3),
            "min_s": round(min(times), 3),
            "max_s": round(max(times), 3),
        }
        for name, times in seconds.items()
    ]
    report(
        "startup",
        "Import and load",
        rows,
        notes=(f"Medians of {args.repeats} fresh processes.",),
        plot=lambda axes: plot_bars(axes, rows, "median_s"),
    )


if __name__ == "__main__":
    main()
