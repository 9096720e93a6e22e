"""Saved pipelines that can't be read, or whose parts don't fit each other."""

import zlib
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Mapping

from .errors import UserError

# Key of the checksums, next to the parts themselves.
CHECKSUMS = "checksums"
WAY_OUT = "Copy or download the whole pipeline again."


class DamagedPipelineError(UserError):
    """A part of a saved pipeline can't be read, or doesn't fit another part."""


@contextmanager
def reading(part: str) -> Iterator[None]:
    """Turn errors from reading a part into a DamagedPipelineError that names it. Errors for lack of
    memory are raised as they are.

    part (str): The part that is read, and its file.
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
    """Calculate checksums of the parts of a file. Each also depends on the parts before it, so that
    a part from another file is detected even if its checksum comes with it.

    parts (Mapping[str, bytes]): Contents by name.
    RETURNS (Dict[str, int]): CRC-32 of each part, by name.
    """
    checksums = {}
    value = 0
    for name, content in parts.items():
        value = zlib.crc32(content, value)
        checksums[name] = value
    return checksums


def check_checksums(saved: Any, parts: Mapping[str, bytes], places: Mapping[str, str]) -> None:
    """Check that parts are those that were saved together.

    parts (Mapping[str, bytes]): Contents by name, as they were read.
    saved (Any): The checksums from `get_checksums`; None for pipelines that were saved without any.
    places (Mapping[str, str]): What to call each part in the message.
    RAISES (DamagedPipelineError): If they aren't. Names the first part that differs.
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
