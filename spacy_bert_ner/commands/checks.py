"""What commands check before they begin, and how they write. Not in `cli`, which spaCy loads with
every command."""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, Union

from safetensors import SafetensorError
from spacy.language import Language
from spacy.util import SimpleFrozenDict, load_config, load_model_from_config

from ..errors import UserError, describe_error


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


def check_parent(path: Path) -> None:
    """Check that a folder could be made, and make nothing.

    RAISES (UserError): If what it would be in is no folder, or can't be written.
    """
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise UserError(_explain(path, f"{parent} is a file"))
    if not path.exists() and not os.access(parent, os.W_OK):
        raise UserError(_explain(path, f"{parent} is read-only for you"))


@contextmanager
def report_unwritable(path: Path) -> Iterator[None]:
    """Tell in one line why a folder can't be written: no right to, or no space left. For files, see
    `formats.output`.

    RAISES (UserError): If it can't be.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error).rpartition("I/O error: ")[2]
        raise UserError(_explain(path, reason)) from error


def _explain(path: Path, reason: str) -> str:
    return f"Can't write {path}: {reason}. Name another place, or make this one writable."


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
        raise UserError(f"Can't make the pipeline of {path}: {describe_error(error)}") from error
