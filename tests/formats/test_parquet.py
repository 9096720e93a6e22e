"""Parquet: what other tools write, what is written, and files that can't be read."""

import datetime
import decimal
import os
import threading

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats import FormatError, Report, parquet, read_docs, write_docs
from spacy_bert_ner.formats.arrow_rows import iter_rows, make_schema, parse
from spacy_bert_ner.formats.files import RECORD_KEY

from .util import NLP, ents_of, found, make_doc, tags_of, words_of

SPAN = {"start": 0, "end": 4, "label": "LOC"}


def write(tmp_path, columns, **settings):
    path = tmp_path / "a.parquet"
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table, path, **settings)
    return path


def read(path, report=None, **settings):
    return list(read_docs(path, NLP, report=report, **settings))


def record_of(doc):
    return doc.user_data.get(RECORD_KEY)


def test_columns_are_kept_as_meta(tmp_path):
    columns = {
        "text": ["Oslo", "Bo", "x"],
        "id": pa.array([1, None, 3], pa.int64()),
        "n": pa.array([7, None, 9], pa.int64()),
        "ratio": [0.5, float("nan"), None],
        "day": [datetime.date(2024, 2, 29), None, None],
        "at": [datetime.datetime(2024, 1, 2, 3, 4, 5, 600), None, None],
        "price": [decimal.Decimal("1.10"), None, None],
        "label": ["news", "sports", None],
        "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
        "more": [{"deep": [{"er": False}]}, None, None],
        "keys": pa.array([[("k", 1)], None, None], pa.map_(pa.string(), pa.int64())),
        "long": ["y" * 1001, "z" * 1000, None],
        "raw": [b"\xff", None, None],
        "raws": [[b"\xff"], None, None],
    }
    report = Report()
    first, second, third = read(write(tmp_path, columns), report)
    assert record_of(first) == {
        "id": 1,
        "meta": {
            **{"n": 7, "ratio": 0.5, "day": "2024-02-29", "at": "2024-01-02T03:04:05.000600"},
            **{"price": "1.10", "label": "news", "kind": "a"},
            **{"more": {"deep": [{"er": False}]}, "keys": {"k": 1}, "raws": [None]},
        },
    }
    assert record_of(second) == {"meta": {"label": "sports", "kind": "b", "long": "z" * 1000}}
    assert record_of(third) == {"id": 3, "meta": {"n": 9, "kind": "a"}}
    assert not first.has_annotation("ENT_IOB")
    shown = [finding.shown for finding in report.findings.values()]
    assert shown == [["'raw' (record 1)", "'raws' (record 1)"], ["'long' (record 1)"]]


def test_times_that_python_cannot_have(tmp_path):
    """They are text. Without one, they are left out, but not their rows."""
    columns = {
        "text": ["Oslo"],
        "at": pa.array([1700000000123456789], pa.timestamp("ns")),
        "time": pa.array([1001], pa.time64("ns")),
        "length": pa.array([1001], pa.duration("ns")),
        "far": pa.array([253402300800 * 2], pa.timestamp("s")),
        "zone": pa.array([1700000000], pa.timestamp("s", "Nowhere/X")),
        "deep": pa.array([[1001]], pa.list_(pa.time64("ns"))),
    }
    report = Report()
    (doc,) = read(write(tmp_path, columns), report)
    assert record_of(doc)["meta"] == {
        **{"at": "2023-11-14T22:13:20.123456789", "time": "00:00:00.000001001"},
        **{"length": "1001 ns", "far": "18029-12-31T00:00:00.000000"},
    }
    (finding,) = report.findings.values()
    assert finding.what == "values of other columns can't be converted, and are left out"
    assert finding.shown == ["'zone' (record 1)", "'deep' (record 1)"]
    with pytest.raises(FormatError, match="record 1 of .*: it can't be converted"):
        read(write(tmp_path, {"text": ["a"], "id": columns["zone"]}))


def test_maps(tmp_path):
    kind = pa.map_(pa.string(), pa.string())
    meta = pa.array([[("a", "b")], [], None], kind)
    deep = pa.array([[[("c", "d")]], None, None], pa.list_(kind))
    docs = read(write(tmp_path, {"text": ["x"] * 3, "meta": meta, "deep": deep}))
    assert record_of(docs[0]) == {"meta": {"a": "b", "deep": [{"c": "d"}]}}
    assert record_of(docs[1]) is record_of(docs[2]) is None


def test_bytes_in_lists_and_objects(tmp_path):
    report = Report()
    columns = {"text": ["x"], "meta": [{"a": b"y", "b": 1}], "deep": [[{"c": [b"y"]}]]}
    (doc,) = read(write(tmp_path, columns), report)
    assert record_of(doc) == {"meta": {"a": None, "b": 1, "deep": [{"c": [None]}]}}
    assert found(report) == {"values of other columns are or contain bytes, which are left out": 2}


def test_entities_as_lists_of_parts(tmp_path):
    """As Hugging Face datasets store a sequence of objects."""
    parts = {"start": [0, 5], "end": [4, 7], "label": ["LOC", "PER"]}
    (doc,) = read(write(tmp_path, {"text": ["Oslo Bo"], "entities": [parts]}))
    assert ents_of(doc) == [("Oslo", "LOC"), ("Bo", "PER")]
    assert record_of(doc) is None


@pytest.mark.parametrize(
    "text",
    [
        '[{"start": 0, "end": 4, "label": "LOC"}]',
        ' [[0, 4, "LOC"]]',
        '{"start": [0], "end": [4], "label": ["LOC"], "score": [NaN]}',
    ],
)
@pytest.mark.parametrize("key", ["spans", "ents", "entities"])
def test_entities_as_json(tmp_path, key, text):
    """As text, for tables in which each column has a simple type."""
    report = Report()
    columns = {"text": ["Oslo", "Bo", "a"], key: [text, "[]", None]}
    docs = read(write(tmp_path, columns), report)
    assert [ents_of(doc) for doc in docs] == [[("Oslo", "LOC")], [], []]
    assert [doc.has_annotation("ENT_IOB") for doc in docs] == [True, True, False]
    assert not report.findings and record_of(docs[0]) is None


def test_broken_entities_as_json(tmp_path):
    """They raise the error that they raise in JSON lines."""
    text = '[{"start": 0, "end": 4, "label": "LOC"}, 5]'
    with pytest.raises(FormatError, match="record 1 of .*: its span 5 is neither an object with"):
        read(write(tmp_path, {"text": ["Oslo"], "spans": [text]}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spans", '[{"start": 0, "end": 4, "label": "LOC"}'),
        ("spans", "[" * 999),
        ("ents", '["Oslo"]'),
        ("entities", '{"LOC": "Oslo"}'),
        ("labels", '[{"start": 0, "end": 4, "label": "LOC"}]'),
        ("entities", {"start": [0], "end": [4, 5], "label": ["LOC"]}),
        ("annotations", [SPAN]),
    ],
)
def test_entities_that_are_not_read(tmp_path, key, value):
    report = Report()
    (doc,) = read(write(tmp_path, {"text": ["Oslo"], key: [value]}), report)
    assert not doc.has_annotation("ENT_IOB")
    assert record_of(doc) == {"meta": {key: value}}
    (what,) = found(report)
    assert what.startswith("rows have a column that may contain labels")


def test_ids_of_bytes(tmp_path):
    (doc,) = read(write(tmp_path, {"text": ["a"], "id": [b"x"], "answer": [b"y"]}))
    assert record_of(doc) is None


def test_column(tmp_path):
    path = write(tmp_path, {"text": ["a", "b"], "body": ["Oslo", "Bo"]})
    docs = read(path, column="body")
    assert [doc.text for doc in docs] == ["Oslo", "Bo"]
    assert record_of(docs[1]) == {"meta": {"text": "b"}}


@pytest.mark.parametrize("key", ["spans", "ents", "entities"])
def test_entities(tmp_path, key):
    (doc, other) = read(write(tmp_path, {"text": ["Oslo x", "y"], key: [[SPAN], None]}))
    assert ents_of(doc) == [("Oslo", "LOC")]
    assert tags_of(doc) == ["B-LOC", "O"]
    assert not other.has_annotation("ENT_IOB")
    assert record_of(doc) is None


def test_tables_of_datasets(tmp_path):
    """Words and tags, with or without a text."""
    columns = {"tokens": [["Bo", "saw", "Oslo"]], "ner_tags": [["B-PER", "O", "B-LOC"]]}
    for more in ({}, {"text": pa.nulls(1)}, {"text": ["Bo saw Oslo"]}):
        (doc,) = read(write(tmp_path, {**columns, **more}))
        assert words_of(doc) == columns["tokens"][0]
        assert ents_of(doc) == [("Bo", "PER"), ("Oslo", "LOC")]
    columns["ner_tags"] = [[1, 0, 2]]
    with pytest.raises(FormatError, match="Can't read record 1 of .*: its ner_tags are numbers"):
        read(write(tmp_path, columns))


def test_what_is_written(tmp_path):
    docs = [make_doc(["Oslo", "x"], ["B-LOC", "O"]), NLP.make_doc("y"), NLP.make_doc("")]
    docs[0].user_data[RECORD_KEY] = {"id": 3, "meta": {"page": 4}}
    docs[1].user_data[RECORD_KEY] = {"id": "é", "meta": "none"}
    path, report = tmp_path / "a.parquet", Report()
    write_docs(path, docs, report=report)
    table = pq.read_table(path)
    assert table.schema.equals(make_schema())
    span = {**SPAN, "token_start": 0, "token_end": 0, "score": None}
    assert table.to_pylist() == [
        {"text": "Oslo x ", "id": "3", "meta": '{"page": 4}', "spans": [span]},
        {"text": "y", "id": "é", "meta": '{"meta": "none"}', "spans": None},
        {"text": "", "id": None, "meta": None, "spans": []},
    ]
    first, second, third = read(path)
    assert record_of(first) == {"id": "3", "meta": {"page": 4}}
    assert record_of(second) == {"id": "é", "meta": {"meta": "none"}}
    assert record_of(third) is None


def test_row_groups(tmp_path, monkeypatch):
    """They are written while documents are read, and none is held for longer."""
    monkeypatch.setattr(parquet, "GROUP_SIZE", 1)
    docs = (make_doc([f"w{i}"], ["O"]) for i in range(3 * parquet.N_ROWS - 1))
    path = tmp_path / "a.parquet"
    write_docs(path, docs)
    file = pq.ParquetFile(path)
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sizes == [parquet.N_ROWS, parquet.N_ROWS, parquet.N_ROWS - 1]
    assert [doc.text.strip() for doc in read(path)] == [f"w{i}" for i in range(sum(sizes))]


def test_long_documents_have_batches_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_bert_ner.formats.arrow_rows.N_CHARS", 5)
    monkeypatch.setattr(parquet, "GROUP_SIZE", 1)
    texts = ["abcd", "a", "b", "abcdefgh", "c"]
    write_docs(tmp_path / "a.parquet", [NLP.make_doc(text) for text in texts])
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 1, 1, 1]
    assert [doc.text for doc in read(tmp_path / "a.parquet")] == texts


def test_to_a_pipe(tmp_path):
    """It is written from its beginning to its end. It can't be read from one."""
    os.mkfifo(tmp_path / "pipe")
    data = []
    reader = threading.Thread(target=lambda: data.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_docs(tmp_path / "pipe", [NLP.make_doc("Oslo")], "parquet")
    reader.join()
    (tmp_path / "a.parquet").write_bytes(data[0])
    assert [doc.text for doc in read(tmp_path / "a.parquet")] == ["Oslo"]
    with pytest.raises(FormatError, match="Parquet can't be read from a pipe. Name a file"):
        read(tmp_path / "pipe", name="parquet")


def test_folder(tmp_path):
    """As Ray and Spark write."""
    with pytest.raises(FormatError, match="it is a folder. Name one of its files; annotate reads"):
        read(tmp_path, name="parquet")


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"body": ["a"]}, "none of its columns is named 'text'. Its columns: 'body'. Name the one"),
        ({}, "none of its columns is named 'text'. Its columns: none"),
        ({"text": [1, 2]}, "column 'text' has the type int64, but must have strings"),
        ({"text": [b"a"]}, "column 'text' has the type binary"),
        ({"text": [["a"]]}, "column 'text' has the type list<"),
        ({"text": ["a", None]}, "record 2 of .*: its text is null, but must be a string"),
        ({"text": pa.nulls(1)}, "record 1 of .*: its text is null, but must be a string"),
        ({"text": ["a"], "spans": [[1]]}, "record 1 of .*: its span 1 is neither an object"),
        (
            {"text": pa.Array.from_buffers(pa.string(), 1, pa.array([b"a\xff"]).buffers())},
            "record 1 of .*: it can't be converted .UnicodeDecodeError: .*Repair or remove it",
        ),
        (
            pa.Table.from_arrays([pa.array(["a"])] * 2, names=["text", "text"]),
            "2 of its columns are named 'text'. Rename all but one",
        ),
        (
            pa.Table.from_arrays([pa.array(["a"])] * 4, names=["text", "id", "x", "id"]),
            "2 of its columns are named 'id'. Rename all but one",
        ),
    ],
)
def test_wrong_columns(tmp_path, columns, match):
    path = write(tmp_path, columns)
    with pytest.raises(FormatError, match=match) as error:
        read(path)
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_skip_broken(tmp_path):
    """A batch with a row that can't be read is read to its end."""
    text = pa.array([b"a", b"\xff", None, b"b"])
    broken = pa.Array.from_buffers(pa.string(), 4, text.buffers())
    report = Report(skip_broken=True)
    docs = read(write(tmp_path, {"text": broken}), report)
    assert [doc.text for doc in docs] == ["a", "b"]
    assert (report.n_read, report.n_broken) == (4, 2)
    assert [f"record {n} of" in error for n, error in zip((2, 3), report.broken)] == [True, True]


@pytest.mark.parametrize("content", [b"", b"text\na\n", b"PAR1", b"PAR1" * 20, b"PAR1\x15\x04PAR1"])
def test_no_parquet(tmp_path, content):
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=f"Can't read {path}, which isn't a Parquet file or is"):
        read(path, Report(skip_broken=True))


def test_damaged_bytes(tmp_path):
    """In pages, they are found by a checksum. The index at the end has none: there, the file is
    refused, or is another one."""
    path = tmp_path / "a.parquet"
    docs = [make_doc(["Oslo", str(i)], ["B-LOC", "O"]) for i in range(50)]
    write_docs(path, docs)
    whole = path.read_bytes()
    index = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    expected = [(doc.text, ents_of(doc)) for doc in read(path)]
    n_refused = 0
    for at in range(0, len(whole), 7):
        data = bytearray(whole)
        data[at] ^= 0x55
        path.write_bytes(data)
        try:
            docs = read(path)
            assert at > index or [(doc.text, ents_of(doc)) for doc in docs] == expected
        except UserError as error:
            n_refused += 1
            assert str(path) in str(error)
            assert len(str(error).splitlines()) == 1
    assert n_refused > index / 7 / 2
    for end in (len(whole) // 3, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(FormatError, match="isn't a Parquet file or is damaged"):
            read(path)


def test_metadata_runs_no_code(tmp_path):
    """Of pandas, and of an extension type that versions before 14.0.1 have unpickled."""
    marker = tmp_path / "ran"
    code = f"cos\nsystem\n(S'touch {marker}'\ntR.".encode()
    field = pa.field(
        "text",
        pa.string(),
        metadata={
            b"ARROW:extension:name": b"arrow.py_extension_type",
            b"ARROW:extension:metadata": code,
        },
    )
    schema = pa.schema([field], metadata={b"pandas": code})
    path = write(tmp_path, pa.Table.from_arrays([pa.array(["Oslo"])], schema=schema))
    assert [doc.text for doc in read(path)] == ["Oslo"]
    assert not marker.exists()


def test_deep_columns(tmp_path):
    value, kind = 1, pa.int64()
    for _ in range(120):
        value, kind = [value], pa.list_(kind)
    path = write(tmp_path, {"text": ["a"], "deep": pa.array([value], kind)})
    with pytest.raises(FormatError, match="is damaged: OSError: .*too deeply nested"):
        read(path)
    row = next(
        iter_rows(
            path, pa.table({"text": ["a"], "deep": pa.array([value], kind)}).to_batches(), "text"
        )
    )
    with pytest.raises(FormatError, match="record 1 of .* nested more than 100 levels deep"):
        parse(NLP, row, Report())


def test_without_pyarrow(tmp_path, monkeypatch):
    path = write(tmp_path, {"text": ["a"]})
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UserError, match="pyarrow isn't installed: python -m pip install pyarrow"):
        read(path)


def test_is_named(tmp_path):
    path = write(tmp_path, {"text": ["a"]})
    path = path.rename(tmp_path / "a")
    with pytest.raises(FormatError, match="it is a Parquet file. Read it with --from parquet"):
        read(path)
    assert [doc.text for doc in read(path, name="parquet")] == ["a"]


def test_partial_and_direct_output_are_the_same(tmp_path):
    docs = [make_doc(["Oslo", str(i)], ["B-LOC", "O"]) for i in range(9)]
    write_docs(tmp_path / "direct.parquet", docs)
    writer = parquet.ParquetWriter()
    with (tmp_path / "part").open("w+b") as part:
        for start in range(0, 9, 4):
            part.writelines(writer.pack(docs[start : start + 4], Report(), is_first=not start))
        part.write(writer.end(is_empty=False))
        writer.place(part, tmp_path / "part", tmp_path / "a.parquet")
    direct, placed = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("direct", "a"))
    assert direct.equals(placed)
    assert not (tmp_path / "part").exists()


def test_findings(tmp_path):
    """What the format can't keep is counted."""
    report = Report()
    write_docs(tmp_path / "a.parquet", [make_doc(["a", "b"], ["B-X", "-"])], report=report)
    (what,) = found(report)
    assert what.startswith("documents have tokens with missing annotation")
