"""Token-per-line corpora."""

import re
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple, Union

import numpy
from spacy.language import Language
from spacy.tokens import Doc, Span, Token

from ..findings import show
from .files import check_utf8, open_text
from .report import FormatError, Report
from .source import Source
from .spans import report_incorrect

# Prefixes of all schemes in use that begin and that end an entity.
BEGINS, ENDS = "BUS", "USLE"
MISSING = "-"
TAG = re.compile(r"(O|-|[BILUES]-.+)$")
# Universal NER numbers its tokens and has comments: `# sent_id = …`, `# newdoc id = …`.
COMMENT = re.compile(r"# (newdoc|newpar|\w+ =|\w+ \w+ =)")
DOCUMENT = "-DOCSTART-\tO\n\n"
MARKS = ("-DOCSTART-", "# newdoc")
BREAKS = re.compile(r"[\t\r\n]")
SPACES = re.compile(" +")

# Of a token that begins, that ends an entity.
Prefixes = Dict[Tuple[bool, bool], str]
IOB2: Prefixes = {(True, True): "B", (True, False): "B", (False, False): "I", (False, True): "I"}
BILUO: Prefixes = {(True, True): "U", (True, False): "B", (False, False): "I", (False, True): "L"}

UNWRITTEN = (
    "tokens are left out: a line can't have white space alone, a tab or a line break, or begin "
    "like a mark of the format"
)
EMPTY = "documents have no tokens to write, and are left out"
CROSSING = "sentence starts are within entities, and are left out"


class Row(NamedTuple):
    word: str
    tag: str


class Line(NamedTuple):
    """A line with a token, whose columns begin with its number or not."""

    number: int
    text: str
    is_numbered: bool


class Document(NamedTuple):
    """Sentences of a document, and whether the file marks where documents begin."""

    path: Path
    sentences: List[List[Line]]
    is_marked: bool


def read(source: Source) -> Iterator[Document]:
    """Read a file with one token a line and blank lines between sentences: CoNLL-2003 (word
    first, tag last), or Universal NER (number, word, tag, …).

    YIELDS (Document): Documents, or sentences, if the file doesn't mark documents.
    """
    sentences: List[List[Line]] = []
    sentence: List[Line] = []
    marked = numbered = False
    with open_text(source.path) as file:
        for i, line in enumerate(file, start=1):
            mark = line.startswith(MARKS)
            comment = COMMENT.match(line)
            numbered = numbered or bool(comment)
            if line.strip() and not mark and not comment:
                sentence.append(Line(i, line, numbered))
                continue
            if sentence and not (comment and not mark):
                sentences.append(sentence)
                sentence = []
            if sentences and (mark or not (marked or comment)):
                yield Document(source.path, sentences, marked)
                sentences = []
            marked = marked or mark
    if sentence:
        sentences.append(sentence)
    if sentences:
        yield Document(source.path, sentences, marked)


def parse(nlp: Language, document: Document, report: Report) -> Doc:
    """Read the words and tags of a document: IOB1, IOB2, or BILUO.

    RETURNS (Doc): A document with entities, and sentence starts where the file marks documents.
        White space between the words is unknown, so spaCy trains and evaluates on these words.
    RAISES (ValueError): For a line that can't be read, with its number.
    """
    sentences = [[_parse_line(document.path, line) for line in s] for s in document.sentences]
    words = [row.word for sentence in sentences for row in sentence]
    starts: List[Union[bool, int, None]] = [
        i == 0 for sentence in sentences for i in range(len(sentence))
    ]
    doc = Doc(nlp.vocab, words=words, sent_starts=starts if document.is_marked else None)
    _set_ents(doc, [row.tag for rows in sentences for row in rows], starts)
    return doc


def _parse_line(path: Path, line: Line) -> Row:
    text = line.text
    check_utf8(path, line.number, text)
    columns = text.rstrip("\r\n").split("\t") if "\t" in text else SPACES.split(text.strip(" \r\n"))
    columns = columns[1:3] if line.is_numbered else [columns[0], columns[-1]]
    word, tag = columns[0], columns[-1].strip()
    if len(columns) < 2 or not word.strip() or not TAG.match(tag):
        raise FormatError(
            f"Can't read line {line.number} of {path}: {text.strip()!r} is no word and tag, "
            "separated by a tab or by spaces. Tags are O, - for missing, or one of B I L U E S, a "
            "hyphen and a label."
        )
    return Row(word, tag)


def _set_ents(doc: Doc, tags: List[str], starts: Sequence[object]) -> None:
    """Read tags of any scheme: an entity ends where its prefix says so, where its label changes,
    where another begins, and at the end of a sentence."""
    spans: List[Span] = []
    missing: List[Span] = []
    open_label = ""
    for i, (tag, is_start) in enumerate(zip(tags, starts)):
        prefix, _, label = tag.partition("-")
        if tag == MISSING:
            missing.append(doc[i : i + 1])
        if not label:
            open_label = ""
            continue
        if label == open_label and prefix not in BEGINS and not is_start:
            spans[-1] = Span(doc, spans[-1].start, i + 1, label=label)
        else:
            spans.append(Span(doc, i, i + 1, label=label))
        open_label = "" if prefix in ENDS else label
    doc.set_ents(spans, missing=missing, default="outside")


def render(doc: Doc, report: Report, prefixes: Prefixes = IOB2) -> str:
    """RETURNS (str): Words and tags, `-` for missing ones, with a line -DOCSTART- before them and a
    blank line before each sentence, where the document has sentence marks."""
    report_incorrect(doc, report)
    tokens = [token for token in doc if _is_writable(token, report)]
    if not tokens:
        report.add(EMPTY, show(doc.text))
        return ""
    return "".join([DOCUMENT, *_make_lines(doc, tokens, report, prefixes), "\n"])


def render_biluo(doc: Doc, report: Report) -> str:
    """RETURNS (str): Words and BILUO tags, as `render` gives IOB2."""
    return render(doc, report, BILUO)


def _is_writable(token: Token, report: Report) -> bool:
    word = token.text
    is_mark = word.startswith(MARKS) or COMMENT.match(word)
    if is_mark or not word.strip() or BREAKS.search(word):
        report.add(UNWRITTEN, show(word))
        return False
    return True


def _make_lines(doc: Doc, tokens: List[Token], report: Report, prefixes: Prefixes) -> Iterator[str]:
    """A line for each token, and blank lines between sentences. These would end an entity, so
    that there are none within."""
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
            f"Can't write the label {label!r} into a line: it has a tab or a line break. Rename it."
        )
    if label:
        return f"{prefix}-{label}"
    return MISSING if token.ent_iob == 0 else "O"
