"""New versions of texts, with words replaced by a masked language model."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import numpy
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from ..errors import UserError
from ..findings import number
from ..formats import Report, check_column, check_format, read_docs, write_docs
from ..formats.output import check_target
from ..formats.progress import Progress
from ..model.encoder.masked_lm import MaskedLM, load_masked_lm
from ..pipeline.lang import check_lang
from ..zones import take_batches
from .checks import check_input
from .masking import Masking, find_words
from .selection import get_owners

# Maximum wordpieces of one text: sentences are shorter, and a document without sentence boundaries
# would be read as a whole for each word that is masked in it.
MOST_PIECES = 128
# Maximum tokens and documents that are read from the file at once.
BATCH_TOKENS = 5000
BATCH_DOCS = 1000


@dataclass
class AugmentReport(Report):
    """Counts what is written, and what is new in it.

    Attributes
    ----------
    n_masked, n_changed (int): Numbers of masked words, and of those that were replaced by others.
    n_same (int): Number of copies that are left out, since they are the same as the text or as
        another copy of it.
    """

    n_masked: int = 0
    n_changed: int = 0
    n_same: int = 0

    def describe_changes(self) -> str:
        """RETURNS (str): What is new, as text."""
        text = f"Masked {number(self.n_masked, 'word')}, and replaced {self.n_changed} by others."
        if self.n_same:
            copies = number(self.n_same, "copy is", "copies are")
            text += f" {copies} left out: no different from the text or from another copy."
        return text


@dataclass
class Draft:
    """A part of an unfinished copy.

    Attributes
    ----------
    words (List[str]): Its words. Changed.
    spaces (List[bool]): Whether a space follows each.
    places (List[int]): The words to mask, in this order.
    """

    words: List[str]
    spaces: List[bool]
    places: List[int]

    def mask(self, place: int, mask: str) -> str:
        """RETURNS (str): The text with a mask in place of a word.

        place (int): The word.
        mask (str): The mask.
        """
        words = [*self.words[:place], mask, *self.words[place + 1 :]]
        spaced = [word + " " * space for word, space in zip(words[:-1], self.spaces)]
        return "".join([*spaced, words[-1]])


class Augmenter:
    """Makes copies of documents, in batches.

    language_model (MaskedLM): Fills in words.
    masking (Masking): Which words are masked.
    report (AugmentReport): Counts what is new.
    """

    def __init__(self, language_model: MaskedLM, masking: Masking, report: AugmentReport):
        self.language_model = language_model
        self.masking = masking
        self.report = report
        self.rng = numpy.random.default_rng(masking.seed)

    def augment(self, docs: List[Doc]) -> Iterator[Doc]:
        """Make the copies of a batch: the first word is filled in in all texts of all copies, then
        the second one, which sees the new first word, and so on.

        docs (List[Doc]): The documents.
        YIELDS (Doc): New documents with the same number of words, and without annotation.
        """
        copies = [self.draft(doc) for doc in docs]
        drafts = [part for its_copies in copies for parts in its_copies for part in parts]
        while drafts := [draft for draft in drafts if draft.places]:
            places = [draft.places.pop(0) for draft in drafts]
            texts = [
                draft.mask(place, self.language_model.mask) for draft, place in zip(drafts, places)
            ]
            for draft, place, word in zip(drafts, places, self.language_model.fill(texts)):
                if word is not None:
                    self.report.n_masked += 1
                    self.report.n_changed += word != draft.words[place]
                    draft.words[place] = word
        for doc, its_copies in zip(docs, copies):
            seen = [[token.text for token in doc]]
            for parts in its_copies:
                words = list(chain.from_iterable(part.words for part in parts))
                if words in seen:
                    self.report.n_same += 1
                    continue
                seen.append(words)
                yield _make_doc(doc, words)

    def draft(self, doc: Doc) -> List[List[Draft]]:
        """Choose the words to mask.

        doc (Doc): A document.
        RETURNS (List[List[Draft]]): The parts of each copy.
        """
        words, spaces = [token.text for token in doc], [bool(token.whitespace_) for token in doc]
        fit = find_words(doc, self.masking.min_length)
        copies: List[List[Draft]] = [[] for _ in range(self.masking.copies)]
        for start, end in self.cut(doc):
            order = self.rng.permutation(numpy.nonzero(fit[start:end])[0])
            n = max(round(self.masking.share * len(order)), 1)
            for i, parts in enumerate(copies):
                turn = numpy.arange(i * n, (i + 1) * n) % max(len(order), 1)
                places = sorted(order[turn].tolist()) if len(order) else []
                parts.append(Draft(words[start:end], spaces[start:end], places))
        return copies

    def cut(self, doc: Doc) -> List[Tuple[int, int]]:
        """Split a document into its sentences, and sentences that are too long into halves.

        doc (Doc): A document.
        RETURNS (List[Tuple[int, int]]): The first token of each part, and the one after its last.
        """
        starts = numpy.nonzero(numpy.diff(get_owners(doc), prepend=-1))[0].tolist()
        waiting, parts = list(zip(starts, [*starts[1:], len(doc)])), []
        limit = min(self.language_model.limit, MOST_PIECES)
        while waiting:
            # With more tokens than the limit, it is too long anyway: pieces aren't counted.
            short = [doc[i:j].text if j - i <= limit else "" for i, j in waiting]
            sizes = self.language_model.count_pieces(short)
            halves = []
            for (i, j), n in zip(waiting, sizes):
                if j - i > 1 and limit < max(n, j - i):
                    halves += [(i, (i + j) // 2), ((i + j) // 2, j)]
                else:
                    parts.append((i, j))
            waiting = halves
        return sorted(parts)


def augment(
    encoder: str,
    input_path: Path,
    output_path: Path,
    masking: Masking = Masking(),
    *,
    source: Optional[str] = None,
    column: Optional[str] = None,
    lang: str = "xx",
    skip_broken: bool = False,
) -> AugmentReport:
    """Write copies of the texts of a file in which a masked language model has replaced words, one
    after the other, by the most probable ones ("successive max" of Bari et al. 2021). The copies
    have no entity annotation: `label` adds it. A progress bar is shown on terminals.

    encoder (str): The language model: a folder, an installed package, or a hub name.
    input_path (Path): Text, a folder of .txt files, or a file of documents.
    output_path (Path): Where to write the copies, a .spacy file.
    masking (Masking): Which words are masked.
    source (Optional[str]): The format of the input; by default guessed from its name.
    column (Optional[str]): Column with the texts, for tables; "text" by default.
    lang (str): Language code; its tokenizer is used for texts without tokens.
    skip_broken (bool): Skip records that can't be read, instead of raising an error.
    RETURNS (AugmentReport): The counts of what was written, and of what is new in it.
    RAISES (UserError): For what can't be read, loaded or written, for a model that can't predict
        masked words, and if no text has a word to replace. No output is written then.
    """
    masking.check()
    check_input(input_path, or_folder=True)
    source = check_format(input_path, source)
    check_column(source, column)
    if check_format(output_path, for_writing=True) != "spacy":
        raise UserError(
            f"Can't write {output_path}: only spaCy's format keeps the words of texts without "
            "annotation. Use the suffix .spacy."
        )
    check_target(output_path, [input_path])
    nlp = spacy.blank(check_lang(lang))
    report = AugmentReport(skip_broken=skip_broken)
    augmenter = Augmenter(load_masked_lm(encoder), masking, report)
    with Progress(input_path, source, report) as progress:
        docs = progress.follow(read_docs(progress.path, nlp, source, report, column=column))
        write_docs(output_path, _augment_each(augmenter, nlp, docs, progress), "spacy", report)
    return report


def _augment_each(
    augmenter: Augmenter, nlp: Language, docs: Iterator[Doc], progress: Progress
) -> Iterator[Doc]:
    """Make copies, in batches.

    YIELDS (Doc): Copies. They can't be used after the next batch has begun.
    """
    for batch in take_batches([nlp], docs, _take):
        yield from augmenter.augment(batch)
        progress.update()
    if not augmenter.report.n_docs:
        raise UserError(
            f"Can't augment {progress.path}: the language model replaces none of its "
            f"{number(augmenter.report.n_masked, 'masked word')} by another one. Use another model "
            "or more text."
        )


def _take(docs: Iterator[Doc]) -> List[Doc]:
    """RETURNS (List[Doc]): The next batch of documents; empty if there are no more."""
    batch, n_tokens = [], 0
    for doc in docs:
        batch.append(doc)
        n_tokens += len(doc)
        if n_tokens >= BATCH_TOKENS or len(batch) >= BATCH_DOCS:
            break
    return batch


def _make_doc(doc: Doc, words: List[str]) -> Doc:
    """RETURNS (Doc): A document of other words, with the same spaces and sentence boundaries."""
    spaces = None if doc.has_unknown_spaces else [bool(token.whitespace_) for token in doc]
    copy = Doc(doc.vocab, words=words, spaces=spaces)
    if doc.has_annotation("SENT_START"):
        marks: Any = doc.to_array("SENT_START")
        copy.from_array(["SENT_START"], marks)
    return copy
