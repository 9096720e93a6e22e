"""Options and functions that several commands use."""

from enum import Enum
from typing import Any, Dict

from typer import BadParameter, Context, Option, echo

READ_AND_WRITTEN = (
    "spacy, jsonl (Prodigy), doccano, label-studio, conll, biluo, parquet, text, lines"
)
READ_ONLY = "csv, tsv"


class OnError(str, Enum):
    """What to do with a record that can't be read."""

    stop = "stop"
    skip = "skip"


# File arguments are `readable=False`, so that click doesn't check them: it would also print the
# usage of the command. `commands` report in one line which file can't be opened.
# fmt: off
SOURCE: Any = Option(None, "--from", metavar="NAME", help=f"Format of the input, if the file name doesn't show it: {READ_AND_WRITTEN}, {READ_ONLY}")
TARGET: Any = Option(None, "--to", metavar="NAME", help=f"Format of the output, if the file name doesn't show it: {READ_AND_WRITTEN}, html")
COLUMN: Any = Option(None, "--column", metavar="NAME", help="Column with the texts in csv, tsv and parquet files, if it isn't 'text'")
ON_ERROR: Any = Option(OnError.stop, "--on-error", help="What to do with a record that can't be read")
BATCH_SIZE: Any = Option(None, "--batch-size", "-n", min=1, help="Documents read at once; default: the batch size of the pipeline")
USE_GPU: Any = Option(-1, "--use-gpu", "-g", help="Number of the GPU, or -1 for the CPU")
REPLACE: Any = Option(False, "--force", "-F", help="Replace a folder that isn't empty")
# fmt: on


def read_overrides(ctx: Context) -> Dict[str, Any]:
    """Read options such as --training.max_steps 200, as `spacy train` does.

    ctx (Context): The context of a command that accepts them.
    RETURNS (Dict[str, Any]): Settings that override those of a config, by their names with dots.
    RAISES (BadParameter): For what can't be such an option.
    """
    from click import NoSuchOption
    from spacy.cli._util import parse_config_overrides

    try:
        return parse_config_overrides(ctx.args)
    except NoSuchOption as error:  # from click, not from typer's own copy of it
        raise BadParameter(str(error)) from error


def notify(message: str) -> None:
    """Print a message while a command runs.

    message (str): One line, for standard error.
    """
    from ..errors import wrap

    echo(wrap(message), err=True)
