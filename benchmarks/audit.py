"""The audit: which share of known label errors is at the top of its ranking?

    python benchmarks/audit.py CORPUS OUT [--name NAME] [--folds N] [--only N] [--set NAME=VAL ...]
    python benchmarks/audit.py CORPUS OUT [--name NAME] --pipeline PIPELINE

Corrupts 5 % of the gold entities of CORPUS, a quarter of them in each way: dropped ("missing"),
given another label ("wrong type"), an edge moved by a token ("wrong edges"); and as many words with
a capital letter that aren't in or next to an entity get a random label ("spurious"). Then runs
`spacy bert-ner audit` on it in OUT, where finished folds are kept, and looks which of the changed
places are among the first items of a ranking. Items are all gold entities of the corrupted corpus,
and all entities that the model finds where none is annotated. Errors that CORPUS already has are
items, too: they compete for the first places, and don't count as found.

With --only, the command is stopped after some of the folds, and only their documents are ranked.

With --pipeline, there is no cross-validation: a pipeline that wasn't trained on CORPUS predicts it,
and the mean of several seeds of the corruption is shown.

Rankings on the same out-of-fold probabilities:
- audit: that of the command;
- one score for all kinds, which take turns or not: the worst tag, the margin or the odds;
- cleanlab: tokens by self-confidence, and its list of label issues, if cleanlab is installed. A
  token counts as its entity, or as the found entity it is in; other neighboring tokens count as one
  item.
"""

import argparse
import contextlib
import sys
from collections import Counter
from pathlib import Path

import numpy
import spacy
import srsly
from harness import report
from spacy.tokens import Span

from spacy_bert_ner import audit
from spacy_bert_ner.commands.audit import FOLDS, inspect
from spacy_bert_ner.commands.audit_folds import Folds, predict_folds, predict_tags, split_docs
from spacy_bert_ner.commands.audit_suspects import KINDS, MISSING, rank
from spacy_bert_ner.formats import read_docs, write_docs

SHARE = 0.05
TOP = 0.1
SEEDS = range(5)
COLUMNS = ("all", *KINDS)


def corrupt(docs, share, seed):
    """Change annotation at random.

    docs (List[Doc]): Documents. Changed.
    share (float): How many changes are made, as a share of the entities.
    seed (int): The seed.
    RETURNS (List[tuple]): For each change its kind, document, start, end and label: of what is now
        annotated, or, if an entity was dropped, of what was.
    """
    random = numpy.random.default_rng(seed)
    labels = sorted({ent.label_ for doc in docs for ent in doc.ents})
    places = [(i, ent.start, ent.end, ent.label_) for i, doc in enumerate(docs) for ent in doc.ents]
    n = round(share * len(places) / 4)
    ents = [{(ent.start, ent.end, ent.label_) for ent in doc.ents} for doc in docs]
    free = find_free(docs)
    order = [places[i] for i in random.permutation(len(places))]
    changes = []
    for i, *ent in order[:n]:
        ents[i].remove(tuple(ent))
        changes.append(("missing", i, *ent))
    for i, start, end, label in order[n : 2 * n]:
        new = str(random.choice([other for other in labels if other != label]))
        ents[i] = ents[i] - {(start, end, label)} | {(start, end, new)}
        changes.append(("wrong type", i, start, end, new))
    for i, *ent in order[2 * n :]:
        moves = find_moves(docs[i], ent, ents[i] - {tuple(ent)})
        if moves and len(changes) < 3 * n:
            start, end = moves[random.integers(len(moves))]
            ents[i] = ents[i] - {tuple(ent)} | {(start, end, ent[2])}
            changes.append(("wrong edges", i, start, end, ent[2]))
    free = [(i, t) for i, t in free if not any(s <= t < e for s, e, _ in ents[i])]
    for place in random.permutation(len(free))[:n]:
        i, t = free[place]
        label = str(random.choice(labels))
        ents[i].add((t, t + 1, label))
        changes.append(("spurious", i, t, t + 1, label))
    for doc, its in zip(docs, ents):
        doc.set_ents([Span(doc, start, end, label=label) for start, end, label in sorted(its)])
    return changes


def find_free(docs):
    """RETURNS (List[tuple]): Document and index of the words with a capital letter that aren't in
    or next to an entity."""
    free = []
    for i, doc in enumerate(docs):
        inside = {t for ent in doc.ents for t in range(ent.start, ent.end)}
        near = {t + step for t in inside for step in (-1, 0, 1)}
        free += [(i, t.i) for t in doc if t.is_alpha and t.text[0].isupper() and t.i not in near]
    return free


def find_moves(doc, ent, others):
    """RETURNS (List[tuple]): Start and end after an edge was moved by a token, but not to
    punctuation, over the beginning of a sentence, or into another entity."""
    start, end, _ = ent
    moves = [(start - 1, end), (start + 1, end), (start, end - 1), (start, end + 1)]
    has_sents = doc.has_annotation("SENT_START")
    good = []
    for s, e in moves:
        fits = 0 <= s < e <= len(doc) and not any(s < other[1] and other[0] < e for other in others)
        added = [doc[t] for t in range(s, e) if not start <= t < end] if fits else []
        fits = fits and not any(token.is_space or token.is_punct for token in added)
        if fits and not (has_sents and any(doc[t].is_sent_start for t in range(s + 1, e))):
            good.append((s, e))
    return good


def make_rankings(suspects):
    """RETURNS (Dict[str, List[Suspect]]): Orders of the suspects, by name."""

    def sort(key):
        return sorted(suspects, key=lambda one: (-key(one), one.place))

    def take_turns(key):
        seen, keyed = Counter(), []
        for one in sort(key):
            keyed.append((seen[one.kind], -key(one), one.place, one))
            seen[one.kind] += 1
        return [one for *_, one in sorted(keyed, key=lambda row: row[:3])]

    scores = {
        "worst tag": lambda one: 1 - one.p_worst,
        "margin": lambda one: one.p_suggested - one.p_gold,
        "odds": lambda one: one.p_suggested / (one.p_suggested + one.p_gold),
    }
    rankings = {"audit": rank(suspects)}
    for name, key in scores.items():
        rankings[f"{name}, kinds in turn"] = take_turns(key)
        rankings[f"{name}, one list"] = sort(key)
    return rankings


def to_items(suspects):
    """RETURNS (List[tuple]): Document, and start, end and label of the annotation, or of what is
    found where there is none."""
    return [(one.doc, one.gold is not None, *(one.gold or one.suggested)[:3]) for one in suspects]


def rank_tokens(docs, predictions, suspects):
    """RETURNS (Dict[str, List[tuple]]): The items, in the orders of cleanlab; empty without it."""
    try:
        from cleanlab.token_classification.filter import find_label_issues
        from cleanlab.token_classification.rank import get_label_quality_scores
    except ImportError:
        return {}
    tag_set = predictions.tag_set
    tags = []
    for doc in docs:
        its = numpy.zeros(len(doc), dtype=int)
        for ent in doc.ents:
            its[ent.start : ent.end] = tag_set.encode(len(ent), tag_set.labels.index(ent.label_))
        tags.append(its.tolist())
    _, scores = get_label_quality_scores(tags, predictions.probs)
    flat = [(score, i, t) for i, its in enumerate(scores) for t, score in enumerate(its)]
    issues = find_label_issues(tags, predictions.probs)
    orders = {
        "cleanlab, self-confidence": [place[1:] for place in sorted(flat)],
        "cleanlab, label issues": [(int(i), int(t)) for i, t in issues],
    }
    owners = {}
    for item in to_items([one for one in suspects if one.kind == MISSING]):
        owners.update({(item[0], t): item for t in range(item[2], item[3])})
    for i, doc in enumerate(docs):
        for ent in doc.ents:
            item = (i, True, ent.start, ent.end, ent.label_)
            owners.update({(i, t): item for t in range(ent.start, ent.end)})
    return {name: merge(order, owners) for name, order in orders.items()}


def merge(tokens, owners):
    """RETURNS (List[tuple]): The items of tokens, each once. Tokens next to each other that belong
    to no item are one."""
    items, seen, alone = [], set(), set()
    for i, t in tokens:
        item = owners.get((i, t), (i, False, t, t + 1, ""))
        is_next = (i, t) not in owners and {(i, t - 1), (i, t + 1)} & alone
        if (i, t) not in owners:
            alone.add((i, t))
        if item not in seen and not is_next:
            items.append(item)
        seen.add(item)
    return items


def count_found(items, changes):
    """RETURNS (Counter): How many of the changes are among the items, by kind. A dropped entity is
    found by any item without annotation that overlaps it."""
    found = Counter()
    for kind, i, start, end, label in changes:
        if kind == "missing":
            fits = any(d == i and not g and s < end and start < e for d, g, s, e, _ in items)
        else:
            fits = (i, True, start, end, label) in items
        found[kind] += fits
    return found


def measure(name, items, changes, n_items):
    """RETURNS (dict): The row of a ranking, in percent."""
    found = count_found(items[: round(TOP * n_items)], changes)
    totals = Counter(change[0] for change in changes)
    row = {"ranking": name, "all": round(100 * found.total() / totals.total(), 1)}
    for kind in KINDS:
        row[kind] = round(100 * found[kind] / totals[kind], 1)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--name", help="of the files with results; default: that of the corpus")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", type=int, metavar="N", help="train only the first folds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pipeline", type=Path)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    path = args.output / "corrupted.spacy"
    args.output.mkdir(parents=True, exist_ok=True)
    runs = []
    for seed in SEEDS if args.pipeline else [args.seed]:
        docs = list(read_docs(args.corpus, spacy.blank("en")))
        changes = corrupt(docs, SHARE, seed)
        write_docs(path, docs)
        find = inspect_with if args.pipeline else train_some if args.only else cross_validate
        result, predictions, rows = find(path, args)
        places = {old: new for new, old in enumerate(rows)}
        kept = [(kind, places[i], *ent) for kind, i, *ent in changes if i in places]
        runs.append((kept, result, predictions))
    report_runs(runs, args)


def cross_validate(path, args):
    """RETURNS (Tuple[Audit, Predictions, Sequence[int]]): The audit of a corpus, and the documents
    that it has."""
    folder, settings = args.output / "audit", get_settings(args)
    result = audit(path, folder, **settings, notify=print)
    rows = split_docs(result.docs, args.folds, args.seed)
    folds = Folds(folder / FOLDS, rows, settings["overrides"], args.seed, -1)
    predictions = predict_folds(folds, result.docs, result.labels, print)
    return result, predictions, range(len(result.docs))


def get_settings(args):
    overrides = {name: srsly.json_loads(value) for name, _, value in map(split_setting, args.set)}
    return {"overrides": overrides, "folds": args.folds, "seed": args.seed}


class EnoughFolds(Exception):
    """Stops the audit."""


def train_some(path, args):
    """As `cross_validate`, with some of the folds."""

    def notify(message):
        sys.stderr.write(f"{message}\n")
        if message.startswith(f"Training without fold {args.only + 1} of "):
            raise EnoughFolds

    with contextlib.suppress(EnoughFolds):
        audit(path, args.output / "audit", **get_settings(args), notify=notify)
    docs = list(read_docs(path, spacy.blank("en")))
    labels = sorted({ent.label_ for doc in docs for ent in doc.ents})
    rows = split_docs(docs, args.folds, args.seed)[: args.only]
    folds = Folds(args.output / "audit" / FOLDS, rows, {}, args.seed, -1)
    order = numpy.concatenate(rows).tolist()
    moved = numpy.split(numpy.arange(len(order)), numpy.cumsum(list(map(len, rows)))[:-1])
    docs = [docs[i] for i in order]
    predictions = predict_folds(folds._replace(rows=moved), docs, labels, print)
    return inspect(str(args.corpus), docs, 0, args.folds, predictions), predictions, order


PREDICTIONS = {}


def inspect_with(path, args):
    """As `cross_validate`, by a trained pipeline. What it predicts doesn't depend on the
    annotation, and is only calculated once."""
    docs = list(read_docs(path, spacy.blank("en")))
    labels = sorted({ent.label_ for doc in docs for ent in doc.ents})
    if not PREDICTIONS:
        PREDICTIONS["found"] = predict_tags(args.pipeline, docs, labels)
    result = inspect(str(args.corpus), docs, 0, 0, PREDICTIONS["found"])
    return result, PREDICTIONS["found"], range(len(docs))


def report_runs(runs, args):
    tables, strict = [], []
    for changes, result, predictions in runs:
        suspects = result.suspects
        n_items = result.n_ents + sum(one.kind == MISSING for one in suspects)
        rankings = {name: to_items(order) for name, order in make_rankings(suspects).items()}
        rankings.update(rank_tokens(result.docs, predictions, suspects))
        tables.append([measure(name, its, changes, n_items) for name, its in rankings.items()])
        strict.append(measure("", rankings["audit"], changes, result.n_ents)["all"])
    rows = [
        {
            "ranking": same[0]["ranking"],
            **{key: round(float(numpy.mean([row[key] for row in same])), 1) for key in COLUMNS},
        }
        for same in zip(*tables)
    ]
    how = f"{len(runs)} seeds of the corruption, pipeline {args.pipeline and args.pipeline.name}"
    if not args.pipeline:
        how = f"{args.folds} folds, seed {args.seed}, settings: {' '.join(args.set) or 'none'}"
        how += f", documents of the first {args.only} folds" if args.only else ""
    report(
        f"audit_{args.name or args.corpus.stem}",
        f"Label errors among the first {TOP:.0%} of a ranking, in percent",
        rows,
        notes=[
            f"{len(result.docs)} documents, {result.n_ents} gold entities after {len(changes)} "
            f"changes; {n_items} items, of which the first {round(TOP * n_items)} are looked at. "
            f"{how}.",
            f"Among the first {round(TOP * result.n_ents)} ({TOP:.0%} of the gold entities), audit "
            f"finds {numpy.mean(strict):.1f}.",
        ],
        plot=lambda axes: plot(axes, rows),
    )


def split_setting(text):
    return text.partition("=")


def plot(axes, rows):
    names = [row["ranking"] for row in rows][::-1]
    bars = axes.barh(names, [row["all"] for row in rows][::-1])
    axes.bar_label(bars, padding=3)
    axes.set_xlabel("percent of the errors")


if __name__ == "__main__":
    main()
