"""What do time and memory of one huge document come to, in each system?

    python benchmarks/huge_document.py [--sentences 2000] [--repeats 1]

Every measurement is a fresh process: loading, a short text to warm up, then the document. Writes
results/huge_document.md, .json and .png.
"""

import argparse
import statistics
import time

from harness import report
from memory import Peak, run
from systems import (
    count_words,
    load_bert_ner,
    load_spacy_ner,
    make_hf_pipeline,
    make_hf_token_pipe,
    make_raw,
    make_texts,
    split_sentences,
)

from spacy_bert_ner.model.encoder.precision import has_bf16

HF_BATCH_SIZE = 8


def pipe(nlp):
    return lambda text: nlp(text) if nlp is not None else None


SYSTEMS = {
    "raw limit": lambda: _by_sentence(make_raw()),
    "bert_ner, fp32": lambda: pipe(load_bert_ner(precision="fp32")),
    "bert_ner, bf16": lambda: pipe(load_bert_ner(precision="bf16")),
    "Hugging Face pipeline": lambda: _by_sentence(
        lambda sentences, ner=make_hf_pipeline(): ner(sentences, HF_BATCH_SIZE)
    ),
    "hf_token_pipe": lambda: pipe(make_hf_token_pipe(HF_BATCH_SIZE)),
    "spaCy transformer + ner, strided spans": lambda: pipe(load_spacy_ner("strided")),
}


def _by_sentence(run_sentences):
    return lambda text: run_sentences(split_sentences([text]))


def read(name, text, sender):
    run_text = SYSTEMS[name]()
    run_text("Anna Berg lives in Oslo. She works there.")
    with Peak() as peak:
        start = time.perf_counter()
        run_text(text)
        seconds = time.perf_counter() - start
    sender.send({"seconds": seconds, "above_mb": (peak.high - peak.start) / 1e6})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    (text,) = make_texts(1, args.sentences)
    n_words = count_words([text])
    load_bert_ner(), load_spacy_ner("strided")  # trained before any process asks for them
    names = [name for name in SYSTEMS if "bf16" not in name or has_bf16("cpu")]
    if make_hf_token_pipe(HF_BATCH_SIZE) is None:
        names.remove("hf_token_pipe")
    results = {name: [] for name in names}
    for _ in range(args.repeats):
        for name in names:
            results[name].append(run(read, name, text))
    rows = []
    for name, found in results.items():
        seconds = statistics.median(result["seconds"] for result in found)
        rows.append(
            {
                "system": name,
                "words_per_second": round(n_words / seconds),
                "seconds": round(seconds, 2),
                "peak_mb_above_loaded": round(max(result["above_mb"] for result in found), 1),
            }
        )
    title = f"One document of {args.sentences:,} sentences, {n_words:,} words"
    report("huge_document", title, rows)


if __name__ == "__main__":
    main()
