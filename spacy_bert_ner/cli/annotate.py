from pathlib import Path
from typing import Optional

from typer import Argument, BadParameter, Option, echo

from ._util import BATCH_SIZE, COLUMN, ON_ERROR, SOURCE, TARGET, USE_GPU, OnError, notify

# fmt: off


def annotate_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    input_path: Path = Argument(..., readable=False, help="Text, a file of documents, or a folder of .txt files"),
    output_path: Optional[Path] = Argument(None, readable=False, help="Where to write the documents; without it, a table of the entities is printed"),
    source: Optional[str] = SOURCE,
    target: Optional[str] = TARGET,
    column: Optional[str] = COLUMN,
    batch_size: Optional[int] = BATCH_SIZE,
    use_gpu: int = USE_GPU,
    keep_ents: bool = Option(False, "--keep-ents", help="Keep the entities of the input, and predict around them"),
    on_error: OnError = ON_ERROR,
    restart: bool = Option(False, "--restart", help="Start again, and throw away what an interrupted run has left"),
) -> None:
    # fmt: on
    """
    Find the entities of a file, with their scores: as a table, or in a file of any format.

    A .txt is one document; with --from lines, each of its lines is. An output .html shows the
    entities in the text.

    Entities are found on the words alone. Of a document, words, sentences, and the id and the meta
    of its record are kept; tags, parses, groups of spans and other user data are left behind, and
    its entities, too, without --keep-ents.

    Files of any size are read and written a batch at a time. If a run is interrupted, the same
    command resumes where it was: until the output is complete, it is in OUTPUT_PATH.part, with a
    journal in OUTPUT_PATH.journal.
    """
    from ..commands.annotate import annotate, format_table
    from ..commands.checks import require_gpu
    from ..errors import wrap
    from ..findings import number

    if output_path is None and target is not None:
        raise BadParameter(f"--to {target} is the format of an output file. Name that file, too.")
    if output_path is None and restart:
        raise BadParameter("--restart is for an output file. Name that file, too.")
    require_gpu(use_gpu)
    rows, report = annotate(
        pipeline,
        input_path,
        output_path,
        source=source,
        target=target,
        column=column,
        batch_size=batch_size,
        keep_ents=keep_ents,
        skip_broken=on_error == OnError.skip,
        restart=restart,
        notify=notify,
    )
    if output_path is not None:
        echo(wrap(f"{output_path}: {report.summary()}"), err=True)
    elif rows:
        echo(format_table(rows, numbered=report.n_docs > 1))
    if not report.n_ents:
        echo(f"No entities were found in {number(report.n_docs, 'document')}.", err=True)
    if report.message():
        echo(wrap(report.message()), err=True)
