"""How many entities does Presidio get from its own transformers engine and from BertNerEngine, and
how fast? Both have the same checkpoint: a pipeline, and what `to-hf` makes of it.

    python benchmarks/presidio.py training/plain/model-last corpus/sample/test.spacy

The corpus is a .spacy file with gold entities. Its sentences are drawn at random and make texts of
10 words to `--longest`, with lengths that are even on a logarithmic scale. An entity is kept if
an engine returns it with its start, end and label. Seconds are those of the processor, in one
thread, so that other programs matter less. Presidio's engine needs spacy-huggingface-pipelines.

Writes results/presidio.md, .json and .png.
"""

import argparse
import logging
import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy
import spacy
import torch
from harness import measure, name_corpus, report, to_rows
from presidio_analyzer.nlp_engine import NerModelConfiguration, TransformersNlpEngine
from spacy.tokens import DocBin

from spacy_bert_ner import to_huggingface
from spacy_bert_ner.presidio import BertNerEngine

SHORTEST, BATCH_SIZE = 10, 32
# The longest texts of each group, in words.
GROUPS = (100, 1000, 10_000)
THEIRS = "TransformersNlpEngine"


def read_sentences(path):
    """RETURNS (list): The sentences of a corpus, as spans."""
    docs = DocBin().from_disk(path).get_docs(spacy.blank("en").vocab)
    return [sent for doc in docs if len(doc) for sent in doc.sents]


def make_texts(sentences, n_texts, longest, seed=0):
    """RETURNS (dict): By group, texts with their gold entities: start, end, label."""
    rng = numpy.random.default_rng(seed)
    groups = {group: [] for group in GROUPS}
    for goal in numpy.exp(rng.uniform(numpy.log(SHORTEST), numpy.log(longest), n_texts)):
        parts, gold, n_words, n_chars = [], set(), 0, 0
        while n_words < goal:
            sent = sentences[rng.integers(len(sentences))]
            for ent in sent.ents:
                start = n_chars + ent.start_char - sent.start_char
                gold.add((start, start + len(ent.text), ent.label_))
            parts.append(sent.text)
            n_words += len(sent)
            n_chars += len(sent.text) + 1
        groups[next(group for group in GROUPS if goal <= group)].append((" ".join(parts), gold))
    return groups


def make_engines(path, folder):
    """RETURNS (dict): Engines by name. Presidio's own has a tokenizer alone before the checkpoint,
    which is the fastest that it can have."""
    nlp = spacy.load(path)
    labels = nlp.get_pipe("bert_ner").labels
    to_huggingface(nlp, folder / "checkpoint")
    nlp.config["components"]["transformer"]["model"]["precision"] = "fp32"
    nlp.to_disk(folder / "fp32")
    spacy.blank("en").to_disk(folder / "blank")
    both = {"spacy": str(folder / "blank"), "transformers": str(folder / "checkpoint")}
    kinds = {
        THEIRS: (TransformersNlpEngine, both),
        "BertNerEngine, fp32": (BertNerEngine, str(folder / "fp32")),
        "BertNerEngine, auto": (BertNerEngine, path),
    }
    configuration = NerModelConfiguration(
        model_to_presidio_entity_mapping={label: label for label in labels}
    )
    engines = {}
    for name, (kind, model) in kinds.items():
        engines[name] = kind([{"lang_code": "en", "model_name": model}], configuration)
        engines[name].load()
    return engines


def find(engine, texts):
    """RETURNS (list): The entities of each text."""
    done = engine.process_batch([text for text, _ in texts], "en", batch_size=BATCH_SIZE)
    return [
        {(ent.start_char, ent.end_char, ent.label_) for ent in artifacts.entities}
        for _, artifacts in done
    ]


def compare(engines, texts, repeats):
    """RETURNS (tuple): Entities of each text, and seconds, by engine."""
    found = {}
    systems = {
        name: lambda name=name, engine=engine: found.update({name: find(engine, texts)})
        for name, engine in engines.items()
    }
    return found, measure(systems, repeats, time.process_time)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--longest", type=int, default=GROUPS[-1])
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")  # of annotations that Presidio's engine skips
    groups = make_texts(read_sentences(args.corpus), args.texts, args.longest)
    tokenizer = spacy.blank("en").tokenizer
    with tempfile.TemporaryDirectory() as folder:
        engines = make_engines(args.pipeline, Path(folder))
        compare(engines, groups[GROUPS[0]][:5], 1)  # to warm up
        results = {group: compare(engines, texts, args.repeats) for group, texts in groups.items()}
    n_words = {g: sum(len(tokenizer(text)) for text, _ in texts) for g, texts in groups.items()}
    n_gold = sum(len(gold) for texts in groups.values() for _, gold in texts)
    total = {
        name: [sum(times) for times in zip(*(results[group][1][name] for group in GROUPS))]
        for name in engines
    }
    rows = to_rows(total, sum(n_words.values()), THEIRS)
    for row in rows:
        for group, (_, seconds) in results.items():
            row[f"up_to_{group}_words"] = round(n_words[group] / min(seconds[row["system"]]))
        pairs = [
            (spans, gold)
            for group, (found, _) in results.items()
            for spans, (_, gold) in zip(found[row["system"]], groups[group])
        ]
        row["returned"] = sum(len(spans) for spans, _ in pairs)
        row["kept_%"] = round(100 * sum(len(spans & gold) for spans, gold in pairs) / n_gold, 1)
    report(
        "presidio",
        f"Presidio: {args.texts} texts of {SHORTEST} to {args.longest:,} words",
        rows,
        notes=[
            f"{sum(n_words.values()):,} words with {n_gold:,} gold entities, of sentences of "
            f"{name_corpus(args.corpus)}. Words per second of the processor, in one thread.",
            'fp32, auto: the precision of the encoder; "auto" is bf16 on processors that have it.',
        ],
    )


if __name__ == "__main__":
    main()
