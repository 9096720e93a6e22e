"""Training data in any of the formats, as it is."""

import random
import sys
from collections import defaultdict
from itertools import chain, islice
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Set, Tuple, Union

import spacy
from spacy.errors import Errors
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Corpus as SpacyCorpus
from spacy.training import Example

from ..errors import UserError, warn
from ..findings import show
from ..formats import FORMATS, FormatError, Report, check_format, read_docs
from ..tagging.soft_labels import SOFT_KEY, get_soft_labels, set_soft_labels

# Makes the examples to learn of one that was read.
AugmenterT = Callable[[Language, Example], Iterator[Example]]
# They have no entities to learn: of a folder, a text is no training data.
UNLABELED = ("text", "lines", "csv", "tsv", "html")
# What was logged: spaCy makes its readers twice, for initialization and for training.
SHOWN: Set[str] = set()


def create_corpus_reader(
    path: Optional[Path],
    format: Optional[str] = None,
    max_length: int = 0,
    limit: int = 0,
    gold_preproc: bool = False,
    augmenter: Optional[AugmenterT] = None,
) -> Callable[[Language], Iterable[Example]]:
    """Construct a Corpus, see its `__init__` for the settings. Its first document is read, since
    training reads the development data only after it has loaded the encoder and deleted what it
    saved before.

    path (Optional[Path]): A file, or a folder with files at any depth. None is an error of spaCy's,
        which says how to name one.
    format (Optional[str]): The format of all files, else guessed for each by its name.
    max_length (int): Leave out documents, or sentences where they are marked, of that many tokens
        and more; 0 for none.
    limit (int): The most documents to read, 0 for all.
    gold_preproc (bool): Whether to train on the gold tokens, a sentence at a time.
    augmenter (Optional[AugmenterT]): Makes other examples of one, as spaCy's corpora take it.
    RETURNS (Callable[[Language], Iterable[Example]]): The corpus.
    RAISES (ValueError): Without a path, and for data that aren't there, are empty, or can't be read
        from the beginning.
    """
    if path is None:
        raise UserError(Errors.E913)
    corpus = Corpus(
        path,
        format=format,
        max_length=max_length,
        limit=limit,
        gold_preproc=gold_preproc,
        augmenter=augmenter,
    )
    corpus.check()
    return corpus


class Corpus(SpacyCorpus):
    """spaCy's corpus of a file or of a folder of files, which may have any of the formats. It reads
    them again for each pass over the data, a document at a time."""

    def __init__(self, path: Union[str, Path], *, format: Optional[str] = None, **settings: Any):
        """Initialize a corpus.

        path (Union[str, Path]): A file, or a folder with files at any depth.
        format (Optional[str]): The format of all files, else guessed for each by its name.
        settings (Any): Those of spaCy's corpus: `limit`, `gold_preproc`, `max_length`, `augmenter`,
            `shuffle`.
        RAISES (ValueError): For a format that isn't there.
        """
        super().__init__(path, **settings)
        if format is not None:
            check_format(self.path, format)
        self.format = format

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Read the data. What doesn't fit is shown, the first time.

        nlp (Language): The pipeline, whose tokenizer makes the documents.
        YIELDS (Example): The examples.
        RAISES (ValueError): For a file that can't be read, or if there is none.
        """
        report = Report()
        yield from self.read(nlp, report)
        if report.message():
            _warn_once(f"[{self.path}] {report.message()}")

    def read(self, nlp: Language, report: Report) -> Iterator[Example]:
        """Read the data.

        nlp (Language): The pipeline, whose tokenizer makes the documents.
        report (Report): Counts what doesn't fit.
        YIELDS (Example): The examples.
        RAISES (ValueError): For a file that can't be read, or if there is none.
        """
        yield from self._make_all(nlp, self._read(nlp, report), report)

    def check(self) -> None:
        """Read the first document, and as many as it takes to find an entity; that there is none is
        logged. Pipes and devices, which can be read once only, are left alone.

        RAISES (ValueError): If there is none, or it can't be read.
        """
        if not self.path.exists():
            raise FormatError(
                f"There is no file or folder {self.path}. Set the path in [corpora], in most "
                "configs with --paths.train or --paths.dev."
            )
        if not (self.path.is_file() or self.path.is_dir()):
            return
        nlp = spacy.blank("xx")
        nlp.max_length = sys.maxsize
        docs = self._read(nlp, Report())
        first = next(docs, None)
        if first is None:
            raise FormatError(
                f"There is no document with words in {self.path}. Check what it holds, or name "
                "other data, in most configs with --paths.train or --paths.dev."
            )
        if not any(_teaches(doc) for doc in chain([first], docs)):
            _warn_once(f"[{self.path}] There are no entities, to learn or to evaluate on.")

    def _read(self, nlp: Language, report: Report) -> Iterator[Doc]:
        paths = self._find_files()
        docs = (doc for path in paths for doc in read_docs(path, nlp, self.format, report))
        filled = (doc for doc in docs if len(doc))
        return islice(filled, self.limit) if self.limit >= 1 else filled

    def _find_files(self) -> List[Path]:
        """The file itself, or those of a folder that have a suffix of the format, or of any that
        has entities."""
        if not self.path.is_dir():
            return [self.path]
        names = [self.format] if self.format else [n for n in FORMATS if n not in UNLABELED]
        # Each once, as formats share some.
        suffixes = list(dict.fromkeys(end for name in names for end in FORMATS[name].suffixes))
        paths = sorted(path for path in self.path.rglob("*") if path.suffix.lower() in suffixes)
        found = [path for path in paths if not _is_hidden(path.relative_to(self.path))]
        if not found:
            raise FormatError(
                f"There is no training data in {self.path}: no file's name ends in "
                f"{', '.join(suffixes) or 'a suffix of its own'}. Name a file, or another format."
            )
        return found

    def _make_all(self, nlp: Language, docs: Iterable[Doc], report: Report) -> Iterator[Example]:
        if self.shuffle:
            docs = list(docs)
            random.shuffle(docs)
        for doc in docs:
            for part in self._split(doc, report):
                example = self._make_example(nlp, part, self.gold_preproc)
                yield from self._augment(nlp, example)

    def _augment(self, nlp: Language, example: Example) -> Iterator[Example]:
        """YIELDS (Example): What the augmenter makes of it, which spaCy's make without user data.
        Other words have the soft labels of those that they take the place of.
        RAISES (ValueError): If it makes other tokens of a document with soft labels.
        """
        for made in self.augmenter(nlp, example):
            soft = None
            if SOFT_KEY not in made.reference.user_data:
                soft = get_soft_labels(example.reference)
            if soft is not None:
                if len(made.reference) != len(example.reference):
                    raise UserError(
                        f"Can't augment a document with soft labels of {len(example.reference)} "
                        f"tokens to {len(made.reference)} tokens: in [corpora], use an augmenter "
                        "that leaves tokens as they are, or none."
                    )
                set_soft_labels(made.reference, soft)
            yield made

    def _split(self, doc: Doc, report: Report) -> Iterator[Doc]:
        """A document as spaCy's corpora divide it, but that spans stay, and that what is left out
        for its length is reported."""
        limit = sys.maxsize if self.gold_preproc or not self.max_length else self.max_length
        parts = iter([doc])
        if (self.gold_preproc or len(doc) >= limit) and doc.has_annotation("SENT_START"):
            parts = _split_sentences(doc)
        for part in parts:
            if len(part) < limit:
                yield part
            else:
                report.add(
                    f"sentences, or documents without sentence marks, have max_length = {limit} "
                    "tokens or more, and are left out",
                    show(part.text),
                )


def _split_sentences(doc: Doc) -> Iterator[Doc]:
    """YIELDS (Doc): The sentences, with their spans and soft labels, which `Span.as_doc` leaves
    behind."""
    spans: Dict[int, List[Tuple[str, Span]]] = defaultdict(list)
    for key, group in doc.spans.items():
        for span in group:
            spans[span.sent.start].append((key, span))
    soft = get_soft_labels(doc)
    for sent in doc.sents:
        part = sent.as_doc()
        for key, span in spans[sent.start]:
            if span.end <= sent.end:
                i, j = span.start - sent.start, span.end - sent.start
                copy = Span(part, i, j, label=span.label, kb_id=span.kb_id, span_id=span.id)
                part.spans.setdefault(key).append(copy)
        if soft is not None:
            set_soft_labels(part, soft.within(sent.start, sent.end))
        yield part


def _teaches(doc: Doc) -> bool:
    return bool(doc.ents or doc.spans or SOFT_KEY in doc.user_data)


def _warn_once(message: str) -> None:
    if message not in SHOWN:
        SHOWN.add(message)
        warn(message)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
