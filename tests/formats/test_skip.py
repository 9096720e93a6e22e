"""Records that can't be read, and records that are passed over."""

import json

import pytest

from spacy_bert_ner.formats import FORMATS, FormatError, Report, read_docs, write_docs

from .util import NLP, make_doc, words_of

# Two good records, and two broken ones at these lines.
BROKEN = {
    "jsonl": (b'{"text": "a"}\n{"text": \n\n{"text": "b"}\n{"text": "\xff"}\n', [2, 5]),
    "doccano": (b'{"text": "a", "label": [[0]]}\n{"text": "a"}\n{"text": "b"}\n[]', [1, 4]),
    "label-studio": (
        b'[{"data": {"text": "a"}},\n{"data": 1},\n{"data": {"text": "b"}},\n3]',
        [2, 4],
    ),
    "conll": (b"a\tO\n\nb\nc\tO\n\nb\tO\n\n\xffd\tO\n", [3, 8]),
    "lines": (b"a\n\xff\n\nb\n\xc3\n", [2, 5]),
    "csv": (b'text,id\na,1\na\n"b",2\n"c"d,3\n', [3, 5]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_skip_broken(tmp_path, name):
    content, lines = BROKEN[name]
    (tmp_path / "a").write_bytes(content)
    report = Report(skip_broken=True)
    docs = list(read_docs(tmp_path / "a", NLP, name, report))
    assert [words_of(doc) for doc in docs] == [["a"], ["b"]]
    assert (report.n_read, report.n_broken, len(report.broken)) == (4, 2, 2)
    for error, line in zip(report.message().splitlines(), lines):
        assert f"line {line} of" in error
    assert report.summary().endswith("2 broken records left out")
    with pytest.raises(FormatError, match=f"line {lines[0]} of"):
        list(read_docs(tmp_path / "a", NLP, name))


@pytest.mark.parametrize("name,content", [("spacy", b"a"), ("jsonl", b'[{"text": "a"},\n{"tex')])
def test_what_cannot_be_skipped(tmp_path, name, content):
    """Behind what is cut off, nothing is left to read."""
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(FormatError, match="Can't read "):
        list(read_docs(tmp_path / "a", NLP, name, Report(skip_broken=True)))


def test_shown_are_the_first(tmp_path):
    report = Report(skip_broken=True)
    (tmp_path / "a.jsonl").write_text("x\n" * 130, encoding="utf-8")
    assert list(read_docs(tmp_path / "a.jsonl", NLP, "jsonl", report)) == []
    lines = report.message().splitlines()
    assert len(lines) == 101
    assert lines[-1] == "… and 30 more records that can't be read."


@pytest.mark.parametrize(
    "name", [name for name, entry in FORMATS.items() if entry.reader and name != "text"]
)
def test_pass_over(tmp_path, name):
    """Whatever they are: they were read before."""
    docs = [make_doc([word], ["B-X"]) for word in "abcd"]
    if name in ("csv", "tsv"):
        (tmp_path / "x").write_text("text\na\nb\nc\nd\n", encoding="utf-8")
    else:
        write_docs(tmp_path / "x", docs, name)
    report = Report()
    read = list(read_docs(tmp_path / "x", NLP, name, report, skip=2))
    assert [doc.text.strip() for doc in read] == ["c", "d"]
    assert list(read_docs(tmp_path / "x", NLP, name, skip=9)) == []


def test_pass_over_broken_records(tmp_path):
    (tmp_path / "a").write_text('{\n{"text": "a"}\n', encoding="utf-8")
    assert len(list(read_docs(tmp_path / "a", NLP, "jsonl", skip=1))) == 1


def test_counts_outlive_the_process():
    report = Report()
    report.add("things", "one")
    report.add_broken(FormatError("broken"))
    report.n_read, report.n_docs, report.n_tokens, report.n_ents = 9, 8, 7, 6
    other = Report(skip_broken=True)
    other.restore(json.loads(json.dumps(report.to_dict())))
    assert other.skip_broken
    other.skip_broken = False
    assert other == report
    other.add("things", "two")
    assert other.message() == "broken\n2 things: one, two"
