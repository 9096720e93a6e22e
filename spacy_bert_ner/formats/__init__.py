"""What people label with, in and out: a file a format, and the table of their names."""

from itertools import islice
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from spacy.language import Language
from spacy.tokens import Doc

from . import conll, docbin, doccano, html, jsonl, label_studio, tables, text
from .files import open_bytes, shorten
from .json_values import read_values
from .report import FormatError, Report
from .source import Source
from .spans import looks_like_spans
from .writing import TextWriter, Writer


class Reader(NamedTuple):
    """How files of a format are read: in two steps, so that records can be passed over.

    read (Callable[[Source], Iterator[Any]]): Records as they stand in a file, one at a time. What
        it raises ends the file.
    parse (Callable[[Language, Any, Report], Optional[Doc]]): The document of a record, None if it
        is to be left out. What it raises is about this record alone.
    """

    read: Callable[[Source], Iterator[Any]]
    parse: Callable[[Language, Any, Report], Optional[Doc]]


class Format(NamedTuple):
    """How files of a format are named, read and written.

    suffixes (Tuple[str, ...]): In lower case, with the dot.
    reader (Optional[Reader]): None if it is only written.
    writer (Optional[Writer]): None if it is only read.
    """

    suffixes: Tuple[str, ...]
    reader: Optional[Reader]
    writer: Optional[Writer]


_ARRAY = TextWriter(label_studio.render, start=lambda doc: "[", between=",", tail="\n]\n")
_CONLL = Reader(conll.read, conll.parse)
# Of formats that share a suffix, the first is written.
FORMATS: Dict[str, Format] = {
    "spacy": Format((".spacy",), Reader(docbin.read, docbin.parse), docbin.DocBinWriter()),
    "jsonl": Format((".jsonl",), Reader(jsonl.read, jsonl.parse), TextWriter(jsonl.render)),
    "doccano": Format((".jsonl",), Reader(doccano.read, doccano.parse), TextWriter(doccano.render)),
    "label-studio": Format((".json",), Reader(label_studio.read, label_studio.parse), _ARRAY),
    "conll": Format((".conll", ".iob", ".iob1", ".iob2", ".bio"), _CONLL, TextWriter(conll.render)),
    "biluo": Format((".biluo", ".bilou", ".iobes"), _CONLL, TextWriter(conll.render_biluo)),
    "csv": Format((".csv",), Reader(tables.read_csv, tables.parse), None),
    "tsv": Format((".tsv",), Reader(tables.read_tsv, tables.parse), None),
    "text": Format((".txt",), Reader(text.read, text.parse), TextWriter(text.render, between=None)),
    "lines": Format((), Reader(text.read_lines, text.parse), TextWriter(text.render_line)),
    "html": Format((".html", ".htm"), None, TextWriter(html.render, html.start, "", html.end())),
}
# Those that have columns.
TABLES = ("csv", "tsv")
# How many records to look at for one that tells the format of a JSON file.
N_GUESSED = 100


def read_docs(
    path: Path,
    nlp: Language,
    name: Optional[str] = None,
    report: Optional[Report] = None,
    *,
    column: Optional[str] = None,
    skip: int = 0,
) -> Iterator[Doc]:
    """Read the documents of a file.

    path (Path): The file.
    nlp (Language): Its tokenizer and vocabulary are used, its components are not.
    name (Optional[str]): The format, else it is guessed.
    report (Optional[Report]): Where records are counted, and spans that don't fit. It says what
        becomes of records that can't be read.
    column (Optional[str]): Of a table, the column with the texts, "text" if it isn't named.
    skip (int): How many records to pass over, without a look at what they are.
    RETURNS (Iterator[Doc]): Documents, one at a time.
    RAISES (ValueError): For a format that isn't there, and for what can't be read.
    """
    name = check_format(path, name)
    check_column(name, column)
    reader: Reader = FORMATS[name].reader  # type: ignore[assignment]
    source = Source(path, nlp, "text" if column is None else column)
    return _read(reader, source, Report() if report is None else report, skip)


def _read(reader: Reader, source: Source, report: Report, skip: int) -> Iterator[Doc]:
    for item in islice(reader.read(source), skip, None):
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
    """Write documents to a file, which is there when all are written, and not before.

    path (Path): The file.
    docs (Iterable[Doc]): Documents of any vocabulary.
    name (Optional[str]): The format, else the suffix tells.
    report (Optional[Report]): Where documents are counted, and what the format can't say of them.
    RAISES (ValueError): For a format that isn't there, and for what can't be written.
    """
    report = Report() if report is None else report
    get_writer(path, name).write(path, report.count(docs), report)


def get_writer(path: Path, name: Optional[str] = None) -> Writer:
    """RETURNS (Writer): That of a format, see `write_docs`.
    RAISES (ValueError): For a format that isn't there, or is only read.

    path (Path): Where to write.
    name (Optional[str]): The format, else the suffix tells.
    """
    return FORMATS[check_format(path, name, for_writing=True)].writer  # type: ignore[return-value]


def check_format(path: Path, name: Optional[str] = None, *, for_writing: bool = False) -> str:
    """RETURNS (str): The name of a format in the table: the one that is given, else as guessed.
    RAISES (ValueError): For one that isn't there, or can't be read or written; if nothing tells.

    path (Path): What is read or written.
    name (Optional[str]): The format, None to guess it.
    for_writing (bool): Whether it is written.
    """
    name = guess_format(path, for_writing=for_writing) if name is None else name
    if name not in FORMATS:
        raise FormatError(f"There is no format '{name}'. Formats: {_list_formats(for_writing)}.")
    if for_writing and FORMATS[name].writer is None:
        raise FormatError(
            f"Can't write {path}: '{name}' is only read. Formats to write (--to): "
            f"{_list_formats(for_writing)}."
        )
    if not for_writing and FORMATS[name].reader is None:
        raise FormatError(
            f"Can't read {path}: '{name}' is only written. Formats to read: "
            f"{_list_formats(for_writing)}."
        )
    return name


def _list_formats(for_writing: bool) -> str:
    """The names of those that are written, or read."""
    return ", ".join(
        name
        for name, entry in FORMATS.items()
        if (entry.writer if for_writing else entry.reader) is not None
    )


def _name_it(for_writing: bool = False) -> str:
    """The way out where nothing tells the format. Not all commands that read have an option."""
    option = "--to (of convert and annotate)"
    if not for_writing:
        option = "--from (of most commands that read files), or with format, in a config"
    return f"Name it with {option}: {_list_formats(for_writing)}"


def check_column(name: str, column: Optional[str]) -> None:
    """RAISES (ValueError): For a column of a format that has none.

    name (str): The format.
    column (Optional[str]): The column, None if none is named.
    """
    if column is not None and name not in TABLES:
        raise FormatError(
            f"Can't take the column {column!r}: the format '{name}' has no columns, but "
            f"{' and '.join(TABLES)} have. Leave it out, or name the format with --from."
        )


def guess_format(path: Path, *, for_writing: bool = False) -> str:
    """The format of a file, by its suffix, and by the first record of JSON files to read. A folder
    to read is one of texts.

    path (Path): What is read or written.
    for_writing (bool): Whether it is written.
    RETURNS (str): Its name in the table.
    RAISES (ValueError): If nothing tells.
    """
    if path.is_dir() and not for_writing:
        return "text"
    names = [name for name, entry in FORMATS.items() if path.suffix.lower() in entry.suffixes]
    if not names:
        if not for_writing and path.is_file():
            open_bytes(path).close()  # which tells what it is if it isn't text
        raise FormatError(f"Can't tell the format of {path} by its name. {_name_it(for_writing)}.")
    if for_writing or path.suffix.lower() not in (".json", ".jsonl"):
        return names[0]
    return _guess_by_keys(path, names[0])


def _guess_by_keys(path: Path, default: str) -> str:
    if path.exists() and not path.is_file():
        raise FormatError(
            f"Can't tell the format of {path} by its first record: it is no file, and can be read "
            f"once only. {_name_it()}."
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
            f"Can't tell the format of {path} by the keys of its first record: {keys}. "
            f"{_name_it()}."
        )
    return first.name


class Guess(NamedTuple):
    """What a record tells.

    name (Any): Of a format, None if it is none that is known.
    is_sure (bool): Whether the record has labels, so that one convention only can be meant.
    """

    name: Any
    is_sure: bool
    keys: List[str]


def _guess_each(path: Path) -> Iterator[Guess]:
    """YIELDS (Guess): What the records tell that can be read. The reader comes upon the others,
    too, and knows whether to stop or to go on."""
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
    """The format of a record, and whether nothing else can be meant. Keys that formats share tell
    nothing: what is under them does."""
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
    # [start, end, label] is doccano's only where it has intents, too; else spaCy's.
    if looks_like_spans(data.get("entities")):
        return ("doccano" if isinstance(data.get("cats"), list) else "jsonl"), True
    if {"label", "labels", "relations"} & set(data) and labels in ([], None):
        return "doccano", False
    return ("jsonl" if {"text", "tokens", "words"} & set(data) else None), False
