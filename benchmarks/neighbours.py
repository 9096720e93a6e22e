"""Does `bert_ner` learn as well next to another component on one encoder, and does that component?

    python -m spacy project run convert
    python benchmarks/neighbours.py corpus/sample
    python -m spacy project run convert-wnut17
    python benchmarks/neighbours.py corpus/wnut17 --batch 32 --steps 428

Trains configs/multitask.cfg with `bert_ner` alone, with each neighbour alone, and with both. What
the neighbours learn is made up from the text, so that any corpus of entities will do: tags are
shapes of words, heads of short words the long word after them and of long words the long word
before them, categories the marks in a document, spans the runs of capitalized words. Trainings
that results/neighbours_CORPUS.jsonl holds are not run again. Writes results/neighbours_CORPUS.md,
.json and .png.
"""

import argparse
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import spacy
import srsly
import torch
from harness import RESULTS, plot_bars, report
from spacy.tokens import Doc, DocBin, Span
from spacy.util import load_config
from trainings import evaluate_pipeline, train_pipeline

LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "upstream": "transformer",
    "pooling": {"@layers": "reduce_mean.v1"},
}
PARSER = {
    "@architectures": "spacy.TransitionBasedParser.v2",
    "extra_state_tokens": False,
    "hidden_width": 64,
    "maxout_pieces": 2,
    "use_upper": False,
    "nO": None,
    "tok2vec": LISTENER,
}
# By neighbour: its block in a config, and the score of what it learned.
NEIGHBOURS = {
    "tagger": (
        {"model": {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": LISTENER}},
        "tag_acc",
    ),
    "morphologizer": (
        {"model": {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": LISTENER}},
        "morph_acc",
    ),
    "parser": ({"model": {**PARSER, "state_type": "parser"}}, "dep_las"),
    "ner": ({"model": {**PARSER, "state_type": "ner"}}, "ents_f"),
    "textcat_multilabel": (
        {
            "model": {
                "@architectures": "spacy.TextCatReduce.v1",
                "exclusive_classes": False,
                "use_reduce_first": False,
                "use_reduce_last": False,
                "use_reduce_max": False,
                "use_reduce_mean": True,
                "nO": None,
                "tok2vec": LISTENER,
            }
        },
        "cats_macro_auc",
    ),
    "spancat": (
        {
            "spans_key": "made_up",
            "suggester": {"@misc": "spacy.ngram_suggester.v1", "sizes": [1, 2, 3]},
            "model": {
                "@architectures": "spacy.SpanCategorizer.v1",
                "reducer": {"@layers": "spacy.mean_max_reducer.v1", "hidden_size": 128},
                "scorer": {"@layers": "spacy.LinearLogistic.v1", "nO": None, "nI": None},
                "tok2vec": LISTENER,
            },
        },
        "spans_made_up_f",
    ),
    # Learns the one label that has the fewest entities.
    "bert_ner": (
        {
            "annotate_ents": False,
            "spans_key": "rarest",
            "model": {"@architectures": "spacy-bert-ner.LinearSoftmax.v1", "tok2vec": LISTENER},
        },
        "spans_rarest_f",
    ),
}


def get_heads(doc):
    """RETURNS (list): Made-up heads of the tokens, of which the first long one of a sentence, or
    else the first of all, is its own."""
    heads = []
    for sent in doc.sents if doc.has_annotation("SENT_START") else [doc[:]]:
        long = [token.i for token in sent if len(token) > 3] or [sent.start]
        for token in sent:
            before = [i for i in long if i < token.i]
            if token.i in long or token.i > long[-1]:
                heads.append(before[-1] if before else token.i)
            else:
                heads.append(next(i for i in long if i > token.i))
    return heads


def annotate(doc, label):
    """RETURNS (Doc): A copy with all that the neighbours learn."""
    heads = get_heads(doc)
    shapes = [f"is {token.shape_}" for token in doc]  # "!" alone would be a negative
    copy = Doc(
        doc.vocab,
        words=[token.text for token in doc],
        spaces=[bool(token.whitespace_) for token in doc],
        tags=shapes,
        pos=["PROPN" if token.text[:1].isupper() else "X" for token in doc],
        morphs=[f"End={token.text[-1]}" if token.text[-1].isalpha() else "" for token in doc],
        heads=heads,
        deps=["ROOT" if i == head else f"len{min(len(doc[i]), 9)}" for i, head in enumerate(heads)],
        ents=[f"{token.ent_iob_}-{token.ent_type_}".rstrip("-") or "O" for token in doc],
    )
    copy.cats = {mark: float(mark in doc.text) for mark in ("?", "!", ":", "@")}
    runs = []
    for token in copy:
        if token.text[:1].isupper():
            if runs and runs[-1].end == token.i and len(runs[-1]) < 3:
                runs[-1] = Span(copy, runs[-1].start, token.i + 1, label="RUN")
            else:
                runs.append(Span(copy, token.i, token.i + 1, label="RUN"))
    copy.spans["made_up"] = runs
    copy.spans["bert_ner"] = copy.ents
    copy.spans["rarest"] = [ent for ent in copy.ents if ent.label_ == label]
    return copy


def get_config(neighbour, alone, label):
    """The shipped config with a neighbour in place of its tagger.

    neighbour (Optional[str]): None for `bert_ner` alone.
    alone (bool): Whether to leave out `bert_ner`.
    label (str): What the second `bert_ner` learns.
    """
    config = load_config("configs/multitask.cfg", interpolate=False)
    pipeline, components = config["nlp"]["pipeline"], config["components"]
    left_out = ["tagger"]
    if neighbour is not None:
        block, score = NEIGHBOURS[neighbour]
        pipeline.insert(pipeline.index("tagger"), "neighbour")
        components["neighbour"] = {"factory": neighbour, **block}
        config["training"]["score_weights"] = {score: 1.0}
        if neighbour == "parser":  # sets sentences itself
            left_out.append("sentencizer")
            config["training"]["annotating_components"] = []
        if neighbour == "bert_ner":
            config["initialize"] = {"components": {"neighbour": {"labels": [label]}}}
        if neighbour == "ner":  # each to its own place
            components["bert_ner"]["annotate_ents"] = False
    if alone:
        left_out.append("bert_ner")
    for name in left_out:
        pipeline.remove(name)
        del components[name]
    return config


def train(cell, *, data, label, gpu_id):
    """Train and evaluate in a process of its own.

    cell (dict): The neighbour, whether it is alone, the seed, documents a step, and steps.
    data (Path): Folder of train, dev and test.spacy with all that neighbours learn.
    label (str): What the second `bert_ner` learns.
    RETURNS (dict): The cell with its scores on test.spacy.
    """
    neighbour, alone, steps = cell["neighbour"], cell["alone"], cell["steps"]
    overrides = {
        "paths.train": str(data / "train.spacy"),
        "paths.dev": str(data / "dev.spacy"),
        "system.seed": cell["seed"],
        "training.batcher.size": cell["batch"],
        "training.max_steps": steps,
        "training.eval_frequency": steps,
        "training.optimizer.learn_rate.warmup_steps": steps // 10,
    }
    with TemporaryDirectory() as folder:
        path = Path(folder)
        get_config(neighbour, alone, label).to_disk(path / "config.cfg")
        train_pipeline(path / "config.cfg", path / "out", overrides, gpu_id)
        scores = evaluate_pipeline(path / "out" / "model-last", data / "test.spacy", gpu_id)
    own = "spans_bert_ner_f" if neighbour == "ner" else "ents_f"
    score = NEIGHBOURS[neighbour][1] if neighbour else own
    device = "CPU" if gpu_id < 0 else torch.cuda.get_device_name(gpu_id)
    row = {**cell, "ner": None if alone else scores[own], "score": scores[score] or 0.0}
    return {**row, "device": device}


def read(folder):
    """RETURNS (dict): Documents by split."""
    vocab = spacy.blank("en").vocab
    return {
        split: list(DocBin().from_disk(folder / f"{split}.spacy").get_docs(vocab))
        for split in ("train", "dev", "test")
    }


def train_all(args, path):
    """RETURNS (dict): Scores of `bert_ner` and of the neighbour, by neighbour, whether it was
    alone, and seed. Added to a file as they are made."""
    docs = read(args.corpus)
    labels = [ent.label_ for doc in docs["train"] for ent in doc.ents]
    label = min(sorted(set(labels)), key=labels.count)
    rows = list(srsly.read_jsonl(path)) if path.exists() else []
    names = [(name, False) for name in (None, *args.neighbours)]
    names += [(name, True) for name in args.neighbours]
    sizes = {"batch": args.batch, "steps": args.steps}
    cells = [
        {"neighbour": name, "alone": alone, "seed": seed, **sizes}
        for seed in args.seeds
        for name, alone in names
    ]
    cells = [cell for cell in cells if not any(cell.items() <= row.items() for row in rows)]
    if args.report:
        cells = []
    with TemporaryDirectory() as folder:
        data = Path(folder)
        for split in docs:
            annotated = [annotate(doc, label) for doc in docs[split]]
            DocBin(docs=annotated).to_disk(data / f"{split}.spacy")
        run = partial(train, data=data, label=label, gpu_id=args.gpu_id)
        with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
            for i, future in enumerate(as_completed([pool.submit(run, cell) for cell in cells])):
                rows.append(future.result())
                sys.stderr.write(f"{i + 1}/{len(cells)} {rows[-1]}\n")
                srsly.write_jsonl(path, rows[-1:], append=True, append_new_line=False)
    return [row for row in rows if sizes.items() <= row.items()]


def get_means(rows, neighbour):
    """RETURNS (dict): Mean scores, 0 to 100, alone and on one encoder, over the seeds of which
    there are both."""
    both = {row["seed"]: row for row in rows if row["neighbour"] == neighbour and not row["alone"]}
    ner = {row["seed"]: row["ner"] for row in rows if row["neighbour"] is None}
    score = {
        row["seed"]: row["score"] for row in rows if row["neighbour"] == neighbour and row["alone"]
    }
    means = {}
    for key, alone in (("ner", ner), ("score", score)):
        seeds = sorted(set(alone) & {seed for seed in both if both[seed][key] is not None})
        name = {"ner": "bert_ner", "score": "neighbour"}[key]
        means[f"{name}_alone"] = to_mean([alone[seed] for seed in seeds])
        means[f"{name}_with_both"] = to_mean([both[seed][key] for seed in seeds])
        means[f"{name}_seeds"] = len(seeds)
    return means


def to_mean(values):
    """RETURNS (Optional[float]): The mean, 0 to 100."""
    return round(100 * statistics.mean(values), 1) if values else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("corpus", type=Path, help="folder of train, dev and test.spacy")
    parser.add_argument("--batch", type=int, default=2, help="documents a step")
    parser.add_argument("--steps", type=int, default=280)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side")
    parser.add_argument("--gpu-id", type=int, default=-1)
    parser.add_argument("--report", action="store_true", help="of what was trained before")
    parser.add_argument("--neighbours", nargs="+", choices=NEIGHBOURS, default=list(NEIGHBOURS))
    args = parser.parse_args()
    name = f"neighbours_{args.corpus.name}"
    rows = train_all(args, RESULTS / f"{name}.jsonl")
    table = [
        {"system": neighbour, "score": NEIGHBOURS[neighbour][1], **get_means(rows, neighbour)}
        for neighbour in args.neighbours
    ]
    report(
        name,
        f"Neighbours on one encoder, {args.corpus.name}, {args.steps} steps",
        table,
        notes=[
            "Means over seeds, on test data. What neighbours learn is made up from the text.",
            f"Trained on: {', '.join(sorted({row['device'] for row in rows}))}.",
        ],
        plot=lambda axes: plot_bars(axes, table, key="bert_ner_with_both"),
    )


if __name__ == "__main__":
    main()
