"""Write folders: check them before the work begins, and replace them when they are complete. For
files, see `formats.output`."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional, Union

from ..errors import UserError


def check_folder(path: Path, force: bool, source: Optional[Union[str, Path]] = None) -> None:
    """RAISES (ValueError): For a path that can't be written: a file, or, unless `force`, a folder
    that isn't empty. The working directory, the input, and folders that contain them are never
    replaced.

    path (Path): The folder.
    force (bool): Whether a folder that isn't empty is replaced.
    source (Optional[Union[str, Path]]): The input, which may be a folder.
    """
    if path.exists() and not path.is_dir():
        raise UserError(f"Can't write to {path}: it is a file. Choose a folder.")
    check_parent(path)
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not force:
        raise UserError(
            f"Can't write to {path}: the folder isn't empty. Choose another one, or replace it "
            "with --force (force=True in Python)."
        )
    if path.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise UserError(
            f"Can't replace {path}: it is the working directory, or contains it. Choose another "
            "folder."
        )
    mine = None if source is None else Path(source).resolve()
    if mine is not None and mine.exists() and path.resolve() in (mine, *mine.parents):
        raise UserError(
            f"Can't replace {path}: it is the input, or contains it. Choose another folder."
        )


def check_parent(path: Path) -> None:
    """Check that a folder can be created, without creating it.

    path (Path): The folder.
    RAISES (UserError): If its parent isn't a folder, or can't be written.
    """
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise UserError(_explain(path, f"{parent} is a file"))
    if not path.exists() and not os.access(parent, os.W_OK):
        raise UserError(_explain(path, f"{parent} is read-only for you"))


@contextmanager
def report_unwritable(path: Path) -> Iterator[None]:
    """Explain in one line why a folder can't be written: no permission, or no space left.

    path (Path): The folder.
    RAISES (UserError): If it can't be.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        # By its name: exported pipelines are written without safetensors.
        if not isinstance(error, OSError) and type(error).__name__ != "SafetensorError":
            raise
        reason = getattr(error, "strerror", None) or str(error).rpartition("I/O error: ")[2]
        raise UserError(_explain(path, reason)) from error


def _explain(path: Path, reason: str) -> str:
    return f"Can't write {path}: {reason}. Choose another folder, or make this one writable."


@contextmanager
def write_folder(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Write a folder completely or not at all: to a temporary one next to it, which is renamed when
    it is complete. An existing folder is kept until then. An existing empty folder, or a link to
    one, stays, and the files are moved into it.

    path (Path): The folder.
    force (bool): Replace a folder that isn't empty.
    YIELDS (Path): Where to write.
    RAISES (ValueError): See `check_folder`.
    """
    check_folder(path, force)
    with report_unwritable(path), _stage(path.resolve()) as target:
        yield target


@contextmanager
def _stage(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        target = staging / "new"
        target.mkdir()
        yield target
        if path.exists() and not any(path.iterdir()):
            _fill(path, target)
            return
        if path.exists():
            path.rename(staging / "old")
        try:
            target.rename(path)
        except OSError:
            if (staging / "old").exists():
                (staging / "old").rename(path)
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _fill(folder: Path, source: Path) -> None:
    """Move the content of a folder to another, which is empty."""
    moved = []
    try:
        for path in sorted(source.iterdir()):
            moved.append(path.rename(folder / path.name))
    except OSError:
        for path in moved:
            path.rename(source / path.name)
        raise
