"""What the commands share."""

from enum import Enum
from typing import Any

from typer import Option, echo

READ_AND_WRITTEN = "spacy, jsonl (Prodigy), doccano, label-studio, conll, biluo, text, lines"
READ_ONLY = "csv, tsv"


class OnError(str, Enum):
    """What becomes of a record that can't be read."""

    stop = "stop"
    skip = "skip"


# Arguments that are files are `readable=False`, which is: not checked by click. It would show the
# usage of a command, which is right; `commands` tell in one line what can't be opened.
# fmt: off
SOURCE: Any = Option(None, "--from", metavar="NAME", help=f"Format of the input, if its name doesn't tell: {READ_AND_WRITTEN}, {READ_ONLY}")
TARGET: Any = Option(None, "--to", metavar="NAME", help=f"Format of the output, if its name doesn't tell: {READ_AND_WRITTEN}, html")
COLUMN: Any = Option(None, "--column", metavar="NAME", help="Of csv and tsv, the column with the texts, if it isn't 'text'")
ON_ERROR: Any = Option(OnError.stop, "--on-error", help="What to do about a record that can't be read")
BATCH_SIZE: Any = Option(None, "--batch-size", "-n", min=1, help="Documents read at once, else as the pipeline says")
USE_GPU: Any = Option(-1, "--use-gpu", "-g", help="Number of the GPU, or -1 for the CPU")
REPLACE: Any = Option(False, "--force", "-F", help="Replace a folder that isn't empty")
# fmt: on


def notify(message: str) -> None:
    """Tell something while a command works.

    message (str): A line, for the standard error.
    """
    from ..errors import wrap

    echo(wrap(message), err=True)
