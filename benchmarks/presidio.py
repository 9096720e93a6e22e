"""How many entities does Presidio get from its own transformers engine and from BertNerEngine, and
how fast? Both have the same checkpoint: a pipeline, and what `to-hf` makes of it.

    python benchmarks/presidio.py PIPELINE CORPUS [--texts 500] [--longest 10000] [--repeats 1]

CORPUS is a .spacy file with gold entities. Its documents are drawn at random and joined to texts of
10 words to `--longest`, with lengths that are even on a logarithmic scale. An entity is kept if an
engine returns it with its start, end and label. "First 300 words" are those that any encoder reads
in one window. Presidio's engine needs spacy-huggingface-pipelines.

Writes results/presidio.md, .json and .png.
"""

import argparse
import logging
import os
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy
import spacy
from harness import measure, name_corpus, report, to_rows
from presidio_analyzer.nlp_engine import NerModelConfiguration, TransformersNlpEngine
from spacy.tokens import DocBin

from spacy_bert_ner import to_huggingface
from spacy_bert_ner.presidio import BertNerEngine

SHORTEST, FIRST = 10, 300
THEIRS = "TransformersNlpEngine"


def make_texts(docs, n_texts, longest, seed=0):
    """RETURNS (list): Texts, each with its gold entities: start, end, label, and whether it is one
    of the first words."""
    rng = numpy.random.default_rng(seed)
    texts = []
    for goal in numpy.exp(rng.uniform(numpy.log(SHORTEST), numpy.log(longest), n_texts)):
        parts, gold, n_words, n_chars = [], [], 0, 0
        while n_words < goal:
            doc = docs[rng.integers(len(docs))]
            for ent in doc.ents:
                start = n_chars + ent.start_char
                first = n_words + ent.end <= FIRST
                gold.append((start, start + len(ent.text), ent.label_, first))
            parts.append(doc.text)
            n_words += len(doc)
            n_chars += len(doc.text) + 1
        texts.append((" ".join(parts), gold))
    return texts


def make_engines(path, folder):
    """RETURNS (dict): Engines by name. Presidio's own has a tokenizer alone before the checkpoint,
    which is the fastest that it can have."""
    nlp = spacy.load(path)
    labels = nlp.get_pipe("bert_ner").labels
    to_huggingface(nlp, folder / "checkpoint")
    nlp.config["components"]["transformer"]["model"]["precision"] = "fp32"
    nlp.to_disk(folder / "fp32")
    spacy.blank("en").to_disk(folder / "blank")

    def configure(**settings):
        return NerModelConfiguration(
            model_to_presidio_entity_mapping={label: label for label in labels},
            labels_to_ignore=[],
            low_score_entity_names=[],
            **settings,
        )

    both = {"spacy": str(folder / "blank"), "transformers": str(folder / "checkpoint")}
    theirs = [{"lang_code": "en", "model_name": both}]
    engines = {
        THEIRS: TransformersNlpEngine(theirs, configure()),
        f"{THEIRS}, first": TransformersNlpEngine(
            theirs, configure(aggregation_strategy="first", alignment_mode="expand")
        ),
    }
    for name, model in (("fp32", folder / "fp32"), ("auto", path)):
        models = [{"lang_code": "en", "model_name": str(model)}]
        engines[f"BertNerEngine, {name}"] = BertNerEngine(models, configure())
    for engine in engines.values():
        engine.load()
    return engines


def count(found, texts):
    """RETURNS (dict): Shares of gold entities that are kept, in percent, and what is returned."""
    n = Counter()
    for spans, (_, gold) in zip(found, texts):
        n["returned"] += len(spans)
        for *span, first in gold:
            part = "first" if first else "later"
            n[part] += 1
            n[f"kept {part}"] += tuple(span) in spans
    return {
        "entities": n["returned"],
        "kept": n["kept first"] + n["kept later"],
        f"kept_of_first_{FIRST}_words": round(100 * n["kept first"] / n["first"], 1),
        "kept_later": round(100 * n["kept later"] / max(n["later"], 1), 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--longest", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")  # of annotations that Presidio's engine skips
    docs = list(DocBin().from_disk(args.corpus).get_docs(spacy.blank("en").vocab))
    texts = make_texts([doc for doc in docs if len(doc)], args.texts, args.longest)
    found = {}

    def run(name, engine, part):
        done = engine.process_batch([text for text, _ in part], "en", batch_size=32)
        found[name] = [
            {(ent.start_char, ent.end_char, ent.label_) for ent in artifacts.entities}
            for _, artifacts in done
        ]

    with tempfile.TemporaryDirectory() as folder:
        engines = make_engines(args.pipeline, Path(folder))
        for name, engine in engines.items():
            run(name, engine, texts[:5])  # to warm up
        systems = {
            name: lambda name=name, engine=engine: run(name, engine, texts)
            for name, engine in engines.items()
        }
        seconds = measure(systems, args.repeats)
    words = spacy.blank("en").tokenizer
    n_words = sum(len(words(text)) for text, _ in texts)
    rows = [
        {**row, **count(found[row["system"]], texts)} for row in to_rows(seconds, n_words, THEIRS)
    ]
    n_gold = sum(len(gold) for _, gold in texts)
    report(
        "presidio",
        f"Presidio: {args.texts} texts of {SHORTEST} to {args.longest:,} words",
        rows,
        notes=[
            f"{n_words:,} words with {n_gold:,} gold entities, of {name_corpus(args.corpus)}.",
            'first: aggregation_strategy "first", alignment_mode "expand" instead of the defaults. '
            'fp32, auto: the precision of the encoder; "auto" is bf16 on processors that have it.',
        ],
    )


if __name__ == "__main__":
    main()
