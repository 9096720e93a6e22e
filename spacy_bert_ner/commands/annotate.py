"""Find the entities in files with a pipeline."""

from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Generator,
    Iterable,
    Iterator,
    List,
    Literal,
    NamedTuple,
    Optional,
    Tuple,
)

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import logger
from wasabi import table

from .. import __version__
from ..characters import copy_sent_starts
from ..errors import UserError
from ..formats import Report, check_column, check_format, get_writer, read_docs
from ..formats.files import RECORD_KEY
from ..formats.output import check_target
from ..formats.progress import Progress
from ..formats.spans import get_scores
from ..pipeline.listener_kinds import TRF_DATA
from ..terminal import printable
from ..zones import take_at_most, take_batches
from .checks import check_input, require_gpu
from .jobs import JobSettings, check_jobs, get_n_threads, predict_in_processes
from .pipelines import explain_no_ents, explain_pipeline, load_pipeline
from .resumable import describe_input, digest_files, get_precisions, write_batches


class EntityRow(NamedTuple):
    """One entity, with the number of its document, its first character in the text, and its score
    from 0 to 1; None if the component that set it has no scores."""

    doc: int
    start_char: int
    text: str
    label: str
    score: Optional[float]


class Input(NamedTuple):
    """What to read.

    path (Path): A file, or a folder of .txt files.
    source (str): Its format.
    column (Optional[str]): Column with the texts, for tables.
    """

    path: Path
    source: str
    column: Optional[str]


def annotate(
    pipeline: str,
    input_path: Path,
    output_path: Optional[Path] = None,
    *,
    source: Optional[str] = None,
    target: Optional[str] = None,
    column: Optional[str] = None,
    batch_size: Optional[int] = None,
    keep_ents: bool = False,
    skip_broken: bool = False,
    restart: bool = False,
    n_jobs: int = 1,
    use_gpu: int = -1,
    notify: Callable[[str], None] = logger.info,
) -> Tuple[List[EntityRow], Report]:
    """Find the entities in a file. A progress bar is shown on terminals.

    The output is a partial file until it is complete. If the process ends before that for any
    reason, the same call resumes after the last batch that was written. This only works from a file
    to a file, not with pipes.

    pipeline (str): Name or path of a trained pipeline.
    input_path (Path): The input: a file, or a folder of .txt files.
    output_path (Optional[Path]): Where to write the documents, batch by batch.
    source, target (Optional[str]): The formats; by default guessed from the file names.
    column (Optional[str]): Column with the texts, for tables; "text" by default.
    batch_size, keep_ents: See `predict`.
    skip_broken (bool): Skip records that can't be read, instead of raising an error.
    restart (bool): Discard the partial output of an earlier call.
    n_jobs (int): Number of processes that predict.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    notify (Callable[[str], None]): Gets a message if it resumes, and if it stops early.
    RETURNS (Tuple[List[EntityRow], Report]): The entities, if they are not written; the counts of
        what was read and what didn't fit.
    RAISES (UserError): For input, pipelines and output that can't be read, loaded or written.
    """
    # Errors in the names are reported before the pipeline is loaded.
    check_input(input_path, or_folder=True)
    source = check_format(input_path, source)
    check_column(source, column)
    if output_path is not None:
        target = check_format(output_path, target, for_writing=True)
        check_target(output_path, [input_path])
    require_gpu(use_gpu)
    check_jobs(n_jobs)
    report = Report(skip_broken=skip_broken)
    nlp = load_pipeline(pipeline)
    size = nlp.batch_size if batch_size is None else batch_size
    no_ents = None if keep_ents else explain_no_ents(nlp, pipeline)
    if no_ents is not None:
        raise UserError(no_ents)

    how = JobSettings(pipeline, use_gpu, get_n_threads(n_jobs), size, keep_ents)
    read = Input(input_path, source, column)
    predicted = _predict_batches(nlp, read, report, how, n_jobs, notify)
    with explain_pipeline(pipeline), closing(predicted) as batches:
        if output_path is None:
            return list(make_rows(chain.from_iterable(batches))), report
        describe = partial(_describe, nlp, read, target, keep_ents)
        write_batches(
            batches,
            get_writer(output_path, target),
            input_path,
            output_path,
            report,
            describe,
            restart=restart,
            notify=notify,
        )
    return [], report


def _predict_batches(
    nlp: Language,
    read: Input,
    report: Report,
    settings: JobSettings,
    n_jobs: int,
    notify: Callable[[str], None],
) -> Generator[Iterator[Doc], None, None]:
    """YIELDS (Iterator[Doc]): Batches of new documents with entities, which the report counts."""
    with Progress(read.path, read.source, report) as progress:
        # With several processes, batches are read before those ahead of them are written.
        reading = report if n_jobs == 1 else Report(skip_broken=report.skip_broken)
        docs = read_docs(
            progress.path, nlp, read.source, reading, column=read.column, skip=report.n_read
        )
        size, keep_ents = settings.batch_size, settings.keep_ents
        batches = take_batches([nlp], progress.follow(docs), take_at_most(size))
        done: Iterator[Iterator[Doc]]
        if n_jobs == 1:
            done = (predict(nlp, batch, batch_size=size, keep_ents=keep_ents) for batch in batches)
        else:
            done = predict_in_processes(nlp, batches, reading, report, settings, n_jobs, notify)
        for predicted in done:
            yield report.count(predicted)
            progress.update()


def _describe(nlp: Language, read: Input, target: Optional[str], keep_ents: bool) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): Everything that the output depends on. Batch size and device are
    left out: they change scores by less than 1e-5, and users who run out of memory change them."""
    return {
        "spacy-bert-ner": __version__,
        "pipeline": str(nlp.path.resolve()),
        "the digest of its files": digest_files(nlp.path),
        "the precision of its encoders": get_precisions(nlp),
        **describe_input(read.path),
        "--from": read.source,
        "--to": target,
        "--column": read.column,
        "--keep-ents": keep_ents,
    }


def predict(
    nlp: Language,
    docs: Iterable[Doc],
    *,
    batch_size: Optional[int] = None,
    keep_ents: bool = False,
) -> Iterator[Doc]:
    """Find the entities of documents from their words only, in batches. Known sentence boundaries
    are restored afterwards, unless the pipeline has parsed the documents. The id and the meta of
    their record are kept; other user data is removed.

    docs (Iterable[Doc]): Documents of any vocabulary.
    nlp (Language): A trained pipeline.
    batch_size (Optional[int]): Documents read at once; by default that of the pipeline.
    keep_ents (bool): Keep their entities, and predict only outside of them.
    YIELDS (Doc): New documents, without the output of the encoder.
    """
    blank = ((copy_words(nlp, doc, keep_ents), doc) for doc in docs)
    for doc, original in nlp.pipe(blank, batch_size=batch_size, as_tuples=True):
        # Vectors of all wordpieces: a DocBin can't store them.
        if TRF_DATA in doc.user_data:
            del doc.user_data[TRF_DATA]
        if original.has_annotation("SENT_START") and not doc.has_annotation("DEP"):
            copy_sent_starts(original, doc)
        yield doc


def copy_words(nlp: Language, doc: Doc, keep_ents: bool) -> Doc:
    """Copy the words of a document, and its record.

    nlp (Language): The pipeline that will read the copy.
    doc (Doc): The document.
    keep_ents (bool): Also copy its entities; other tokens are missing annotation.
    RETURNS (Doc): A new document.
    """
    array = doc.to_array(["ORTH", "SPACY"]).reshape(len(doc), 2)
    # By hash: faster than making a token for each word.
    words: List[Any] = array[:, 0].tolist()
    if doc.vocab is not nlp.vocab:
        words = [doc.vocab.strings[orth] for orth in words]
    spaces = None if doc.has_unknown_spaces else array[:, 1].astype(bool).tolist()
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


def make_rows(docs: Iterable[Doc]) -> Iterator[EntityRow]:
    """YIELDS (EntityRow): The entities, in the order of the documents, which are numbered from 1.

    docs (Iterable[Doc]): Documents with entities.
    """
    for number, doc in enumerate(docs, start=1):
        scores = get_scores(doc) or {}
        for ent in doc.ents:
            score = scores.get((ent.start, ent.end, ent.label))
            yield EntityRow(number, ent.start_char, ent.text, ent.label_, score)


def format_table(rows: List[EntityRow], *, numbered: bool = False) -> str:
    """Format entities as a table.

    rows (List[EntityRow]): The entities.
    numbered (bool): Whether to show the numbers of the documents.
    RETURNS (str): The table.
    """
    first = 0 if numbered else 1
    header = ("Doc", "At", "Entity", "Label", "Score")[first:]
    aligns: List[Literal["l", "r"]] = ["r", "r", "l", "l", "r"]
    data = [_format_row(row)[first:] for row in rows]
    return table(data, header=header, divider=True, aligns=aligns[first:])


def _format_row(row: EntityRow) -> List[str]:
    score = "-" if row.score is None else f"{row.score:.3f}"
    text = printable(" ".join(row.text.split()))
    return [str(row.doc), str(row.start_char), text, printable(row.label), score]
