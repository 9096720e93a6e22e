from functools import partial
from pathlib import Path
from typing import Optional

from typer import Argument, BadParameter, Option, echo

# fmt: off


def compare_cli(
    spec_path: Path = Argument(..., help="YAML file: paths, config, seeds, cells", exists=True, dir_okay=False),  # noqa: B008, E501
    output_path: Path = Argument(..., help="Folder for results.jsonl", file_okay=False),  # noqa: B008, E501
    markdown_path: Optional[Path] = Option(None, "--markdown", "-m", help="File to write the table to as well", dir_okay=False),  # noqa: B008, E501
    keep: bool = Option(False, "--keep", "-k", help="Keep the trained pipelines, and train what was trained and not kept"),  # noqa: E501
    use_gpu: int = Option(-1, "--use-gpu", "-g", help="Number of the GPU, or -1 for the CPU"),
) -> None:
    # fmt: on
    """
    Train a grid of configs, settings and seeds, and print which is better by how much.

    What is done is in results.jsonl, and is not trained again: an interrupted comparison goes on
    where it was. Differences are from the first system, with 95 % intervals by the paired
    bootstrap over seeds and documents.
    """
    from ..checks import check_output, require_gpu
    from ..compare import compare, format_markdown, summarize
    from ..spec import read_spec

    require_gpu(use_gpu)
    check_output(markdown_path, "the table")
    notify = partial(echo, err=True)
    runs = []
    try:
        spec = read_spec(spec_path)
        for run in compare(spec, output_path, keep=keep, use_gpu=use_gpu, notify=notify):
            runs.append(run)
            (row,) = summarize(spec, [run])
            notify(f"{run.cell}, seed {run.seed}: dev {row.dev:.2f}, test {row.test:.2f}")
    except (ValueError, OSError) as error:
        raise BadParameter(str(error)) from error
    table = format_markdown(summarize(spec, runs))
    echo(table, nl=False)
    if markdown_path is not None:
        markdown_path.write_text(table, encoding="utf-8")
