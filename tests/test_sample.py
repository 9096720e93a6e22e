"""What the README of the sample corpus says of it."""

import re
from pathlib import Path

import pytest
import spacy
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from spacy_bert_ner.formats import read_docs

SAMPLE = Path(__file__).parent.parent / "assets" / "sample"
README = (SAMPLE / "README.md").read_text(encoding="utf-8")
SPLITS = ("train", "dev", "test")
LABELS = ("PER", "ORG", "LOC", "MISC", "DATE")


@pytest.fixture(scope="module")
def docs():
    nlp = spacy.blank("en")
    return {split: list(read_docs(SAMPLE / f"{split}.iob2", nlp)) for split in SPLITS}


def find_row(first, n_cells):
    """The numbers of a row of a table, by its first cell."""
    rows = [
        re.findall(r"\d+(?:\.\d+)?", line.split("|", 2)[2])
        for line in README.splitlines()
        if re.match(rf"\| *`?{re.escape(first)}`? *\|", line)
    ]
    (row,) = [row for row in rows if len(row) == n_cells]
    return [float(cell) for cell in row]


def get_names(docs):
    return [ent.text.casefold() for doc in docs for ent in doc.ents]


@pytest.mark.parametrize("split", [*SPLITS, "all"])
def test_counts(docs, split):
    chosen = [doc for name in SPLITS if split in (name, "all") for doc in docs[name]]
    labels = [ent.label_ for doc in chosen for ent in doc.ents]
    counts = [len(chosen), sum(len(list(doc.sents)) for doc in chosen), sum(map(len, chosen))]
    counts += [labels.count(label) for label in LABELS]
    name = "all" if split == "all" else f"{split}.iob2"
    assert find_row(name, 9) == [*counts, len(labels)]
    assert set(labels) == set(LABELS)


def test_is_large_enough(docs):
    everything = [doc for split in SPLITS for doc in docs[split]]
    assert len(everything) >= 60
    assert sum(len(list(doc.sents)) for doc in everything) >= 700
    assert sum(map(len, everything)) >= 12_000
    assert len({doc.text for doc in everything}) == len(everything)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_most_entities_are_new(docs, split):
    seen, names = set(get_names(docs["train"])), get_names(docs[split])
    distinct, mentions = len(set(names) & seen), sum(name in seen for name in names)
    shares = [distinct / len(set(names)), mentions / len(names)]
    expected = [len(set(names)), distinct, round(100 * shares[0], 1)]
    expected += [len(names), mentions, round(100 * shares[1], 1)]
    assert find_row(f"{split}.iob2", 6) == expected
    assert shares[0] <= 0.15


def test_agreement(docs):
    """The two passes, before their differences were settled."""
    first = [doc for split in SPLITS for doc in docs[split]]
    second = list(read_docs(SAMPLE / "second_pass.iob2", spacy.blank("en")))
    assert [doc.text for doc in first] == [doc.text for doc in second]
    tags = [[get_tags(doc) for doc in docs] for docs in (first, second)]
    names = [f"{split}-{i:02}" for split in SPLITS for i in range(1, len(docs[split]) + 1)]
    differing = {name for name, one, two in zip(names, *tags) if one != two}
    # In two documents, the second pass was right.
    assert differing == {"train-35", "train-40", "dev-10", "test-05"}
    assert set(re.findall(r"^\| ((?:train|dev|test)-\d\d)", README, re.M)) == {
        *differing,
        "train-24",
        "test-09",
    }
    undo = {("train-24", "AccuSky", "B-ORG"): "B-MISC", ("test-09", "struan", "B-PER"): "O"}
    for name, doc, row in zip(names, first, tags[0]):
        for token in doc:
            row[token.i] = undo.get((name, token.text, row[token.i]), row[token.i])
    (stated,) = re.findall(r"\*\*([\d.]+) strict entity F1\*\*", README)
    assert f"{100 * f1_score(*tags, mode='strict', scheme=IOB2):.1f}" == stated


def get_tags(doc):
    return [f"{t.ent_iob_}-{t.ent_type_}" if t.ent_type_ else t.ent_iob_ for t in doc]
