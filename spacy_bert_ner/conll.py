"""Token-per-line corpora as spaCy documents."""

import re
from pathlib import Path
from typing import Iterator, List, NamedTuple, Sequence, Tuple, Union

from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

# Prefixes of all schemes in use that begin and that end an entity.
BEGINS, ENDS = "BUS", "USLE"
MISSING = "-"
TAG = re.compile(r"(O|-|[BILUES]-.+)$")
# Universal NER numbers its tokens and has comments: `# sent_id = …`, `# newdoc id = …`.
COMMENT = re.compile(r"# (newdoc|newpar|\w+ =|\w+ \w+ =)")


class Row(NamedTuple):
    word: str
    tag: str


def read_conll(path: Path, vocab: Vocab) -> Iterator[Doc]:
    """Read a file with one token a line and blank lines between sentences: CoNLL-2003 (word
    first, tag last), or Universal NER (number, word, tag, …).

    vocab (Vocab): For the documents.
    YIELDS (Doc): Documents with entities, and sentence starts where the file marks documents.
        White space between the words is unknown, so spaCy trains and evaluates on these words.
    RAISES (ValueError): For a line that can't be read, with its number.
    """
    for sentences, marked in _read_documents(path):
        words = [row.word for sentence in sentences for row in sentence]
        starts: List[Union[bool, int, None]] = [
            i == 0 for sentence in sentences for i in range(len(sentence))
        ]
        doc = Doc(vocab, words=words, sent_starts=starts if marked else None)
        _set_ents(doc, [row.tag for rows in sentences for row in rows], starts)
        yield doc


def _read_documents(path: Path) -> Iterator[Tuple[List[List[Row]], bool]]:
    """Sentences of each document, and whether the file marks documents."""
    document: List[List[Row]] = []
    sentence: List[Row] = []
    marked = numbered = False
    with path.open(encoding="utf-8-sig") as file:
        for i, line in enumerate(file, start=1):
            mark = line.startswith(("-DOCSTART-", "# newdoc"))
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
    columns = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
    columns = columns[1:3] if numbered else [columns[0], columns[-1]]
    word, tag = columns[0], columns[-1].strip()
    if len(columns) < 2 or not word.strip() or not TAG.match(tag):
        raise ValueError(
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
