from functools import partial
from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

# fmt: off


def compare_cli(
    spec_path: Path = Argument(..., help="YAML file: paths, config, seeds, cells", exists=True, dir_okay=False),  # noqa: B008, E501
    output_path: Path = Argument(..., help="Folder for results.jsonl", file_okay=False),  # noqa: B008, E501
    markdown_path: Optional[Path] = Option(None, "--markdown", "-m", help="File to write the table to as well, in markdown", dir_okay=False),  # noqa: B008, E501
    keep: bool = Option(False, "--keep", "-k", help="Keep the trained pipelines; those that were trained and not kept are trained again"),  # noqa: E501
    use_gpu: int = Option(-1, "--use-gpu", "-g", help="Number of the GPU, or -1 for the CPU"),
) -> None:
    # fmt: on
    """
    Train a grid of configs, settings and seeds, and print which is better by how much.

    Finished trainings are in results.jsonl and aren't repeated: the same command resumes an
    interrupted comparison. Differences are from the first system, with 95 % intervals by the paired
    bootstrap over seeds and documents.
    """
    from ..checks import check_output, report_unwritable, require_gpu
    from ..compare import compare, format_markdown, format_table, format_time, summarize
    from ..spec import read_spec

    require_gpu(use_gpu)
    check_output(markdown_path, "the table")
    notify = partial(echo, err=True)
    runs = []
    spec = read_spec(spec_path)
    for run in compare(spec, output_path, keep=keep, use_gpu=use_gpu, notify=notify):
        runs.append(run)
        (row,) = summarize(spec, [run])
        took = format_time(run.train_seconds)
        notify(
            f"{run.cell}, seed {run.seed}: dev F1 {row.dev:.2f}, test F1 {row.test:.2f}, trained "
            f"in {took}"
        )
    rows = summarize(spec, runs)
    echo(format_table(rows), nl=False)
    if markdown_path is not None:
        with report_unwritable(markdown_path, "the table"):
            markdown_path.write_text(format_markdown(rows), encoding="utf-8")
