import json
import os
import threading
import tracemalloc

import pytest

from spacy_bert_ner.formats import FormatError, Report, read_docs
from spacy_bert_ner.formats.files import Record, make_doc
from spacy_bert_ner.formats.json_values import CHUNK, dump, read_values
from spacy_bert_ner.formats.output import replace_file
from spacy_bert_ner.formats.writing import TextWriter

from .util import NLP


def read_records(path):
    return (value.read() for value in read_values(path))


LONG = {"text": "\U0001f600" * CHUNK, "list": [{"]": "[,"}]}


def write_lines(path, records):
    writer = TextWriter(lambda record, report: dump(record) + "\n")
    writer.write(path, records, Report())


def write_array(path, records):
    """As the writer of Label Studio does."""
    writer = TextWriter(
        lambda record, report: "\n" + dump(record), lambda record: "[", ",", "\n]\n"
    )
    writer.write(path, records, Report())


def read(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return [(record.number, record.line, record.data) for record in read_records(path)]


@pytest.mark.parametrize(
    "content,lines",
    [
        ('{"a": 1}\n{"a": 2}', [1, 2]),
        ('\n \n{"a": 1}\r\n\r\n{"a": 2}\r\n\n', [3, 5]),
        ('[{"a": 1}, {"a": 2}]', [1, 1]),
        ('\n\n [\n{"a": 1},\n\n{"a"\n:2}\n]\n\n', [4, 6]),
        ('[\r\n{"a": 1}\r\n,\r\n{"a": 2}\r\n]', [2, 4]),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lines_and_arrays(tmp_path, mark, content, lines):
    expected = [(i, line, {"a": i}) for i, line in enumerate(lines, start=1)]
    assert read(tmp_path, mark + content) == expected


@pytest.mark.parametrize("content", ["", "\ufeff", "\n \r\n", "[]", " [\n] \n"])
def test_nothing(tmp_path, content):
    assert read(tmp_path, content) == []


@pytest.mark.parametrize("indent", [None, 1])
def test_records_longer_than_what_is_read_at_once(tmp_path, indent):
    records = [{"a": 1}, LONG, *({"b": i, "text": "é" * i} for i in range(300)), LONG]
    assert [data for *_, data in read(tmp_path, json.dumps(records, indent=indent))] == records
    lines = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    assert [data for *_, data in read(tmp_path, lines)] == records


@pytest.mark.parametrize("size", range(CHUNK - 12, CHUNK + 3))
def test_records_at_the_edge_of_what_is_read_at_once(tmp_path, size):
    records = [{"a": "x" * size}, {"b": "\\u00e9"}, {"c": [1.5, True]}]
    assert [data for *_, data in read(tmp_path, json.dumps(records))] == records


def test_memory_for_arrays(tmp_path):
    """A record at a time is in memory, not the file."""
    path = tmp_path / "a.json"
    write_array(path, ({"text": "x" * 1000, "id": i} for i in range(20000)))
    tracemalloc.start()
    assert sum(1 for _ in read_records(path)) == 20000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 20e6
    assert peak < 1e6


def test_pipe(tmp_path):
    """It can be read once, and from its beginning only."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    content = json.dumps([{"a": i} for i in range(10000)])
    thread = threading.Thread(target=path.write_text, args=(content,))
    thread.start()
    assert sum(1 for _ in read_records(path)) == 10000
    thread.join()


@pytest.mark.parametrize(
    "content,match",
    [
        ('{"a": 1}\n{"a": 1', r"line 2 of .*a.json: Expecting ',' delimiter.*Each line must be"),
        ('\n\n{"a": 1}\n{}}', "line 4 of .*Extra data"),
        ('{\n"a": 1\n}', "line 1 of .*Each line must be a JSON object"),
        ("a", "line 1 of .*Expecting value"),
        ("3\n", "the record at line 1 of .*: 3 is not a JSON object"),
        ('{}\n"' + "a" * 99 + '"', 'the record at line 2 of .*: "a{59}… is not a JSON object'),
        ("null", "the record at line 1 of .*: null is not"),
        ("[1]", "the record at line 1 of .*: 1 is not a JSON object"),
        ("[\n{},\n[2]]", r"the record at line 3 of .*: \[2\] is not a JSON object"),
        ("[{}\n{}]", "line 2 of .*: ',' is missing before '{'.*must be a JSON array of objects"),
        ("[{},\n]", "line 2 of .*Expecting value"),
        ("[\n{}\n", "line 3 of .*: ',' is missing before 'the end'"),
        ("[", "line 1 of .*Expecting value"),
        ("[{}]\n\n[{}]", r"line 3 of .*: the array ends before '\['"),
        ('[{},\n\n{"a":\n x}]', "line 4 of .*Expecting value"),
        (f'{{"a": {"1" * 5000}}}', "line 1 of .*digits.*Each line must be"),
        (f'[{{}},\n{{"a": {"1" * 5000}}}]', "line 2 of .*digits.*must be a JSON array"),
        ("[{}\u00a0,{}]", "line 1 of .*: ',' is missing before '\\\\xa0'"),
    ],
)
def test_broken_json(tmp_path, content, match):
    with pytest.raises(FormatError, match=f"Can't read {match}"):
        read(tmp_path, content)


def test_broken_json_behind_long_records(tmp_path):
    """Whatever is in memory by then, the line is that of the file."""
    text = json.dumps([LONG, {"a": 1}, LONG], indent=1)
    line = text[: text.index('"a"')].count("\n") + 1
    with pytest.raises(FormatError, match=f"Can't read line {line} of"):
        read(tmp_path, text.replace('"a": 1', '"a": x'))


@pytest.mark.parametrize("start", [b"", b"[\n"])
def test_no_utf_8(tmp_path, start):
    content = start + b'{"a": "\xc3\xa9"}\n' * 3000 + '{"a": "é"}'.encode("latin-1")
    line = content.count(b"\n") + 1
    if start:
        content = content.replace(b"}\n", b"},\n")
    with pytest.raises(FormatError, match=rf"line {line} of .*it isn't UTF-8.*to UTF-8"):
        read(tmp_path, content)


def test_utf_16(tmp_path):
    with pytest.raises(FormatError, match=r"line 1 of .*Convert the file to UTF-8"):
        read(tmp_path, '{"a": 1}'.encode("utf-16"))


@pytest.mark.parametrize("start", ["", "["])
def test_too_many_brackets(tmp_path, start):
    with pytest.raises(FormatError, match="Can't read line 1 of .*recursion depth"):
        read(tmp_path, start + '{"a":' * 100000)


@pytest.mark.parametrize("write", [write_lines, write_array])
def test_round_trip(tmp_path, write):
    records = [{"a": "\U0001f600\u2028\x00\x85\r\n"}, {}, LONG]
    write(tmp_path / "made" / "there" / "a.json", records)
    text = (tmp_path / "made" / "there" / "a.json").read_text(encoding="utf-8")
    assert [data for *_, data in read(tmp_path, text)] == records
    assert "\U0001f600" in text


@pytest.mark.parametrize("write", [write_lines, write_array])
def test_an_error_while_writing_leaves_what_was(tmp_path, write):
    def fail():
        yield {"a": 1}
        raise FormatError("broken")

    path = tmp_path / "a.json"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(FormatError, match="broken"):
        write(path, fail())
    assert path.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_output_may_be_the_input(tmp_path):
    path = tmp_path / "a.jsonl"
    records = [{"a": i} for i in range(10000)]
    write_lines(path, records)
    write_lines(path, (record.data for record in read_records(path)))
    assert [record.data for record in read_records(path)] == records


def test_links_stay(tmp_path):
    (tmp_path / "folder").mkdir()
    path = tmp_path / "link.json"
    path.symlink_to(tmp_path / "folder" / "a.json")
    write_lines(path, [{"a": 1}])
    assert path.is_symlink()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["a.json"]


def test_devices_are_not_replaced(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = []
    thread = threading.Thread(target=lambda: read.append(path.read_bytes()))
    thread.start()
    with replace_file(path) as file:
        file.write(b"a")
    thread.join()
    assert read == [b"a"]
    assert path.is_fifo()


def test_tokenizer_that_changes_the_text(tmp_path, monkeypatch):
    """The offsets in the file would be others."""
    tokenizer = NLP.tokenizer
    monkeypatch.setattr(NLP, "tokenizer", lambda text: tokenizer(" ".join(text.split())))
    record = Record(tmp_path / "a.jsonl", 1, 1, {})
    assert make_doc(NLP, record, "a b").text == "a b"
    with pytest.raises(FormatError, match="the tokenizer of 'xx' changes the text.*white space"):
        make_doc(NLP, record, "a  b")


def nest(depth):
    return '{"text": "a", "meta": ' + "[" * depth + "]" * depth + "}"


@pytest.mark.parametrize(
    "is_array,depth", [(False, 150), (False, 900), (False, 985), (True, 150), (True, 900)]
)
def test_nested_records_can_be_left_out(tmp_path, depth, is_array):
    """Python reads them, up to a thousand levels, and can't write them any more."""
    records = ['{"text": "b"}', nest(depth), nest(90)]
    path = tmp_path / "a.jsonl"
    path.write_text(f"[{','.join(records)}]" if is_array else "\n".join(records), encoding="utf-8")
    report = Report(skip_broken=True)
    assert [doc.text for doc in read_docs(path, NLP, "jsonl", report)] == ["b", "a"]
    if depth < 985:  # which Python itself can't read
        assert "is nested more than 100 levels deep. Remove" in report.broken[0]
    assert f"line {1 if is_array else 2} of" in report.broken[0]


@pytest.mark.parametrize("depth", [99, 150, 5000])
def test_a_first_line_that_is_nested_can_be_left_out(tmp_path, depth):
    """It begins as an array of records does."""
    path = tmp_path / "a.jsonl"
    line = "[" * depth + ' "]", "[[[" ' + "]" * depth
    path.write_text(f'{line}\n{{"text": "a"}}\n\n{{"text": "b"}}\n', encoding="utf-8")
    with pytest.raises(FormatError, match="line 1 of"):
        list(read_docs(path, NLP, "jsonl"))
    report = Report(skip_broken=True)
    if depth > 99:
        assert [doc.text for doc in read_docs(path, NLP, "jsonl", report)] == ["a", "b"]
        assert report.n_broken == 1 and "line 1 of" in report.broken[0]


def test_an_array_whose_first_value_is_nested(tmp_path):
    """The rest of it is read."""
    path = tmp_path / "a.json"
    path.write_text(f'[{"[" * 150}{"]" * 150},\n{{"text": "a"}}]\n', encoding="utf-8")
    report = Report(skip_broken=True)
    assert [doc.text for doc in read_docs(path, NLP, "jsonl", report)] == ["a"]


@pytest.mark.parametrize(
    "start,kind",
    [
        (b"%PDF-1.7\n", "a PDF file. Extract its text first"),
        (b"PK\x03\x04\x14", "an Excel, Word or ZIP file. Export it as CSV in UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1", "an older Excel or Word file. Export it as CSV"),
        (b"{\\rtf1", "an RTF file. Export"),
        (b"\x1f\x8b\x08", "a gzip file. Unpack it with gunzip"),
        (b"PAR1\x15\x04", "a Parquet file. Read it with --from parquet"),
    ],
)
@pytest.mark.parametrize(
    "name", [*("a.csv", "a.txt", "a.jsonl", "a.json", "a.conll", "a.spacy", "a.tsv", "a.xlsx", "a")]
)
def test_files_of_other_kinds(tmp_path, name, start, kind):
    """By their first bytes, whatever their name, and whether the format is given or guessed."""
    path = tmp_path / name
    path.write_bytes(start + b"\xff\0" * 50)
    for given in (None, "lines", "csv"):
        with pytest.raises(FormatError, match=f"Can't read .*{name}: it is {kind}"):
            list(read_docs(path, NLP, given))


def test_text_that_names_another_kind(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"PAR1 and BZh, not %PDF-")
    assert len(list(read_docs(tmp_path / "a.txt", NLP))) == 1
