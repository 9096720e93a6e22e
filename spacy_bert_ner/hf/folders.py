import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator


def check_output(path: Path, force: bool) -> None:
    """RAISES (ValueError): For a path that can't be written: a file, or, unless `force`, a folder
    that isn't empty."""
    if path.exists() and not path.is_dir():
        raise ValueError(f"Can't write to {path}: it is a file. Name a folder.")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise ValueError(
            f"Can't write to {path}: the folder isn't empty. Name another one, or replace it with "
            "force=True (--force)."
        )


@contextmanager
def write_folder(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Write a folder as a whole or not at all: to a temporary one beside it, which takes its name
    when all is there. What is there before is kept until then.

    force (bool): Replace a folder that isn't empty.
    YIELDS (Path): Where to write.
    RAISES (ValueError): See `check_output`.
    """
    path = path.absolute()
    check_output(path, force)
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        target = staging / "new"
        target.mkdir()
        yield target
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
