"""Token-per-line corpora."""

import re
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple, Union

import numpy
from spacy.language import Language
from spacy.tokens import Doc, Token

from ..findings import show
from .files import Record, check_length, check_utf8, open_text
from .report import FormatError, Report
from .source import Source
from .spans import report_incorrect
from .tags import KINDS, MISSING_TAG, explain_tag, is_tag, set_ents

# Comments at any place: `# sent_id = …`, `# newdoc id = …`, `# global.columns = …`.
COMMENT = re.compile(r"# (newdoc|newpar|[\w.]+ =|\w+ \w+ =)")
# The source of a sentence, in the line before it (GermEval).
ORIGIN = re.compile(r"#\t[^\t]*[./\[][^\t]*$")
# Lines of CoNLL-U that aren't words: ranges of words, and words that the text doesn't contain.
NO_WORD = re.compile(r"\d+[-.]\d+$")
DOCUMENT = "-DOCSTART-\tO\n\n"
MARKS = ("-DOCSTART-", "# newdoc")
BREAKS = re.compile(r"[\t\r\n]")
SPACES = re.compile(" +")
LINE_END = "\r\n"
TAG_WITHIN = re.compile(r" [BILUES]-\S")

# Prefix of a token, by whether it begins and whether it ends an entity.
Prefixes = Dict[Tuple[bool, bool], str]
IOB2: Prefixes = {(True, True): "B", (True, False): "B", (False, False): "I", (False, True): "I"}
BILUO: Prefixes = {(True, True): "U", (True, False): "B", (False, False): "I", (False, True): "L"}

UNWRITTEN = (
    "tokens are left out: a token can't consist of spaces, contain a tab or a line break, or begin "
    "like a comment of the format"
)
EMPTY = "documents have no tokens to write, and are left out"
CROSSING = "sentence starts are within entities, and are left out"


class TaggedWord(NamedTuple):
    word: str
    tag: str


class Line(NamedTuple):
    """A line with a token, and its number in the file."""

    number: int
    text: str


class Sentence(NamedTuple):
    """The lines of a sentence, and whether their first column numbers the words."""

    lines: List[Line]
    is_numbered: bool


class Document(NamedTuple):
    """Sentences of a document, and whether the file marks where documents begin."""

    path: Path
    sentences: List[Sentence]
    is_marked: bool


def read(source: Source) -> Iterator[Document]:
    """Read a file with one token per line and blank lines between sentences: CoNLL-2003 (word
    first, tag last), or Universal NER (number, word, tag, …).

    source (Source): The input.
    YIELDS (Document): Documents, or sentences if the file doesn't mark documents.
    """
    sentences: List[Sentence] = []
    lines: List[Line] = []
    marked, numbered = False, True
    with open_text(source.path) as file:
        for i, text in enumerate(file, start=1):
            mark = text.startswith(MARKS)
            comment = _is_comment(text, is_start=not lines)
            if text.strip() and not mark and not comment:
                lines.append(Line(i, text))
                continue
            if lines and not (comment and not mark):
                numbered = _is_numbered(lines, numbered)
                sentences.append(Sentence(lines, numbered))
                lines = []
            if sentences and (mark or not (marked or comment)):
                yield Document(source.path, sentences, marked)
                sentences = []
            marked = marked or mark
    if lines:
        sentences.append(Sentence(lines, _is_numbered(lines, numbered)))
    if sentences:
        yield Document(source.path, sentences, marked)


def _is_comment(text: str, *, is_start: bool) -> bool:
    """Whether a line is a comment. At the start of a sentence, all lines that begin with # are
    comments, except the word # with its tag."""
    if not text.startswith(("# ", "#\t")):
        return False
    columns = _split(text)
    is_word = len(columns) > 1 and is_tag(columns[-1])
    if text.startswith("#\t"):
        return is_start and not is_word and ORIGIN.match(text.rstrip(LINE_END)) is not None
    return COMMENT.match(text) is not None or (is_start and not is_word)


def _is_numbered(lines: List[Line], before: bool) -> bool:
    """Whether the first column numbers the words of a sentence: 1, 2, 3 …

    before (bool): Whether it does in the sentence before. A single 1 may be a word, and so may 1
        and 2 in columns separated by spaces, which numbered files rarely use.
    """
    if not lines[0].text[:1].isdigit():
        return False
    rows = [row for row in (_split(line.text) for line in lines) if not NO_WORD.match(row[0])]
    if [row[0] for row in rows] != [str(i) for i in range(1, len(rows) + 1)]:
        return False
    if not all(row[2:] and is_tag(row[2]) for row in rows):
        return False
    return before or (len(rows) > 1 and "\t" in lines[0].text)


def _split(text: str) -> List[str]:
    """The columns of a line."""
    return text.rstrip(LINE_END).split("\t") if "\t" in text else SPACES.split(text.strip(" \r\n"))


def parse(nlp: Language, document: Document, report: Report) -> Doc:
    """Read the words and tags of a document: IOB1, IOB2, or BILUO.

    nlp (Language): Its tokenizer and vocabulary are used.
    document (Document): Its lines.
    report (Report): Counts what doesn't fit.
    RETURNS (Doc): A document with entities, and with sentence starts if the file marks documents.
        White space between the words is unknown, so spaCy trains and evaluates on these words.
    RAISES (ValueError): For a line that can't be read, with its number.
    """
    sentences = [_parse_sentence(document.path, sentence) for sentence in document.sentences]
    words = [row.word for sentence in sentences for row in sentence]
    start = Record(document.path, 0, document.sentences[0].lines[0].number, {})
    check_length(nlp, start, sum(map(len, words)))
    starts: List[Union[bool, int, None]] = [
        i == 0 for sentence in sentences for i in range(len(sentence))
    ]
    doc = Doc(nlp.vocab, words=words, sent_starts=starts if document.is_marked else None)
    set_ents(doc, [row.tag for rows in sentences for row in rows], starts)
    return doc


def _parse_sentence(path: Path, sentence: Sentence) -> List[TaggedWord]:
    rows = []
    for line in sentence.lines:
        check_utf8(path, line.number, line.text)
        columns = _split(line.text)
        if not sentence.is_numbered:
            rows.append(_parse_line(path, line, [columns[0], *columns[1:][-1:]]))
        elif not NO_WORD.match(columns[0]):
            rows.append(_parse_line(path, line, columns[1:3]))
    return rows


def _parse_line(path: Path, line: Line, columns: List[str]) -> TaggedWord:
    problem = _find_problem(line.text, columns)
    if problem:
        raise FormatError(
            f"Can't read line {line.number} of {path}, {show(line.text.rstrip(LINE_END))}: "
            f"{problem}."
        )
    return TaggedWord(columns[0], columns[1].strip())


def _find_problem(text: str, columns: List[str]) -> str:
    """What is wrong with a line, empty if nothing is."""
    if len(columns) < 2:
        return f"it has no tag. A word and its tag are separated by a tab or by spaces. {KINDS}"
    word, tag = columns
    if not word.strip(" "):
        return "its word is empty. Leave out the line, or write the word before the tag"
    if is_tag(tag):
        return ""
    if not tag.strip():
        return "its last column, for the tag, is empty. Remove tabs at the ends of lines"
    if "\t" not in text and len(SPACES.split(text)) > 2 and TAG_WITHIN.search(text):
        return "a label has a space. Separate columns by tabs, or rename the label"
    return explain_tag(tag)


def render(doc: Doc, report: Report, prefixes: Prefixes = IOB2) -> str:
    """RETURNS (str): Words and tags, `-` for missing ones, with a line -DOCSTART- before them and a
    blank line before each sentence, if the document has sentence boundaries.

    doc (Doc): The document.
    report (Report): Counts what doesn't fit.
    prefixes (Prefixes): The prefixes of the scheme.
    """
    report_incorrect(doc, report)
    tokens = [token for token in doc if is_writable(token, report)]
    if not tokens:
        report.add(EMPTY, show(doc.text))
        return ""
    return "".join([DOCUMENT, *_make_lines(doc, tokens, report, prefixes), "\n"])


def render_biluo(doc: Doc, report: Report) -> str:
    """RETURNS (str): Words and BILUO tags, in the form of `render`.

    doc (Doc): The document.
    report (Report): Counts what doesn't fit.
    """
    return render(doc, report, BILUO)


def is_writable(token: Token, report: Report) -> bool:
    """RETURNS (bool): Whether a token can have a line of its own.

    token (Token): The token.
    report (Report): Counts those that are left out.
    """
    word = token.text
    is_mark = word.startswith(MARKS) or COMMENT.match(word)
    if is_mark or not word.strip(" ") or BREAKS.search(word):
        report.add(UNWRITTEN, show(word))
        return False
    return True


def _make_lines(doc: Doc, tokens: List[Token], report: Report, prefixes: Prefixes) -> Iterator[str]:
    """A line for each token, and blank lines between sentences. A blank line would end an entity,
    so there are none inside of entities."""
    sentences = numpy.cumsum(doc.to_array("SENT_START").astype("int64") == 1)
    numbers = {i: n for n, ent in enumerate(doc.ents) for i in range(ent.start, ent.end)}
    ents = [numbers.get(token.i) for token in tokens]
    sentence = sentences[tokens[0].i]
    for token, before, ent, after in zip(tokens, [None, *ents], ents, [*ents[1:], None]):
        begins, ends = ent != before, ent != after
        if sentences[token.i] != sentence:
            sentence = sentences[token.i]
            if ent is None or begins:
                yield "\n"
            else:
                report.add(CROSSING, f"{show(token.text)} in {show(doc.ents[ent].text)}")
        yield f"{token.text}\t{_make_tag(token, prefixes[begins, ends])}\n"


def _make_tag(token: Token, prefix: str) -> str:
    label = token.ent_type_
    if BREAKS.search(label):
        raise FormatError(
            f"Can't write the label {label!r}: it contains a tab or a line break. Rename it."
        )
    if label:
        return f"{prefix}-{label}"
    return MISSING_TAG if token.ent_iob == 0 else "O"
