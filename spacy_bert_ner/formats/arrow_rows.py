"""Tables of Arrow, with the keys of JSON records as columns: those of Parquet files, and of engines
such as Ray Data and Spark."""

from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional

from spacy.language import Language
from spacy.tokens import Doc

from ..characters import get_text
from ..errors import describe_error, needing_package
from . import jsonl
from .arrow_values import has_bytes, parse_json, read_spans, to_json, to_python
from .files import Record, get_fields
from .json_values import Value, dump
from .report import FormatError, Report
from .spans import LABEL_KEYS, NO_LABELS, get_ents
from .tables import LONG, META_LIMIT, UNREAD
from .words import TAGS_KEYS, WORDS_KEYS

# A batch of rows that are written has at most so many characters, or a single document: the offsets
# of a column have 32 bits.
N_CHARS = 1 << 24
# Columns that aren't part of the meta, if they have lists.
LISTS = {*jsonl.ENTITY_KEYS, *WORDS_KEYS, *TAGS_KEYS, *NO_LABELS}
BINARY = "values of other columns are or contain bytes, which are left out"
UNCONVERTED = "values of other columns can't be converted, and are left out"


class Row(NamedTuple):
    """A row, not converted yet.

    path (Path): The file, or what to call the table in messages.
    number (int): Its number, from 1.
    column (str): Name of the column with the texts.
    batch (pyarrow.RecordBatch): The rows that it is among.
    at (int): Its position there.
    """

    path: Path
    number: int
    column: str
    batch: Any
    at: int


def import_pyarrow() -> Any:
    """RETURNS (module): pyarrow.
    RAISES (UserError): If it isn't installed.
    """
    with needing_package("read and write Parquet files", "pyarrow"):
        import pyarrow
        import pyarrow.parquet
    return pyarrow


def make_schema() -> Any:
    """RETURNS (pyarrow.Schema): The columns that are written: the text, the id of the record as
    text, its meta as a JSON object, and the entities with the keys of the format `jsonl`, null for
    a document without annotation."""
    pa = import_pyarrow()
    offsets = [(key, pa.int64()) for key in ("start", "end", "token_start", "token_end")]
    span = pa.struct([*offsets, ("label", pa.string()), ("score", pa.float64())])
    texts = [(key, pa.string()) for key in ("text", "id", "meta")]
    return pa.schema([*texts, ("spans", pa.list_(span))])


def check_columns(path: Path, schema: Any, column: str) -> None:
    """RAISES (ValueError): If there is no column with texts, or if columns share a name.

    path (Path): The file, as named in the message.
    schema (pyarrow.Schema): Its columns.
    column (str): Name of the column with the texts.
    """
    types = import_pyarrow().types
    for name, n in Counter(schema.names).items():
        if n > 1:
            problem = f"{n} of its columns are named {name!r}. Rename all but one."
            raise FormatError(f"Can't read {path}: {problem}")
    if column in schema.names:
        kind = schema.field(column).type
        kind = kind.value_type if types.is_dictionary(kind) else kind
        kinds = (types.is_string, types.is_large_string, types.is_string_view, types.is_null)
        if not any(is_kind(kind) for is_kind in kinds):
            raise FormatError(
                f"Can't read {path}: its column {column!r} has the type {kind}, but must have "
                "strings. Name the one with the texts with --column (convert, annotate)."
            )
    elif not {*WORDS_KEYS}.intersection(schema.names):
        names = ", ".join(map(repr, schema.names)) or "none"
        raise FormatError(
            f"Can't read {path}: none of its columns is named {column!r}. Its columns: {names}. "
            "Name the one with the texts with --column (convert, annotate)."
        )


def iter_rows(path: Path, batches: Iterable[Any], column: str) -> Iterator[Row]:
    """YIELDS (Row): The rows of a table.

    path (Path): The file, or what to call the table in messages.
    batches (Iterable[pyarrow.RecordBatch]): The table, in batches of rows.
    column (str): Name of the column with the texts.
    """
    number = 0
    for batch in batches:
        for at in range(batch.num_rows):
            number += 1
            yield Row(path, number, column, batch, at)


def parse(nlp: Language, row: Row, report: Report) -> Optional[Doc]:
    """Read a row as a record of the format `jsonl`. Other columns are added to its meta.

    nlp (Language): Its tokenizer and vocabulary are used.
    row (Row): The row.
    report (Report): Counts what doesn't fit.
    RETURNS (Optional[Doc]): See `jsonl.parse`.
    RAISES (ValueError): For a row that can't be read, with its number.
    """
    try:
        data = _make_record(_read_values(row, report), row, report)
    # Any exception: which one is raised depends on the values, such as bytes that aren't UTF-8.
    except Exception as error:
        problem = f"it can't be converted ({describe_error(error)}). Repair or remove it."
        raise Record(row.path, row.number, 0, {}).error(problem) from error
    return jsonl.parse(nlp, Value(row.path, row.number, 0, data=data), report)


def _read_values(row: Row, report: Report) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The values of a row in JSON types."""
    pa = import_pyarrow()
    values = {}
    for name, column in zip(row.batch.schema.names, row.batch.columns):
        try:
            value = to_python(pa, column[row.at])
            values[name] = to_json(value)
        # Any exception, see `parse`.
        except Exception:
            if name in {row.column, "id", *LISTS}:
                raise
            report.add(UNCONVERTED, f"{name!r} (record {row.number})")
            continue
        if has_bytes(value):
            report.add(BINARY, f"{name!r} (record {row.number})")
    return values


def _make_record(values: Dict[str, Any], row: Row, report: Report) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The record that a line of the format `jsonl` would have."""
    record = {"text": values.pop(row.column, None)}
    meta = parse_json(values.get("meta"))
    if isinstance(meta, dict):
        del values["meta"]
    else:
        meta = {}
    for name, value in values.items():
        if value is None:
            continue
        if name in jsonl.SURE_KEYS:
            value = read_spans(value)
        is_answer = name == "answer" and value in jsonl.ANSWERS
        if name in ("id", "_view_id") or is_answer or (name in LISTS and isinstance(value, list)):
            record[name] = value
            continue
        if name in LABEL_KEYS and _may_have_labels(value):
            report.add(UNREAD, f"{name!r} (record {row.number})")
        if len(value if isinstance(value, str) else dump(value)) > META_LIMIT:
            report.add(LONG, f"{name!r} (record {row.number})")
        else:
            meta[name] = value
    if record["text"] is None and {*WORDS_KEYS}.intersection(record):
        del record["text"]
    return {**record, "meta": meta} if meta else record


def _may_have_labels(value: Any) -> bool:
    if isinstance(value, str):
        return value.lstrip().startswith(("[", "{"))
    return isinstance(value, (list, dict)) and bool(value)


def make_row(doc: Doc, report: Report) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The values of a row, see `make_schema`.

    doc (Doc): The document.
    report (Report): Counts what doesn't fit.
    """
    fields = get_fields(doc)
    meta = fields.get("meta")
    if meta is not None and not isinstance(meta, dict):
        meta = {"meta": meta}  # as which it is read
    ents = get_ents(doc, report)
    return {
        "text": get_text(doc),
        "id": to_id(fields.get("id")),
        "meta": None if meta is None else dump(meta),
        "spans": None if ents is None else jsonl.make_spans(doc, ents),
    }


def to_id(value: Any) -> Optional[str]:
    """RETURNS (Optional[str]): The id of a record as it is written: text, since a column has one
    type; None if it has none.

    value (Any): The id, any JSON value.
    """
    return value if value is None or isinstance(value, str) else dump(value)


def make_batches(docs: Iterable[Doc], report: Report, n_rows: int) -> Iterator[Any]:
    """YIELDS (pyarrow.RecordBatch): The rows of documents; nothing if there are none.

    docs (Iterable[Doc]): The documents.
    report (Report): Counts what doesn't fit.
    n_rows (int): The most rows of a batch.
    """
    pa, schema = import_pyarrow(), make_schema()
    rows: List[Dict[str, Any]] = []
    n_chars = 0
    for doc in docs:
        row = make_row(doc, report)
        if len(rows) == n_rows or (rows and n_chars + len(row["text"]) > N_CHARS):
            yield pa.RecordBatch.from_pylist(rows, schema=schema)
            rows, n_chars = [], 0
        rows.append(row)
        n_chars += len(row["text"])
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=schema)
