"""Files of text, how they are opened, and the records in them."""

import json
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, Dict, List, NamedTuple, Optional, Union

from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc

from .report import FormatError

# Where `doc.user_data` has what else a record says, in plain JSON types, so that a DocBin keeps it.
RECORD_KEY = "spacy_bert_ner.record"
RECORD_FIELDS = ("id", "meta")
# Of 64 bits, with a sign or without.
WHOLE_NUMBERS = range(-(1 << 63), 1 << 64)
# How files begin that aren't text, what they are, and what to do about it.
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
    b"PAR1\x15": (
        "a Parquet file",
        "Export it as JSON lines, with `to_json` of datasets or pandas",
    ),
    b"ARROW1\0\0": (
        "an Arrow file",
        "Export it as JSON lines, with `to_json` of datasets or pandas",
    ),
    b"\x89PNG": ("an image", "Only text can be read"),
    b"\xff\xd8\xff": ("an image", "Only text can be read"),
}


def open_text(path: Path, newline: Optional[str] = None) -> IO[str]:
    """Open a file in UTF-8, with or without a byte order mark. Bytes that are none don't end the
    reading: `check_utf8` tells of them, where a record of them can be left out.

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
    RAISES (ValueError): For a file that is of another kind by its first bytes, such as a PDF.
    """
    file = path.open("rb")
    start = file.peek(max(map(len, SIGNATURES)))
    for signature, (kind, way_out) in SIGNATURES.items():
        if start.startswith(signature):
            file.close()
            raise FormatError(f"Can't read {path}: it is {kind}. {way_out}.")
    return file


def check_utf8(path: Path, line: int, text: str) -> None:
    """RAISES (ValueError): For a text of `open_text` with bytes that are no UTF-8.

    path (Path): The file.
    text (str): What `open_text` has read.
    line (int): The number of its first line.
    """
    if text.isascii():
        return
    try:
        text.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError as error:
        line += error.object.count(b"\n", 0, error.start)
        raise FormatError(
            f"Can't read line {line} of {path}: {error.reason}, the {error.encoding} codec says. "
            "Convert the file to UTF-8."
        ) from error


class Record(NamedTuple):
    """One record of a file: its number and the line it begins at, both from 1."""

    path: Path
    number: int
    line: int
    data: Dict[str, Any]

    @property
    def place(self) -> str:
        """Where it is, for a report.

        RETURNS (str): Its number and line.
        """
        return f"record {self.number}, line {self.line}"

    def error(self, problem: str) -> FormatError:
        """RETURNS (FormatError): An error that names the record.

        problem (str): What is wrong with it, and the way out.
        """
        return FormatError(f"Can't read the record at line {self.line} of {self.path}: {problem}")

    def get_list(self, key: str) -> Optional[List[Any]]:
        """RETURNS (Optional[List[Any]]): The list under a key, None if there is none.
        RAISES (ValueError): For anything else.

        key (str): The key.
        """
        value = self.data.get(key)
        if value is not None and not isinstance(value, list):
            raise self.error(f"'{key}' is {shorten(value)}, and has to be a list.")
        return value

    def check_unicode(self, text: str, what: str) -> None:
        """RAISES (ValueError): For half of a surrogate pair, which JSON may have, and UTF-8 not.

        text (str): The text.
        what (str): What to call it.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise self.error(
                f"character {error.start} of its {what} is half of a surrogate pair. Replace it."
            ) from error


def shorten(value: Any) -> str:
    """RETURNS (str): A value as JSON has it, or its beginning.

    value (Any): Anything of JSON.
    """
    text = json.dumps(value, ensure_ascii=False)
    text = text if len(text) <= 60 else text[:60] + "…"
    # Half of a surrogate pair can't be printed.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def make_doc(nlp: Language, record: Record, text: Any) -> Doc:
    """Tokenize the text of a record.

    nlp (Language): Its tokenizer and vocabulary are used.
    record (Record): The record.
    text (Any): The text, right or not.
    RETURNS (Doc): The document, with the id and the meta of its record.
    RAISES (ValueError): If it is no text, too long, or not what the tokenizer makes of it, so that
        offsets would go wrong.
    """
    check_text(nlp, record, text)
    doc = nlp.make_doc(text)
    # spaCy's own never does, and to ask takes as long as to tokenize.
    if type(nlp.tokenizer) is not Tokenizer and doc.text != text:
        raise record.error(
            f"the tokenizer of '{nlp.lang}' changes the text, so that offsets don't fit it. Use a "
            "tokenizer that keeps white space."
        )
    keep_fields(doc, record)
    return doc


def check_text(nlp: Language, record: Record, text: Any) -> None:
    """RAISES (ValueError): For what can't be the text of a document.

    nlp (Language): Its `max_length` is the limit.
    record (Record): The record.
    text (Any): The text, right or not.
    """
    if not isinstance(text, str):
        raise record.error(f"its text is {shorten(text)}, and has to be a string under 'text'.")
    check_length(nlp, record, len(text))
    record.check_unicode(text, "text")


def check_length(nlp: Language, record: Record, length: int) -> None:
    """RAISES (ValueError): For a text of more characters than nlp.max_length.

    nlp (Language): Its `max_length` is the limit.
    record (Record): The record.
    length (int): How many characters there are.
    """
    if length > nlp.max_length:
        raise record.error(
            f"its text has {length} characters, and nlp.max_length is {nlp.max_length}. Split it, "
            "or read plain text with --from lines. convert has --max-length to raise the limit, "
            "and a config the callback set_max_length."
        )


def keep_fields(doc: Doc, record: Record) -> None:
    """Note the id and the meta of a record in its document. Whole numbers that a DocBin can't hold
    become strings.

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
