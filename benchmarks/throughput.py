"""Words per second of `nlp.pipe` on long documents, beside the encoder's raw forward.

    python benchmarks/throughput.py [--docs 40] [--sentences 100] [--repeats 3]

The limit is the forward pass alone, over the same sentences in batches sorted by length of at most
1,024 padded wordpieces, tokenization included. Both run in turn, on the same threads, and the
medians and their ratio are printed.
"""

import argparse
import json
import statistics
import sys
import time

import torch
from systems import ENCODER, make_bert_ner, make_texts
from transformers import AutoModel, AutoTokenizer

BATCH_PIECES = 1024


def make_raw(nlp, texts):
    """The limit: returns a function that encodes the sentences of the texts."""
    tokenizer = AutoTokenizer.from_pretrained(ENCODER)
    model = AutoModel.from_pretrained(ENCODER).eval()
    sentencizer = nlp.get_pipe("sentencizer")
    docs = [sentencizer(nlp.make_doc(text)) for text in texts]
    sentences = [sent.text for doc in docs for sent in doc.sents]

    def run():
        ids = tokenizer(sentences, truncation=False, padding=False)["input_ids"]
        ids.sort(key=len, reverse=True)
        start = 0
        while start < len(ids):
            longest = len(ids[start])
            batch = ids[start : start + max(1, BATCH_PIECES // longest)]
            start += len(batch)
            padded = torch.zeros(len(batch), longest, dtype=torch.long)
            mask = torch.zeros(len(batch), longest, dtype=torch.long)
            for i, row in enumerate(batch):
                padded[i, : len(row)] = torch.tensor(row)
                mask[i, : len(row)] = 1
            with torch.inference_mode():
                model(input_ids=padded, attention_mask=mask)

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=int, default=40)
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    texts = make_texts(args.docs, args.sentences)
    pipelines = {f"bert_ner, window {window}": make_bert_ner(window) for window in (0, 128)}
    first = next(iter(pipelines.values()))
    n_words = sum(len(first.make_doc(text)) for text in texts)
    systems = {"raw forward": make_raw(first, texts)}
    for name, nlp in pipelines.items():
        systems[name] = lambda nlp=nlp: list(nlp.pipe(texts))
    seconds = {name: [] for name in systems}
    for repeat in range(args.repeats + 1):
        for name, run in systems.items():
            start = time.perf_counter()
            run()
            if repeat:  # the first is to warm up
                seconds[name].append(time.perf_counter() - start)
    limit = statistics.median(seconds["raw forward"])
    for name, times in seconds.items():
        median = statistics.median(times)
        row = {"system": name, "words_per_second": round(n_words / median)}
        row["of_limit"] = round(limit / median, 2)
        sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.write(f"{args.docs} documents, {n_words} words, {torch.get_num_threads()} threads\n")


if __name__ == "__main__":
    main()
