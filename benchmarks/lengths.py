"""Cut or split: F1 against the length of documents.

    python benchmarks/lengths.py PIPELINE corpus/wnut17/test.spacy [--sizes 50 100 200 500 1000]

The texts of the corpus are joined, in their order, into documents of about so many words, and read
by the same weights in four ways: our windows; every document as one span of spacy-transformers
(`doc_spans.v1`), which cuts off what is beyond the encoder's limit; the same in strided spans; and
Hugging Face's pipeline without a stride, which cuts off too. Its entities count by the words they
touch. Writes results/lengths.md, .json and .png.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
import spacy
from harness import name_corpus, report
from spacy.tokens import Doc, DocBin
from systems import SPANS
from transformers import pipeline

from spacy_bert_ner import to_huggingface
from spacy_bert_ner.commands.annotate import predict
from spacy_bert_ner.commands.compare import get_ents
from spacy_bert_ner.commands.summary import get_f1

STOCK = {**SPANS, "doc": {"@span_getters": "spacy-transformers.doc_spans.v1"}}


def join(docs, size):
    """Documents of at least `size` words, but for the last one."""
    joined, waiting = [], []
    for doc in docs:
        waiting.append(doc)
        if sum(map(len, waiting)) >= size:
            joined.append(concatenate(waiting))
            waiting = []
    return joined + ([concatenate(waiting)] if waiting else [])


def concatenate(docs):
    words = [token.text for doc in docs for token in doc]
    tags = [f"{t.ent_iob_}-{t.ent_type_}" if t.ent_type_ else "O" for doc in docs for t in doc]
    return Doc(docs[0].vocab, words=words, ents=tags)


def make_stock(path, spans):
    """The pipeline with spacy-transformers' own TransformerModel on the same weights."""
    nlp = spacy.load(path)
    encoder = nlp.get_pipe("transformer").model.shims[0].encoder
    stock = spacy.blank("en")
    stock.add_pipe("sentencizer")
    with TemporaryDirectory() as folder:
        encoder.model.save_pretrained(folder)
        encoder.tokenizer.model_max_length = 512
        encoder.tokenizer.save_pretrained(folder)
        model = {
            "@architectures": "spacy-transformers.TransformerModel.v3",
            "name": folder,
            "get_spans": STOCK[spans],
        }
        stock.add_pipe("transformer", config={"model": model})
        stock.get_pipe("transformer").model.initialize()
    ner = stock.add_pipe("bert_ner")
    ner.from_bytes(nlp.get_pipe("bert_ner").to_bytes())
    return stock


def make_hugging_face(path):
    """RETURNS (Callable): Takes documents, gives their entities by the words that they touch."""
    with TemporaryDirectory() as folder:
        to_huggingface(spacy.load(path), Path(folder) / "checkpoint")
        ner = pipeline(
            "token-classification", str(Path(folder) / "checkpoint"), aggregation_strategy="first"
        )

    def run(docs):
        found = []
        for doc, ents in zip(docs, ner([doc.text for doc in docs])):
            spans = [
                doc.char_span(
                    ent["start"], ent["end"], ent["entity_group"], alignment_mode="expand"
                )
                for ent in ents
            ]
            found.append({(span.start, span.end, span.label_) for span in spans if span})
        return found

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 500, 1000, 2000])
    args = parser.parse_args()
    ours = spacy.load(args.pipeline)
    docs = list(DocBin().from_disk(args.test).get_docs(ours.vocab))
    systems = {"bert_ner": lambda docs: map(get_ents, predict(ours, docs))}
    for spans in ("doc", "strided"):
        stock = make_stock(args.pipeline, spans)
        systems[f"spacy-transformers, {spans} spans"] = lambda docs, nlp=stock: map(
            get_ents, predict(nlp, docs)
        )
    systems["Hugging Face pipeline"] = make_hugging_face(args.pipeline)
    rows = [{"system": name} for name in systems]
    for size in args.sizes:
        joined = join(docs, size)
        gold = [get_ents(doc) for doc in joined]
        for row, run in zip(rows, systems.values()):
            found = list(run(joined))
            right = sum(len(one & other) for one, other in zip(found, gold))
            counts = numpy.array([right, sum(map(len, found)), sum(map(len, gold))])
            row[f"{size}_words"] = round(float(get_f1(counts)), 1)
        sys.stderr.write(f"{size} words: {len(joined)} documents\n")

    def plot(axes):
        for row in rows:
            values = [row[f"{size}_words"] for size in args.sizes]
            axes.plot(args.sizes, values, marker="o", label=row["system"])
        axes.set_xscale("log")
        axes.set_xticks(args.sizes, [str(size) for size in args.sizes])
        axes.set_xlabel("words in a document")
        axes.set_ylabel("F1")
        axes.legend()

    corpus = name_corpus(args.test)
    title = f"Cut or split: strict entity F1 on {corpus}, joined into longer documents"
    report("lengths", title, rows, plot=plot)


if __name__ == "__main__":
    main()
