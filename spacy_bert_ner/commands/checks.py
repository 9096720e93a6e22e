"""Checks that commands do before they begin. Not in `cli`, which spaCy loads with every command."""

import configparser
import os
from pathlib import Path
from typing import Any, ContextManager, Dict, Iterator, List, Optional, Tuple, Union

from spacy.language import Language
from spacy.util import SimpleFrozenDict, load_config, load_model_from_config
from thinc.api import Config

from ..errors import MissingFileError, UserError, describe_error, needing_package
from ..findings import number
from ..formats import check_format
from ..formats.output import check_target


def check_input(path: Path, *, or_folder: bool = False) -> None:
    """Check that a file can be read, before anything else is done. Nothing is opened, since a pipe
    can only be read once.

    path (Path): A file, a pipe or a device.
    or_folder (bool): Whether a folder is also allowed.
    RAISES (UserError): If the file doesn't exist (MissingFileError), is a folder, or may not be
        read by this user.
    """
    if not path.exists():
        raise MissingFileError(f"There is no file {path}. Check its name and folder.")
    if path.is_dir() and not or_folder:
        raise UserError(f"Can't read {path}: it is a folder. Name a file.")
    if not os.access(path, os.R_OK):
        raise UserError(f"Can't read {path}: permission denied. Ask its owner for read access.")


def check_reread(path: Path, *, or_folder: bool = False) -> None:
    """Check that an input can be read several times, see `check_input`.

    path (Path): A file.
    or_folder (bool): Whether a folder is also allowed.
    RAISES (UserError): If it can't be read, or only once, as a pipe.
    """
    check_input(path, or_folder=or_folder)
    if not (path.is_file() or path.is_dir()):
        what = "file or folder" if or_folder else "file"
        raise UserError(f"Can't use {path}: it is read several times. Name a {what}.")


def check_soft_output(path: Path, input_path: Path) -> None:
    """Check that a file with soft labels can be written.

    path (Path): Where to write.
    input_path (Path): The input.
    RAISES (UserError): For an output that can't be written, or can't store soft labels.
    """
    if check_format(path, for_writing=True) != "spacy":
        raise UserError(
            f"Can't write soft labels to {path}: only spaCy's format can store them. Use the "
            "suffix .spacy."
        )
    check_target(path, [input_path])


def require_gpu(number: int) -> None:
    """Use a GPU, or none if the number is below 0.

    number (int): Number of the GPU, from 0.
    RAISES (UserError): If there is no such GPU, or software for it is missing.
    """
    import thinc.api
    from thinc import compat

    if number < 0:
        return
    way_out = "Leave out --use-gpu to use the CPU."
    if compat.has_cupy_gpu:
        if compat.has_torch and not compat.has_torch_cuda_gpu:
            raise UserError(
                f"Can't use GPU {number}: CuPy finds it, but torch doesn't. Install torch for the "
                f"same CUDA version. {way_out}"
            )
        n_gpus = compat.cupy.cuda.runtime.getDeviceCount()
        if number >= n_gpus:
            raise UserError(
                f"Can't use GPU {number}: the GPUs are numbered from 0 to {n_gpus - 1}. {way_out}"
            )
    try:
        thinc.api.require_gpu(number)
    except (ValueError, RuntimeError) as error:
        reason = str(error).removeprefix("Cannot use GPU, ").rstrip(".")
        raise UserError(f"Can't use GPU {number}: {reason}. {way_out}") from error


def plan_jobs(use_gpu: Union[int, List[int]], n_jobs: Optional[int]) -> Tuple[List[int], int]:
    """Plan how many processes predict, and on which GPUs.

    use_gpu (Union[int, List[int]]): Number of the GPU, or of several; -1 for the CPU.
    n_jobs (Optional[int]): Number of processes; None for one on each GPU.
    RETURNS (Tuple[List[int], int]): The GPUs, and the number of processes.
    RAISES (UserError): For a GPU that doesn't exist, and for fewer processes than GPUs.
    """
    gpus = [use_gpu] if isinstance(use_gpu, int) else use_gpu
    n_jobs = n_jobs or len(gpus)
    if n_jobs < len(gpus):
        raise UserError(
            f"Can't use {len(gpus)} GPUs in {number(n_jobs, 'process', 'processes')}: set --jobs "
            f"to at least {len(gpus)}, or leave it out."
        )
    for gpu in reversed(gpus):  # this process uses the first
        require_gpu(gpu)
    return gpus, n_jobs


def needing_sklearn(purpose: str) -> ContextManager[None]:
    """RETURNS (ContextManager[None]): See `needing_package`.

    purpose (str): What scikit-learn is for.
    """
    return needing_package(purpose, "scikit-learn")


def load_blank(path: Union[str, Path], overrides: Dict[str, Any] = SimpleFrozenDict()) -> Language:
    """Make the pipeline of a config, without initializing it.

    path (Union[str, Path]): The config, "-" for standard input.
    overrides (Dict[str, Any]): Settings that override those of the config, such as "paths.train".
    RETURNS (Language): The pipeline.
    RAISES (UserError): For an invalid config, or one that makes no pipeline.
    """
    config = read_config(path, overrides)
    try:
        return load_model_from_config(config, auto_fill=True)
    except UserError:
        raise
    except (ValueError, TypeError, ImportError) as error:
        raise UserError(f"Can't make the pipeline of {path}: {describe_error(error)}") from error


def read_config(
    path: Union[str, Path],
    overrides: Dict[str, Any] = SimpleFrozenDict(),
    *,
    interpolate: bool = True,
) -> Config:
    """Read a config file.

    path (Union[str, Path]): The config, "-" for standard input.
    overrides (Dict[str, Any]): Settings that override those of the config, such as "paths.train".
    interpolate (bool): Replace variables by their values.
    RETURNS (Config): The config.
    RAISES (UserError): If there is no such file, or it isn't a config.
    """
    if str(path) != "-":
        check_input(Path(path))
    try:
        return load_config(path, overrides, interpolate=interpolate)
    except (ValueError, configparser.Error) as error:
        raise UserError(f"Can't read the config {path}: {describe_error(error)}") from error


def iter_settings(config: Dict[str, Any], prefix: str = "") -> Iterator[Tuple[str, Any]]:
    """Iterate over the settings of a config.

    config (Dict[str, Any]): The config, or a block of it.
    prefix (str): Prefix of the names.
    YIELDS (Tuple[str, Any]): Its blocks and settings, by dotted names.
    """
    for key, value in config.items():
        yield f"{prefix}{key}", value
        if isinstance(value, dict):
            yield from iter_settings(value, f"{prefix}{key}.")
