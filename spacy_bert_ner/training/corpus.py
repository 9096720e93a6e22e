"""Read training data in any of the supported formats."""

import random
import sys
from collections import defaultdict
from itertools import chain, islice
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Set, Tuple, Union

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Corpus as SpacyCorpus
from spacy.training import Example

from ..errors import UserError, warn
from ..findings import show
from ..formats import FORMATS, FormatError, Report, check_format, read_docs
from ..formats.folders import list_files
from ..tagging.soft_labels import SOFT_KEY, get_soft_labels, set_soft_labels

# Makes the examples to train on from one that was read.
AugmenterT = Callable[[Language, Example], Iterator[Example]]
# Formats without entities: in a folder, their files aren't training data.
UNLABELED = ("text", "lines", "csv", "tsv", "html")
# Messages that were logged: spaCy creates each reader twice, for initialization and for training.
SHOWN: Set[str] = set()


def create_corpus_reader(
    path: Optional[Path],
    format: Optional[str] = None,
    max_length: int = 0,
    limit: int = 0,
    gold_preproc: bool = False,
    augmenter: Optional[AugmenterT] = None,
) -> Callable[[Language], Iterable[Example]]:
    """Construct `spacy-bert-ner.Corpus.v1`: a reader of training data in any of the supported
    formats. It reads the first document at once, so that a wrong path or format is reported before
    training loads the encoder and deletes the output of an earlier training.

    path (Optional[Path]): A file, or a folder with files at any depth. null raises an
        error.
    format (Optional[str]): The format of all files, such as "jsonl"; null to guess it for each file
        from its name.
    max_length (int): Leave out documents of this many tokens or more. Documents with sentence
        starts are split, and only sentences of that length are left out. 0 for no limit.
    limit (int): The most documents to read; 0 for all.
    gold_preproc (bool): Whether to train on the gold tokens, one sentence at a time.
    augmenter (Optional[AugmenterT]): Makes the examples to train on from each example that was
        read, as in spaCy's corpora; null for none.
    RETURNS (Callable[[Language], Iterable[Example]]): The corpus.
    RAISES (ValueError): Without a path, and for data that don't exist, are empty or can't be read.
    """
    if path is None:
        raise UserError(
            "The path of the training or the development data isn't set. Set it in [paths], or "
            "with --paths.train and --paths.dev."
        )
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
    """spaCy's Corpus for a file or a folder in any of the supported formats. It reads the files
    again in each pass over the data, one document at a time."""

    def __init__(self, path: Union[str, Path], *, format: Optional[str] = None, **settings: Any):
        """Initialize a corpus.

        path (Union[str, Path]): A file, or a folder with files at any depth.
        format (Optional[str]): The format of all files; None to guess it for each file from its
            name.
        settings (Any): Arguments of spaCy's Corpus: `limit`, `gold_preproc`, `max_length`,
            `augmenter`, `shuffle`.
        RAISES (ValueError): For an unknown format.
        """
        super().__init__(path, **settings)
        if format is not None:
            check_format(self.path, format)
        self.format = format

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Read the data, and log problems the first time.

        nlp (Language): The pipeline, whose tokenizer makes the documents.
        YIELDS (Example): The examples.
        RAISES (ValueError): If there is no file, or one can't be read.
        """
        report = Report()
        yield from self.read(nlp, report)
        if report.message():
            _warn_once(f"[{self.path}] {report.message()}")

    def read(self, nlp: Language, report: Report) -> Iterator[Example]:
        """Read the data.

        nlp (Language): The pipeline, whose tokenizer makes the documents.
        report (Report): Counts problems.
        YIELDS (Example): The examples.
        RAISES (ValueError): If there is no file, or one can't be read.
        """
        yield from self._make_all(nlp, self.read_docs(nlp, report), report)

    def check(self) -> None:
        """Read documents up to the first one with entities, and log a warning if there is none.
        Pipes and devices aren't checked, since they can only be read once.

        RAISES (ValueError): If there is no document, or one can't be read.
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
        docs = self.read_docs(nlp, Report())
        first = next(docs, None)
        if first is None:
            raise FormatError(
                f"There is no document with words in {self.path}. Check its content, or set "
                "another path in [corpora], in most configs with --paths.train or --paths.dev."
            )
        if not any(_teaches(doc) for doc in chain([first], docs)):
            _warn_once(
                f"[{self.path}] No document has entities: there is nothing to learn or to evaluate."
            )

    def read_docs(self, nlp: Language, report: Report) -> Iterator[Doc]:
        """Read the documents as they are in the files, without empty ones.

        nlp (Language): The pipeline, whose tokenizer makes the documents.
        report (Report): Counts problems.
        YIELDS (Doc): The documents.
        RAISES (ValueError): If there is no file, or one can't be read.
        """
        paths = self._find_files()
        docs = (doc for path in paths for doc in read_docs(path, nlp, self.format, report))
        filled = (doc for doc in docs if len(doc))
        return islice(filled, self.limit) if self.limit >= 1 else filled

    def _find_files(self) -> List[Path]:
        """The file itself, or the files of a folder with a suffix of the format, or of any format
        with entities."""
        if not self.path.is_dir():
            suffix = self.path.suffix.lower()
            if self.format is None and any(suffix in FORMATS[n].suffixes for n in UNLABELED):
                raise FormatError(
                    f"Can't train or evaluate on {self.path}: {suffix} files have no entities. "
                    "Label the texts, and set the path of a labeled file."
                )
            return [self.path]
        names = [self.format] if self.format else [n for n in FORMATS if n not in UNLABELED]
        # Without duplicates, since formats share some.
        suffixes = list(dict.fromkeys(end for name in names for end in FORMATS[name].suffixes))
        found = list_files(self.path, suffixes)
        if not found:
            raise FormatError(
                f"There is no training data in {self.path}: no file name ends in "
                f"{', '.join(suffixes) or 'a suffix of the format'}. Set the path to a file, or "
                "set another format."
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
        """YIELDS (Example): The examples of the augmenter. spaCy's augmenters drop user data, so
        soft labels are copied: new words get those of the words that they replace.
        RAISES (ValueError): If it changes the number of tokens of a document with soft labels.
        """
        for made in self.augmenter(nlp, example):
            soft = None
            if SOFT_KEY not in made.reference.user_data:
                soft = get_soft_labels(example.reference)
            if soft is not None:
                if len(made.reference) != len(example.reference):
                    raise UserError(
                        "Can't augment a document with soft labels: the augmenter changed its "
                        f"{len(example.reference)} tokens to {len(made.reference)}. In [corpora], "
                        "use an augmenter that keeps the tokens, or none."
                    )
                set_soft_labels(made.reference, soft)
            yield made

    def _split(self, doc: Doc, report: Report) -> Iterator[Doc]:
        """Split a document as spaCy's Corpus does, but keep spans, and report what is left out for
        its length."""
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
    """YIELDS (Doc): The sentences, with their spans and soft labels, which `Span.as_doc` drops."""
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
