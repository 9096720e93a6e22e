"""A pool of texts to select from: a file that is read several times, so that only a few of its
texts are in memory."""

from collections import defaultdict
from pathlib import Path
from typing import Dict, Generator, List, NamedTuple, Optional, Tuple

from spacy.language import Language
from spacy.tokens import Doc

from ..characters import copy_sent_starts
from ..formats import Report, read_docs
from ..formats.files import RECORD_KEY
from ..formats.progress import Progress
from ..types import Floats1d
from ..zones import take_at_most, take_batches
from .annotate import copy_words, predict
from .uncertainty import measure

# Documents that are read at once to find texts.
BATCH = 256


class PoolText(NamedTuple):
    """A text of the pool.

    text (str): The text.
    data (bytes): A document of its words, sentence boundaries and record, see `Doc.to_bytes`.
    """

    text: str
    data: bytes

    def make_doc(self, nlp: Language) -> Doc:
        """RETURNS (Doc): A new document.

        nlp (Language): Its vocabulary is used.
        """
        return Doc(nlp.vocab).from_bytes(self.data)


class Pool(NamedTuple):
    """Where texts are selected from.

    path (Path): A file of documents, or a folder of .txt files.
    source (str): Its format.
    column (Optional[str]): Column with the texts, for tables.
    sentences (bool): Whether each sentence is a text, or each document.
    """

    path: Path
    source: str
    column: Optional[str]
    sentences: bool

    def measure(
        self, nlp: Language, batch_size: int, report: Report
    ) -> Generator[Floats1d, None, None]:
        """Measure the texts after the records that the report has already counted. A progress bar
        is shown on terminals.

        nlp (Language): The pipeline, which lists candidates, see `listing_candidates`.
        batch_size (int): Documents read at once.
        report (Report): Counts the documents.
        YIELDS (Floats1d): The texts of a batch, see `measure`.
        """
        with Progress(self.path, self.source, report) as progress:
            docs = read_docs(
                progress.path, nlp, self.source, report, column=self.column, skip=report.n_read
            )
            for batch in take_batches([nlp], progress.follow(docs), take_at_most(batch_size)):
                first = report.n_docs
                found = list(report.count(predict(nlp, batch, batch_size=batch_size)))
                yield measure(found, first, sentences=self.sentences)
                progress.update()

    def read(self, nlp: Language, rows: Floats1d, *, skip_broken: bool) -> List[PoolText]:
        """Read some of the texts. A progress bar is shown on terminals.

        nlp (Language): Its tokenizer and vocabulary are used.
        rows (Floats1d): The texts, of the type `MEASURED`, (n_texts,).
        skip_broken (bool): Whether records that can't be read are skipped.
        RETURNS (List[PoolText]): The texts, in the order of the rows.
        """
        places: Dict[int, List[Tuple[int, int, int]]] = defaultdict(list)
        for row, (doc, start, end) in enumerate(rows[["doc", "start", "end"]].tolist()):
            places[doc].append((row, start, end))
        texts: Dict[int, PoolText] = {}
        report = Report(skip_broken=skip_broken)
        with Progress(self.path, self.source, report) as progress:
            docs = read_docs(progress.path, nlp, self.source, report, column=self.column)
            for batch in take_batches([nlp], progress.each(docs), take_at_most(BATCH)):
                for doc in report.count(batch):
                    for row, start, end in places.pop(report.n_docs - 1, ()):
                        texts[row] = _cut(nlp, doc, start, end)
                if not places:
                    break
        return [texts[row] for row in sorted(texts)]


def _cut(nlp: Language, doc: Doc, start: int, end: int) -> PoolText:
    """The characters of a document from a first one to the one after the last, as a text."""
    copy = copy_words(nlp, doc, False)
    if doc.has_annotation("SENT_START"):
        copy_sent_starts(doc, copy)
    # Expanded, since a component may have split tokens.
    span = copy.char_span(start, end, alignment_mode="expand")
    assert span is not None  # there are tokens
    part = span.as_doc()
    if RECORD_KEY in copy.user_data:
        part.user_data[RECORD_KEY] = copy.user_data[RECORD_KEY]
    return PoolText(part.text, part.to_bytes(exclude=["tensor"]))
