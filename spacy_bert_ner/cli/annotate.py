from pathlib import Path

from typer import Argument, echo

# fmt: off


def annotate_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    input_path: Path = Argument(..., help="Text file, read as one document", exists=True, dir_okay=False),  # noqa: B008, E501
) -> None:
    # fmt: on
    """
    Print the entities of a text with their scores.
    """
    from ..annotate import annotate, format_table

    echo(format_table(annotate(pipeline, input_path)))
