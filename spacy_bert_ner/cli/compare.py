from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import USE_GPU, notify

# fmt: off


def compare_cli(
    spec_path: Path = Argument(..., readable=False, help="YAML file with paths, seeds, cells, and a config or project"),
    output_path: Path = Argument(..., readable=False, help="Folder for results.jsonl and for the runs of workflows"),
    markdown_path: Optional[Path] = Option(None, "--markdown", "-m", readable=False, help="Also write the table to this file, in Markdown"),
    keep: bool = Option(False, "--keep", "-k", help="Keep the trained pipelines; systems that were trained without this option are trained again"),
    use_gpu: int = USE_GPU,
) -> None:
    # fmt: on
    """
    Train a grid of configs, settings, workflows and seeds, and show which is
    better and by how much.

    Results are saved in results.jsonl, and finished trainings aren't repeated:
    run the same command to resume an interrupted comparison. Differences are
    relative to the first system, with 95 % intervals from the paired bootstrap
    over seeds and documents.
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
