"""Does each config, and each recipe of docs/pipelines.md that trains, learn what its parts learn
alone?

    python -m spacy project run convert
    python benchmarks/recipes.py corpus/sample

The settings of a recipe are read from the page, and merged into a config as its text says. Tags are
made up from the text: shapes of words. Trainings that results/recipes.jsonl holds are not run
again, and are part of results/recipes.md, .json and .png, which it writes.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import spacy
import srsly
from harness import RESULTS, plot_bars, report
from neighbours import annotate, read
from recipe_configs import PAGE, RECIPES, get_config, get_model, read_settings
from spacy.tokens import DocBin
from trainings import evaluate_pipeline, train_pipeline

from spacy_bert_ner.commands.plan import FROM_NOTHING, plan_training


def plan(config, recipe, data, args):
    """Set data, seed and steps in place."""
    training = config["training"]
    config["paths"].update(train=str(data / "train.spacy"), dev=str(data / "dev.spacy"))
    config["system"]["seed"] = args.seed
    training["batcher"]["size"], training["max_steps"] = args.batch, args.steps
    if recipe.from_nothing:
        steps = plan_training(data / "train.spacy", config["nlp"]["lang"], FROM_NOTHING)
        training["batcher"]["size"], training["max_steps"] = steps.batch_size, steps.max_steps
    else:
        training["optimizer"]["learn_rate"]["warmup_steps"] = args.steps // 10
    training["eval_frequency"] = training["max_steps"]


def train(name, settings, data, args):
    """RETURNS (dict): Scores on test.spacy."""
    recipe = RECIPES[name]
    config = get_config(name, settings)
    plan(config, recipe, data / (recipe.left_out or "all"), args)
    model = get_model(name)
    model.parent.mkdir(parents=True, exist_ok=True)
    if recipe.added:
        nlp = spacy.load(get_model(recipe.source))
        nlp.get_pipe("bert_ner").add_label(recipe.added)
        source = model.parent / "source"
        nlp.to_disk(source)
        for component in config["components"].values():
            if "source" in component:
                component["source"] = str(source)
    config.to_disk(model.parent / "config.cfg")
    train_pipeline(model.parent / "config.cfg", model.parent)
    scores = evaluate_pipeline(model, data / "all" / "test.spacy")
    by_type = scores.get("ents_per_type") or {}
    by_label = {label: part["f"] for label, part in by_type.items()}
    return {"ents_f": scores.get("ents_f"), "tag_acc": scores.get("tag_acc"), **by_label}


def write_data(corpus, folder):
    """Write a corpus with what taggers learn, once whole and once without each label that a
    recipe leaves out."""
    labels = {recipe.left_out for recipe in RECIPES.values()}
    docs = read(corpus)
    for left_out in labels:
        part = folder / (left_out or "all")
        part.mkdir()
        for split in docs:
            annotated = [annotate(doc, None) for doc in docs[split]]
            for doc in annotated:
                doc.set_ents([ent for ent in doc.ents if ent.label_ != left_out])
            DocBin(docs=annotated).to_disk(part / f"{split}.spacy")


def train_all(args, path):
    """RETURNS (dict): Scores by recipe, also of those that were trained before. Added to a file as
    they are made."""
    settings = read_settings(PAGE)
    rows = list(srsly.read_jsonl(path)) if path.exists() else []
    setup = {"corpus": args.corpus.name, "seed": args.seed}
    setup.update(batch=args.batch, steps=args.steps)
    with TemporaryDirectory() as folder:
        write_data(args.corpus, Path(folder))
        for name in args.recipes:
            cell = {"recipe": name, **setup}
            others = [row for row in rows if not cell.items() <= row.items()]
            is_needed = is_source(name, args.recipes) and not get_model(name).exists()
            if len(others) < len(rows) and not is_needed:
                continue
            sys.stderr.write(f"Training {cell}\n")
            rows = [*others, {**cell, "scores": train(name, settings, Path(folder), args)}]
            srsly.write_jsonl(path, rows)
    done = {row["recipe"]: row["scores"] for row in rows if setup.items() <= row.items()}
    return {name: done[name] for name in RECIPES if name in done}


def is_source(name, names):
    """RETURNS (bool): Whether one of several recipes starts from what another has trained."""
    return any(RECIPES[other].source == name for other in names)


def to_rows(scores):
    """RETURNS (list): A row for each score that is compared, 0 to 100."""
    rows = []
    for name in scores:
        for score, other in RECIPES[name].alone.items():
            alone = scores.get(other, {}).get(score)
            label = {"ents_f": "F1", "tag_acc": "tags"}.get(score, f"F1 of {score}")
            rows.append(
                {
                    "system": f"{name}: {label}",
                    "score": round(100 * (scores[name].get(score) or 0.0), 1),
                    "of": other or None,
                    "alone": None if alone is None else round(100 * alone, 1),
                }
            )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("corpus", type=Path, help="folder of train, dev and test.spacy")
    parser.add_argument("--batch", type=int, default=2, help="documents a step")
    parser.add_argument("--steps", type=int, default=280)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    args = parser.parse_args()
    rows = to_rows(train_all(args, RESULTS / "recipes.jsonl"))
    report(
        "recipes",
        f"What configs and recipes learn, {args.corpus.name}, {args.steps} steps",
        rows,
        notes=["On test data, one seed. Tags are made up from the text."],
        plot=lambda axes: plot_bars(axes, rows, key="score"),
    )


if __name__ == "__main__":
    main()
