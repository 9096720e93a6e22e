"""CSV and TSV tables of spreadsheets and databases, with a text in each row."""

import csv
from functools import partial
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional

from spacy.language import Language
from spacy.tokens import Doc

from ..findings import number as count_of
from .files import Record, check_utf8, make_doc, open_text
from .report import FormatError, Report
from .source import Source
from .spans import LABEL_KEYS

# By default, the csv module limits a field to 131072 characters, for all of its readers. Texts are
# limited by `nlp.max_length`; this is the highest number that works on all platforms.
FIELD_LIMIT = 2**31 - 1
META_LIMIT = 1000
UNREAD = "rows have a column that may contain labels: it is kept as meta, but not read as entities"
LONG = (
    f"values of other columns have more than {META_LIMIT} characters, and are left out of the meta"
)


class Row(NamedTuple):
    """A row of a table.

    record (Record): Its number, from 1 after the header, and the line at which it begins.
    fields (List[str]): Its values.
    problem (Optional[str]): What is wrong with its quotes.
    """

    record: Record
    header: List[str]
    column: str
    fields: List[str]
    problem: Optional[str] = None


def read(source: Source, delimiter: str) -> Iterator[Row]:
    """Read a table. Its first line names the columns.

    source (Source): The input.
    delimiter (str): The separator of fields.
    YIELDS (Row): The rows that aren't blank.
    RAISES (ValueError): If there is no column with the texts, and for quotes that aren't closed.
    """
    csv.field_size_limit(max(csv.field_size_limit(), FIELD_LIMIT))
    with open_text(source.path, newline="") as file:
        last = [""]
        # Strict: otherwise, wrong quotes end texts too early, or join all further rows to one text.
        rows = csv.reader(_remember(file, last), delimiter=delimiter, strict=True)
        header: List[str] = []
        number = 0
        is_done = False
        while not is_done:
            line, fields, problem = rows.line_num + 1, [], None
            try:
                fields = next(rows)
            except StopIteration:
                is_done = True
            except csv.Error as error:
                problem = str(error)
                _check_end(source, line, problem)
                if not header:  # Python 3.10 reads no line that contains NUL, as in UTF-16
                    check_utf8(source.path, line, last[0])
            if problem is None and not fields:
                continue
            if not header:
                header = _check_header(source, line, fields, problem)
                continue
            number += 1
            record = Record(source.path, number, line, {})
            yield Row(record, header, source.column, fields, problem)
        if not header:
            raise _miss_column(source, [])


def _check_end(source: Source, line: int, problem: str) -> None:
    """RAISES (ValueError): For a quote that isn't closed. It contains the rest of the file, so
    skipping the row is not possible."""
    if "unexpected end of data" in problem:
        raise FormatError(
            f"Can't read line {line} of {source.path}: a quote in the row that begins there is not "
            "closed. Close it, or double it if it is part of the text."
        )


def _remember(lines: Iterable[str], last: List[str]) -> Iterator[str]:
    """YIELDS (str): The lines. The latest one is also kept in `last`."""
    for line in lines:
        last[0] = line
        yield line


def _check_header(
    source: Source, line: int, fields: List[str], problem: Optional[str]
) -> List[str]:
    if problem is not None:
        raise FormatError(f"Can't read line {line} of {source.path}, the header: {problem}.")
    check_utf8(source.path, line, "".join(fields))
    if fields.count(source.column) != 1:
        raise _miss_column(source, fields)
    return fields


def _miss_column(source: Source, header: List[str]) -> FormatError:
    n = header.count(source.column)
    names = ", ".join(map(repr, header)) or "none (it is empty)"
    return FormatError(
        f"Can't read {source.path}: {n or 'none'} of its columns {'are' if n else 'is'} named "
        f"{source.column!r}. Columns in its first line: {names}. Name the one with the texts with "
        "--column (convert, annotate), and the separator with --from csv or --from tsv."
    )


def parse(nlp: Language, row: Row, report: Report) -> Doc:
    """RETURNS (Doc): The text of a row, with the other columns as meta of its record.
    RAISES (ValueError): For a row that can't be read, with its line.

    nlp (Language): Its tokenizer and vocabulary are used.
    row (Row): The row.
    report (Report): Counts what doesn't fit.
    """
    record = row.record
    if row.problem is not None:
        raise record.error(
            f"{row.problem}. A field that contains a quote must be quoted, and its quotes doubled."
        )
    if len(row.fields) != len(row.header):
        raise record.error(
            f"it has {count_of(len(row.fields), 'field')}, but the header has {len(row.header)}. "
            "Quote fields that contain the separator or a line break."
        )
    check_utf8(record.path, record.line, "".join(row.fields))
    values = dict(zip(row.header, row.fields))
    text = values.pop(row.column)
    return make_doc(nlp, record._replace(data=_make_data(values, record, report)), text)


def _make_data(values: Dict[str, str], record: Record, report: Report) -> Dict[str, Dict[str, str]]:
    for name in sorted(LABEL_KEYS.intersection(values)):
        if values[name].lstrip().startswith(("[", "{")):
            report.add(UNREAD, f"{name!r} ({record.place})")
    kept = {name: value for name, value in values.items() if len(value) <= META_LIMIT}
    for name in values.keys() - kept.keys():
        report.add(LONG, f"{name!r} ({record.place})")
    return {"meta": kept} if kept else {}


read_csv = partial(read, delimiter=",")
read_tsv = partial(read, delimiter="\t")
