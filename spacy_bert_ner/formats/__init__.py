"""What people label with, in and out: a file a format, and the table of their names."""

from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, NamedTuple, Optional, Tuple

from spacy.language import Language
from spacy.tokens import Doc

from . import conll, docbin, doccano, html, jsonl, label_studio, text
from .files import read_records
from .report import FormatError, Report

Reader = Callable[[Path, Language, Report], Iterator[Doc]]
Writer = Callable[[Path, Iterable[Doc], Report], None]


class Format(NamedTuple):
    """How files of a format are named, read and written.

    suffixes (Tuple[str, ...]): In lower case, with the dot.
    read (Optional[Reader]): Documents of a file, one at a time; None if there is no way back.
    write (Writer): Documents to a file, each as soon as it is there.
    """

    suffixes: Tuple[str, ...]
    read: Optional[Reader]
    write: Writer


# Of formats that share a suffix, the first is written.
FORMATS: Dict[str, Format] = {
    "spacy": Format((".spacy",), docbin.read, docbin.write),
    "jsonl": Format((".jsonl",), jsonl.read, jsonl.write),
    "doccano": Format((".jsonl",), doccano.read, doccano.write),
    "label-studio": Format((".json",), label_studio.read, label_studio.write),
    "conll": Format((".conll", ".iob", ".iob1", ".iob2", ".bio"), conll.read, conll.write),
    "biluo": Format((".biluo", ".bilou", ".iobes"), conll.read, conll.write_biluo),
    "text": Format((".txt",), text.read, text.write),
    "lines": Format((), text.read_lines, text.write_lines),
    "html": Format((".html", ".htm"), None, html.write),
}
# Of the first record, the keys that tell formats from each other.
KEYS = {
    "label-studio": {"data", "annotations", "predictions", "annotation_id"},
    "jsonl": {"spans", "tokens", "answer", "_view_id"},
    "doccano": {"label", "labels", "entities"},
}


def read_docs(
    path: Path, nlp: Language, name: Optional[str] = None, report: Optional[Report] = None
) -> Iterator[Doc]:
    """Read the documents of a file.

    nlp (Language): Its tokenizer and vocabulary are used, its components are not.
    name (Optional[str]): The format, else it is guessed.
    report (Optional[Report]): Where spans are counted that don't fit.
    RETURNS (Iterator[Doc]): Documents, one at a time.
    RAISES (ValueError): For a format that isn't there, and for what can't be read.
    """
    reader = FORMATS[check_format(path, name)].read
    return reader(path, nlp, Report() if report is None else report)  # type: ignore[misc]


def write_docs(
    path: Path, docs: Iterable[Doc], name: Optional[str] = None, report: Optional[Report] = None
) -> None:
    """Write documents to a file, which is there when all are written, and not before.

    name (Optional[str]): The format, else the suffix tells.
    report (Optional[Report]): Where documents are counted, and what the format can't say of them.
    RAISES (ValueError): For a format that isn't there, and for what can't be written.
    """
    name = check_format(path, name, for_writing=True)
    report = Report() if report is None else report
    FORMATS[name].write(path, report.count(docs), report)


def check_format(path: Path, name: Optional[str] = None, *, for_writing: bool = False) -> str:
    """RETURNS (str): The name of a format in the table: the one that is given, else as guessed.
    RAISES (ValueError): For one that isn't there, or can't be read; if nothing tells.
    """
    name = guess_format(path, for_writing=for_writing) if name is None else name
    if name not in FORMATS:
        raise FormatError(f"There is no format '{name}'. Formats: {', '.join(FORMATS)}.")
    if not for_writing and FORMATS[name].read is None:
        names = ", ".join(name for name, entry in FORMATS.items() if entry.read is not None)
        raise FormatError(f"Can't read {path}: '{name}' is only written. Formats to read: {names}.")
    return name


def guess_format(path: Path, *, for_writing: bool = False) -> str:
    """The format of a file, by its suffix, and by the first record of JSON files to read.

    RETURNS (str): Its name in the table.
    RAISES (ValueError): If nothing tells.
    """
    names = [name for name, entry in FORMATS.items() if path.suffix.lower() in entry.suffixes]
    if not names:
        raise FormatError(
            f"Can't tell the format of {path} by its name. Name it with "
            f"{'--to' if for_writing else '--from'} (or format, in a config): {', '.join(FORMATS)}."
        )
    if for_writing or path.suffix.lower() not in (".json", ".jsonl"):
        return names[0]
    return _guess_by_keys(path, names[0])


def _guess_by_keys(path: Path, default: str) -> str:
    record = next(read_records(path), None)
    if record is None:
        return default
    # JSON-MIN of Label Studio has "label", too, as objects.
    labels = record.data.get("label")
    if isinstance(labels, list) and any(isinstance(label, dict) for label in labels):
        return "label-studio"
    for name, keys in KEYS.items():
        if keys & set(record.data):
            return name
    if "text" in record.data:
        return "jsonl"
    raise FormatError(
        f"Can't tell the format of {path} by the keys of its first record: "
        f"{', '.join(record.data) or 'it has none'}. Name it with --from (or format, in a "
        f"config): {', '.join(FORMATS)}."
    )
