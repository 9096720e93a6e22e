import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from spacy_bert_ner.commands.convert import MAX_LENGTH
from spacy_bert_ner.commands.convert import convert as convert_file
from spacy_bert_ner.formats import FORMATS, read_docs

from ..formats.samples import CONLL_2003, PRODIGY
from ..formats.util import NLP, ents_of, sents_of, tags_of
from ..util import plain, run_cli

convert = partial(run_cli, "convert")
SAMPLE = Path(__file__).parents[2] / "assets" / "sample"


def test_convert(tmp_path):
    source, target = tmp_path / "a.conll", tmp_path / "made" / "a.spacy"
    source.write_text(CONLL_2003.lstrip(), encoding="utf-8")
    result = convert(source, target, "--lang", "en")
    assert result.exit_code == 0, result.output
    assert "2 documents, 7 tokens, 4 entities" in plain(result)
    docs = list(DocBin().from_disk(target).get_docs(spacy.blank("en").vocab))
    assert [ents_of(doc) for doc in docs] == [ents_of(doc) for doc in read_docs(source, NLP)]
    assert sents_of(docs[0]) == [4, 2]


def test_convert_keeps_missing_tags(tmp_path):
    source, target = tmp_path / "a.conll", tmp_path / "a.spacy"
    source.write_text("a B-X\nb -\nc O\n", encoding="utf-8")
    assert convert(source, target).exit_code == 0
    (doc,) = DocBin().from_disk(target).get_docs(Vocab())
    assert [token.ent_iob_ for token in doc] == ["B", "", "O"]


@pytest.mark.parametrize("name", ["a", "a.spacy.gz", "a.xls"])
def test_convert_wrong_suffix(tmp_path, name):
    source, target = tmp_path / "a.conll", tmp_path / name
    source.write_text("a O\n", encoding="utf-8")
    result = convert(source, target)
    assert result.exit_code == 1
    assert "Can't guess the format of" in plain(result)
    assert "Name it with --to" in plain(result)
    assert not target.exists()


def test_convert_names_of_formats(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("Anna\nOslo\n", encoding="utf-8")
    assert convert(source, target, "--from", "lines", "--to", "jsonl").exit_code == 0
    records = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [record["text"] for record in records] == ["Anna", "Oslo"]
    assert "spans" not in records[0]


@pytest.mark.parametrize(
    "options,match",
    [
        (["--from", "iob"], "There is no format 'iob'. Formats: spacy, jsonl"),
        (["--to", "xls"], "There is no format 'xls'. Formats: spacy, jsonl"),
        (["--to", "csv"], "'csv' can only be read. Formats to write (--to): spacy, jsonl"),
        (["--column", "a"], "the format 'conll' has no columns, only csv, tsv, parquet have"),
        (["--from", "html"], "'html' can only be written. Formats to read: spacy"),
        (["--lang", "zz"], "spaCy has no language with the code 'zz'. Use a code"),
        (["--lang", "tokenizer_exceptions"], "no language with the code 'tokenizer_exceptions'"),
    ],
)
def test_convert_wrong_options(tmp_path, options, match):
    source, target = tmp_path / "a.conll", tmp_path / "a.spacy"
    source.write_text("a O\n", encoding="utf-8")
    result = convert(source, target, *options)
    assert result.exit_code == 1
    assert match in plain(result)
    assert not target.exists()


def test_convert_shows_what_does_not_fit(tmp_path):
    """On the error stream, as all that isn't the data itself."""
    source, target = tmp_path / "a.jsonl", tmp_path / "a.spacy"
    record = {"text": "Anna lives in Oslo-East.", "spans": []}
    record["spans"] = [
        {"start": 0, "end": 4, "label": "PER"},
        {"start": 14, "end": 17, "label": "LOC"},
        {"start": 9, "end": 99, "label": "LOC"},
    ]
    source.write_text(json.dumps(record), encoding="utf-8")
    result = convert(source, target, "--lang", "en")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.startswith(f"{target}: 1 document, 7 tokens, 1 entity\n")
    assert (
        "1 span doesn't align with the tokens, which count as missing: 'Osl' (LOC, 14–17, rec"
        in (plain(result))
    )
    assert "1 span is outside the text, or has offsets that aren't whole numbers" in plain(result)
    (doc,) = read_docs(target, NLP)
    assert tags_of(doc) == ["B-PER"] + ["-"] * 6


def test_convert_tells_formats_by_keys(tmp_path):
    source, target = tmp_path / "all.jsonl", tmp_path / "a.iob2"
    source.write_text('{"id": 1, "text": "Anna", "label": [[0, 4, "PER"]]}', encoding="utf-8")
    assert convert(source, target).exit_code == 0
    assert target.read_text(encoding="utf-8") == "-DOCSTART-\tO\n\nAnna\tB-PER\n\n"


def test_convert_long_text(tmp_path):
    """spaCy's limit is for parsers."""
    source, target = tmp_path / "a.txt", tmp_path / "a.spacy"
    source.write_text("Oslo " * 250000, encoding="utf-8")
    assert convert_file(source, target).n_tokens == 250000


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a.conll", "a.json"])
def test_convert_text_that_would_take_the_memory(tmp_path, name):
    """A field of 50 MB was 20 million tokens, and 4 GB."""
    path, text = tmp_path / name, "ab " * 4_000_000
    task = json.dumps([{"data": {"text": text}}])
    contents = {
        "a.csv": f'text\n"{text}"\nc\n',
        "a.jsonl": json.dumps({"text": text}),
        "a.conll": text.strip().replace(" ", "_") + "_\tO\n",
        "a.json": task,
    }
    path.write_text(contents.get(name, text), encoding="utf-8")
    with pytest.raises(ValueError, match=r"line \d of .*: its text has 12000000 .*--max-length in"):
        convert_file(path, tmp_path / "b.spacy")
    assert not (tmp_path / "b.spacy").exists()


def test_convert_max_length(tmp_path):
    (tmp_path / "a.csv").write_text("text\nabcd\nabc\n", encoding="utf-8")
    arguments = [str(tmp_path / "a.csv"), str(tmp_path / "b.jsonl"), "--max-length", "3"]
    assert f"[default: {MAX_LENGTH}]" in plain(convert("--help"))
    result = convert(*arguments)
    assert result.exit_code != 0 and "its text has 4 characters" in plain(result)
    assert convert(*arguments, "--on-error", "skip").exit_code == 0
    assert (tmp_path / "b.jsonl").read_text(encoding="utf-8").count("\n") == 1


@pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if entry.writer])
@pytest.mark.parametrize("existing", [True, False])
def test_convert_bad_file(tmp_path, name, existing):
    """After an error, there is no output, or the one that was."""
    source, target = tmp_path / "a.conll", tmp_path / "made" / "a"
    source.write_text("a O\n\nb\n", encoding="utf-8")
    if existing:
        target.parent.mkdir()
        target.write_text("before", encoding="utf-8")
    result = convert(source, target, "--to", name)
    assert result.exit_code == 1
    assert "Can't read line 3 of" in plain(result)
    assert [path.name for path in target.parent.glob("*")] == ["a"] * existing
    assert not existing or target.read_text(encoding="utf-8") == "before"


def test_convert_broken_json(tmp_path):
    source, target = tmp_path / "a.jsonl", tmp_path / "a.spacy"
    source.write_text(json.dumps(PRODIGY) + '\n{"text": "a"', encoding="utf-8")
    result = convert(source, target)
    assert result.exit_code == 1
    assert "Can't read line 2 of" in plain(result)
    assert not target.exists()


def test_convert_skips_what_is_broken(tmp_path):
    source, target = tmp_path / "a.jsonl", tmp_path / "a.iob2"
    source.write_text('{"text": "Oslo"}\n{"text": 3}\n{\n{"text": "Bo"}', encoding="utf-8")
    assert convert(source, target).exit_code == 1
    result = convert(source, target, "--on-error", "skip")
    assert result.exit_code == 0
    counts = "2 documents, 2 tokens, 0 entities, 2 broken records left out"
    assert result.stdout == ""
    summary, first, second = result.stderr.splitlines()
    assert summary == f"{target}: {counts}"
    assert "record at line 2 of" in first and "but must be a string under 'text'" in first
    assert "line 3 of" in second and "Expecting property name" in second
    assert [doc.text.strip() for doc in read_docs(target, NLP)] == ["Oslo", "Bo"]


def convert_in_a_process(*args, stdout):
    command = [sys.executable, "-m", "spacy", "bert-ner", "convert", *args]
    subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, check=True)


def convert_redirected(*args, stdout):
    """In this process, whose standard output is the file for so long."""
    saved = os.dup(1)
    os.dup2(stdout.fileno(), 1)
    try:
        result = convert(*args)
    finally:
        os.dup2(saved, 1)
        os.close(saved)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "name,convert_to",
    [
        ("/dev/stdout", convert_in_a_process),
        ("/dev/stdout", convert_redirected),
        ("/dev/fd/1", convert_redirected),
        ("/proc/self/fd/1", convert_redirected),
    ],
)
@pytest.mark.parametrize("target", ["spacy", "jsonl"])
def test_convert_to_standard_output(tmp_path, name, convert_to, target):
    """Redirected to a file, it is no file to replace: there may be more in it."""
    source, path = tmp_path / "a.iob2", tmp_path / "out"
    source.write_text("a B-X\n", encoding="utf-8")
    convert(source, tmp_path / "expected", "--to", target)
    with path.open("wb") as file:
        file.write(b"before\n")
        file.flush()
        convert_to(source, name, "--to", target, stdout=file)
    assert path.read_bytes() == b"before\n" + (tmp_path / "expected").read_bytes()


def test_convert_tables(tmp_path):
    (tmp_path / "a.csv").write_text('id,body\n7,"Oslo,\nBo"\n', encoding="utf-8")
    assert convert(tmp_path / "a.csv", tmp_path / "a.jsonl", "--column", "body").exit_code == 0
    record = json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8"))
    assert (record["text"], record["meta"]) == ("Oslo,\nBo", {"id": "7"})


def test_convert_folder(tmp_path):
    result = convert(tmp_path, tmp_path / "a.spacy")
    assert result.exit_code == 1
    assert f"There is no .txt file in {tmp_path}. Name a file, or a folder" in plain(result)
    (tmp_path / "a.conll").write_text("a O\n", encoding="utf-8")
    result = convert(tmp_path / "a.conll", tmp_path, "--to", "jsonl")
    assert result.exit_code == 1
    assert f"Can't write {tmp_path}: it is a folder." in plain(result)
    result = convert(tmp_path / "a.conll", tmp_path / "a.conll" / "a.spacy")
    assert result.exit_code == 1
    assert "a.conll" in plain(result)


def test_convert_no_file(tmp_path):
    result = convert(tmp_path / "none.conll", tmp_path / "a.spacy")
    assert result.exit_code == 1
    assert f"There is no file {tmp_path / 'none.conll'}." in plain(result)


def test_convert_no_text(tmp_path):
    """Something else than UTF-8 is an error with a message, too."""
    source, target = tmp_path / "a.conll", tmp_path / "a.spacy"
    source.write_bytes("Ålesund O\n".encode("latin-1"))
    result = convert(source, target)
    assert result.exit_code == 1
    assert "UTF-8" in plain(result)
    assert not target.exists()


def read_counts():
    """The table of the README of the sample corpus: a dict for each file."""
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in (SAMPLE / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    header = next(row for row in rows if row[:2] == ["file", "documents"])
    found = [row for row in rows if len(row) == len(header) and row[0].endswith(".iob2")]
    return {row[0]: dict(zip(header[1:], map(int, row[1:]))) for row in found}


@pytest.mark.parametrize("name", ["train.iob2", "dev.iob2", "test.iob2"])
def test_sample_corpus(tmp_path, name):
    """The counts in its README, and the same tokens and tags after the round trip."""
    source, target = SAMPLE / name, tmp_path / "a.spacy"
    counts = read_counts()[name]
    labels = set(counts) - {"documents", "sentences", "tokens", "entities"}
    assert labels >= {"PER", "ORG", "LOC", "MISC"}
    result = convert(source, target, "--lang", "en")
    summary = "{documents} documents, {tokens} tokens, {entities} entities".format(**counts)
    assert summary in plain(result)
    docs = list(DocBin().from_disk(target).get_docs(Vocab()))
    assert sum(len(list(doc.sents)) for doc in docs) == counts["sentences"]
    for label in labels:
        assert sum(ent.label_ == label for doc in docs for ent in doc.ents) == counts[label]
    lines = source.read_text(encoding="utf-8").split("\n")
    written = [f"{t.text}\t{tag}" for doc in docs for t, tag in zip(doc, tags_of(doc))]
    assert written == [line for line in lines if line and not line.startswith("-DOCSTART-")]
    assert convert(target, tmp_path / "a.iob2").exit_code == 0
    read = (tmp_path / "a.iob2").read_text(encoding="utf-8")
    assert read.rstrip("\n") == "\n".join(lines).rstrip("\n")
