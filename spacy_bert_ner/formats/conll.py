"""Token-per-line corpora."""

import re
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple, Union

import numpy
from spacy.language import Language
from spacy.tokens import Doc, Span, Token

from ..findings import show
from .files import open_text, replace_file
from .report import FormatError, Report
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


def read(path: Path, nlp: Language, report: Report) -> Iterator[Doc]:
    """Read a file with one token a line and blank lines between sentences: CoNLL-2003 (word
    first, tag last), or Universal NER (number, word, tag, …). Tags may be IOB1, IOB2, or BILUO.

    YIELDS (Doc): Documents with entities, and sentence starts where the file marks documents.
        White space between the words is unknown, so spaCy trains and evaluates on these words.
    RAISES (ValueError): For a line that can't be read, with its number.
    """
    for sentences, marked in _read_documents(path):
        words = [row.word for sentence in sentences for row in sentence]
        starts: List[Union[bool, int, None]] = [
            i == 0 for sentence in sentences for i in range(len(sentence))
        ]
        doc = Doc(nlp.vocab, words=words, sent_starts=starts if marked else None)
        _set_ents(doc, [row.tag for rows in sentences for row in rows], starts)
        yield doc


def _read_documents(path: Path) -> Iterator[Tuple[List[List[Row]], bool]]:
    """Sentences of each document, and whether the file marks documents."""
    document: List[List[Row]] = []
    sentence: List[Row] = []
    marked = numbered = False
    with open_text(path) as file:
        for i, line in enumerate(file, start=1):
            mark = line.startswith(MARKS)
            comment = COMMENT.match(line)
            numbered = numbered or bool(comment)
            if line.strip() and not mark and not comment:
                sentence.append(_parse_line(path, i, line, numbered))
                continue
            if sentence and not (comment and not mark):
                document.append(sentence)
                sentence = []
            if document and (mark or not (marked or comment)):
                yield document, marked
                document = []
            marked = marked or mark
    if sentence:
        document.append(sentence)
    if document:
        yield document, marked


def _parse_line(path: Path, i: int, line: str, numbered: bool) -> Row:
    columns = line.rstrip("\r\n").split("\t") if "\t" in line else SPACES.split(line.strip(" \r\n"))
    columns = columns[1:3] if numbered else [columns[0], columns[-1]]
    word, tag = columns[0], columns[-1].strip()
    if len(columns) < 2 or not word.strip() or not TAG.match(tag):
        raise FormatError(
            f"Can't read line {i} of {path}: {line.strip()!r} is no word and tag, separated by a "
            "tab or by spaces. Tags are O, - for missing, or one of B I L U E S, a hyphen and a "
            "label."
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


def write(path: Path, docs: Iterable[Doc], report: Report) -> None:
    """Write words and IOB2 tags, `-` for missing ones, with a line -DOCSTART- before each document
    and a blank line before each sentence, where documents have sentence marks."""
    _write(path, docs, report, IOB2)


def write_biluo(path: Path, docs: Iterable[Doc], report: Report) -> None:
    """Write words and BILUO tags, as `write` does."""
    _write(path, docs, report, BILUO)


def _write(path: Path, docs: Iterable[Doc], report: Report, prefixes: Prefixes) -> None:
    with replace_file(path) as file:
        for doc in docs:
            report_incorrect(doc, report)
            tokens = [token for token in doc if _is_writable(token, report)]
            if not tokens:
                report.add(EMPTY, show(doc.text))
                continue
            file.write(DOCUMENT)
            file.writelines(_make_lines(doc, tokens, report, prefixes))
            file.write("\n")


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
