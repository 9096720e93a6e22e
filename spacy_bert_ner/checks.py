"""What commands check before they begin, and how they write. Not in `cli`, which spaCy loads with
every command."""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Union

from safetensors import SafetensorError
from spacy.language import Language
from spacy.util import SimpleFrozenDict, load_config, load_model_from_config

from .errors import UserError


def require_gpu(number: int) -> None:
    """Take a GPU, or none, if the number is below 0.

    RAISES (UserError): If there is no such GPU, or something is missing for it.
    """
    import thinc.api

    if number < 0:
        return
    try:
        thinc.api.require_gpu(number)
    except (ValueError, RuntimeError) as error:
        reason = str(error).removeprefix("Cannot use GPU, ").rstrip(".")
        raise UserError(
            f"Can't use GPU {number}: {reason}. Leave out --use-gpu to use the CPU."
        ) from error


def check_output(path: Optional[Path], what: str) -> None:
    """Make the folder of a file that is to be written in the end, and leave the file as it is.

    RAISES (UserError): If it can't be written.
    """
    if path is None:
        return
    check_parent(path, what)
    with report_unwritable(path, what):
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        path.open("ab").close()
        if is_new:
            path.unlink()


def check_parent(path: Path, what: str = "") -> None:
    """Check that a file or a folder could be made, and make nothing.

    what (str): What is to be written there.
    RAISES (UserError): If what it would be in is no folder, or can't be written.
    """
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise UserError(_explain(path, what, f"{parent} is a file"))
    if not path.exists() and not os.access(parent, os.W_OK):
        raise UserError(_explain(path, what, f"{parent} is read-only for you"))


@contextmanager
def report_unwritable(path: Path, what: str = "") -> Iterator[None]:
    """Tell in one line why a file or folder can't be written: no right to, or no space left.

    what (str): What is written there.
    RAISES (UserError): If it can't be.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error).rpartition("I/O error: ")[2]
        raise UserError(_explain(path, what, reason)) from error


def _explain(path: Path, what: str, reason: str) -> str:
    return (
        f"Can't write {what + ' to ' if what else ''}{path}: {reason}. Name another place, or make "
        "this one writable."
    )


def load_blank(path: Union[str, Path], overrides: Dict[str, Any] = SimpleFrozenDict()) -> Language:
    """Make the pipeline of a config, not initialized.

    overrides (Dict[str, Any]): Settings that take the place of its own, such as "paths.train".
    RAISES (UserError): For what is no config, or one that makes no pipeline. OSError: For a file
        that isn't there.
    """
    try:
        return load_model_from_config(load_config(path, overrides=overrides), auto_fill=True)
    except UserError:
        raise
    except (ValueError, TypeError, ImportError) as error:
        raise UserError(f"Can't make the pipeline of {path}: {str(error).strip()}") from error
