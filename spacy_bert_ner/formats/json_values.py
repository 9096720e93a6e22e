"""Values of JSON in a file, one at a time: one a line, or the values of an array."""

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
# How deep values may be nested. Records that people label have a handful of levels; what is near to
# Python's limit, about 1000, can be read, and not be written any more.
DEPTH = 100


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
        """RETURNS (Record): The JSON object; also of [text, {…}], as spaCy's training data is
            often written.
        RAISES (ValueError): If it is none, or nested too deep.
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
        RAISES (ValueError): If it is no JSON, or nested too deep.
        """
        data = self.data if self.text is None else self._parse(self.text)
        level = _get_children([data])
        for _ in range(DEPTH):
            level = [child for value in level for child in _get_children(value)]
            if not level:
                return data
        record = Record(self.path, self.number, self.line, {})
        raise record.error(f"it is nested more than {DEPTH} levels deep. Leave out what is deeper.")

    def _parse(self, text: str) -> Any:
        check_utf8(self.path, self.line, text)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FormatError(
                f"Can't read line {self.line} of {self.path}: {error}. Each line has to be a JSON "
                "object, {…}, or the file one array of them, […]."
            ) from error


def _get_children(value: Any) -> List[Any]:
    """The lists and objects in one."""
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
    """Read a file of JSON: a value a line, or an array of them. It is opened once, as it may be a
    pipe.

    path (Path): The file.
    YIELDS (Value): One at a time; the rest of the file is not in memory.
    RAISES (ValueError): For an array that is broken, which has no more values then.
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
    """Read how an array begins, behind its bracket.

    RETURNS (Tuple[str, bool]): What was read; whether the array is a line, and not the file. It is
        where it begins with a string, as ["text", {…}] does, and so does each line that follows;
        and where it is nested too deep for an array of records, and others follow on more lines.
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
    """RETURNS (str): The next character that isn't white space, behind the white space."""
    text = char = file.read(1)
    while char.isspace():
        char = file.read(1)
        text += char
    return text


class _Array:
    """The values of a JSON array, of which the part that is needed is in memory.

    line (int): That of the bracket, behind which `text` is, and then `file`.
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
    """RETURNS (str): A record in JSON, in one line.

    data (Dict[str, Any]): The record.
    """
    return ENCODER.encode(data)
