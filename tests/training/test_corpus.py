import json
import logging
import os
from pathlib import Path

import pytest
import spacy
from spacy.cli import app
from spacy.cli.train import train
from spacy.tokens import Span
from spacy.training import Example
from spacy.util import registry
from typer.testing import CliRunner

from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats import FORMATS, FormatError, write_docs
from spacy_bert_ner.training.corpus import Corpus, create_corpus_reader

from ..formats.samples import BINARY, MIN, PAIRS, PRODIGY, TASK
from ..formats.samples import PAIRS_TEXT as TEXT
from ..formats.util import NLP, ents_of, make_doc, tags_of, words_of

CNN = Path(__file__).parents[2] / "configs" / "cnn.cfg"
WORDS = ["Anna", "lives", "here", ".", "In", "Oslo", "."]
TAGS = ["B-PER", "O", "O", "O", "O", "B-LOC", "O"]
STARTS = [True, False, False, False, True, False, False]


def write(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return path


def read(path, **settings):
    return list(Corpus(path, **settings)(NLP))


def texts(examples):
    return [example.reference.text for example in examples]


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    """What is logged, as spaCy's logger doesn't hand it on."""
    messages = []
    logger = logging.getLogger("spacy")
    monkeypatch.setattr(logger, "warning", lambda text, *args: messages.append(text % args))
    return messages


def test_is_registered(tmp_path):
    reader = registry.readers.get("spacy-bert-ner.Corpus.v1")
    assert reader is create_corpus_reader
    path = write(tmp_path / "a.jsonl", [{"text": "a"}])
    assert isinstance(reader(path), Corpus)


def test_no_path():
    with pytest.raises(ValueError, match=r"path of the training.*isn't set.*--paths.train"):
        create_corpus_reader(None)


@pytest.mark.parametrize("name", ["spacy", "jsonl", "doccano", "label-studio", "conll", "biluo"])
def test_formats(tmp_path, name):
    doc = make_doc(WORDS, TAGS, sent_starts=STARTS)
    path = tmp_path / f"a{FORMATS[name].suffixes[-1]}"
    write_docs(path, [doc, doc], name)
    first, second = read(path)
    assert isinstance(first, Example)
    assert ents_of(first.reference) == [("Anna", "PER"), ("Oslo", "LOC")]
    assert not first.predicted.ents
    assert words_of(second.predicted) == WORDS


@pytest.mark.parametrize(
    "record,name",
    [
        (PRODIGY, "a.jsonl"),
        (BINARY, "a.jsonl"),
        ({"text": TEXT, "label": PAIRS}, "a.jsonl"),
        ([TASK], "a.json"),
        ([MIN], "a.json"),
    ],
)
def test_exports_of_tools(tmp_path, shown, record, name):
    (example,) = read(write(tmp_path / name, [record]))
    assert example.reference.ents
    assert example.predicted.text == example.reference.text
    assert shown == []


def test_words_without_known_spaces(tmp_path):
    """spaCy trains and evaluates on the words of the file, not on what its tokenizer makes."""
    (tmp_path / "a.iob2").write_text("do\tO\nn't\tO\nlook!\tB-X\n", encoding="utf-8")
    (example,) = read(tmp_path / "a.iob2")
    assert words_of(example.predicted) == ["do", "n't", "look!"]


def test_wrong_entities(tmp_path):
    (example,) = read(write(tmp_path / "a.jsonl", [{**BINARY, "answer": "reject"}]))
    assert [span.text for span in example.reference.spans["incorrect_spans"]] == ["Jordan"]
    assert set(tags_of(example.reference)) == {"-"}


def test_folder(tmp_path):
    """Files at any depth in the order of their paths; texts, and what is hidden, are no data."""
    write(tmp_path / "b.jsonl", [{"text": "b", "spans": []}])
    write(tmp_path / "a" / "x.jsonl", [{"text": "ax", "label": [[0, 2, "X"]]}])
    write(tmp_path / "a" / ".x.jsonl.1.part", [{"text": "hidden"}])
    write(tmp_path / "a" / ".y.jsonl", [{"text": "hidden"}])
    write(tmp_path / ".git" / "x.jsonl", [{"text": "hidden"}])
    (tmp_path / "README.txt").write_text("text", encoding="utf-8")
    (tmp_path / "page.html").write_text("text", encoding="utf-8")
    (tmp_path / "c.IOB2").write_text("c B-X\n", encoding="utf-8")
    assert texts(read(tmp_path)) == ["ax", "b", "c "]
    assert texts(read(tmp_path, format="conll")) == ["c "]
    assert texts(read(tmp_path, format="text")) == ["text"]


def test_hidden_folder_that_is_named(tmp_path):
    write(tmp_path / ".data" / "a.jsonl", [{"text": "a"}])
    assert texts(read(tmp_path / ".data")) == ["a"]


def test_format(tmp_path):
    """It is taken whatever the name says."""
    path = write(tmp_path / "a.labels", [{"text": "ab", "label": [[0, 2, "X"]]}])
    (example,) = read(path, format="doccano")
    assert ents_of(example.reference) == [("ab", "X")]


def test_wrong_formats(tmp_path):
    with pytest.raises(FormatError, match="There is no format 'iob'. Formats: spacy, jsonl"):
        Corpus(tmp_path, format="iob")
    with pytest.raises(FormatError, match="'html' can only be written. Formats to read: spacy"):
        Corpus(tmp_path, format="html")
    (tmp_path / "a.xls").write_text("a", encoding="utf-8")
    with pytest.raises(FormatError, match=r"Can't guess the format of .*a.xls.*setting format .in"):
        read(tmp_path / "a.xls")


def test_no_data(tmp_path):
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    with pytest.raises(
        FormatError, match=r"There is no training data in .*\.spacy, \.jsonl"
    ) as error:
        read(tmp_path)
    assert str(error.value).count(".jsonl") == 1
    with pytest.raises(FormatError, match="a suffix of the format. Set the path to a file, or set"):
        read(tmp_path, format="lines")
    with pytest.raises(FileNotFoundError, match="none.jsonl"):
        read(tmp_path / "none.jsonl")


def test_limit_and_empty_documents(tmp_path):
    """Documents without tokens are none; the limit is that of all files."""
    write(tmp_path / "a.jsonl", [{"text": text} for text in ("", "a", "b")])
    write(tmp_path / "b.jsonl", [{"text": text} for text in ("c", "", "d")])
    assert texts(read(tmp_path)) == ["a", "b", "c", "d"]
    assert texts(read(tmp_path, limit=3)) == ["a", "b", "c"]
    assert texts(read(tmp_path, limit=1)) == ["a"]


def test_max_length(tmp_path):
    doc = make_doc(WORDS, TAGS, sent_starts=STARTS)
    write_docs(tmp_path / "a.spacy", [doc])
    assert len(read(tmp_path, max_length=8)) == 1
    first, second = read(tmp_path, max_length=7)
    assert ents_of(first.reference) == [("Anna", "PER")]
    assert words_of(second.reference) == ["In", "Oslo", "."]


@pytest.mark.parametrize("settings", [{"max_length": 7}, {"gold_preproc": True}])
def test_spans_of_sentences(tmp_path, settings):
    """Spans of a sentence stay with it; spaCy's corpora lose them all."""
    doc = make_doc(WORDS, TAGS, sent_starts=STARTS)
    (cut,) = (i for i, start in enumerate(STARTS) if start and i)
    doc.spans["wrong"] = [
        Span(doc, cut, cut + 2, label="X", kb_id="Q1", span_id="id"),
        Span(doc, 0, 1, label="Y"),
        Span(doc, cut - 1, cut + 1, label="Z"),
    ]
    write_docs(tmp_path / "a.spacy", [doc])
    first, second = (example.reference for example in read(tmp_path, **settings))
    assert [(span.text, span.label_) for span in first.spans["wrong"]] == [("Anna", "Y")]
    (span,) = second.spans["wrong"]
    assert (span.text, span.label_, span.kb_id_, span.id_) == ("In Oslo", "X", "Q1", "id")


def test_what_is_too_long_is_shown(tmp_path, shown):
    docs = [make_doc(WORDS, TAGS, sent_starts=STARTS), make_doc(WORDS, TAGS)]
    write_docs(tmp_path / "a.spacy", docs)
    examples = read(tmp_path, max_length=4)
    assert [words_of(example.reference) for example in examples] == [["In", "Oslo", "."]]
    (message,) = shown
    assert "2 sentences, or documents without sentence marks, have max_length = 4 tokens" in message


def test_gold_preproc(tmp_path):
    """Sentences, with the tokens of the file."""
    doc = make_doc(["New York", "x", "b"], ["B-X", "O", "O"], sent_starts=[True, False, True])
    write_docs(tmp_path / "a.spacy", [doc])
    examples = read(tmp_path, gold_preproc=True)
    assert [words_of(example.predicted) for example in examples] == [["New York", "x"], ["b"]]


def test_augmenter(tmp_path):
    def twice(nlp, example):
        yield example
        yield example

    path = write(tmp_path / "a.jsonl", [{"text": "a"}, {"text": "b"}])
    assert texts(read(path, augmenter=twice)) == ["a", "a", "b", "b"]


def test_shuffle(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"text": f"t{i}"} for i in range(50)])
    found = texts(read(path, shuffle=True))
    assert found != sorted(found)
    assert sorted(found) == sorted(texts(read(path)))


def test_what_does_not_fit_is_shown_once(tmp_path, shown):
    spans = [{"start": 0, "end": 3, "label": "X"}]
    for name in ("a", "b"):
        write(tmp_path / f"{name}.jsonl", [{"text": "Anna", "spans": spans}])
    corpus = Corpus(tmp_path)
    for _ in range(3):
        assert [tags_of(example.reference) for example in corpus(NLP)] == [["-"], ["-"]]
    (message,) = shown
    assert message.startswith(f"[{tmp_path}] 2 spans don't align with the tokens")
    assert "'Ann' (X, 0–3, record 1, line 1, cuts 'Anna')" in message


def test_what_does_not_fit_is_shown_once_by_all(tmp_path, shown):
    """spaCy makes a reader for initialization, and another one for training."""
    span = {"start": 0, "end": 3, "label": "X"}
    path = write(tmp_path / "a.jsonl", [{"text": "Anna", "spans": [span]}])
    read(path)
    read(path)
    assert len(shown) == 1


def test_nothing_to_show(tmp_path, shown):
    read(write(tmp_path / "a.jsonl", [PRODIGY]))
    assert shown == []


def test_files_are_read_as_needed(tmp_path):
    """A broken record is an error when its turn comes."""
    path = write(tmp_path / "a.jsonl", [{"text": "a"}, {"text": 3}])
    examples = Corpus(path)(NLP)
    assert next(examples).reference.text == "a"
    with pytest.raises(FormatError, match="the record at line 2 of .*a.jsonl: its text is 3"):
        next(examples)


@pytest.mark.parametrize(
    "content,message",
    [
        (None, "There is no file or folder"),
        ("", "There is no document with words in"),
        ('{"text": ""}', "There is no document with words in"),
        ('{"text": 3}', "Can't read the record at line 1 of"),
    ],
)
def test_checked_when_it_is_made(tmp_path, content, message):
    """Of development data, training reads nothing before it has loaded the encoder."""
    path = tmp_path / "a.jsonl"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    for place in (path, tmp_path):
        with pytest.raises(UserError):
            create_corpus_reader(place)
    with pytest.raises(UserError, match=f"{message}.*a.jsonl"):
        create_corpus_reader(path)


def test_no_entities(tmp_path, shown):
    path = write(tmp_path / "a.jsonl", [{"text": "a"}, {"text": "b", "spans": []}])
    for _ in range(2):
        create_corpus_reader(path)
    assert shown == [
        f"[{path}] No document has entities: there is nothing to learn or to evaluate."
    ]
    create_corpus_reader(write(tmp_path / "b.jsonl", [{"text": "a"}, PRODIGY]))
    assert len(shown) == 1


@pytest.mark.parametrize("name", ["a.csv", "a.TXT", "a.html"])
def test_formats_without_entities(tmp_path, name):
    (tmp_path / name).write_text("text,label\na,b\n", encoding="utf-8")
    with pytest.raises(FormatError, match=f"Can't train or evaluate on .*{name}: .* no entities"):
        create_corpus_reader(tmp_path / name)


def test_pipes_are_not_read_when_it_is_made(tmp_path):
    os.mkfifo(tmp_path / "a.jsonl")
    assert isinstance(create_corpus_reader(tmp_path / "a.jsonl"), Corpus)


def test_training_that_cant_start(tmp_path):
    """One line, and what was trained before stays."""
    train_path = write(tmp_path / "train.jsonl", [PRODIGY])
    saved = tmp_path / "out" / "model-best" / "meta.json"
    saved.parent.mkdir(parents=True)
    saved.touch()
    for dev in ("none.jsonl", "empty.jsonl"):
        (tmp_path / "empty.jsonl").touch()
        command = ["train", str(CNN), "--output", str(tmp_path / "out")]
        command += ["--paths.train", str(train_path), "--paths.dev", str(tmp_path / dev)]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)  # no traceback
        assert f"There is no {'file' if dev == 'none.jsonl' else 'document'}" in result.output
        assert saved.exists()


def test_trains(tmp_path):
    """Straight from what tools export, each split in another format."""
    write(tmp_path / "train" / "a.jsonl", [PRODIGY, BINARY, {**BINARY, "answer": "reject"}])
    write(tmp_path / "train" / "b.jsonl", [{"text": TEXT, "label": PAIRS}])
    write(tmp_path / "dev.json", [[TASK]])
    readers = {
        f"corpora.{split}.@readers": "spacy-bert-ner.Corpus.v1" for split in ("train", "dev")
    }
    overrides = {
        **readers,
        "paths.train": str(tmp_path / "train"),
        "paths.dev": str(tmp_path / "dev.json"),
        "components.bert_ner.incorrect_spans_key": "incorrect_spans",
        "training.max_steps": 2,
        "training.eval_frequency": 1,
    }
    train(CNN, tmp_path / "out", overrides=overrides)
    nlp = spacy.load(tmp_path / "out" / "model-last")
    assert nlp.get_pipe("bert_ner").labels == ("LOC", "MISC", "ORG", "PER")
    assert nlp("Anna lives in Oslo.").has_annotation("ENT_IOB")
