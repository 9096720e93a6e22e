"""Lexicons of word translations: lists of pairs (MUSE, TSV) and dictd dictionaries (FreeDict)."""

import gzip
import re
import zlib
from pathlib import Path
from typing import IO, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..findings import show
from ..terminal import UNPRINTED
from .files import check_utf8, open_bytes, open_text
from .report import FormatError, Report

# Maximum characters of a line or an entry: longer ones aren't a word and its translation.
MOST_CHARS = 10_000
# Maximum bytes of an unpacked dictionary: German-English, FreeDict's largest, has 100 MB.
MOST_BYTES = 1 << 28
# The suffixes of dictionaries, packed or not.
DICTD = (".dict.dz", ".dict")
DIGITS = {
    char: value
    for value, char in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
# In entries: notes on a translation, and the numbers of senses.
NOTES = re.compile(r"\[[^]]*\]|<[^>]*>|\([^)]*\)|\{[^}]*\}|\.\.\.|…")
SENSE = re.compile(r"^ ?\d+\. ")
NO_PAIR = "rows of the lexicon aren't one word and its translation, and are left out"
NO_WORDS = "records of the lexicon have no translation of one word by one word, and are left out"


class Pair(NamedTuple):
    """A word and a translation.

    rank (int): Its position among the translations of an entry, from 0.
    """

    source: str
    target: str
    rank: int


class Lexicon:
    """Translations of words."""

    def __init__(self) -> None:
        self._pairs: Dict[str, List[Pair]] = {}  # by the word in lower case
        self.n_words = 0

    def add(self, pairs: Sequence[Pair]) -> None:
        """Add the pairs of a file, after those of other files.

        pairs (Sequence[Pair]): The pairs. Main translations of an entry come before others.
        """
        added: Dict[str, List[Pair]] = {}
        for pair in sorted(pairs, key=lambda pair: pair.rank):
            added.setdefault(pair.source.lower(), []).append(pair)
        for word, found in added.items():
            self._pairs.setdefault(word, []).extend(found)
        self.n_words = len(self._pairs)

    def look_up(self, word: str) -> List[str]:
        """Look up a word as it is written, or otherwise in any letter case.

        word (str): The word.
        RETURNS (List[str]): Its translations, the main one first; empty if it is unknown.
        """
        pairs = self._pairs.get(word.lower(), [])
        same = [pair for pair in pairs if pair.source == word] or pairs
        return list(dict.fromkeys(pair.target for pair in same))


def read_lexicon(
    paths: Sequence[Path], backwards: Sequence[Path] = (), report: Optional[Report] = None
) -> Lexicon:
    """Read lexicons. The translations of the first file come first.

    A file named .dict or .dict.dz is a dictionary of dictd, with its .index in the same folder. In
    other files, a line is a word and its translation, separated by a tab or, as in MUSE, by spaces;
    further columns after a tab are ignored. Expressions of several words are left out.

    paths (Sequence[Path]): From the source language to the target language.
    backwards (Sequence[Path]): From the target language to the source language, read backwards.
    report (Optional[Report]): Counts what is left out.
    RETURNS (Lexicon): The translations.
    RAISES (UserError): For a file that can't be read, or contains no word with its translation.
    """
    lexicon = Lexicon()
    report = Report() if report is None else report
    for is_backwards, group in ((False, paths), (True, backwards)):
        for path in group:
            is_dictd = path.name.lower().endswith(DICTD)
            pairs = list(_read_dictd(path, report) if is_dictd else _read_lines(path, report))
            if not pairs:
                raise FormatError(
                    f"Can't translate with {path}: it contains no word with its translation. Use a "
                    "file with a word, a tab and its translation in each line, or a .dict.dz file."
                )
            if is_backwards:
                pairs = [Pair(pair.target, pair.source, pair.rank) for pair in pairs]
            lexicon.add(pairs)
    return lexicon


def is_word(text: str) -> bool:
    """Check whether a text is one word, without white space or control characters.

    text (str): The text.
    RETURNS (bool): Whether it is.
    """
    return text.split() == [text] and UNPRINTED.search(text) is None


def _read_lines(path: Path, report: Report) -> Iterator[Pair]:
    """YIELDS (Pair): The pairs, in the order of the lines."""
    with open_text(path) as file:
        number = 0
        while line := file.readline(MOST_CHARS):
            number += 1
            is_long = not line.endswith("\n") and len(line) == MOST_CHARS
            if is_long:
                _pass_line(file)
            else:
                check_utf8(path, number, line)
            if not line.strip():
                continue
            words = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
            words = [word.strip() for word in words[: 2 if "\t" in line else None]]
            if is_long or len(words) != 2 or not all(map(is_word, words)):
                report.add(NO_PAIR, f"line {number} of {path.name}")
            else:
                yield Pair(words[0], words[1], 0)


def _pass_line(file: IO[str]) -> None:
    """Skip the rest of a line, in parts."""
    while part := file.readline(MOST_CHARS):
        if part.endswith("\n"):
            return


def _read_dictd(path: Path, report: Report) -> Iterator[Pair]:
    """YIELDS (Pair): Headwords and translations, in the order of the index."""
    text = _read_dict(path)
    for number, word, start, length in _read_index(path):
        if start + length > len(text):
            raise FormatError(
                f"Can't read line {number} of {_get_index(path)}: its entry ends at byte "
                f"{start + length}, but {path.name} has {len(text)} bytes. Use both files of the "
                "same package."
            )
        entry = text[start : start + length] if length <= MOST_CHARS else b""
        pairs = [
            Pair(word, translation, rank)
            for rank, translation in enumerate(_get_translations(_decode(path, entry)))
            if is_word(word) and is_word(translation)
        ]
        if not pairs:
            report.add(NO_WORDS, f"{show(word)} ({path.name})")
        yield from pairs


def _decode(path: Path, entry: bytes) -> str:
    try:
        return entry.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(
            f"Can't read {path}: the entry {entry[:40]!r} isn't UTF-8. Convert it to UTF-8."
        ) from error


def _get_translations(entry: str) -> List[str]:
    """RETURNS (List[str]): The translations of an entry: all lines except the first, which is the
    headword, indented lines, which are examples and notes, and references."""
    lines = [line for line in entry.split("\n")[1:] if not line.startswith("  ")]
    found = []
    for line in lines:
        line = NOTES.sub(" ", SENSE.sub("", line))
        if ":" not in line:
            found += [part.strip() for part in re.split("[,;]", line)]
    return [text for text in found if text]


def _read_dict(path: Path) -> bytes:
    """RETURNS (bytes): A dictionary, unpacked.
    RAISES (UserError): If it is damaged, or too large when unpacked.
    """
    if not path.name.lower().endswith(".dz"):
        with open_bytes(path) as plain:
            text = plain.read(MOST_BYTES + 1)
    else:
        try:
            with gzip.open(path) as file:  # .dz is gzip with its own index
                text = file.read(MOST_BYTES + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FormatError(
                f"Can't read {path}: it isn't a complete .dz file ({error}). Download it again."
            ) from error
    if len(text) > MOST_BYTES:
        raise FormatError(
            f"Can't read {path}: it has more than {MOST_BYTES} bytes when unpacked. Write the "
            "words that you need to a file with a word, a tab and its translation in each line."
        )
    return text


def _get_index(path: Path) -> Path:
    """RETURNS (Path): Path of the index of a dictionary."""
    suffix = next(suffix for suffix in DICTD if path.name.lower().endswith(suffix))
    return path.with_name(f"{path.name[: -len(suffix)]}.index")


def _read_index(path: Path) -> Iterator[Tuple[int, str, int, int]]:
    """YIELDS (Tuple[int, str, int, int]): For each entry, its line in the index, its headword, its
    first byte in the dictionary, and its number of bytes."""
    index = _get_index(path)
    if not index.is_file():
        raise FormatError(
            f"Can't read {path} without its index: there is no {index}. Copy it from the package "
            "of the dictionary."
        )
    with open_text(index) as file:
        for number, line in enumerate(file, start=1):
            check_utf8(index, number, line)
            if not line.strip():
                continue
            parts = line.rstrip("\r\n").split("\t")
            if len(parts) < 3 or not all(map(_is_number, parts[1:3])):
                raise FormatError(
                    f"Can't read line {number} of {index}: {show(line.strip())} isn't a word, its "
                    "place and its length, separated by tabs. Use the index of the dictionary."
                )
            if not parts[0].startswith(("00database", "00-database")):
                yield number, parts[0], _to_number(parts[1]), _to_number(parts[2])


def _is_number(digits: str) -> bool:
    return 0 < len(digits) <= 8 and all(char in DIGITS for char in digits)


def _to_number(digits: str) -> int:
    """RETURNS (int): A number in dictd's base 64, with the highest digit first."""
    value = 0
    for char in digits:
        value = value * 64 + DIGITS[char]
    return value
