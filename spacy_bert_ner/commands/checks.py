"""What commands check before they begin, and how they write. Not in `cli`, which spaCy loads with
every command."""

import os
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple, Union

from spacy.language import Language
from spacy.util import SimpleFrozenDict, load_config, load_model_from_config

from ..errors import MissingFileError, UserError, describe_error
from ..formats import check_format
from ..formats.output import check_target


def check_input(path: Path, *, or_folder: bool = False) -> None:
    """Check that a file can be read, before anything else is done. Nothing is opened: what is in a
    pipe comes once.

    path (Path): A file, a pipe or a device.
    or_folder (bool): Whether it can be a folder of texts as well.
    RAISES (UserError): If there is none (MissingFileError), for a folder, and without the right to
        read it.
    """
    if not path.exists():
        raise MissingFileError(f"There is no file {path}. Check its name and folder.")
    if path.is_dir() and not or_folder:
        raise UserError(f"Can't read {path}: it is a folder. Name a file.")
    if not os.access(path, os.R_OK):
        raise UserError(f"Can't read {path}: you have no right to. Ask its owner for it.")


def check_soft_output(path: Path, input_path: Path) -> None:
    """Check that a file with soft labels can be written.

    path (Path): Where to write.
    input_path (Path): What is read.
    RAISES (UserError): For an output that can't be written, or has no place for soft labels.
    """
    if check_format(path, for_writing=True) != "spacy":
        raise UserError(
            f"Can't write soft labels to {path}: only spaCy's format has a place for them. Name a "
            "file .spacy."
        )
    check_target(path, [input_path])


def require_gpu(number: int) -> None:
    """Take a GPU, or none, if the number is below 0.

    number (int): That of the GPU, from 0.
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


def load_blank(path: Union[str, Path], overrides: Dict[str, Any] = SimpleFrozenDict()) -> Language:
    """Make the pipeline of a config, not initialized.

    path (Union[str, Path]): The config, "-" for standard input.
    overrides (Dict[str, Any]): Settings that take the place of its own, such as "paths.train".
    RETURNS (Language): The pipeline.
    RAISES (UserError): For what is no config, or one that makes no pipeline.
    """
    if str(path) != "-":
        check_input(Path(path))
    try:
        return load_model_from_config(load_config(path, overrides=overrides), auto_fill=True)
    except UserError:
        raise
    except (ValueError, TypeError, ImportError) as error:
        raise UserError(f"Can't make the pipeline of {path}: {describe_error(error)}") from error


def iter_settings(config: Dict[str, Any], prefix: str = "") -> Iterator[Tuple[str, Any]]:
    """Go through a config.

    config (Dict[str, Any]): The config, or a block of it.
    prefix (str): What to put before the names.
    YIELDS (Tuple[str, Any]): Its blocks and settings, by dotted names.
    """
    for key, value in config.items():
        yield f"{prefix}{key}", value
        if isinstance(value, dict):
            yield from iter_settings(value, f"{prefix}{key}.")
