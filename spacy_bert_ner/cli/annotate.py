from pathlib import Path

from typer import Argument, BadParameter, echo

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

    try:
        rows = annotate(pipeline, input_path)
    except (OSError, UnicodeDecodeError) as error:
        raise BadParameter(str(error)) from error
    echo(format_table(rows))
