"""File formats for labeled data: one module per format, and the table of their names."""

from itertools import islice
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from spacy.language import Language
from spacy.tokens import Doc

from . import arrow_rows, conll, docbin, doccano, html, jsonl, label_studio, parquet, tables, text
from .files import open_bytes, shorten
from .json_values import read_values
from .report import FormatError, Report
from .source import WHOLE, Shard, Source
from .spans import looks_like_spans
from .writing import TextWriter, Writer


class Reader(NamedTuple):
    """How files of a format are read: in two steps, so that records can be skipped.

    read (Callable[[Source], Iterator[Any]]): Yields the raw records of a file, one at a time. An
        exception ends the reading.
    parse (Callable[[Language, Any, Report], Optional[Doc]]): Makes the document of a record; None
        if it is left out. An exception concerns this record only.
    """

    read: Callable[[Source], Iterator[Any]]
    parse: Callable[[Language, Any, Report], Optional[Doc]]


class Format(NamedTuple):
    """How files of a format are named, read and written.

    suffixes (Tuple[str, ...]): In lower case, with the dot.
    reader (Optional[Reader]): None if the format can only be written.
    writer (Optional[Writer]): None if the format can only be read.
    """

    suffixes: Tuple[str, ...]
    reader: Optional[Reader]
    writer: Optional[Writer]


_ARRAY = TextWriter(label_studio.render, start=lambda doc: "[", between=",", tail="\n]\n")
_CONLL = Reader(conll.read, conll.parse)
# If several formats share a suffix, files are written in the first one.
FORMATS: Dict[str, Format] = {
    "spacy": Format((".spacy",), Reader(docbin.read, docbin.parse), docbin.DocBinWriter()),
    "jsonl": Format((".jsonl",), Reader(jsonl.read, jsonl.parse), TextWriter(jsonl.render)),
    "doccano": Format((".jsonl",), Reader(doccano.read, doccano.parse), TextWriter(doccano.render)),
    "label-studio": Format((".json",), Reader(label_studio.read, label_studio.parse), _ARRAY),
    "conll": Format((".conll", ".iob", ".iob1", ".iob2", ".bio"), _CONLL, TextWriter(conll.render)),
    "biluo": Format((".biluo", ".bilou", ".iobes"), _CONLL, TextWriter(conll.render_biluo)),
    "csv": Format((".csv",), Reader(tables.read_csv, tables.parse), None),
    "tsv": Format((".tsv",), Reader(tables.read_tsv, tables.parse), None),
    "parquet": Format(
        (".parquet",), Reader(parquet.read, arrow_rows.parse), parquet.ParquetWriter()
    ),
    "text": Format((".txt",), Reader(text.read, text.parse), TextWriter(text.render, between=None)),
    "lines": Format((), Reader(text.read_lines, text.parse), TextWriter(text.render_line)),
    "html": Format((".html", ".htm"), None, TextWriter(html.render, html.start, "", html.end())),
}
# Formats with columns.
TABLES = ("csv", "tsv", "parquet")
# Number of records that are used to guess the format of a JSON file.
N_GUESSED = 100


def read_docs(
    path: Path,
    nlp: Language,
    name: Optional[str] = None,
    report: Optional[Report] = None,
    *,
    column: Optional[str] = None,
    skip: int = 0,
    shard: Shard = WHOLE,
) -> Iterator[Doc]:
    """Read the documents of a file.

    path (Path): The file.
    nlp (Language): Its tokenizer and vocabulary are used, its components are not.
    name (Optional[str]): The format; guessed by default.
    report (Optional[Report]): Counts records, and spans that don't fit. Its `skip_broken` sets
        whether records that can't be read are skipped.
    column (Optional[str]): Column with the texts, for tables; "text" by default.
    skip (int): Number of records (of the shard) to skip without parsing them.
    shard (Shard): The records to read: with a total of n, every n-th.
    RETURNS (Iterator[Doc]): Documents, one at a time.
    RAISES (ValueError): For an unknown format, and for input that can't be read.
    """
    name = check_format(path, name)
    check_column(name, column)
    reader: Reader = FORMATS[name].reader  # type: ignore[assignment]
    source = Source(path, nlp, "text" if column is None else column)
    return read_records(reader, source, Report() if report is None else report, skip, shard)


def read_records(
    reader: Reader, source: Source, report: Report, skip: int = 0, shard: Shard = WHOLE
) -> Iterator[Doc]:
    """YIELDS (Doc): The documents of a reader, one at a time.

    reader (Reader): Reads the format.
    source (Source): The input.
    report, skip, shard (Any): See `read_docs`.
    RAISES (ValueError): For input that can't be read.
    """
    # The records have no name, so that an error doesn't keep their file open.
    for item in shard.pick(reader.read(source), skip):
        report.n_read += 1
        try:
            doc = reader.parse(source.nlp, item, report)
        except FormatError as error:
            if not report.skip_broken:
                raise
            report.add_broken(error)
            continue
        if doc is not None:
            yield doc


def write_docs(
    path: Path, docs: Iterable[Doc], name: Optional[str] = None, report: Optional[Report] = None
) -> None:
    """Write documents to a file. It is only created (or replaced) once all are written.

    path (Path): The file.
    docs (Iterable[Doc]): Documents of any vocabulary.
    name (Optional[str]): The format; by default that of the suffix.
    report (Optional[Report]): Counts documents, and annotations that the format can't store.
    RAISES (ValueError): For an unknown format, and for documents that can't be written.
    """
    report = Report() if report is None else report
    get_writer(path, name).write(path, report.count(docs), report)


def get_writer(path: Path, name: Optional[str] = None) -> Writer:
    """RETURNS (Writer): The writer of a format, see `write_docs`.
    RAISES (ValueError): For an unknown format, or one that can only be read.

    path (Path): Where to write.
    name (Optional[str]): The format; by default that of the suffix.
    """
    return FORMATS[check_format(path, name, for_writing=True)].writer  # type: ignore[return-value]


def check_format(path: Path, name: Optional[str] = None, *, for_writing: bool = False) -> str:
    """RETURNS (str): The name of the format: the given one, or the guessed one.
    RAISES (ValueError): For an unknown format, for one that can't be read or written, and if the
        format can't be guessed.

    path (Path): The file to read or write.
    name (Optional[str]): The format, None to guess it.
    for_writing (bool): Whether the file is written.
    """
    name = guess_format(path, for_writing=for_writing) if name is None else name
    if name not in FORMATS:
        raise FormatError(f"There is no format '{name}'. Formats: {_list_formats(for_writing)}.")
    if for_writing and FORMATS[name].writer is None:
        raise FormatError(
            f"Can't write {path}: the format '{name}' can only be read. Formats to write (--to): "
            f"{_list_formats(for_writing)}."
        )
    if not for_writing and FORMATS[name].reader is None:
        raise FormatError(
            f"Can't read {path}: the format '{name}' can only be written. Formats to read: "
            f"{_list_formats(for_writing)}."
        )
    return name


def _list_formats(for_writing: bool) -> str:
    """The names of the formats that can be written, or read."""
    return ", ".join(
        name
        for name, entry in FORMATS.items()
        if (entry.writer if for_writing else entry.reader) is not None
    )


def _name_it(for_writing: bool = False) -> str:
    """The advice if the format can't be guessed. Not all commands that read have the option."""
    option = "--to (in convert and annotate)"
    if not for_writing:
        option = "--from (in most commands that read files) or the setting format (in a config)"
    return f"Name it with {option}: {_list_formats(for_writing)}"


def check_column(name: str, column: Optional[str]) -> None:
    """RAISES (ValueError): For a column of a format without columns.

    name (str): The format.
    column (Optional[str]): The column, None if none is named.
    """
    if column is not None and name not in TABLES:
        raise FormatError(
            f"Can't use the column {column!r}: the format '{name}' has no columns, only "
            f"{', '.join(TABLES)} have. Leave it out, or name the format with --from."
        )


def guess_format(path: Path, *, for_writing: bool = False) -> str:
    """Guess the format of a file from its suffix, and of a JSON file to read also from its first
    records. A folder is read as .txt files.

    path (Path): The file to read or write.
    for_writing (bool): Whether the file is written.
    RETURNS (str): The name of the format.
    RAISES (ValueError): If the format can't be guessed.
    """
    if path.is_dir() and not for_writing:
        return "text"
    names = [name for name, entry in FORMATS.items() if path.suffix.lower() in entry.suffixes]
    if not names:
        if not for_writing and path.is_file():
            open_bytes(path).close()  # raises an error if it isn't text
        raise FormatError(
            f"Can't guess the format of {path} from its name. {_name_it(for_writing)}."
        )
    if for_writing or path.suffix.lower() not in (".json", ".jsonl"):
        return names[0]
    return _guess_by_keys(path, names[0])


def _guess_by_keys(path: Path, default: str) -> str:
    if path.exists() and not path.is_file():
        raise FormatError(
            f"Can't guess the format of {path} from its first record: it isn't a regular file and "
            f"can only be read once. {_name_it()}."
        )
    first = None
    for guess in islice(_guess_each(path), N_GUESSED):
        first = first or guess
        if guess.is_sure:
            return guess.name
    if first is None:
        return default
    if first.name is None:
        keys = ", ".join(map(shorten, first.keys)) or "it has none"
        raise FormatError(
            f"Can't guess the format of {path} from the keys of its first record: {keys}. "
            f"{_name_it()}."
        )
    return first.name


class Guess(NamedTuple):
    """The format of a record.

    name (Any): Name of the format, None if it is unknown.
    is_sure (bool): Whether the record has labels, so that it can't be in another format.
    """

    name: Any
    is_sure: bool
    keys: List[str]


def _guess_each(path: Path) -> Iterator[Guess]:
    """YIELDS (Guess): The formats of the records that can be parsed. For the others, the reader
    raises the same error again, and decides whether to stop or to continue."""
    values = read_values(path)
    while True:
        try:
            value = next(values)
            if jsonl.is_wrapper(value.get()):
                yield Guess("jsonl", True, [])
            else:
                data = value.read().data
                yield Guess(*_guess_by_shape(data), list(data))
        except FormatError:
            continue
        except StopIteration:
            return


def _guess_by_shape(data: Dict[str, Any]) -> Tuple[Any, bool]:
    """The format of a record, and whether no other format is possible. Keys that several formats
    use don't distinguish them, but the values of these keys do."""
    if isinstance(data.get("data"), dict) or "annotation_id" in data:
        return "label-studio", True
    if any(map(label_studio.has_regions, data.values())):
        return "label-studio", True
    if {"annotations", "predictions", "completions"} & set(data) and "text" not in data:
        return "label-studio", False
    if any(data.get(key) for key in ("spans", "ents")) or {"answer", "_view_id"} & set(data):
        return "jsonl", True
    labels = data.get("label") or data.get("labels")
    if looks_like_spans(labels) or doccano.is_own(data.get("entities")):
        return "doccano", True
    # [start, end, label] is doccano's only if the record also has intents, else spaCy's.
    if looks_like_spans(data.get("entities")):
        return ("doccano" if isinstance(data.get("cats"), list) else "jsonl"), True
    if {"label", "labels", "relations"} & set(data) and labels in ([], None):
        return "doccano", False
    return ("jsonl" if {"text", "tokens", "words"} & set(data) else None), False
