from pathlib import Path
from typing import List, Optional

from typer import Argument, BadParameter, Exit, Option, echo

from ._util import BATCH_SIZE, COLUMN, ON_ERROR, SOURCE, TARGET, OnError, notify

# fmt: off


def annotate_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    input_path: Path = Argument(..., readable=False, help="Text, a file of documents, or a folder of .txt files; with a folder as output, also a folder of files of any format, or a quoted pattern of names"),
    output_path: Optional[Path] = Argument(None, readable=False, help="Output file, or a folder with an output for each input file; without it, a table of the entities is printed"),
    source: Optional[str] = SOURCE,
    target: Optional[str] = TARGET,
    column: Optional[str] = COLUMN,
    batch_size: Optional[int] = BATCH_SIZE,
    use_gpu: str = Option("-1", "--use-gpu", "-g", metavar="NUMBERS", help="Number of the GPU, -1 for the CPU, or numbers of several GPUs, such as 0,1, which share the documents"),
    jobs: Optional[int] = Option(None, "--jobs", "-j", min=1, help="Number of processes that predict; default: one, or one on each GPU"),
    keep_ents: bool = Option(False, "--keep-ents", help="Keep the entities of the input, and predict only outside of them"),
    on_error: OnError = ON_ERROR,
    restart: bool = Option(False, "--restart", help="Start from the beginning, and delete the partial output of an interrupted run"),
    shard: Optional[str] = Option(None, "--shard", metavar="I/N", help="Do only part I of N of the work, such as 3/16, and write it to a folder: every N-th input file or, of a single file, every N-th record"),
    merge_check: bool = Option(False, "--merge-check", help="Only check that the outputs in a folder have all documents of the input, each once"),
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

    If OUTPUT_PATH is a folder, outputs that exist in it are skipped, and --to
    names their format. With --shard, it always is a folder.
    """
    from ..commands.annotate import annotate
    from ..commands.entity_rows import format_table
    from ..errors import wrap
    from ..findings import number

    _check_options(output_path, target, restart, shard if merge_check else None)
    if merge_check:
        _check_merged(pipeline, input_path, output_path, source, target, column)
        return
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
        shard=shard,
        n_jobs=jobs,
        use_gpu=_parse_gpus(use_gpu),
        notify=notify,
    )
    if output_path is not None:
        echo(wrap(f"{output_path}: {report.summary()}"), err=True)
    elif rows:
        echo(format_table(rows, numbered=report.n_docs > 1))
    if not report.n_ents and (output_path is None or not output_path.is_dir()):
        echo(f"No entities were found in {number(report.n_docs, 'document')}.", err=True)
    if report.message():
        echo(wrap(report.message()), err=True)


def _parse_gpus(text: str) -> List[int]:
    try:
        gpus = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise BadParameter(f"--use-gpu {text}: name numbers of GPUs, such as 0,1.") from error
    if min(gpus) < 0 and gpus != [-1]:
        raise BadParameter(f"--use-gpu {text}: GPUs are numbered from 0, and -1 is the CPU.")
    if len(set(gpus)) < len(gpus):
        raise BadParameter(f"--use-gpu {text}: name each GPU once.")
    return gpus


def _check_options(
    output_path: Optional[Path], target: Optional[str], restart: bool, checked: Optional[str]
) -> None:
    if checked is not None:
        raise BadParameter("--merge-check checks all shards. Leave out --shard.")
    if output_path is not None:
        return
    if target is not None:
        raise BadParameter(
            f"--to {target} needs an output file. Add OUTPUT_PATH, or leave out --to."
        )
    if restart:
        raise BadParameter(
            "--restart needs an output file. Add OUTPUT_PATH, or leave out --restart."
        )


def _check_merged(
    pipeline: str,
    input_path: Path,
    output_path: Optional[Path],
    source: Optional[str],
    target: Optional[str],
    column: Optional[str],
) -> None:
    from ..commands.merge_check import check_merged, describe_merged
    from ..errors import wrap

    merged = check_merged(
        pipeline, input_path, output_path, source=source, target=target, column=column
    )
    if merged.problems:
        echo(wrap("\n".join(merged.problems)), err=True)
        raise Exit(1)
    echo(describe_merged(merged))
