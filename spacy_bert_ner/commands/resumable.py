"""Write outputs in batches of documents, and resume after an interruption."""

import os
from contextlib import closing
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, Callable, Dict, Generator, Iterable, List, Optional

from spacy.language import Language
from spacy.tokens import Doc

from ..formats.output import get_stream
from ..formats.part import open_part
from ..formats.report import Report
from ..formats.text import find_texts
from ..formats.writing import Writer
from ..pipeline.encoders import iter_encoders


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
    """Write documents, if possible after those of an interrupted run.

    batches (Generator[Iterable[Doc], None, None]): Makes the documents after the records that the
        report has already counted at the first step. Closed before an error is printed.
    writer (Writer): Writes the format.
    input_path, output_path (Path): The input and the output.
    report (Report): Counts what is written.
    describe (Callable[[], Dict[str, Any]]): Everything that the output depends on, see `Part`.
    restart (bool): Discard the partial output of an earlier run.
    notify (Callable[[str], None]): Gets a message if it resumes, and if it stops early.
    RAISES (FormatError): For an output that can't be written or resumed.
    """
    if not can_resume(input_path, output_path):
        writer.write(output_path, chain.from_iterable(batches), report)
        return
    # After an error, the progress bar is closed before anything is printed.
    with open_part(output_path, describe(), report, notify, restart=restart) as part:
        with closing(batches):
            for docs in batches:
                part.append(writer.pack(docs, report, is_first=not report.n_docs))
        part.finish(writer)


def can_resume(input_path: Path, output_path: Path) -> bool:
    """Whether a run can be resumed. With pipes and devices, this isn't possible: they can't be read
    from a position, and their end can't be cut off.

    input_path, output_path (Path): The input and the output.
    RETURNS (bool): Whether both are files (a new one for the output), or the input is a folder.
    """
    if get_stream(output_path) is not None:
        return False
    is_there = input_path.is_file() or input_path.is_dir()
    return is_there and (output_path.is_file() or not output_path.exists())


def describe_input(path: Path) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): Facts that identify an input and its state.

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


def get_precisions(nlp: Language) -> List[str]:
    """Find the precision that each encoder of a pipeline computes with. For `precision = "auto"`,
    it depends on the device, and half precision changes scores by about 0.01.

    nlp (Language): The pipeline.
    RETURNS (List[str]): "fp32", "bf16" or "fp16" for each encoder of this package.
    """
    models = [getattr(pipe, "model", None) for _, pipe in nlp.pipeline]
    encoders = [encoder for model in models for encoder in iter_encoders(model)]
    return [encoder.shim.used_precision for encoder in encoders if encoder.is_ours]


def digest_files(folder: Path, paths: Optional[List[Path]] = None) -> str:
    """Identify a folder by the names, sizes and times of its files. Their content isn't read, since
    weights may have gigabytes.

    folder (Path): A saved pipeline, or texts.
    paths (Optional[List[Path]]): The files to use, in their order; None for all.
    RETURNS (str): 16 digits and letters.
    """
    digest = sha256()
    for path in sorted(folder.rglob("*")) if paths is None else paths:
        if path.is_file():
            stat, name = path.stat(), path.relative_to(folder).as_posix()
            digest.update(os.fsencode(f"{name}\n{stat.st_size} {stat.st_mtime_ns}\n"))
    return digest.hexdigest()[:16]
