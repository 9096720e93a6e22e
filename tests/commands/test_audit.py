"""Suspects are found in made-up probabilities, with their reasons; trainings are never repeated."""

import json
import os
from functools import partial
from types import SimpleNamespace

import numpy
import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.util import load_config

import spacy_bert_ner
from spacy_bert_ner.commands import train_process
from spacy_bert_ner.commands.audit import format_audit, inspect
from spacy_bert_ner.commands.audit_folds import Predictions, split_docs
from spacy_bert_ner.commands.audit_output import (
    N_LABELS,
    N_SUSPECTS,
    apply,
    render_page,
    write_audit,
)
from spacy_bert_ner.commands.audit_strings import find_inconsistencies
from spacy_bert_ner.commands.audit_suspects import KINDS, Suspect, find_suspects, rank
from spacy_bert_ner.commands.entity_counts import Entity
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats import read_docs
from spacy_bert_ner.formats.files import RECORD_KEY
from spacy_bert_ner.formats.output import open_locked
from spacy_bert_ner.tagging.schemes import get_tag_set

from ..util import CONFIGS, TAGS, WORDS, Elements, plain, run_cli, run_command

run = partial(run_cli, "audit")
NLP = spacy.blank("en")
LABELS = ("LOC", "ORG", "PER")
TAG_SET = get_tag_set("BIO", LABELS)
(CONFIG,) = [path for path in CONFIGS if path.stem == "bert_ner"]
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}</style>\u202e'
FILES = {
    *("audit.html", "suspects.jsonl", "inconsistencies.jsonl", "folds"),
    *("prodigy.jsonl", "doccano.jsonl", "label-studio.json"),
}


def make_doc(text, *ents):
    """A document of words, with entities as (start, end, label)."""
    words = text.split(" ")
    doc = Doc(NLP.vocab, words=words, spaces=[True] * (len(words) - 1) + [False])
    doc.set_ents([Span(doc, *ent) for ent in ents])
    return doc


def make_probs(n_tokens, *found, tag_set=TAG_SET):
    """Probabilities of tags: those of entities, as (start, end, label, probability of each tag);
    O has the rest of a token, or all of it."""
    probs = numpy.zeros((n_tokens, len(tag_set)), dtype="float32")
    for start, end, label, p in found:
        for row, tag in enumerate(tag_set.encode(end - start, tag_set.labels.index(label)), start):
            probs[row, tag] += p
    probs[:, 0] = 1 - probs.sum(axis=1)
    return probs


def find(doc, *found, **settings):
    """The suspects of a document, given what the model finds."""
    tag_set = settings.get("tag_set", TAG_SET)
    return find_suspects([doc], Predictions(tag_set, [make_probs(len(doc), *found, **settings)]))


def test_each_kind_is_found_with_its_reason():
    doc = make_doc("Anna met IBM in New York City", (2, 3, "ORG"), (4, 6, "LOC"), (3, 4, "PER"))
    found = [(0, 1, "PER", 0.9), (2, 3, "LOC", 0.95), (4, 7, "LOC", 0.97)]
    reasons = {suspect.kind: suspect.explain(doc) for suspect in find(doc, *found)}
    assert reasons == {
        "missing": "gold no entity, the model gives PER 0.90",
        "wrong type": "gold ORG, the model gives LOC 0.95",
        "spurious": "gold PER, the model gives no entity 1.00",
        "wrong edges": "gold LOC “New York”, the model gives LOC “New York City” 0.91",
    }
    assert set(reasons) == set(KINDS)


def test_what_the_model_confirms_is_no_suspect():
    doc = make_doc("Anna met IBM in New York City", (0, 1, "PER"), (4, 7, "LOC"))
    assert find(doc, (0, 1, "PER", 0.6), (4, 7, "LOC", 0.9)) == []
    # It has no opinion: more probable than an entity is none.
    assert find(doc, (0, 1, "PER", 0.6), (4, 7, "LOC", 0.9), (2, 3, "ORG", 0.4)) == []
    (suspect,) = find(doc, (0, 1, "PER", 0.6), (4, 7, "LOC", 0.9), (2, 3, "ORG", 0.6))
    assert (suspect.kind, suspect.suggested.key) == ("missing", (2, 3, "ORG"))
    assert (suspect.p_gold, suspect.p_suggested) == pytest.approx((0.4, 0.6))


def test_probabilities_are_those_of_whole_entities():
    """0.8 that it begins, 0.7 that it continues, and 0.9 that it doesn't continue after that."""
    doc = make_doc("in New York City", (1, 3, "LOC"))
    probs = make_probs(4)
    begin, inside = TAG_SET.encode(2, 0)
    probs[1, [0, begin]], probs[2, [0, inside]], probs[3, [0, inside]] = (0.2, 0.8), 0.0, 0.0
    probs[2, [0, inside]], probs[3, [0, inside]] = (0.3, 0.7), (0.9, 0.1)
    assert find_suspects([doc], Predictions(TAG_SET, [probs])) == []
    probs[2, [0, inside]] = 0.3, 0.7
    doc = make_doc("in New York City", (1, 2, "LOC"))
    (suspect,) = find_suspects([doc], Predictions(TAG_SET, [probs]))
    assert suspect.kind == "wrong edges" and suspect.suggested.span == (1, 3)
    assert suspect.p_suggested == pytest.approx(0.8 * 0.7 * 0.9)
    assert suspect.p_gold == pytest.approx(0.8 * 0.3)


def test_missing_annotation_is_no_suspect():
    doc = make_doc("Anna met Karl")
    doc.set_ents([], missing=[doc[0:1]], default="outside")
    (suspect,) = find(doc, (0, 1, "PER", 0.9), (2, 3, "PER", 0.9))
    assert suspect.suggested.span == (2, 3)


def test_tokens_without_a_tag():
    """White space gets none, nor do later parts of a word, with align = "word"."""
    doc = Doc(NLP.vocab, words=["Baden", "-", "Baden", "\n", "rained"], spaces=[False] * 5)
    doc.set_ents([])
    probs = make_probs(5, (0, 1, "LOC", 0.9))
    probs[[1, 2, 3]] = 0.0
    (suspect,) = find_suspects([doc], Predictions(TAG_SET, [probs]))
    assert doc[suspect.suggested.start : suspect.suggested.end].text == "Baden-Baden"
    doc = make_doc("all is white space", (1, 2, "LOC"))
    assert find_suspects([doc], Predictions(TAG_SET, [numpy.zeros((4, 7), "float32")])) == []
    empty = Doc(NLP.vocab)
    assert find_suspects([empty], Predictions(TAG_SET, [numpy.zeros((0, 7), "float32")])) == []


def make_suspect(kind, p_gold, p_suggested, doc=0, p_worst=0.0):
    gold = None if kind == "missing" else Entity(0, 1, "LOC", p_gold)
    suggested = None if kind == "spurious" else Entity(0, 1, "PER", p_suggested)
    return Suspect(doc, kind, gold, suggested, p_gold, p_suggested, p_worst)


def test_kinds_take_turns():
    spurious = [make_suspect("spurious", 0.0, p, i) for i, p in enumerate((0.999, 0.998, 0.99))]
    types = [make_suspect("wrong type", 0.1, 0.8, i, p) for i, p in ((3, 0.1), (4, 0.2))]
    assert rank([*types[::-1], *spurious[::-1]]) == [
        *(spurious[0], types[0], spurious[1], types[1], spurious[2])
    ]


def test_doubt_of_each_kind():
    # The tag that fits worst, whatever the suggestion has.
    for kind in ("wrong type", "wrong edges"):
        worse, better = make_suspect(kind, 0.1, 0.5, 0, 0.1), make_suspect(kind, 0.1, 0.9, 0, 0.2)
        assert rank([better, worse]) == [worse, better]
    # The margin: what counts is that the model is sure.
    sure, unsure = make_suspect("spurious", 0.09, 0.8), make_suspect("spurious", 0.001, 0.7)
    assert rank([unsure, sure]) == [sure, unsure]
    # The odds: the label may be uncertain, if there is an entity.
    entity, maybe = make_suspect("missing", 0.01, 0.5), make_suspect("missing", 0.3, 0.7)
    assert rank([maybe, entity]) == [entity, maybe]


def test_worst_tag():
    """That an entity begins, that it continues, and that it ends."""
    doc = make_doc("in New York City", (1, 3, "LOC"))
    begin, inside = TAG_SET.encode(2, 0)
    for places, expected in (
        ({(1, begin): 0.3, (2, inside): 0.4, (3, inside): 0.5}, 0.3),
        ({(1, begin): 0.8, (2, inside): 0.2, (3, inside): 0.5}, 0.2),
        ({(1, begin): 0.8, (2, inside): 0.7, (3, inside): 0.9}, 0.1),
    ):
        probs = make_probs(4)
        for place, p in places.items():
            probs[place] = p
        probs[:, 0] = 1.0 - probs[:, 1:].sum(axis=1)
        (suspect,) = find_suspects([doc], Predictions(TAG_SET, [probs]))
        assert suspect.p_worst == pytest.approx(expected)


def test_suggestions_are_applied():
    doc = make_doc("Anna met IBM in New York City", (2, 3, "ORG"), (4, 5, "LOC"), (5, 6, "PER"))
    suspects = find(doc, (0, 1, "PER", 0.9), (2, 3, "LOC", 0.95), (4, 7, "LOC", 0.97))
    # Both gold entities of "New York" are suspects, with the same suggestion.
    assert [suspect.kind for suspect in suspects].count("wrong edges") == 2
    keys = [entity.key for entity in apply(doc, suspects)]
    assert keys == [(0, 1, "PER"), (2, 3, "LOC"), (4, 7, "LOC")]
    assert apply(doc, [])[0] == Entity(2, 3, "ORG", None)


def test_strings_annotated_in_several_ways():
    docs = [
        make_doc("Paris met Paris", (0, 1, "PER"), (2, 3, "PER")),
        make_doc("in Paris", (1, 2, "LOC")),
        make_doc("Paris and PARIS and Paris"),
        make_doc("Paris Hilton", (0, 2, "PER")),
        make_doc("Oslo and New York", (0, 1, "LOC"), (2, 4, "LOC")),
        make_doc("New York and New"),
    ]
    docs[2].set_ents([], missing=[docs[2][4:5]], default="outside")
    paris, york = find_inconsistencies(docs)
    assert paris.text == "Paris"
    assert list(paris.counts.items()) == [("PER", 2), ("LOC", 1), (None, 1)]
    assert paris.docs == {"PER": [0], "LOC": [1], None: [2]}
    assert paris.to_record()["labels"][2] == {"label": None, "n": 1, "documents": [3]}
    assert (york.text, york.counts, york.n_rare) == ("New York", {"LOC": 1, None: 1}, 1)


def make_result(label="LOC", word="Oslo", corpus="corpus.jsonl"):
    """An audit with suspects of all kinds, and a string that is annotated in two ways."""
    tag_set = get_tag_set("BIO", tuple(sorted({label, "PER"})))
    texts = f"Anna saw {word}", f"in {word} twice", f"a {word} b", f"the {word} City"
    docs = [
        make_doc(texts[0], (2, 3, "PER")),
        make_doc(texts[1], (1, 2, "PER")),
        make_doc(texts[2]),
        make_doc(texts[3], (1, 2, label)),
    ]
    for i, doc in enumerate(docs):
        doc.user_data[RECORD_KEY] = {"id": f"{word}-{i}", "meta": {"url": word}}
    found = [[(2, 3, label, 0.9)], [], [(1, 2, label, 0.8)], [(1, 3, label, 0.99)]]
    probs = [make_probs(len(d), *its, tag_set=tag_set) for d, its in zip(docs, found)]
    return inspect(corpus, docs, 1, 5, Predictions(tag_set, probs))


def test_hostile_labels_and_texts():
    result = make_result(HOSTILE, HOSTILE.replace(" ", ""), HOSTILE)
    assert set(KINDS) == {suspect.kind for suspect in result.suspects}
    assert result.inconsistencies
    page = render_page(result, 4)
    elements = Elements(page).found
    assert {tag for tag, _ in elements} == {
        tag for tag, _ in Elements(render_page(make_result(), 4)).found
    }
    names = {name for _, attrs in elements for name in attrs}
    assert not [name for name in names if name.startswith("on") or name in ("src", "srcset")]
    assert all(attrs["href"].startswith("#") for _, attrs in elements if "href" in attrs)
    # A label can't turn around the probability after it.
    assert all(
        "\u202e" not in suspect.explain(result.docs[suspect.doc]) for suspect in result.suspects
    )
    assert "{{7*7}}" in page and "<script" not in page.lower() and "url(" not in page


def test_page_shows_what_was_found():
    page = plain(render_page(make_result(), 2))
    assert "gold LOC “Oslo”, the model gives LOC “Oslo City” 0.98" in page
    assert "4 documents, 12 tokens, 3 gold entities; 1 document without annotation left out" in page
    assert "The documents of the first 2 are in" in page
    # A suspect that is spurious has no suggestion to show, a missing one no annotation.
    assert page.count('<div class="name">gold</div>') == 3
    assert page.count('<div class="name">suggested</div>') == 3
    predictions = Predictions(TAG_SET, [make_probs(2, (1, 2, "LOC", 0.9))])
    clean = inspect("a", [make_doc("in Oslo", (1, 2, "LOC"))], 0, 2, predictions)
    assert plain(render_page(clean, 1)).count("There are none.") == 2
    assert "all 0" in plain(format_audit(clean))


def test_a_page_is_below_5_mb():
    """With more suspects and labels than are shown, and words of a hundred thousand characters."""
    n = N_SUSPECTS + 1
    labels = tuple(f"LABEL{i:03}-" + "x" * 500 for i in range(n))
    tag_set = get_tag_set("BIO", labels)
    docs = [make_doc("y" * 100_000 + f" Oslo {i}", (1, 2, label)) for i, label in enumerate(labels)]
    probs = [make_probs(3, tag_set=tag_set) for _ in docs]
    result = inspect("a", docs, 0, 2, Predictions(tag_set, probs))
    assert len(result.suspects) == n
    page = render_page(result, 100)
    assert len(page.encode("utf-8")) < 5_000_000
    assert f"The first {N_SUSPECTS} of {n}." in page
    assert f"and {n - N_LABELS} other labels" in page


@pytest.mark.parametrize("name", ["prodigy.jsonl", "doccano.jsonl", "label-studio.json"])
def test_files_to_correct_are_read_again(tmp_path, name):
    result = make_result()
    write_audit(result, tmp_path, 2)
    docs = list(read_docs(tmp_path / name, NLP))
    chosen = [result.docs[suspect.doc] for suspect in result.suspects[:2]]
    assert [doc.text for doc in docs] == [doc.text for doc in chosen]
    ents = [[(e.start_char, e.end_char, e.label_) for e in doc.ents] for doc in docs]
    assert ents == [[(e.start_char, e.end_char, e.label_) for e in doc.ents] for doc in chosen]
    for doc, suspect in zip(docs, result.suspects):
        meta = doc.user_data[RECORD_KEY]["meta"]
        assert meta["url"] == "Oslo"
        assert suspect.explain(result.docs[suspect.doc]) in meta["suspects"]
    assert not any("suspects" in doc.user_data[RECORD_KEY]["meta"] for doc in result.docs)


def test_suggestions_for_label_studio(tmp_path):
    result = make_result()
    write_audit(result, tmp_path, 4)
    tasks = json.loads((tmp_path / "label-studio.json").read_text(encoding="utf-8"))
    by_text = {task["data"]["text"]: task for task in tasks}
    (prediction,) = by_text["the Oslo City"]["predictions"]
    (found,) = prediction["result"]
    assert (found["value"]["text"], found["value"]["labels"]) == ("Oslo City", ["LOC"])
    assert found["score"] == prediction["score"] == pytest.approx(0.99 * 0.99, abs=1e-4)
    (gold,) = by_text["the Oslo City"]["annotations"][0]["result"]
    assert gold["value"]["text"] == "Oslo"
    assert by_text["in Oslo twice"]["predictions"][0]["result"] == []


def test_suspects_as_json(tmp_path):
    result = make_result()
    write_audit(result, tmp_path, 4)
    lines = (tmp_path / "suspects.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["rank"] for record in records] == [1, 2, 3, 4]
    (edges,) = [record for record in records if record["kind"] == "wrong edges"]
    assert (edges["document"], edges["id"]) == (4, "Oslo-3")
    assert edges["suggested"]["text"] == "the Oslo City"[edges["suggested"]["start"] :]
    assert edges["score"] == edges["suggested"]["score"] == pytest.approx(0.9801, abs=1e-3)
    (missing,) = [record for record in records if record["kind"] == "missing"]
    assert missing["gold"] is None
    lines = (tmp_path / "inconsistencies.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["text"] == "Oslo"


def test_texts_are_never_in_two_folds():
    docs = [make_doc(f"text {i % 7}") for i in range(20)]
    folds = split_docs(docs, 3, 0)
    assert sorted(numpy.concatenate(folds).tolist()) == list(range(20))
    texts = [{docs[i].text for i in fold} for fold in folds]
    assert not (texts[0] & texts[1] | texts[0] & texts[2] | texts[1] & texts[2])
    assert [fold.tolist() for fold in split_docs(docs, 3, 1)] != [f.tolist() for f in folds]


# Runs of the command.


@pytest.fixture
def config_path(tmp_path, tiny_encoder):
    config = load_config(CONFIG, interpolate=False)
    config["vars"]["encoder"] = tiny_encoder
    config["components"]["transformer"]["model"]["window"] = 0
    config["training"]["max_steps"] = 2
    config["training"]["optimizer"]["learn_rate"]["warmup_steps"] = 1
    config.to_disk(tmp_path / "config.cfg")
    return tmp_path / "config.cfg"


@pytest.fixture
def corpus_path(tmp_path):
    docs = [Doc(NLP.vocab, words=[*WORDS, str(i)], ents=[*TAGS, "O"]) for i in range(6)]
    DocBin(docs=docs).to_disk(tmp_path / "corpus.spacy")
    return tmp_path / "corpus.spacy"


@pytest.fixture
def trained(monkeypatch):
    """Trainings in this process. The texts that each was trained on, one set for each."""
    trained = []

    def train(command, **settings):
        path = command[command.index("--paths.train") + 1]
        trained.append({doc.text for doc in DocBin().from_disk(path).get_docs(NLP.vocab)})
        if len(trained) == trained_until:
            raise KeyboardInterrupt
        return run_command(command)

    trained_until = None

    def stop_at(n):
        nonlocal trained_until
        trained_until = n

    monkeypatch.setattr(train_process, "subprocess", SimpleNamespace(run=train))
    return SimpleNamespace(texts=trained, stop_at=stop_at)


def test_resumes_after_the_last_finished_fold(corpus_path, config_path, tmp_path, trained):
    output, messages = tmp_path / "out", []
    call = partial(
        spacy_bert_ner.audit,
        corpus_path,
        output,
        config=config_path,
        folds=3,
        notify=messages.append,
    )
    trained.stop_at(2)
    with pytest.raises(KeyboardInterrupt):
        call()
    assert messages == ["Training without fold 1 of 3", messages[1]]
    assert messages[1].startswith("Training without fold 2 of 3: about ")
    assert {path.name for path in (output / "folds").iterdir()} == {
        *("key", "config.cfg", "fold-1.npz"),
    }
    first = (output / "folds" / "fold-1.npz").read_bytes()
    # A killed process leaves its folder.
    (output / "folds" / ".training").mkdir()
    trained.stop_at(None)
    result = call()
    assert len(trained.texts) == 4 and messages[2] == "1 fold of 3 finished before."
    assert (output / "folds" / "fold-1.npz").read_bytes() == first
    assert {path.name for path in output.iterdir()} == FILES
    assert not (output / "folds" / ".training").exists()
    # Nothing is left to train.
    assert call(top=1).suspects == result.suspects
    assert len(trained.texts) == 4
    # No fold was trained on its own documents.
    texts = {doc.text for doc in result.docs}
    folds = [{result.docs[i].text for i in rows} for rows in split_docs(result.docs, 3, 0)]
    assert [texts - seen for seen in trained.texts[:1] + trained.texts[2:]] == folds


def test_another_audit_is_only_replaced_with_force(corpus_path, config_path, tmp_path, copied):
    output = tmp_path / "out"
    words = (corpus_path, output, "--config", config_path, "--folds", 2)
    assert run(*words).exit_code == 0
    again = run(*words, "--seed", 1)
    assert again.exit_code == 1 and again.stderr.count("\n") == 1
    assert f"{output} has an audit with another corpus, config, seed or" in again.stderr
    assert len(copied) == 2
    done = run(*words, "--seed", 1, "--force", "--training.max_steps", 1)
    assert done.exit_code == 0, done.output
    assert len(copied) == 4
    assert "Annotated in several ways: 0 strings." in done.stdout
    # A folder that isn't of an audit.
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work", encoding="utf-8")
    refused = run(corpus_path, mine, "--config", config_path, "--folds", 2)
    assert refused.exit_code == 1 and "the folder isn't empty" in refused.stderr
    assert (mine / "thesis.txt").exists() and len(list(mine.iterdir())) == 1
    # Never the folder of the input.
    refused = run(corpus_path, tmp_path, "--config", config_path, "--folds", 2, "--force")
    assert refused.exit_code == 1 and "it is the input, or contains it" in refused.stderr
    assert corpus_path.exists()


def test_an_audit_that_is_running_is_not_replaced(corpus_path, config_path, tmp_path, copied):
    output = tmp_path / "out"
    words = (corpus_path, output, "--config", config_path, "--folds", 2)
    assert run(*words).exit_code == 0
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    with open_locked(output / "folds" / "key"):
        for options in ((), ("--seed", 1, "--force")):
            assert "another process is writing it" in refuse(*words, *options)
    assert before == {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}


def test_damaged_fold(corpus_path, config_path, tmp_path, copied):
    output = tmp_path / "out"
    words = (corpus_path, output, "--config", config_path, "--folds", 2)
    assert run(*words).exit_code == 0
    path = output / "folds" / "fold-2.npz"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", (output / "audit.html").read_bytes()):
        path.write_bytes(content)
        result = run(*words)
        assert result.exit_code == 1 and result.stderr.count("\n") == 1
        assert f"{path} isn't complete" in result.stderr and "Delete it" in result.stderr
    path.unlink()
    assert run(*words).exit_code == 0
    assert len(copied) == 3


def test_failed_training_shows_its_output(corpus_path, config_path, tmp_path, trained):
    words = (corpus_path, tmp_path / "out", "--config", config_path, "--folds", 2)
    result = run(*words, "--vars.encoder", "no-encoder")
    assert result.exit_code == 1
    assert "Training without fold 1 failed" in result.output and "no-encoder" in result.output


def refuse(*words):
    """RETURNS (str): The message of a command that is refused, in one line."""
    result = run(*words)
    assert result.exit_code == 1, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_refuses_what_it_cannot_audit(corpus_path, config_path, tmp_path, corpus, trained):
    output = tmp_path / "out"
    assert "There is no file" in refuse(tmp_path / "none.spacy", output)
    assert "Can't split 6 documents with different texts into 7 folds" in (
        refuse(corpus_path, output, "--folds", 7, "--config", config_path)
    )
    assert "Use --folds 6, or more documents." in refuse(corpus_path, output, "--folds", 7)
    # Four documents, but one text.
    assert "Can't split 1 document with different texts into 2 folds" in (
        refuse(corpus / "train.spacy", output, "--folds", 2)
    )
    DocBin(docs=[make_doc("It rained")]).to_disk(tmp_path / "empty.spacy")
    assert "has no gold entities" in refuse(tmp_path / "empty.spacy", output)
    assert "Can't override paths.train" in refuse(corpus_path, output, "--paths.train", "a.spacy")
    assert "Use --seed." in refuse(corpus_path, output, "--system.seed", 1)
    assert "Can't write to" in refuse(corpus_path, config_path, "--config", config_path)
    # The output is checked before the corpus is read: this one isn't in the format of its name.
    corpus_path.with_suffix(".jsonl").write_text("no JSON", encoding="utf-8")
    assert "it is a file" in refuse(*[corpus_path.with_suffix(".jsonl")] * 2)
    os.mkfifo(tmp_path / "pipe")
    assert "it is read several times" in refuse(tmp_path / "pipe", output, "--from", "spacy")
    assert "There is no file" in refuse(corpus_path, output, "--config", tmp_path / "none.cfg")
    assert not output.exists() and not trained.texts
    with pytest.raises(UserError, match="folds = 1 is too low"):
        spacy_bert_ner.audit(corpus_path, output, folds=1)
    assert run(corpus_path, output, "--folds", 1).exit_code == 2


def test_all_entities_in_one_fold(config_path, tmp_path, trained):
    docs = [make_doc("in Oslo", (1, 2, "LOC")), *(make_doc(f"text {i}") for i in range(3))]
    DocBin(docs=docs).to_disk(tmp_path / "rare.spacy")
    result = run(tmp_path / "rare.spacy", tmp_path / "out", "--config", config_path, "--folds", 4)
    assert result.exit_code == 1
    assert "so the others have nothing to learn" in result.stderr


def test_documents_without_annotation(corpus_path, config_path, tmp_path, copied):
    docs = list(DocBin().from_disk(corpus_path).get_docs(NLP.vocab))
    DocBin(docs=[*docs, Doc(NLP.vocab, words=["new"])]).to_disk(corpus_path)
    result = run(corpus_path, tmp_path / "out", "--config", config_path, "--folds", 2)
    assert result.exit_code == 0, result.output
    assert "1 document without entity annotation left out." in result.stderr
    n_tokens = 0
    for path in (tmp_path / "out" / "folds").glob("*.npz"):
        with numpy.load(path) as fold:
            n_tokens += len(fold["probs"])
    assert n_tokens == sum(map(len, docs))


def test_labels_that_a_fold_never_saw(config_path, tmp_path, trained):
    """One label is only in one fold: the pipeline that predicts it doesn't know it."""
    tags = [tag.replace("LOC", "GPE") for tag in TAGS]
    docs = [Doc(NLP.vocab, words=[*WORDS, str(i)], ents=[*TAGS, "O"]) for i in range(5)]
    docs.append(Doc(NLP.vocab, words=[*WORDS, "5"], ents=[*tags, "O"]))
    DocBin(docs=docs).to_disk(tmp_path / "corpus.spacy")
    result = spacy_bert_ner.audit(
        tmp_path / "corpus.spacy", tmp_path / "out", config=config_path, folds=2
    )
    assert result.labels == ["GPE", "LOC", "PER"]
    own = [one for one in result.suspects if one.gold and one.gold.label == "GPE"]
    assert len(own) == 2 and all(suspect.p_gold == 0.0 for suspect in own)
    assert {one.text for one in result.inconsistencies} == {"Oslo", "New York"}
