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
    from ..commands.checks import require_gpu
    from ..commands.compare import compare, format_markdown, format_table, format_time, summarize
    from ..commands.spec import read_spec
    from ..errors import wrap
    from ..formats.output import check_target, replace_file
    from ..terminal import printable

    require_gpu(use_gpu)
    if markdown_path is not None:
        check_target(markdown_path, [spec_path])
    runs = []

    def notify(message: str) -> None:
        echo(wrap(message), err=True)

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
    echo(printable(format_table(rows)), nl=False)
    if markdown_path is not None:
        with replace_file(markdown_path) as file:
            file.write(format_markdown(rows).encode("utf-8"))
