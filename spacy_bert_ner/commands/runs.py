"""The results of a comparison: a file with a line for each training."""

import hashlib
import json
from pathlib import Path
from typing import IO, Any, Callable, Dict, List, NamedTuple, TypeVar

import numpy
import srsly

from ..errors import UserError

ResultT = TypeVar("ResultT")


class Run(NamedTuple):
    """A system, trained once.

    cell (str): Its name.
    seed (int): The seed.
    key (str): Identifies the settings that it was trained with.
    counts (Dict[str, List[List[int]]]): For "dev" and "test", the numbers of correct, predicted and
        gold entities of each document.
    train_seconds, words_per_second (float): Training time; speed of prediction on "test".
    """

    cell: str
    seed: int
    key: str
    counts: Dict[str, List[List[int]]]
    train_seconds: float
    words_per_second: float


def read_results(path: Path, file: IO[bytes]) -> Dict[str, Run]:
    """Read the existing results, see `read_lines`.

    path (Path): The file, as named in messages.
    file (IO[bytes]): The file, open to read and write.
    RETURNS (Dict[str, Run]): The results by their keys.
    RAISES (UserError): For a line that isn't a result.
    """
    runs = read_lines(path, file, lambda data: _check_run(Run(**data)))
    return {run.key: run for run in runs}


def read_lines(path: Path, file: IO[bytes], parse: Callable[[Any], ResultT]) -> List[ResultT]:
    """Read results, one per line. An incomplete last line, of a process that ended, is removed, so
    that the next line can be added.

    path (Path): The file, as named in messages.
    file (IO[bytes]): The file, open to read and write.
    parse (Callable[[Any], ResultT]): Makes a result of JSON. Raises a KeyError, TypeError or
        ValueError for other data.
    RETURNS (List[ResultT]): The results.
    RAISES (UserError): For a line that isn't a result.
    """
    data = file.read()
    n_good = data.rfind(b"\n") + 1
    if n_good < len(data):
        file.truncate(n_good)
    file.seek(n_good)
    results = []
    for number, line in enumerate(data[:n_good].splitlines(), start=1):
        try:
            # Not with srsly, which reads 0.3 as 0.30000000000000004.
            results.append(parse(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"Line {number} of {path} isn't a result ({error}). Delete the line to repeat its "
                "training."
            ) from error
    return results


def _check_run(run: Run) -> Run:
    """RAISES (KeyError, TypeError, ValueError): For values that can't be those of a result."""
    for split in ("dev", "test"):
        counts = numpy.asarray(run.counts[split])
        if counts.ndim != 2 or counts.shape[1] != 3 or counts.dtype.kind != "i":
            raise UserError(f"its counts of {split} aren't three numbers per document")
    if not all(isinstance(value, str) for value in (run.cell, run.key)):
        raise TypeError("its names aren't strings")
    if not all(type(value) in (int, float) for value in (run.train_seconds, run.words_per_second)):
        raise TypeError("its times aren't numbers")
    return run


def digest(path: Path) -> str:
    """RETURNS (str): The SHA-256 of the content of a file, or of all files in a folder.

    path (Path): The file or folder.
    """
    total = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            total.update(file.read_bytes())
    return total.hexdigest()


def make_key(facts: List[Any]) -> str:
    """RETURNS (str): A key of 16 digits for everything that a result depends on, except the code.

    facts (List[Any]): Everything that it depends on, in plain types.
    """
    text = srsly.json_dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
