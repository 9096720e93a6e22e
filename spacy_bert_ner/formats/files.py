"""Text files and the JSON records in them, read and written one at a time."""

import json
import os
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import IO, Any, Dict, Iterable, Iterator, List, NamedTuple, Optional

from spacy.errors import Errors
from spacy.language import Language
from spacy.tokens import Doc

from .report import FormatError

# Where `doc.user_data` has what else a record says, in plain JSON types, so that a DocBin keeps it.
RECORD_KEY = "spacy_bert_ner.record"
RECORD_FIELDS = ("id", "meta")
CHUNK = 1 << 14


@contextmanager
def open_text(path: Path, newline: Optional[str] = None) -> Iterator[IO[str]]:
    """Open a file in UTF-8, with or without a byte order mark.

    newline (Optional[str]): "" to keep line ends as they are.
    RAISES (ValueError): On reading something else than UTF-8.
    """
    with path.open(encoding="utf-8-sig", newline=newline) as file:
        try:
            yield file
        except UnicodeDecodeError as error:
            raise FormatError(
                f"Can't read line {_find_bad_line(path)} of {path}: {error.reason}, the "
                f"{error.encoding} codec says. Convert the file to UTF-8."
            ) from error


def _find_bad_line(path: Path) -> int:
    with path.open("rb") as file:
        return 1 + sum(1 for _ in takewhile(_is_utf8, file))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def replace_file(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Write a file beside the target, which takes its place once it is complete. After an error,
    the target is as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with part.open(mode, **text) as file:  # type: ignore[call-overload]
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


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


def read_records(path: Path) -> Iterator[Record]:
    """Read a file of JSON objects: one a line, or an array of them.

    YIELDS (Record): One at a time; the rest of the file is not in memory.
    RAISES (ValueError): For what is no JSON object, with its line.
    """
    lines = _read_array(path) if _first_char(path) == "[" else _read_lines(path)
    for number, (line, data) in enumerate(lines, start=1):
        record = Record(path, number, line, data)
        if not isinstance(data, dict):
            raise record.error(f"{_shorten(data)} is not a JSON object, {{…}}.")
        yield record


def _shorten(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:60] + "…"


def _first_char(path: Path) -> str:
    with open_text(path) as file:
        char = file.read(1)
        while char.isspace():
            char = file.read(1)
        return char


def _read_lines(path: Path) -> Iterator[Any]:
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise FormatError(
                    f"Can't read line {number} of {path}: {error}. Each line has to be a JSON "
                    "object, {…}, or the file one array of them, […]."
                ) from error


def _read_array(path: Path) -> Iterator[Any]:
    with open_text(path) as file:
        array = _Array(path, file)
        array.take("[")
        is_first = True
        while array.peek() != "]":
            if not is_first:
                array.take(",")
            is_first = False
            array.peek()
            yield array.line, array.take_value()
        array.take("]")
        array.take("")


class _Array:
    """The part of a JSON array that is in memory."""

    def __init__(self, path: Path, file: IO[str]):
        self.path = path
        self.file = file
        self.text = ""
        self.line = 1

    def peek(self) -> str:
        """RETURNS (str): The next character that isn't white space; empty at the end."""
        self._skip(len(self.text) - len(self.text.lstrip()))
        while not self.text and self._read_more():
            self._skip(len(self.text) - len(self.text.lstrip()))
        return self.text[:1]

    def take(self, char: str) -> None:
        found = self.peek()
        if found != char:
            expected = f"{char!r} is missing" if char else "the array has ended"
            raise self._error(self.line, f"{expected} before {found or 'the end'!r}")
        self._skip(len(char))

    def take_value(self) -> Any:
        """RETURNS (Any): The next value. More is read until it is complete."""
        while True:
            try:
                value, end = json.JSONDecoder().raw_decode(self.text)
            except json.JSONDecodeError as error:
                if not self._read_more():
                    raise self._error(self.line + error.lineno - 1, error.msg) from error
                continue
            self._skip(end)
            return value

    def _skip(self, n: int) -> None:
        self.line += self.text.count("\n", 0, n)
        self.text = self.text[n:]

    def _read_more(self) -> bool:
        # As much again as there is: a long value is not parsed once a chunk.
        more = self.file.read(max(CHUNK, len(self.text)))
        self.text += more
        return bool(more)

    def _error(self, line: int, problem: str) -> FormatError:
        return FormatError(
            f"Can't read line {line} of {self.path}: {problem}. The file has to be a JSON array of "
            "objects, [{…}, {…}], or have one object a line."
        )


def write_lines(path: Path, records: Iterable[Dict[str, Any]]) -> None:
    """Write JSON objects, one a line, each as soon as it is there."""
    with replace_file(path) as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def write_array(path: Path, records: Iterable[Dict[str, Any]]) -> None:
    """Write JSON objects as an array, each as soon as it is there."""
    with replace_file(path) as file:
        file.write("[")
        for i, record in enumerate(records):
            file.write(",\n" if i else "\n")
            file.write(json.dumps(record, ensure_ascii=False))
        file.write("\n]\n")


def make_doc(nlp: Language, record: Record, text: Any) -> Doc:
    """Tokenize the text of a record.

    RAISES (ValueError): If it is no text, too long, or not what the tokenizer makes of it, so that
        offsets would go wrong.
    """
    check_text(nlp, record, text)
    doc = nlp.make_doc(text)
    if doc.text != text:
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
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise record.error(
            f"character {error.start} of its text is half of a surrogate pair. Replace it."
        ) from error


def keep_fields(doc: Doc, record: Record) -> None:
    """Note the id and the meta of a record in its document."""
    fields = {key: record.data[key] for key in RECORD_FIELDS if key in record.data}
    if fields:
        doc.user_data[RECORD_KEY] = fields


def get_fields(doc: Doc) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The id and the meta of the record that a document comes from."""
    return dict(doc.user_data.get(RECORD_KEY, {}))
