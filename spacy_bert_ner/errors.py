"""The error class of this package, and functions to show errors."""

import shutil
import sys
import textwrap
from contextlib import contextmanager
from typing import Any, Iterator, Optional

from spacy.util import logger
from thinc.api import ConfigValidationError

from .terminal import printable

# Date and level, which spaCy's logger puts before a message.
LOG_PREFIX = len("[2000-01-01 00:00:00,000] [WARNING] ")
# What environments that only run exported pipelines don't have.
TORCH_PACKAGES = ("torch", "transformers", "spacy_transformers", "safetensors")


class UserError(ConfigValidationError):
    """Data, files or settings that can't be used. The message says which, why, and how to fix it.
    Commands show it without a traceback; all other errors are bugs of this package, and keep
    theirs.

    spaCy's own commands show the title of a ConfigValidationError without a traceback, so `spacy
    train` does the same for these.

    message (str): The message, one line.
    shown (Any): Other arguments of ConfigValidationError, which spaCy passes when it copies an
        error.
    """

    def __init__(self, message: str = "", **shown: Any):
        message = printable(message)  # which may quote a file
        super().__init__(**{"title": message, "show_config": False, **shown})
        self.args = (message,)


class MissingFileError(UserError, FileNotFoundError):
    """A file, folder or pipeline that doesn't exist."""


def explain(error: Exception) -> Optional[str]:
    """Get the message of an error that the user can fix: a UserError, spaCy's error for a config,
    a file that can't be opened, or a missing package that encoders of torch need.

    error (Exception): The error.
    RETURNS (Optional[str]): What to show instead of a traceback; None for a bug of this package.
    """
    if isinstance(error, ConfigValidationError):
        return str(error).strip()
    if isinstance(error, OSError) and error.filename is not None:
        return f"Can't open {error.filename}: {error.strerror}."
    if isinstance(error, ModuleNotFoundError):
        return _explain_missing(error)
    return None


@contextmanager
def needing_torch() -> Iterator[None]:
    """A context to import torch and the packages around it in: if one is missing, the error says
    how to install it.

    RAISES (UserError): If one isn't installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = _explain_missing(error)
        if message is None:
            raise
        raise UserError(message) from error


@contextmanager
def needing_package(purpose: str, package: str) -> Iterator[None]:
    """A context to import an optional package in: if it is missing, the error says how to install
    it. It doesn't name an extra of this package, which would install torch where that is missing.

    purpose (str): What it is for, as in "Can't fit a mixture".
    package (str): Its name in the package index.
    RAISES (UserError): If it isn't installed.
    """
    try:
        yield
    except ImportError as error:
        raise UserError(
            f"Can't {purpose}: {package} isn't installed: python -m pip install {package}."
        ) from error


def _explain_missing(error: ModuleNotFoundError) -> Optional[str]:
    package = (error.name or "").split(".")[0]
    if package not in TORCH_PACKAGES:
        return None
    return (
        f"This needs {package}, which isn't installed: python -m pip install spacy-bert-ner. "
        "Without torch, use pipelines that 'bert-ner quantize' exported."
    )


def describe_error(error: Exception) -> str:
    """Describe an error of another package.

    error (Exception): The error.
    RETURNS (str): The message in one line, without the config that spaCy may print with it.
    """
    if isinstance(error, ConfigValidationError):
        error = ConfigValidationError.from_error(error, show_config=False)
    text = " ".join(str(error).split())
    is_known = isinstance(error, (ConfigValidationError, ImportError)) or text.startswith("[E")
    return text if is_known else f"{type(error).__name__}: {text}"


def wrap(text: str, *, taken: int = 0, indent: str = "") -> str:
    """Break the lines of a message between words, at the width of the terminal. Outside of a
    terminal, as in logs, lines aren't broken. Control characters are escaped, see `printable`.

    text (str): The message.
    taken (int): Columns of the first line that are already used.
    indent (str): Indentation of the continuation of a line.
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
    """Log a warning. In a terminal, its lines are broken between words.

    text (str): The warning.
    """
    logger.warning("%s", wrap(text, taken=LOG_PREFIX, indent="    "))
