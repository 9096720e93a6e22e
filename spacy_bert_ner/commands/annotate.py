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
    NamedTuple,
    Optional,
    Tuple,
    Union,
)

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import logger

from .. import __version__
from ..characters import copy_sent_starts
from ..errors import UserError
from ..findings import number
from ..formats import Report, check_column, check_format, get_writer, read_docs
from ..formats.files import RECORD_KEY
from ..formats.output import check_target
from ..formats.progress import Progress
from ..formats.source import WHOLE, Shard
from ..pipeline.listener_kinds import TRF_DATA
from ..zones import take_at_most, take_batches
from .checks import check_input, plan_jobs
from .entity_rows import EntityRow, make_rows
from .jobs import JobSettings, Pool, check_jobs, get_n_threads, open_pool, predict_in_processes
from .pipelines import explain_no_ents, explain_pipeline, load_pipeline
from .resumable import describe_input, digest_files, get_precisions, write_batches
from .shards import find_unfinished, is_divided, is_pattern, parse_shard, plan_shares

# --from, --to and --column.
Options = Tuple[Optional[str], Optional[str], Optional[str]]


class Input(NamedTuple):
    """What to read.

    path (Path): A file, or a folder of .txt files.
    source (str): Its format.
    column (Optional[str]): Column with the texts, for tables.
    shard (Shard): The records.
    """

    path: Path
    source: str
    column: Optional[str]
    shard: Shard


class Task(NamedTuple):
    """What to read, and where to write it.

    read (Input): The input.
    output (Optional[Path]): The output, None to return the entities.
    target (Optional[str]): Its format.
    """

    read: Input
    output: Optional[Path]
    target: Optional[str]


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
    shard: Optional[str] = None,
    n_jobs: Optional[int] = None,
    use_gpu: Union[int, List[int]] = -1,
    notify: Callable[[str], None] = logger.info,
) -> Tuple[List[EntityRow], Report]:
    """Find the entities in a file, or in many. A progress bar is shown on terminals.

    The output is a partial file until it is complete. If the process ends before that for any
    reason, the same call resumes after the last batch that was written. This only works from a file
    to a file, not with pipes.

    If there is a shard, a pattern of names or a folder as output, each input file has an output in
    this folder, and outputs that exist are skipped. A shard reads every n-th file, or of a single
    file every n-th record.

    pipeline (str): Name or path of a trained pipeline.
    input_path (Path): The input: a file, a folder of .txt files, or with an output folder, a folder
        of files of any format or a pattern of names, such as data/*.jsonl.
    output_path (Optional[Path]): Where to write the documents, batch by batch: a file or a folder.
    source, target (Optional[str]): The formats; by default guessed from the file names.
    column (Optional[str]): Column with the texts, for tables; "text" by default.
    batch_size, keep_ents: See `predict`.
    skip_broken (bool): Skip records that can't be read, instead of raising an error.
    restart (bool): Discard the partial output of an earlier call.
    shard (Optional[str]): The part of the work to do, such as "3/16" for the third of 16.
    n_jobs, use_gpu: See `plan_jobs`.
    notify (Callable[[str], None]): Gets a message if it resumes, if it stops early, and for each
        output in a folder.
    RETURNS (Tuple[List[EntityRow], Report]): The entities, if they are not written; the counts of
        what was read and what didn't fit.
    RAISES (UserError): For input, pipelines and output that can't be read, loaded or written.
    """
    # Errors in the names are reported before the pipeline is loaded.
    options = (source, target, column)
    divided = is_divided(input_path, output_path, shard)
    if divided:
        tasks = _make_tasks(input_path, output_path, options, shard, notify)
    else:
        tasks = [_make_task(input_path, output_path, options)]
    report = Report(skip_broken=skip_broken)
    if not tasks:
        return [], report
    gpus, n_jobs = plan_jobs(use_gpu, n_jobs)
    check_jobs(n_jobs)
    nlp = load_pipeline(pipeline)
    size = nlp.batch_size if batch_size is None else batch_size
    no_ents = None if keep_ents else explain_no_ents(nlp, pipeline)
    if no_ents is not None:
        raise UserError(no_ents)

    how = JobSettings(pipeline, gpus, get_n_threads(n_jobs), size, keep_ents)
    rows: List[EntityRow] = []
    with explain_pipeline(pipeline), open_pool(how, n_jobs, notify) as pool:
        for i, task in enumerate(tasks, start=1):
            counted = Report(skip_broken=skip_broken)
            rows += _run_task(nlp, task, counted, how, pool, restart, notify)
            report.merge(counted)
            if divided:
                notify(f"{i} of {len(tasks)}: {task.output}: {counted.summary()}")
    return rows, report


def _make_tasks(
    input_path: Path,
    folder: Optional[Path],
    options: Options,
    shard: Optional[str],
    notify: Callable[[str], None],
) -> List[Task]:
    """RETURNS (List[Task]): The outputs of a shard that aren't finished."""
    part = WHOLE if shard is None else parse_shard(shard)
    if not is_pattern(input_path):
        check_input(input_path, or_folder=True)
    source, target, _ = options
    shares = plan_shares(input_path, folder, source, target, part.total)
    mine = list(part.pick(shares))
    if not mine:
        notify(f"Shard {part} has nothing to do: there are {number(len(shares), 'file')}.")
    left = find_unfinished(mine, notify)
    return [_make_task(path, output, options, records) for path, output, records in left]


def _make_task(path: Path, output: Optional[Path], options: Options, shard: Shard = WHOLE) -> Task:
    """RAISES (UserError): For names of files and formats that can't be used."""
    source, target, column = options
    check_input(path, or_folder=True)
    source = check_format(path, source)
    check_column(source, column)
    if output is not None:
        target = check_format(output, target, for_writing=True)
        check_target(output, [path])
    return Task(Input(path, source, column, shard), output, target)


def _run_task(
    nlp: Language,
    task: Task,
    report: Report,
    how: JobSettings,
    pool: Optional[Pool],
    restart: bool,
    notify: Callable[[str], None],
) -> List[EntityRow]:
    """RETURNS (List[EntityRow]): The entities, if they are not written."""
    read, output, target = task
    with closing(_predict_batches(nlp, read, report, how, pool)) as batches:
        if output is None:
            return list(make_rows(chain.from_iterable(batches)))
        write_batches(
            batches,
            get_writer(output, target),
            read.path,
            output,
            report,
            partial(_describe, nlp, read, target, how.keep_ents),
            restart=restart,
            notify=notify,
        )
    return []


def _predict_batches(
    nlp: Language, read: Input, report: Report, how: JobSettings, pool: Optional[Pool]
) -> Generator[Iterator[Doc], None, None]:
    """YIELDS (Iterator[Doc]): Batches of new documents with entities, which the report counts."""
    path, source, column, shard = read
    with Progress(path, source, report, shard) as progress:
        # With several processes, batches are read before those ahead of them are written.
        reading = report if pool is None else Report(skip_broken=report.skip_broken)
        docs = read_docs(
            progress.path, nlp, source, reading, column=column, skip=report.n_read, shard=shard
        )
        size, keep_ents = how.batch_size, how.keep_ents
        batches = take_batches([nlp], progress.follow(docs), take_at_most(size))
        done: Iterator[Iterator[Doc]]
        if pool is None:
            done = (predict(nlp, batch, batch_size=size, keep_ents=keep_ents) for batch in batches)
        else:
            done = predict_in_processes(nlp, batches, reading, report, pool)
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
        "--shard": str(read.shard),
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
