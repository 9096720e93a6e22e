"""Runs all cases on the stand-in for a GPU, or without its folder on a GPU, and writes what went
wrong as JSON:

PYTHONPATH=tests/gpu/stand_in:. python -m tests.gpu OUTPUT
"""

import json
import sys
import tempfile
import traceback
from pathlib import Path

import cupy

# First, since the stand-in changes what others import.
if hasattr(cupy, "EVENTS"):
    from . import gpu
else:
    from . import real as gpu

gpu.install()

from .cases import CASES, count_all  # noqa: E402


def run(work):
    """RETURNS (Tuple[Any, str]): The result of a function, and the traceback of its error."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return work(gpu, Path(folder)), ""
        except Exception:
            return None, traceback.format_exc()


def main():
    errors = {name: run(work)[1] for name, work in CASES.items()}
    output = {"errors": errors}
    if not gpu.IS_REAL:  # which counts no events
        output["events"], errors["budgets"] = run(count_all)
    Path(sys.argv[1]).write_text(json.dumps(output), encoding="utf-8")


main()
