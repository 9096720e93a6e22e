"""Saved pipelines that can't be read, or whose parts don't fit each other."""

import zlib
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Mapping

from .errors import UserError

# Where the checksums of the other parts are.
CHECKSUMS = "checksums"
WAY_OUT = "Copy or download the pipeline again, whole."


class DamagedPipelineError(UserError):
    """A part of a saved pipeline can't be read, or doesn't fit another part."""


@contextmanager
def reading(part: str) -> Iterator[None]:
    """Name the part that can't be read, whatever is raised for it.

    part (str): What is read, and the file that it is in.
    RAISES (DamagedPipelineError): With the original error as its cause.
    """
    try:
        yield
    except (DamagedPipelineError, MemoryError):
        raise
    except Exception as error:  # msgpack, safetensors and tokenizers have errors of their own
        if type(error).__name__ == "OutOfMemoryError":  # of a GPU: torch's, and CuPy's
            raise
        lines = str(error).strip().splitlines() or [""]
        details = f"{type(error).__name__}: {lines[0]}"
        raise DamagedPipelineError(f"Can't read {part} ({details}). {WAY_OUT}") from error


def get_checksums(parts: Mapping[str, bytes]) -> Dict[str, int]:
    """Checksums of the parts of a file, each of which depends on the parts before it too: a part
    of another file doesn't fit even with its own checksum.

    parts (Mapping[str, bytes]): By name.
    RETURNS (Dict[str, int]): Of each part, CRC-32.
    """
    checksums = {}
    value = 0
    for name, content in parts.items():
        value = zlib.crc32(content, value)
        checksums[name] = value
    return checksums


def check_checksums(saved: Any, parts: Mapping[str, bytes], places: Mapping[str, str]) -> None:
    """Check that parts are those that were saved together.

    parts (Mapping[str, bytes]): By name, as they were read.
    saved (Any): What `get_checksums` gave; None for pipelines that were saved without.
    places (Mapping[str, str]): By part, what to call it.
    RAISES (DamagedPipelineError): If they aren't, with the first of them that is another.
    """
    if saved is None:
        return
    for name, value in get_checksums(parts).items():
        if not isinstance(saved, dict) or saved.get(name) != value:
            hint = " Settings can be changed in config.cfg." if name == "cfg" else ""
            raise DamagedPipelineError(
                f"Can't use {places[name]}: it was changed after it was saved, or belongs to "
                f"another pipeline. {WAY_OUT}{hint}"
            )
