"""How do time and memory grow with the length of one document?

    python benchmarks/growth.py [--sizes 1000 10000 100000 1000000] [--precision auto]

Every length is a fresh process. Prints the exponents of power laws, from 10,000 tokens on, which
is 1 for what grows in proportion. Writes results/growth.md, .json and .png.
"""

import argparse
import statistics
import time

import spacy
from harness import fit_exponent, report
from memory import Peak, make_doc, run
from systems import get_trained, make_bert_ner

N_REPEATS = 3
FIT_FROM = 10_000


def predict(folder, n_tokens, precision, sender):
    """Time is the median of several documents while these are short, memory the peak of the first
    above the loaded pipeline."""
    nlp = spacy.load(folder, config={"components.transformer.model.precision": precision})
    nlp(make_doc(nlp.vocab, 2_000))
    times = []
    above = 0.0
    for repeat in range(N_REPEATS if n_tokens <= 10_000 else 1):
        doc = make_doc(nlp.vocab, n_tokens)
        with Peak() as peak:
            start = time.perf_counter()
            nlp(doc)
            times.append(time.perf_counter() - start)
        if repeat == 0:
            above = (peak.high - peak.start) / 1e6
    sender.send({"seconds": statistics.median(times), "above_mb": above})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = [1_000, 10_000, 30_000, 100_000, 300_000, 1_000_000]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes)
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    folder = get_trained("bert_ner", make_bert_ner)
    rows = []
    for n_tokens in args.sizes:
        result = run(predict, folder, n_tokens, args.precision)
        rows.append(
            {
                "tokens": n_tokens,
                "seconds": round(result["seconds"], 3),
                "tokens_per_second": round(n_tokens / result["seconds"]),
                "peak_mb_above_loaded": round(result["above_mb"], 1),
            }
        )
    notes = []
    fitted = [row for row in rows if row["tokens"] >= FIT_FROM]
    if len(fitted) > 1:
        tokens = [row["tokens"] for row in fitted]
        for what, key in (("Time", "seconds"), ("Memory", "peak_mb_above_loaded")):
            exponent = fit_exponent(tokens, [max(row[key], 0.1) for row in fitted])
            notes.append(f"{what} grows with exponent {exponent:.2f} from {tokens[0]:,} tokens on.")

    def plot(axes):
        tokens = [row["tokens"] for row in rows]
        axes.loglog(tokens, [row["seconds"] for row in rows], "o-", label="seconds")
        axes.loglog(tokens, [row["peak_mb_above_loaded"] for row in rows], "s-", label="peak, MB")
        axes.set_xlabel("tokens in one document")
        axes.legend()

    report("growth", "One document of growing length", rows, notes=notes, plot=plot)


if __name__ == "__main__":
    main()
