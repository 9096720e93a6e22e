"""The error of this package, and how commands show errors."""

import shutil
import sys
import textwrap
from typing import Any, Optional

from spacy.util import logger
from thinc.api import ConfigValidationError

from .terminal import printable

# Date and level, which spaCy's logger puts before a message.
LOG_PREFIX = len("[2000-01-01 00:00:00,000] [WARNING] ")


class UserError(ConfigValidationError):
    """Data, files or settings that can't be used: which, why, and the way out. Whoever runs a
    command can fix it, and is shown the message alone; all other errors are mistakes of ours, and
    keep their traceback.

    spaCy's own commands show a ConfigValidationError as its title, without a traceback: so `spacy
    train` does with these.

    message (str): The message, one line.
    shown (Any): What else a ConfigValidationError takes: spaCy makes another one of it.
    """

    def __init__(self, message: str = "", **shown: Any):
        message = printable(message)  # which may quote a file
        super().__init__(**{"title": message, "show_config": False, **shown})
        self.args = (message,)


class MissingFileError(UserError, FileNotFoundError):
    """A file, folder or pipeline that isn't there."""


def explain(error: Exception) -> Optional[str]:
    """Tell what whoever runs a command can fix: what a UserError says, or spaCy of a config, and
    which file can't be opened.

    error (Exception): What was raised.
    RETURNS (Optional[str]): What to show in place of a traceback; None if it is a mistake of ours.
    """
    if isinstance(error, ConfigValidationError):
        return str(error).strip()
    if isinstance(error, OSError) and error.filename is not None:
        return f"Can't open {error.filename}: {error.strerror}."
    return None


def describe_error(error: Exception) -> str:
    """Quote an error of another package.

    error (Exception): What was raised.
    RETURNS (str): What is wrong, in one line, without the config that may be printed along.
    """
    if isinstance(error, ConfigValidationError):
        error = ConfigValidationError.from_error(error, show_config=False)
    text = " ".join(str(error).split())
    is_known = isinstance(error, (ConfigValidationError, ImportError)) or text.startswith("[E")
    return text if is_known else f"{type(error).__name__}: {text}"


def wrap(text: str, *, taken: int = 0, indent: str = "") -> str:
    """Break the lines of a message between words where a terminal ends. Elsewhere, as in logs, they
    stay whole. Control characters are shown, see `printable`.

    text (str): The message.
    taken (int): Columns of the first line that are taken.
    indent (str): What to put before all that follows the beginning of a line.
    RETURNS (str): The message.
    """
    text = printable(text)
    if not sys.stderr.isatty():
        return text
    wrapper = textwrap.TextWrapper(
        width=shutil.get_terminal_size().columns,
        initial_indent=" " * taken,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines = []
    for line in text.split("\n"):
        lines.append(wrapper.fill(line)[len(wrapper.initial_indent) :])
        wrapper.initial_indent = ""
    return "\n".join(lines)


def warn(text: str) -> None:
    """Log a warning, broken between words in a terminal.

    text (str): The warning.
    """
    logger.warning("%s", wrap(text, taken=LOG_PREFIX, indent="    "))
