from pathlib import Path
from typing import Optional

from typer import Argument, BadParameter, Option, echo

from ._util import BATCH_SIZE, COLUMN, ON_ERROR, SOURCE, TARGET, USE_GPU, OnError, notify

# fmt: off


def annotate_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    input_path: Path = Argument(..., readable=False, help="Text, a file of documents, or a folder of .txt files"),
    output_path: Optional[Path] = Argument(None, readable=False, help="Output file; without it, a table of the entities is printed"),
    source: Optional[str] = SOURCE,
    target: Optional[str] = TARGET,
    column: Optional[str] = COLUMN,
    batch_size: Optional[int] = BATCH_SIZE,
    use_gpu: int = USE_GPU,
    jobs: int = Option(1, "--jobs", "-j", min=1, help="Number of processes that predict"),
    keep_ents: bool = Option(False, "--keep-ents", help="Keep the entities of the input, and predict only outside of them"),
    on_error: OnError = ON_ERROR,
    restart: bool = Option(False, "--restart", help="Start from the beginning, and delete the partial output of an interrupted run"),
) -> None:
    # fmt: on
    """
    Find the entities in a file: print a table with scores, or write a file of
    any format.

    A .txt file is one document; with --from lines, each line is one. An .html
    output shows the entities in the text.

    Entities are predicted from the words only. Words, sentence boundaries, and
    the id and meta of each record are kept. Tags, parses, span groups, other
    user data and, without --keep-ents, existing entities are removed.

    Files of any size are processed in batches. If a run is interrupted, run the
    same command to resume: until the output is complete, it is in
    OUTPUT_PATH.part, with a journal in OUTPUT_PATH.journal.
    """
    from ..commands.annotate import annotate, format_table
    from ..errors import wrap
    from ..findings import number

    if output_path is None and target is not None:
        raise BadParameter(f"--to {target} needs an output file. Add OUTPUT_PATH, or leave out --to.")
    if output_path is None and restart:
        raise BadParameter("--restart needs an output file. Add OUTPUT_PATH, or leave out --restart.")
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
        n_jobs=jobs,
        use_gpu=use_gpu,
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
