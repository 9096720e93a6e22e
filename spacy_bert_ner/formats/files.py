"""Opening text files, and the records in them."""

import json
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, Dict, List, NamedTuple, Optional, Union

from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc

from .report import FormatError

# Key in `doc.user_data` of the id and the meta of a record, in plain JSON types for a DocBin.
RECORD_KEY = "spacy_bert_ner.record"
RECORD_FIELDS = ("id", "meta")
# Whole numbers of 64 bits, signed or unsigned.
WHOLE_NUMBERS = range(-(1 << 63), 1 << 64)
# First bytes of files that aren't text, what they are, and what to do.
EXPORT = "Export it as CSV in UTF-8, or as plain text"
SIGNATURES = {
    b"%PDF-": ("a PDF file", "Extract its text first, and read that with --from lines or text"),
    b"PK\x03\x04": ("an Excel, Word or ZIP file", f"{EXPORT}, or unpack it"),
    b"\xd0\xcf\x11\xe0": ("an older Excel or Word file", EXPORT),
    b"{\\rtf": ("an RTF file", EXPORT),
    b"\x1f\x8b": ("a gzip file", "Unpack it with gunzip"),
    b"BZh91AY&SY": ("a bzip2 file", "Unpack it with bunzip2"),
    b"\xfd7zXZ": ("an xz file", "Unpack it with unxz"),
    b"SQLite format 3\0": ("an SQLite database", "Export the table as CSV in UTF-8"),
    b"PAR1\x15": ("a Parquet file", "Read it with --from parquet"),
    b"ARROW1\0\0": (
        "an Arrow file",
        "Export it as JSON lines, with `to_json` of datasets or pandas",
    ),
    b"\x89PNG": ("an image", "Only text can be read"),
    b"\xff\xd8\xff": ("an image", "Only text can be read"),
}


def open_text(path: Path, newline: Optional[str] = None) -> IO[str]:
    """Open a UTF-8 file, with or without a byte order mark. Invalid bytes don't end the reading:
    `check_utf8` reports them, so that only their record is left out.

    path (Path): The file.
    newline (Optional[str]): "" to keep line ends as they are.
    RETURNS (IO[str]): The file.
    """
    file = open_bytes(path)
    return TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline=newline)


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file to read.

    path (Path): The file.
    RETURNS (IO[bytes]): The file.
    RAISES (ValueError): For a file of another kind, judged by its first bytes, such as a PDF.
    """
    file = path.open("rb")
    start = file.peek(max(map(len, SIGNATURES)))
    for signature, (kind, way_out) in SIGNATURES.items():
        if start.startswith(signature):
            file.close()
            raise FormatError(f"Can't read {path}: it is {kind}. {way_out}.")
    return file


def check_utf8(path: Path, line: int, text: str) -> None:
    """RAISES (ValueError): For a text of `open_text` with bytes that aren't UTF-8.

    path (Path): The file.
    text (str): Text read with `open_text`.
    line (int): The number of its first line.
    """
    if text.isascii():
        return
    try:
        text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError as error:
        line += error.object.count(b"\n", 0, error.start)
        raise FormatError(
            f"Can't read line {line} of {path}: it isn't UTF-8 ({error.reason}). Convert the file "
            "to UTF-8."
        ) from error


class Record(NamedTuple):
    """One record of a file, with its number and the line at which it begins, both from 1; line 0 if
    the file has no lines."""

    path: Path
    number: int
    line: int
    data: Dict[str, Any]

    @property
    def place(self) -> str:
        """The place of the record, for a report.

        RETURNS (str): Its number and line.
        """
        return f"record {self.number}" + (f", line {self.line}" if self.line else "")

    def error(self, problem: str) -> FormatError:
        """RETURNS (FormatError): An error that names the record.

        problem (str): What is wrong with it, and the way out.
        """
        name = f"the record at line {self.line}" if self.line else f"record {self.number}"
        return FormatError(f"Can't read {name} of {self.path}: {problem}")

    def get_list(self, key: str) -> Optional[List[Any]]:
        """RETURNS (Optional[List[Any]]): The list under a key, None if there is none.
        RAISES (ValueError): For anything else.

        key (str): The key.
        """
        value = self.data.get(key)
        if value is not None and not isinstance(value, list):
            raise self.error(f"'{key}' is {shorten(value)}, but must be a list.")
        return value

    def check_unicode(self, text: str, what: str) -> None:
        """RAISES (ValueError): For half of a surrogate pair, which is valid in JSON, but not in
            UTF-8.

        text (str): The text.
        what (str): Name of the text in the message.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise self.error(
                f"character {error.start} of its {what} is half of a surrogate pair. Replace it."
            ) from error


def shorten(value: Any) -> str:
    """RETURNS (str): A value in JSON, or its beginning.

    value (Any): Any JSON value.
    """
    text = json.dumps(value, ensure_ascii=False)
    text = text if len(text) <= 60 else text[:60] + "…"
    # Half of a surrogate pair can't be printed.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def make_doc(nlp: Language, record: Record, text: Any) -> Doc:
    """Tokenize the text of a record.

    nlp (Language): Its tokenizer and vocabulary are used.
    record (Record): The record.
    text (Any): The text, valid or not.
    RETURNS (Doc): The document, with the id and the meta of its record.
    RAISES (ValueError): If the text isn't a string or is too long, or if the tokenizer changes it,
        so that offsets would be wrong.
    """
    check_text(nlp, record, text)
    doc = nlp.make_doc(text)
    # spaCy's own tokenizer never does, and this check takes as long as the tokenization.
    if type(nlp.tokenizer) is not Tokenizer and doc.text != text:
        raise record.error(
            f"the tokenizer of '{nlp.lang}' changes the text, so that offsets are wrong. Use a "
            "tokenizer that keeps white space."
        )
    keep_fields(doc, record)
    return doc


def check_text(nlp: Language, record: Record, text: Any) -> None:
    """RAISES (ValueError): For what can't be the text of a document.

    nlp (Language): Its `max_length` is the limit.
    record (Record): The record.
    text (Any): The text, valid or not.
    """
    if text is None and "text" not in record.data:
        keys = shorten(list(record.data))
        raise record.error(f"it has no key 'text', only {keys}. Put its text under 'text'.")
    if not isinstance(text, str):
        raise record.error(f"its text is {shorten(text)}, but must be a string under 'text'.")
    check_length(nlp, record, len(text))
    record.check_unicode(text, "text")


def check_length(nlp: Language, record: Record, length: int) -> None:
    """RAISES (ValueError): For a text of more characters than nlp.max_length.

    nlp (Language): Its `max_length` is the limit.
    record (Record): The record.
    length (int): Number of characters.
    """
    if length > nlp.max_length:
        raise record.error(
            f"its text has {length} characters, more than nlp.max_length = {nlp.max_length}. Split "
            "it, read plain text with --from lines, or raise the limit (with --max-length in "
            "convert, with the callback set_max_length in a config)."
        )


def keep_fields(doc: Doc, record: Record) -> None:
    """Store the id and the meta of a record in its document. Whole numbers that a DocBin can't
    store become strings.

    doc (Doc): The document.
    record (Record): The record.
    """
    fields = {}
    for key in RECORD_FIELDS:
        if key in record.data:
            text = json.dumps(record.data[key], ensure_ascii=False)
            record.check_unicode(text, key)
            fields[key] = json.loads(text, parse_int=_parse_int)
    if fields:
        doc.user_data[RECORD_KEY] = fields


def _parse_int(digits: str) -> Union[int, str]:
    number = int(digits)
    return number if number in WHOLE_NUMBERS else digits


def get_fields(doc: Doc) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The id and the meta of the record that a document comes from.

    doc (Doc): The document.
    """
    return dict(doc.user_data.get(RECORD_KEY, {}))
