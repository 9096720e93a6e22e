"""Plain text: a document per file, per line, or per .txt file of a folder."""

import re
from pathlib import Path
from typing import Iterator, List

from spacy.language import Language
from spacy.tokens import Doc

from ..characters import get_text
from ..findings import show
from .files import Record, check_utf8, make_doc, open_text
from .report import FormatError, Report
from .source import Source, Watched

UNWRITTEN = "entities are left out: plain text can't store entities"
BROKEN = "documents have line breaks, which are written as spaces"
EMPTY = "documents have no text, and are left out"
LINE_BREAKS = re.compile(r"\r\n|\r|\n")


def read(source: Source) -> Iterator[Record]:
    """YIELDS (Record): The whole file as one document, with unchanged line ends; for a folder, each
        .txt file in it, at any depth, in the order of their names.

    source (Source): The input.
    """
    paths = [source.path]
    if source.path.is_dir():
        paths = find_texts(source.path)
        if isinstance(source.path, Watched):
            source.path.n_records = len(paths)
    for path in paths:
        with open_text(path, newline="") as file:
            text = file.read()
        if text:
            yield Record(path, 1, 1, {"text": text})


def find_texts(folder: Path) -> List[Path]:
    """RETURNS (List[Path]): The .txt files in a folder, at any depth.

    folder (Path): The folder.
    RAISES (FormatError): If there are none.
    """
    # A plain Path: a `Watched` folder would watch each of its files.
    folder = Path(folder)
    paths = list_texts(folder)
    if not paths:
        raise FormatError(f"There is no .txt file in {folder}. Name a file, or a folder of texts.")
    return paths


def list_texts(folder: Path) -> List[Path]:
    """RETURNS (List[Path]): The .txt files in a folder, at any depth; empty if it isn't a folder.

    folder (Path): The folder.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".txt")
    return [path for path in paths if path.is_file()]


def read_lines(source: Source) -> Iterator[Record]:
    """YIELDS (Record): A document for each line that isn't blank.

    source (Source): The input.
    """
    with open_text(source.path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield Record(source.path, number, number, {"text": line.rstrip("\n")})


def parse(nlp: Language, record: Record, report: Report) -> Doc:
    """RETURNS (Doc): The text.
    RAISES (ValueError): For a text that isn't UTF-8, or is too long.

    nlp (Language): Its tokenizer and vocabulary are used.
    record (Record): The record.
    report (Report): Counts what doesn't fit.
    """
    check_utf8(record.path, record.line, record.data["text"])
    return make_doc(nlp, record, record.data["text"])


def render(doc: Doc, report: Report) -> str:
    """RETURNS (str): The text.

    doc (Doc): The document.
    report (Report): Counts what doesn't fit.
    """
    for ent in doc.ents:
        report.add(UNWRITTEN, f"{show(ent.text)} ({ent.label_})")
    return get_text(doc)


def render_line(doc: Doc, report: Report) -> str:
    """RETURNS (str): The text as a line, if it isn't blank.

    doc (Doc): The document.
    report (Report): Counts what doesn't fit.
    """
    text = render(doc, report)
    if not text.strip():
        report.add(EMPTY, show(text))
        return ""
    if LINE_BREAKS.search(text):
        report.add(BROKEN, show(text))
    return LINE_BREAKS.sub(" ", text) + "\n"
