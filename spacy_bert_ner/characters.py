"""Find the visible characters of a Doc, as arrays over its text."""

import sys
import unicodedata
from functools import cache
from typing import Any, Callable, Iterable, List, Sequence, Tuple

import numpy
from spacy.tokens import Doc

from .types import Bools1d, Ints1d, Ints2d

# Separators, control and format characters, and combining marks.
_INVISIBLE = {"Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Me"}
# The value of SENT_START in spaCy's arrays for a token that doesn't begin a sentence.
NO_START = numpy.iinfo("uint64").max


def token_chars(doc: Doc) -> Tuple[Ints1d, Ints1d]:
    """Character offsets of the tokens in `doc.text`.

    doc (Doc): The document.
    RETURNS (Tuple[Ints1d, Ints1d]): First character of every token and the one after its last,
        int64, (n_tokens,).
    """
    idx_length = doc.to_array(["IDX", "LENGTH"]).astype("int64").reshape(len(doc), 2)
    return idx_length[:, 0], idx_length[:, 0] + idx_length[:, 1]


def concatenate(docs: Sequence[Doc], names: Any) -> Ints2d:
    """Get attributes of the tokens of several documents.

    docs (Sequence[Doc]): The documents.
    names (List[str]): Names of the attributes, at least two.
    RETURNS (Ints2d): int64, (n_names, n_tokens).
    """
    arrays = [doc.to_array(names).reshape(len(doc), len(names)) for doc in docs]
    return numpy.concatenate(arrays).astype("int64").T.copy()


def split_by_doc(values: Any, docs: Sequence[Doc]) -> List[Any]:
    """Split an array of values of tokens.

    values (Array): One for each token of all documents, (n_tokens, ...).
    docs (Sequence[Doc]): The documents.
    RETURNS (List[Array]): Views on the values of each document.
    """
    edges = add_before([len(doc) for doc in docs]).tolist()
    return [values[i:j] for i, j in zip(edges, edges[1:])]


def get_text(doc: Doc) -> str:
    """RETURNS (str): `doc.text`, in a tenth of its time: spaCy makes a Token for each word.

    doc (Doc): The document.
    """
    array = doc.to_array(["ORTH", "SPACY"]).reshape(len(doc), 2)
    strings: Any = doc.vocab.strings
    return join_words(map(strings.__getitem__, array[:, 0].tolist()), array[:, 1].tolist())


def join_words(words: Iterable[str], spaces: Iterable[int]) -> str:
    """RETURNS (str): The text of words.

    words (Iterable[str]): The words.
    spaces (Iterable[int]): Whether a space follows each of them.
    """
    return "".join([f"{word} " if space else word for word, space in zip(words, spaces)])


def copy_sent_starts(source: Doc, doc: Doc) -> None:
    """Copy sentence starts to another document with the same text. Its tokens may differ: a
    component may have merged or split them.

    source (Doc): The document with sentence starts.
    doc (Doc): The document to copy them to. Changed.
    """
    begins, _ = token_chars(source)
    wanted, _ = token_chars(doc)
    places = numpy.searchsorted(begins, wanted, side="right") - 1
    marks: Any = source.to_array("SENT_START")[places]
    marks[begins[places] != wanted] = NO_START
    doc.from_array(["SENT_START"], marks)


def count_before(text: str, table: Bools1d) -> Ints1d:
    """Count the marked characters before every position of a text.

    text (str): The text.
    table (Bools1d): True for the code points that count, bool, (sys.maxunicode + 1,).
    RETURNS (Ints1d): int64, (len(text) + 1,): entry i counts in `text[:i]`.
    """
    return add_before(table[get_codes(text)])


def get_codes(text: str) -> Ints1d:
    """RETURNS (Ints1d): The code points of a text, uint32, (len(text),).

    text (str): The text.
    """
    return numpy.frombuffer(text.encode("utf-32-le"), dtype="uint32")


def add_before(sizes: Any) -> Ints1d:
    """RETURNS (Ints1d): Running sums: the sum of the values before each position, and their total,
    int64, (n + 1,).

    sizes (Sequence[int]): The values, or an array of them, (n,).
    """
    sums = numpy.zeros(len(sizes) + 1, dtype="int64")
    numpy.cumsum(sizes, out=sums[1:])
    return sums


def visible_tokens(*docs: Doc) -> Bools1d:
    """Find the visible tokens: those with at least one character that is not white space, a control
    or format character (U+200B, U+00AD) or a combining mark (U+FE0F). Wordpiece tokenizers drop the
    other tokens, so these get no tag in training or prediction.

    docs (Doc): The documents.
    RETURNS (Bools1d): bool, (n_tokens,) of all of them.
    """
    # Of each different word once: most tokens are repeated.
    orths = numpy.concatenate([doc.to_array("ORTH") for doc in docs])
    different, firsts, places = numpy.unique(orths, return_index=True, return_inverse=True)
    owners = numpy.repeat(range(len(docs)), [len(doc) for doc in docs])[firsts].tolist()
    words = [docs[i].vocab.strings[orth] for i, orth in zip(owners, different.tolist())]
    counts = count_before("".join(words), visible_table())[add_before(list(map(len, words)))]
    visible: Bools1d = (numpy.diff(counts) > 0)[places]
    return visible


def make_table(marks: Callable[[str], bool]) -> Bools1d:
    """RETURNS (Bools1d): Which code points are marked, bool, (sys.maxunicode + 1,).

    marks (Callable[[str], bool]): Whether a character is marked.
    """
    n = sys.maxunicode + 1
    return numpy.fromiter((marks(chr(code)) for code in range(n)), dtype=bool, count=n)


@cache
def visible_table() -> Bools1d:
    """RETURNS (Bools1d): True for visible code points, bool."""
    return make_table(lambda char: unicodedata.category(char) not in _INVISIBLE)


@cache
def nonspace_table() -> Bools1d:
    """RETURNS (Bools1d): True for code points that are not white space, bool."""
    return make_table(lambda char: not char.isspace())
