"""What commands check before they begin. Not in `cli`, which spaCy loads with every command."""

from pathlib import Path
from typing import Optional

from typer import BadParameter


def require_gpu(number: int) -> None:
    """Take a GPU, or none, if the number is below 0.

    RAISES (BadParameter): If there is no such GPU, or something is missing for it.
    """
    import thinc.api

    if number < 0:
        return
    try:
        thinc.api.require_gpu(number)
    except ValueError as error:
        raise BadParameter(f"Can't use GPU {number}: {error} Take --use-gpu -1.") from error


def check_output(path: Optional[Path], what: str) -> None:
    """Make the folder of a file that is to be written in the end, and leave the file as it is.

    RAISES (BadParameter): If it can't be written.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        path.open("ab").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise BadParameter(f"Can't write {what}: {error}. Name another file.") from error
