"""Memory of the C library."""

import ctypes
import sys


def return_free_memory() -> None:
    """Return freed memory to the operating system. glibc keeps memory between blocks that are still
    in use, which after batches of many lengths is as much as the blocks themselves. Does nothing
    with other C libraries."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
