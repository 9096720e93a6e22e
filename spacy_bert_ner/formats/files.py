"""Text files and the JSON records in them, read and written one at a time."""

import json
import re
from itertools import chain
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

from spacy.errors import Errors
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc

from .report import FormatError

# Where `doc.user_data` has what else a record says, in plain JSON types, so that a DocBin keeps it.
RECORD_KEY = "spacy_bert_ner.record"
RECORD_FIELDS = ("id", "meta")
# Of 64 bits, with a sign or without.
WHOLE_NUMBERS = range(-(1 << 63), 1 << 64)
CHUNK = 1 << 14
SPACE = re.compile(r"[ \t\r\n]*")
DECODER = json.JSONDecoder()
ENCODER = json.JSONEncoder(ensure_ascii=False)


def open_text(path: Path, newline: Optional[str] = None) -> IO[str]:
    """Open a file in UTF-8, with or without a byte order mark. Bytes that are none don't end the
    reading: `check_utf8` tells of them, where a record of them can be left out.

    newline (Optional[str]): "" to keep line ends as they are.
    """
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline=newline)


def check_utf8(path: Path, line: int, text: str) -> None:
    """RAISES (ValueError): For a text of `open_text` with bytes that are no UTF-8.

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
    """One JSON object of a file: its number and the line it begins at, both from 1."""

    path: Path
    number: int
    line: int
    data: Dict[str, Any]

    def error(self, problem: str) -> FormatError:
        return FormatError(f"Can't read the record at line {self.line} of {self.path}: {problem}")

    def get_list(self, key: str) -> Optional[List[Any]]:
        """RETURNS (Optional[List[Any]]): The list under a key, None if there is none.
        RAISES (ValueError): For anything else.
        """
        value = self.data.get(key)
        if value is not None and not isinstance(value, list):
            raise self.error(f"'{key}' is {_shorten(value)}, and has to be a list.")
        return value

    def check_unicode(self, text: str, what: str) -> None:
        """RAISES (ValueError): For half of a surrogate pair, which JSON may have, and UTF-8 not."""
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise self.error(
                f"character {error.start} of its {what} is half of a surrogate pair. Replace it."
            ) from error


class Value(NamedTuple):
    """One value of a file of JSON: its number and the line it begins at, both from 1.

    text (Optional[str]): The line it is, if each value is one: read when it is needed.
    data (Any): The value, if it is one of an array.
    """

    path: Path
    number: int
    line: int
    text: Optional[str] = None
    data: Any = None

    def read(self) -> Record:
        """RETURNS (Record): The JSON object.
        RAISES (ValueError): If it is none.
        """
        data = self.data if self.text is None else self._parse(self.text)
        record = Record(self.path, self.number, self.line, data)
        if not isinstance(data, dict):
            raise record.error(f"{_shorten(data)} is not a JSON object, {{…}}.")
        return record

    def _parse(self, text: str) -> Any:
        check_utf8(self.path, self.line, text)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FormatError(
                f"Can't read line {self.line} of {self.path}: {error}. Each line has to be a JSON "
                "object, {…}, or the file one array of them, […]."
            ) from error


def read_values(path: Path) -> Iterator[Value]:
    """Read a file of JSON: a value a line, or an array of them. It is opened once, as it may be a
    pipe.

    YIELDS (Value): One at a time; the rest of the file is not in memory.
    RAISES (ValueError): For an array that is broken, which has no more values then.
    """
    with open_text(path) as file:
        first = 1
        char = file.read(1)
        while char.isspace():
            first += char == "\n"
            char = file.read(1)
        if char == "[":
            for number, (line, data) in enumerate(_Array(path, file, first), start=1):
                yield Value(path, number, line, data=data)
            return
        number = 0
        for line, text in enumerate(chain([char + file.readline()], file), start=first):
            if text.strip():
                number += 1
                yield Value(path, number, line, text)


def read_records(path: Path) -> Iterator[Record]:
    """YIELDS (Record): The JSON objects of a file: one a line, or an array of them.
    RAISES (ValueError): For what is no JSON object, with its line.
    """
    return (value.read() for value in read_values(path))


def _shorten(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:60] + "…"


class _Array:
    """The values of a JSON array, of which the part that is needed is in memory.

    line (int): That of the bracket, behind which `file` is.
    """

    def __init__(self, path: Path, file: IO[str], line: int):
        self.path = path
        self.file = file
        self.line = line
        self.text = ""
        self.at = 0

    def __iter__(self) -> Iterator[Tuple[int, Any]]:
        if self._peek() != "]":
            yield self.line, self._take_value()
        while self._peek() != "]":
            self._take(",")
            self._peek()
            yield self.line, self._take_value()
        self._take("]")
        if self._peek():
            raise self._error(self.line, f"the array has ended before {self._peek()!r}")

    def _peek(self) -> str:
        """RETURNS (str): The next character that isn't white space; empty at the end."""
        self._move(SPACE.match(self.text, self.at).end())  # type: ignore[union-attr]
        while self.at == len(self.text) and self._read_more():
            self._move(SPACE.match(self.text, self.at).end())  # type: ignore[union-attr]
        return self.text[self.at : self.at + 1]

    def _take(self, char: str) -> None:
        found = self._peek()
        if found != char:
            raise self._error(self.line, f"{char!r} is missing before {found or 'the end'!r}")
        self._move(self.at + 1)

    def _take_value(self) -> Any:
        """RETURNS (Any): The next value. More is read until it is complete."""
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if not self._read_more():
                    line = self.line + self.text.count("\n", self.at, error.pos)
                    raise self._error(line, error.msg) from error
            except (RecursionError, ValueError) as error:  # numbers of too many digits, too
                raise self._error(self.line, str(error)) from error
            else:
                self._move(end)
                return value

    def _move(self, at: int) -> None:
        self.line += self.text.count("\n", self.at, at)
        self.at = at

    def _read_more(self) -> bool:
        # As much again as there is: a long value is not parsed once a chunk.
        rest = self.text[self.at :]
        more = self.file.read(max(CHUNK, len(rest)))
        check_utf8(self.path, self.line + rest.count("\n"), more)
        self.text, self.at = rest + more, 0
        return bool(more)

    def _error(self, line: int, problem: str) -> FormatError:
        return FormatError(
            f"Can't read line {line} of {self.path}: {problem}. The file has to be a JSON array of "
            "objects, [{…}, {…}], or have one object a line."
        )


def dump(data: Dict[str, Any]) -> str:
    """RETURNS (str): A record in JSON, in one line."""
    return ENCODER.encode(data)


def make_doc(nlp: Language, record: Record, text: Any) -> Doc:
    """Tokenize the text of a record.

    RAISES (ValueError): If it is no text, too long, or not what the tokenizer makes of it, so that
        offsets would go wrong.
    """
    check_text(nlp, record, text)
    doc = nlp.make_doc(text)
    # spaCy's own never does, and to ask takes as long as to tokenize.
    if type(nlp.tokenizer) is not Tokenizer and doc.text != text:
        raise record.error(
            f"the tokenizer of '{nlp.lang}' changes the text, so that offsets don't fit it. Take a "
            "tokenizer that keeps white space."
        )
    keep_fields(doc, record)
    return doc


def check_text(nlp: Language, record: Record, text: Any) -> None:
    """RAISES (ValueError): For what can't be the text of a document."""
    if not isinstance(text, str):
        raise record.error(f"its text is {_shorten(text)}, and has to be a string under 'text'.")
    if len(text) > nlp.max_length:
        raise record.error(Errors.E088.format(length=len(text), max_length=nlp.max_length))
    record.check_unicode(text, "text")


def keep_fields(doc: Doc, record: Record) -> None:
    """Note the id and the meta of a record in its document. Whole numbers that a DocBin can't hold
    become strings."""
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
    """RETURNS (Dict[str, Any]): The id and the meta of the record that a document comes from."""
    return dict(doc.user_data.get(RECORD_KEY, {}))
