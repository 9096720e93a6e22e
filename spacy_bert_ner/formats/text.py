"""Plain text: a file is one document, or each of its lines is."""

import re
from pathlib import Path
from typing import Iterable, Iterator

from spacy.language import Language
from spacy.tokens import Doc

from ..findings import show
from .files import Record, make_doc, open_text, replace_file
from .report import FormatError, Report

UNWRITTEN = "entities are left out: plain text has none"
BROKEN = "documents have line breaks, which are written as spaces"
EMPTY = "documents have no text, and are left out"
LINE_BREAKS = re.compile(r"\r\n|\r|\n")


def read(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
    """YIELDS (Doc): The whole file as one document, with its line ends as they are."""
    with open_text(path, newline="") as file:
        text = file.read()
    if text:
        yield make_doc(nlp, Record(path, 1, 1, {}), text)


def read_lines(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
    """YIELDS (Doc): A document for each line that isn't blank."""
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield make_doc(nlp, Record(path, number, number, {}), line.rstrip("\n"))


def write(path: Path, docs: Iterable[Doc], report: Report) -> None:
    """Write the text of one document.

    RAISES (ValueError): For more than one.
    """
    with replace_file(path) as file:
        for i, doc in enumerate(docs):
            if i:
                raise FormatError(
                    f"Can't write {path}: the format 'text' is one document, and there are more. "
                    "Take --to lines for a document a line."
                )
            _report_ents(doc, report)
            file.write(doc.text)


def write_lines(path: Path, docs: Iterable[Doc], report: Report) -> None:
    """Write the text of each document as a line."""
    with replace_file(path) as file:
        for doc in docs:
            if not doc.text.strip():
                report.add(EMPTY, show(doc.text))
                continue
            if LINE_BREAKS.search(doc.text):
                report.add(BROKEN, show(doc.text))
            _report_ents(doc, report)
            file.write(LINE_BREAKS.sub(" ", doc.text) + "\n")


def _report_ents(doc: Doc, report: Report) -> None:
    for ent in doc.ents:
        report.add(UNWRITTEN, f"{show(ent.text)} ({ent.label_})")
