from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import USE_GPU, notify

# fmt: off


def compare_cli(
    spec_path: Path = Argument(..., readable=False, help="YAML file: paths, seeds, cells, a config or project"),
    output_path: Path = Argument(..., readable=False, help="Folder for results.jsonl, and for runs of workflows"),
    markdown_path: Optional[Path] = Option(None, "--markdown", "-m", readable=False, help="File to write the table to as well, in markdown"),
    keep: bool = Option(False, "--keep", "-k", help="Keep the trained pipelines; those that were trained and not kept are trained again"),
    use_gpu: int = USE_GPU,
) -> None:
    # fmt: on
    """
    Train a grid of configs, settings, workflows and seeds, and print which is better by how much.

    Finished trainings are in results.jsonl and aren't repeated: the same command resumes an
    interrupted comparison. Differences are from the first system, with 95 % intervals by the paired
    bootstrap over seeds and documents.
    """
    from ..commands.compare import compare_file
    from ..commands.summary import format_table
    from ..terminal import printable

    rows = compare_file(
        spec_path,
        output_path,
        markdown_path=markdown_path,
        keep=keep,
        use_gpu=use_gpu,
        notify=notify,
    )
    echo(printable(format_table(rows)), nl=False)
