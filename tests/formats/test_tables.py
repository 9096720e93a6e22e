import csv

import pytest

from spacy_bert_ner.formats import FormatError, Report, read_docs
from spacy_bert_ner.formats.files import RECORD_KEY

from .util import NLP, found


def read(tmp_path, content, name="a.csv", report=None, **settings):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return list(read_docs(path, NLP, report=report, **settings))


def texts(docs):
    return [doc.text for doc in docs]


def meta_of(doc):
    return doc.user_data.get(RECORD_KEY, {}).get("meta")


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name,separator", [("a.csv", ","), ("a.TSV", "\t")])
def test_rows(tmp_path, name, separator, end, mark):
    rows = [
        ["id", "text"],
        ["1", "Anna, Bo\tx"],
        [],
        ["2", 'a "b"\n\nc'],
        ["", ""],
        ["é", "\u2028"],
    ]
    lines = [separator.join('"' + f.replace('"', '""') + '"' for f in row) for row in rows]
    docs = read(tmp_path, mark + end.join(lines), name)
    assert texts(docs) == [row[1] for row in rows[1:] if row]
    assert [meta_of(doc) for doc in docs] == [{"id": row[0]} for row in rows[1:] if row]
    assert not any(doc.has_annotation("ENT_IOB") for doc in docs if len(doc))


def test_column(tmp_path):
    content = "text,body\na,b\n"
    assert texts(read(tmp_path, content)) == ["a"]
    (doc,) = read(tmp_path, content, column="body")
    assert (doc.text, meta_of(doc)) == ("b", {"text": "a"})
    (doc,) = read(tmp_path, "\n\nbody\nOslo", column="body")
    assert (doc.text, meta_of(doc)) == ("Oslo", None)


def test_only_a_header(tmp_path):
    assert read(tmp_path, "text,id\n") == []


def test_long_values(tmp_path):
    """Those of other columns are left out, texts are not: nor at the limit of Python's module."""
    report = Report()
    size = 200000
    docs = read(tmp_path, f"text,a,b\n{'x ' * size},{'y' * 1001},{'z' * 1000}\n", report=report)
    assert len(docs[0].text) == 2 * size
    assert meta_of(docs[0]) == {"b": "z" * 1000}
    (what,) = found(report)
    assert what.startswith("values of other columns have more than 1000 characters")
    assert report.findings[what].shown == ["'a' (record 1, line 2)"]


def test_is_what_the_module_writes(tmp_path):
    rows = [["text", "n"], *([f'{i},"\r\n\t', i] for i in range(20))]
    with (tmp_path / "in").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    docs = read(tmp_path, (tmp_path / "in").read_bytes())
    assert texts(docs) == [row[0] for row in rows[1:]]


@pytest.mark.parametrize(
    "content,match",
    [
        ("", "none of its columns is named 'text'.*first line: none .it is empty"),
        ("\n\n", "none of its columns is named 'text'.*none .it is empty"),
        ("id;text\n", "none of its columns is named 'text'.*first line: 'id;text'. Name the one"),
        (
            "a,b,c\n",
            "first line: 'a', 'b', 'c'. Name the one with the texts with --column",
        ),
        ("text,text\n", "2 of its columns are named 'text'"),
        ('"text"x,y\n', "line 1 of .*, the header: ',' expected after '\"'"),
        (
            "text,id\n\na,b\nc\n",
            "the record at line 4 of .* has 1 field, but the header has 2",
        ),
        (
            "text\na\nb, c\n",
            "line 3 of .* has 2 fields, but the header has 1. Quote",
        ),
        ('text\n"a\nb\n"\n"c" d\ne\n', "line 5 of .*: ',' expected after '\"'.*its quotes doubled"),
        (
            'text\na\n"b\nc\nd\n',
            "line 3 of .*: a quote in the row .* is not closed. Close",
        ),
        (b'text\na\n"b\n\xff"\n', "line 4 of .*a.csv: .*invalid start byte.*file to UTF-8"),
        (b"text,\xff\na,b\n", "line 1 of .*a.csv: .*invalid start byte.*file to UTF-8"),
        ("text\na\n".encode("utf-16"), "line 1 of .*a.csv: .*invalid start byte.*to UTF-8"),
    ],
)
def test_broken(tmp_path, content, match):
    with pytest.raises(FormatError, match=f"Can't read .*{match}"):
        read(tmp_path, content)


def test_skip_broken(tmp_path):
    """Of a row that can't be read, the next begins at the next line."""
    report = Report(skip_broken=True)
    content = b'text,n\na,1\nb\n"c" c,3\n\xff,4\nd,5,6\n"e\ne",7\n'
    assert texts(read(tmp_path, content, report=report)) == ["a", "e\ne"]
    assert (report.n_read, report.n_broken) == (6, 4)
    assert [f"line {n} of" in error for n, error in zip((3, 4, 5, 6), report.broken)] == [True] * 4


@pytest.mark.parametrize("content", ['text\na\n"b\nc\n', "id\na\n"])
def test_what_cannot_be_skipped(tmp_path, content):
    with pytest.raises(FormatError, match="is not closed|none of its columns"):
        read(tmp_path, content, report=Report(skip_broken=True))


def test_columns_of_labels_are_told(tmp_path):
    """They are kept as meta; no entity is read of a table."""
    report = Report()
    rows = "text,label,entities\na,news,\nb,news,\"[(0, 1, 'X')]\"\n"
    docs = read(tmp_path, rows, report=report)
    assert [doc.has_annotation("ENT_IOB") for doc in docs] == [False, False]
    assert meta_of(docs[1])["entities"] == "[(0, 1, 'X')]"
    (finding,) = report.findings.values()
    assert finding.shown == ["'entities' (record 2, line 3)"]
