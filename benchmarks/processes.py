"""Are two processes of one thread faster than one process of two?

    python benchmarks/processes.py [--docs 16] [--sentences 50] [--repeats 3]

Writes results/processes.md, .json and .png.
"""

import argparse

import torch
from harness import measure, report, to_rows
from systems import count_words, load_bert_ner, make_texts

from spacy_bert_ner.findings import number
from spacy_bert_ner.model.encoder.precision import has_bf16


def make_run(nlp, texts, n_process, n_threads):
    def run():
        torch.set_num_threads(n_threads)
        # A batch for each process at least: a batch is what a process is given.
        return list(nlp.pipe(texts, n_process=n_process, batch_size=max(1, len(texts) // 4)))

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=int, default=16)
    parser.add_argument("--sentences", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    texts = make_texts(args.docs, args.sentences)
    n_cores = torch.get_num_threads()
    systems = {}
    for precision in ["fp32", "bf16"] if has_bf16("cpu") else ["fp32"]:
        nlp = load_bert_ner(precision=precision)
        for n_process, n_threads in ((1, n_cores), (n_cores, 1), (1, 1)):
            counts = f"{number(n_process, 'process', 'processes')} x {number(n_threads, 'thread')}"
            name = f"{precision}, {counts}"
            systems[name] = make_run(nlp, texts, n_process, n_threads)
    for run in systems.values():
        run()
    first = next(iter(systems))
    n_words = count_words(texts)
    rows = to_rows(measure(systems, args.repeats), n_words, first)
    torch.set_num_threads(n_cores)
    title = f"Processes and threads: {args.docs} documents, {n_words:,} words"
    notes = ("The time of starting the processes is in it: they pay with more text.",)
    report("processes", title, rows, notes=notes)


if __name__ == "__main__":
    main()
