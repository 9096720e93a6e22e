"""Outputs that are written a batch of documents at a time, and resumed after an interruption."""

import os
from contextlib import closing
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, Callable, Dict, Generator, Iterable, List, Optional

from spacy.tokens import Doc

from ..formats.output import get_stream
from ..formats.part import open_part
from ..formats.report import Report
from ..formats.text import find_texts
from ..formats.writing import Writer


def write_batches(
    batches: Generator[Iterable[Doc], None, None],
    writer: Writer,
    input_path: Path,
    output_path: Path,
    report: Report,
    describe: Callable[[], Dict[str, Any]],
    *,
    restart: bool,
    notify: Callable[[str], None],
) -> None:
    """Write documents, after those that an interrupted run has written, where that can be.

    batches (Generator[Iterable[Doc], None, None]): Makes the documents after the records that the
        report has counted by its first step. Is closed before anything is printed of an error.
    writer (Writer): Writes the format.
    input_path, output_path (Path): What is read and written.
    report (Report): Counts what is written.
    describe (Callable[[], Dict[str, Any]]): All that the output depends on, see `Part`.
    restart (bool): Throw away what an earlier run has left in the making.
    notify (Callable[[str], None]): Is told where it resumes, and where it is left.
    RAISES (FormatError): For what can't be written or resumed.
    """
    if not can_resume(input_path, output_path):
        writer.write(output_path, chain.from_iterable(batches), report)
        return
    # Errors close the bar before anything is printed.
    with open_part(output_path, describe(), report, notify, restart=restart) as part:
        with closing(batches):
            for docs in batches:
                part.append(writer.pack(docs, report, is_first=not report.n_docs))
        part.finish(writer)


def can_resume(input_path: Path, output_path: Path) -> bool:
    """Whether a run can be resumed: pipes and devices can't be read from where they were, or cut
    where they should end.

    input_path, output_path (Path): What is read and written.
    RETURNS (bool): Whether both are files, or can become some, or the first is a folder.
    """
    if get_stream(output_path) is not None:
        return False
    is_there = input_path.is_file() or input_path.is_dir()
    return is_there and (output_path.is_file() or not output_path.exists())


def describe_input(path: Path) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): What tells an input from another, or from itself after a change.

    path (Path): A file or a folder.
    """
    if path.is_dir():
        texts = digest_files(path, find_texts(path))
        return {"input": str(path.resolve()), "the digest of its texts": texts}
    stat = path.stat()
    return {
        "input": str(path.resolve()),
        "its size": stat.st_size,
        "its time": stat.st_mtime_ns,
    }


def digest_files(folder: Path, paths: Optional[List[Path]] = None) -> str:
    """Tell a folder from another, by the names, sizes and times of its files: weights may have
    gigabytes.

    folder (Path): A saved pipeline, or texts.
    paths (Optional[List[Path]]): The files that count, in their order; None for all.
    RETURNS (str): 16 digits and letters.
    """
    digest = sha256()
    for path in sorted(folder.rglob("*")) if paths is None else paths:
        if path.is_file():
            stat, name = path.stat(), path.relative_to(folder).as_posix()
            digest.update(os.fsencode(f"{name}\n{stat.st_size} {stat.st_mtime_ns}\n"))
    return digest.hexdigest()[:16]
