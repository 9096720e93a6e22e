"""JSON values of a file, one at a time: one per line, or the values of an array."""

import json
import re
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .files import Record, check_utf8, open_text, shorten
from .report import FormatError

CHUNK = 1 << 14
SPACE = re.compile(r"[ \t\r\n]*")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
DECODER = json.JSONDecoder()
ENCODER = json.JSONEncoder(ensure_ascii=False)
# Maximum depth of nested values. Labeled records have a few levels; values near Python's limit of
# about 1000 levels can be read, but not written again.
DEPTH = 100


class Value(NamedTuple):
    """One JSON value of a file, with its number and the line at which it begins, both from 1.

    text (Optional[str]): Its line, if each value is a line: parsed when it is needed.
    data (Any): The value, if it is in an array.
    """

    path: Path
    number: int
    line: int
    text: Optional[str] = None
    data: Any = None

    def read(self) -> Record:
        """RETURNS (Record): The JSON object. [text, {…}], a common form of spaCy's training data,
            is converted to one.
        RAISES (ValueError): If it isn't an object, or is nested too deep.
        """
        data = self.get()
        if _is_pair(data):
            data = {"text": data[0], **data[1]}
        record = Record(self.path, self.number, self.line, data)
        if not isinstance(data, dict):
            raise record.error(f"{shorten(data)} is not a JSON object, {{…}}.")
        return record

    def get(self) -> Any:
        """RETURNS (Any): The value.
        RAISES (ValueError): If it isn't JSON, or is nested too deep.
        """
        data = self.data if self.text is None else self._parse(self.text)
        level = _get_children([data])
        for _ in range(DEPTH):
            level = [child for value in level for child in _get_children(value)]
            if not level:
                return data
        record = Record(self.path, self.number, self.line, {})
        raise record.error(f"it is nested more than {DEPTH} levels deep. Remove deeper levels.")

    def _parse(self, text: str) -> Any:
        check_utf8(self.path, self.line, text)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            problem = str(error)
            if isinstance(error, json.JSONDecodeError):  # whose text counts lines from this one
                problem = f"{error.msg} at column {error.colno}"
            raise FormatError(
                f"Can't read line {self.line} of {self.path}: {problem}. Each line must be a JSON "
                "object, {…}, or the file must be one array of objects, […]."
            ) from error


def _get_children(value: Any) -> List[Any]:
    """The lists and objects in a value."""
    parts = value.values() if isinstance(value, dict) else value
    return [part for part in parts if isinstance(part, (dict, list))]


def _is_pair(data: Any) -> bool:
    return (
        isinstance(data, list)
        and len(data) == 2
        and isinstance(data[0], str)
        and isinstance(data[1], dict)
    )


def read_values(path: Path) -> Iterator[Value]:
    """Read a JSON file: one value per line, or an array. It is opened once, since it may be a pipe.

    path (Path): The file.
    YIELDS (Value): One at a time; the rest of the file is not in memory.
    RAISES (ValueError): For a broken array. No further values can be read from it.
    """
    with open_text(path) as file:
        start = _read_mark(file)
        if start.strip() == "[":
            first = 1 + start.count("\n")
            after, is_line = _read_start(file)
            if not is_line:
                values = _Array(path, file, first, after)
                for number, (line, data) in enumerate(values, start=1):
                    yield Value(path, number, line, data=data)
                return
            start += after
        lines = StringIO(start + file.readline(), newline="\n")
        number = 0
        for line, text in enumerate(chain(lines, file), start=1):
            if text.strip():
                number += 1
                yield Value(path, number, line, text)


def _read_start(file: IO[str]) -> Tuple[str, bool]:
    """Read the beginning of an array, after its bracket.

    RETURNS (Tuple[str, bool]): The text that was read; whether the array is one line, not the whole
        file. It is if it begins with a string, as in ["text", {…}], and so do the following lines;
        and if it is nested too deep for an array of records, and more lines follow.
    """
    text = _read_mark(file)
    if text.endswith('"'):
        return text, True
    while text.endswith("[") and text.count("[") < DEPTH:
        text += _read_mark(file)
    if not text.endswith("["):
        return text, False
    text += file.readline()
    outside = STRING.sub("", text)
    is_closed = 1 + outside.count("[") == outside.count("]")
    more = _read_mark(file)
    return text + more, is_closed and more.strip() != ""


def _read_mark(file: IO[str]) -> str:
    """RETURNS (str): White space, and the next character that isn't white space."""
    text = char = file.read(1)
    while char.isspace():
        char = file.read(1)
        text += char
    return text


class _Array:
    """The values of a JSON array. Only the part that is needed is in memory.

    line (int): Line of the bracket, which is followed by `text`, and then by `file`.
    """

    def __init__(self, path: Path, file: IO[str], line: int, text: str):
        self.path = path
        self.file = file
        self.line = line
        self.text = text
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
            raise self._error(self.line, f"the array ends before {self._peek()!r}")

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
        """RETURNS (Any): The next value. The file is read until it is complete."""
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if not self._read_more():
                    line = self.line + self.text.count("\n", self.at, error.pos)
                    raise self._error(line, error.msg) from error
            except (RecursionError, ValueError) as error:  # also numbers of too many digits
                raise self._error(self.line, str(error)) from error
            else:
                self._move(end)
                return value

    def _move(self, at: int) -> None:
        self.line += self.text.count("\n", self.at, at)
        self.at = at

    def _read_more(self) -> bool:
        # Double the text, so that a long value isn't parsed again after each chunk.
        rest = self.text[self.at :]
        more = self.file.read(max(CHUNK, len(rest)))
        check_utf8(self.path, self.line + rest.count("\n"), more)
        self.text, self.at = rest + more, 0
        return bool(more)

    def _error(self, line: int, problem: str) -> FormatError:
        return FormatError(
            f"Can't read line {line} of {self.path}: {problem}. The file must be a JSON array of "
            "objects, [{…}, {…}], or have one object per line."
        )


def dump(data: Dict[str, Any]) -> str:
    """RETURNS (str): A record in JSON, in one line.

    data (Dict[str, Any]): The record.
    """
    return ENCODER.encode(data)
