from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import FORMATS, READ_ONLY

# fmt: off


def profile_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    input_path: Path = Argument(..., help="Text, or a file of documents", exists=True, dir_okay=False),  # noqa: B008, E501
    source: Optional[str] = Option(None, "--from", metavar="NAME", help=f"Format of the input, if its name doesn't tell: {FORMATS}, {READ_ONLY}"),  # noqa: E501
    batch_size: Optional[int] = Option(None, "--batch-size", "-n", min=1, help="Documents read at once, else as the pipeline says"),  # noqa: E501
    limit: int = Option(1000, "--limit", "-l", min=1, help="Documents read at most"),
) -> None:
    # fmt: on
    """
    Show where the time of a pipeline goes, and which settings cost some.

    Reads the texts of a file as nlp.pipe does: time by component, and in the encoder and in
    bert_ner by what they do.
    """
    from ..commands.profile import format_profile, profile_file
    from ..errors import wrap

    result = profile_file(
        pipeline,
        input_path,
        source=source,
        batch_size=batch_size,
        limit=limit,
        notify=lambda message: echo(wrap(f"Warning: {message}"), err=True),
    )
    echo(wrap(format_profile(result)))
