import json
import os
import re
from pathlib import Path

import pytest

from spacy_bert_ner.cli._util import READ_AND_WRITTEN, READ_ONLY
from spacy_bert_ner.formats import (
    FORMATS,
    FormatError,
    check_format,
    guess_format,
    read_docs,
    write_docs,
)

from .samples import BINARY, MIN, PRODIGY, TASK
from .util import NLP, ents_of


@pytest.mark.parametrize(
    "name,expected",
    [
        ("a.spacy", "spacy"),
        ("a.SPACY", "spacy"),
        ("a.b.iob2", "conll"),
        ("a.conll", "conll"),
        ("a.iob", "conll"),
        ("a.bilou", "biluo"),
        ("a.iobes", "biluo"),
        ("a.txt", "text"),
        ("a.html", "html"),
    ],
)
@pytest.mark.parametrize("for_writing", [True, False])
def test_suffixes(name, expected, for_writing):
    assert guess_format(Path(name), for_writing=for_writing) == expected


@pytest.mark.parametrize("name,expected", [("a.jsonl", "jsonl"), ("a.json", "label-studio")])
def test_json_to_write(name, expected):
    assert guess_format(Path(name), for_writing=True) == expected


@pytest.mark.parametrize(
    "record,expected",
    [
        (PRODIGY, "jsonl"),
        (BINARY, "jsonl"),
        ({"text": "a"}, "jsonl"),
        ({"text": "a", "spans": []}, "jsonl"),
        ({"text": "a", "label": "X", "spans": []}, "jsonl"),
        ({"text": "a", "ents": []}, "jsonl"),
        ({"text": "a", "meta": {}, "answer": "ignore"}, "jsonl"),
        ({"id": 1, "text": "a", "label": []}, "doccano"),
        ({"id": 1, "text": "a", "labels": [[0, 1, "X"]]}, "doccano"),
        ({"id": 1, "text": "a", "entities": [], "relations": []}, "doccano"),
        (TASK, "label-studio"),
        (MIN, "label-studio"),
        ({"text": "a", "label": MIN["label"]}, "label-studio"),
        ({"data": {"text": "a"}}, "label-studio"),
        ({"text": "a", "people": MIN["label"], "places": MIN["label"]}, "label-studio"),
        ({"data": "a", "label": [[0, 1, "X"]]}, "doccano"),
        ({"text": "a", "entities": [[0, 1, "X"]]}, "jsonl"),
        ({"text": "a", "entities": [[0, 1, "X"]], "cats": {"a": 1}}, "jsonl"),
        ({"text": "a", "entities": [[0, 1, "X"]], "cats": ["a"]}, "doccano"),
        ({"text": "a", "entities": [{"start": 0, "end": 1, "label": "X"}]}, "jsonl"),
        ({"text": "a", "entities": [{"start_offset": 0, "end_offset": 1}]}, "doccano"),
        ({"text": "a", "entities": []}, "jsonl"),
        ({"text": "a", "label": "X"}, "jsonl"),
        ({"text": "a", "labels": ["news"]}, "jsonl"),
        ({"tokens": ["a"], "ner_tags": [0]}, "jsonl"),
        (["a", {"entities": [[0, 1, "X"]]}], "jsonl"),
        ({"annotations": [["a", {"entities": []}]], "classes": []}, "jsonl"),
    ],
)
@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".JSONL"])
def test_first_record(tmp_path, suffix, record, expected):
    """Tools differ in whether their .json is an array, and in what it is called."""
    path = tmp_path / f"a{suffix}"
    path.write_text("\ufeff[" + json.dumps(record) + ', "more"', encoding="utf-8")
    assert guess_format(path) == expected


def test_first_record_with_labels(tmp_path):
    """Keys alone don't tell: the first that has something under them does."""
    path = tmp_path / "a.jsonl"
    records = [{"text": "a", "label": []}] * 5 + [{"text": "a", "entities": [[0, 1, "X"]]}]
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    assert guess_format(path) == "jsonl"
    path.write_text("\n".join(map(json.dumps, records[:5])) + "\n[", encoding="utf-8")
    assert guess_format(path) == "doccano"


@pytest.mark.parametrize("content", ["", "\n", "[]"])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_nothing_to_tell(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert list(read_docs(tmp_path / name, NLP)) == []


@pytest.mark.parametrize("for_writing,option", [(True, "--to"), (False, "--from")])
@pytest.mark.parametrize("name", ["a", "a.xls", ".spacy", "a.spacy.gz", "spacy", "a."])
def test_other_suffixes(name, for_writing, option):
    with pytest.raises(
        FormatError, match=rf"format of {re.escape(name)} from its name.*{option}.*co"
    ):
        guess_format(Path(name), for_writing=for_writing)


@pytest.mark.parametrize(
    "record,keys", [({"sentence": "a", "n": 1}, '"sentence", "n"'), ({}, "none")]
)
def test_other_keys(tmp_path, record, keys):
    (tmp_path / "a.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(FormatError, match=f"keys of its first record: .*{keys}. Name it with --fr"):
        guess_format(tmp_path / "a.json")


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_pipes_are_not_opened(tmp_path, suffix):
    """What is read of one is gone; and nothing may come of it yet."""
    path = tmp_path / f"pipe{suffix}"
    os.mkfifo(path)
    with pytest.raises(FormatError, match=r"first record: it isn't a regular file.*Name it with"):
        guess_format(path)
    assert guess_format(path, for_writing=True) in FORMATS


@pytest.mark.parametrize("for_writing,other", [(True, "csv"), (False, "html")])
def test_only_formats_that_help_are_listed(for_writing, other):
    for name in (None, "xls"):
        with pytest.raises(FormatError) as error:
            check_format(Path("a"), name, for_writing=for_writing)
        assert "conll" in str(error.value) and other not in str(error.value)


def test_names_that_are_not_there(tmp_path):
    with pytest.raises(FormatError, match="There is no format 'iob'. Formats: spacy, jsonl"):
        read_docs(tmp_path / "a.iob", NLP, "iob")
    with pytest.raises(FormatError, match="There is no format 'xls'. Formats: spacy, jsonl"):
        write_docs(tmp_path / "a.xls", [], "xls")


@pytest.mark.parametrize("name", [None, "csv"])
def test_only_read(tmp_path, name):
    with pytest.raises(
        FormatError, match=r"'csv' can only be read. Formats to write \(--to\): spacy, j"
    ):
        write_docs(tmp_path / "a.csv", [], name)


def test_column_of_a_format_without(tmp_path):
    with pytest.raises(FormatError, match="column 'a': .* 'lines' has no columns, only csv"):
        read_docs(tmp_path / "a.txt", NLP, "lines", column="a")


@pytest.mark.parametrize("content", ['{"text": "a"\n{"text": "b", "label": []}', "x\n{}}\n"])
def test_broken_first_record(tmp_path, content):
    """The first that can be read tells; what is wrong with the others, the reader does."""
    (tmp_path / "a.jsonl").write_text(content, encoding="utf-8")
    assert guess_format(tmp_path / "a.jsonl") == ("doccano" if "label" in content else "jsonl")
    with pytest.raises(FormatError, match="Can't read line 1 of .*a.jsonl"):
        list(read_docs(tmp_path / "a.jsonl", NLP))


def test_given_name_is_taken(tmp_path):
    """Whatever the name of the file says."""
    (tmp_path / "a.json").write_text("Anna\tB-PER\n", encoding="utf-8")
    (doc,) = read_docs(tmp_path / "a.json", NLP, "conll")
    assert ents_of(doc) == [("Anna", "PER")]


def test_help_names_all_formats():
    written = READ_AND_WRITTEN.replace(" (Prodigy)", "").split(", ")
    assert [*written, "html"] == [name for name, entry in FORMATS.items() if entry.writer]
    assert READ_ONLY.split(", ") == [name for name, entry in FORMATS.items() if not entry.writer]
    assert [name for name, entry in FORMATS.items() if not entry.reader] == ["html"]
