"""The entities that a pipeline finds in files."""

from itertools import chain, islice
from pathlib import Path
from typing import Iterable, Iterator, List, Literal, NamedTuple, Optional, Tuple

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from tqdm import tqdm
from wasabi import table

from .formats import Report, check_format, read_docs, write_docs
from .formats.files import RECORD_KEY
from .formats.spans import get_scores


class Row(NamedTuple):
    """One entity: the number of its document, its first character in the text, and its score from 0
    to 1, None if it was set by a component that gives none."""

    doc: int
    start_char: int
    text: str
    label: str
    score: Optional[float]


def annotate(
    pipeline: str,
    input_path: Path,
    output_path: Optional[Path] = None,
    *,
    source: Optional[str] = None,
    target: Optional[str] = None,
    batch_size: Optional[int] = None,
    keep_ents: bool = False,
) -> Tuple[List[Row], Report]:
    """Find the entities of a file. A progress bar is shown on terminals.

    pipeline (str): Name or path of a trained pipeline.
    output_path (Optional[Path]): Where to write the documents, as they are ready.
    source, target (Optional[str]): The formats, else guessed from the names of the files.
    batch_size, keep_ents: See `predict`.
    RETURNS (Tuple[List[Row], Report]): The entities, if they are not written; how much there was,
        and what didn't fit.
    RAISES (ValueError): For what can't be read or written. OSError: Without a pipeline.
    """
    # What is wrong with the names is told before the pipeline is loaded.
    source = check_format(input_path, source)
    if output_path is not None:
        target = check_format(output_path, target, for_writing=True)
    report = Report()
    nlp = spacy.load(pipeline)
    docs = tqdm(read_docs(input_path, nlp, source, report), unit=" documents", disable=None)
    predicted = _predict_in_zones(nlp, docs, batch_size, keep_ents)
    if output_path is None:
        return list(make_rows(report.count(predicted))), report
    write_docs(output_path, predicted, target, report)
    return [], report


def _predict_in_zones(
    nlp: Language, docs: Iterable[Doc], batch_size: Optional[int], keep_ents: bool
) -> Iterator[Doc]:
    """Find the entities of documents, each batch in a memory zone, so that the vocabulary doesn't
    grow with what is read.

    YIELDS (Doc): See `predict`. They are gone with the next batch: take what you need of them.
    """
    size = nlp.batch_size if batch_size is None else batch_size
    docs = iter(docs)
    # A DocBin adds the strings of all its documents with the first, so that one is read outside.
    docs = chain(list(islice(docs, 1)), docs)
    is_done = False
    while not is_done:
        with nlp.memory_zone():
            batch = list(islice(docs, size))
            is_done = len(batch) < size
            yield from predict(nlp, batch, batch_size=size, keep_ents=keep_ents)


def predict(
    nlp: Language,
    docs: Iterable[Doc],
    *,
    batch_size: Optional[int] = None,
    keep_ents: bool = False,
) -> Iterator[Doc]:
    """Find the entities of documents, on their words, a batch at a time. What else documents say is
    left behind, but for the id and the meta of their record.

    nlp (Language): A trained pipeline.
    batch_size (Optional[int]): Documents read at once, else as the pipeline says.
    keep_ents (bool): Keep the entities that they have, and predict around them.
    YIELDS (Doc): New documents, without the output of the encoder.
    """
    blank = (_copy_words(nlp, doc, keep_ents) for doc in docs)
    for doc in nlp.pipe(blank, batch_size=batch_size):
        if Doc.has_extension("trf_data"):
            # Vectors of all wordpieces: no file is for them, and a DocBin can't pack them.
            doc._.trf_data = None
        yield doc


def _copy_words(nlp: Language, doc: Doc, keep_ents: bool) -> Doc:
    words = [token.text for token in doc]
    spaces = None if doc.has_unknown_spaces else [bool(token.whitespace_) for token in doc]
    copy = Doc(nlp.vocab, words=words, spaces=spaces)
    if RECORD_KEY in doc.user_data:
        copy.user_data[RECORD_KEY] = doc.user_data[RECORD_KEY]
    if keep_ents:
        ents = [
            Span(copy, ent.start, ent.end, label=ent.label_, kb_id=ent.kb_id_, span_id=ent.id_)
            for ent in doc.ents
        ]
        copy.set_ents(ents, default="missing")
    return copy


def make_rows(docs: Iterable[Doc]) -> Iterator[Row]:
    """YIELDS (Row): The entities, in the order of the documents, which are counted from 1."""
    for number, doc in enumerate(docs, start=1):
        scores = get_scores(doc) or {}
        for ent in doc.ents:
            score = scores.get((ent.start, ent.end, ent.label))
            yield Row(number, ent.start_char, ent.text, ent.label_, score)


def format_table(rows: List[Row], *, numbered: bool = False) -> str:
    """Entities as a table, for people.

    numbered (bool): Whether to show the numbers of the documents.
    RETURNS (str): The table.
    """
    first = 0 if numbered else 1
    header = ("Doc", "At", "Entity", "Label", "Score")[first:]
    aligns: List[Literal["l", "r"]] = ["r", "r", "l", "l", "r"]
    data = [_format_row(row)[first:] for row in rows]
    return table(data, header=header, divider=True, aligns=aligns[first:])


def _format_row(row: Row) -> List[str]:
    score = "-" if row.score is None else f"{row.score:.3f}"
    text = " ".join(row.text.split())
    return [str(row.doc), str(row.start_char), text, row.label, score]
