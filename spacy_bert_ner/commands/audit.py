"""Find label errors of a corpus by cross-validation."""

import math
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, List, Mapping, Optional, Sequence, Tuple

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import SimpleFrozenDict, logger
from wasabi import table

from ..errors import UserError
from ..formats import Report, check_format, read_docs
from ..formats.output import open_locked, replace_file, sync
from ..formats.progress import Progress
from ..hf.folders import check_folder, report_unwritable
from .audit_folds import Folds, Predictions, predict_folds, split_docs
from .audit_output import Audit, write_audit
from .audit_strings import find_inconsistencies
from .audit_suspects import find_suspects
from .checks import check_reread, load_blank, read_config, require_gpu
from .runs import digest, make_key

# Folder of the predictions, in the output.
FOLDS = "folds"
# Settings that the audit itself sets.
RESERVED = ("paths.train", "paths.dev", "system.seed")


def audit(
    corpus_path: Path,
    output_path: Path,
    *,
    config: Optional[Path] = None,
    overrides: Mapping[str, Any] = SimpleFrozenDict(),
    folds: int = 5,
    seed: int = 0,
    top: Optional[int] = None,
    source: Optional[str] = None,
    use_gpu: int = -1,
    force: bool = False,
    notify: Callable[[str], None] = logger.info,
) -> Audit:
    """Find suspected label errors of a corpus: train a pipeline for each fold on the other folds,
    and compare its predictions with the annotation. Write them as a page, as JSON lines, and as
    files to correct. If the process ends early, the same call resumes after the last finished fold.

    corpus_path (Path): Documents with gold entities. Those without annotation are left out.
    output_path (Path): A folder, new or empty, or that of an audit with the same corpus and
        settings.
    config (Optional[Path]): The config of the trainings; by default, the one that `init_config`
        makes for the training data.
    overrides (Mapping[str, Any]): Settings that override those of the config.
    folds (int): Number of folds, at least 2.
    seed (int): Seed of the folds and of the trainings.
    top (Optional[int]): Number of suspects whose documents are written to be corrected; by default
        a tenth of the number of gold entities.
    source (Optional[str]): Format of the documents; by default guessed from the file name.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    force (bool): Replace a folder that isn't empty.
    notify (Callable[[str], None]): Gets a line when a training begins, with the time left.
    RETURNS (Audit): The suspects, and strings that are annotated in several ways.
    RAISES (UserError): For a corpus that can't be read, has no entities or too few documents, for a
        config or a training that fails, and for a folder that can't be written.
    """
    corpus_path, output_path = Path(corpus_path), Path(output_path)
    check_reread(corpus_path)
    source = check_format(corpus_path, source)
    _check_numbers(folds, top)
    _check_overrides(overrides)
    require_gpu(use_gpu)
    nlp = spacy.blank("en") if config is None else load_blank(config, dict(overrides))
    text = None if config is None else read_config(config, interpolate=False).to_str()
    key = make_key([digest(corpus_path), source, text, dict(overrides), folds, seed])
    inputs = [path for path in (corpus_path, config) if path is not None]
    is_mine = _check_run(output_path, key, inputs, force)
    docs, n_left_out = _read_corpus(corpus_path, source, nlp, notify)
    rows = split_docs(docs, folds, seed)
    labels = sorted({ent.label_ for doc in docs for ent in doc.ents})
    with _open_run(output_path, key, is_mine=is_mine):
        plan = Folds(output_path / FOLDS, rows, dict(overrides), seed, use_gpu)
        if text is not None:
            with replace_file(plan.config) as file:
                file.write(text.encode("utf-8"))
        predictions = predict_folds(plan, docs, labels, notify)
        result = inspect(str(corpus_path), docs, n_left_out, folds, predictions)
        write_audit(result, output_path, get_top(result) if top is None else top)
    return result


def inspect(
    corpus: str, docs: List[Doc], n_left_out: int, n_folds: int, predictions: Predictions
) -> Audit:
    """Compare predictions with the annotation.

    corpus (str): Name of the corpus.
    docs (List[Doc]): Its annotated documents.
    n_left_out (int): Number of documents without annotation.
    n_folds (int): Number of folds.
    predictions (Predictions): The out-of-fold predictions of the documents.
    RETURNS (Audit): The suspects, and strings that are annotated in several ways.
    """
    suspects, strings = find_suspects(docs, predictions), find_inconsistencies(docs)
    labels = list(predictions.tag_set.labels)
    return Audit(corpus, docs, n_left_out, n_folds, labels, suspects, strings)


def get_top(result: Audit) -> int:
    """RETURNS (int): A tenth of the number of gold entities.

    result (Audit): The audit.
    """
    return math.ceil(result.n_ents / 10)


def _check_numbers(folds: int, top: Optional[int]) -> None:
    for name, value, least in (("folds", folds, 2), ("top", top, 1)):
        if value is not None and value < least:
            raise UserError(f"{name} = {value} is too low: use {least} or more.")


def _check_overrides(overrides: Mapping[str, Any]) -> None:
    for name in RESERVED:
        if name in overrides:
            way_out = "Use --seed" if name == "system.seed" else "Leave it out"
            raise UserError(
                f"Can't override {name} with {overrides[name]!r}: each fold has its own data, and "
                f"the seed of the audit. {way_out}."
            )


def _read_corpus(
    path: Path, source: str, nlp: Language, notify: Callable[[str], None]
) -> Tuple[List[Doc], int]:
    """RETURNS (Tuple[List[Doc], int]): The annotated documents, and the number of others."""
    report = Report()
    with Progress(path, source, report) as progress:
        docs = list(progress.each(report.count(read_docs(progress.path, nlp, source, report))))
    kept = [doc for doc in docs if doc.has_annotation("ENT_IOB")]
    if not any(doc.ents for doc in kept):
        raise UserError(f"{path} has no gold entities. Name a file with annotated entities.")
    if report.message():
        notify(report.message())
    return kept, len(docs) - len(kept)


def _check_run(output: Path, key: str, inputs: Sequence[Path], force: bool) -> bool:
    """RETURNS (bool): Whether the folder has the same audit.
    RAISES (UserError): For any other folder that isn't empty, unless `force`.
    """
    state = output / FOLDS / "key"
    is_audit = state.is_file()
    if is_audit and state.read_text(encoding="utf-8", errors="replace") in ("", key):
        return True
    if is_audit and not force:
        raise UserError(
            f"{output} has an audit with another corpus, config, seed or number of folds. "
            "Choose another folder, or replace it with --force (force=True in Python)."
        )
    for path in inputs:
        check_folder(output, force, path)
    return False


@contextmanager
def _open_run(output: Path, key: str, *, is_mine: bool) -> Iterator[None]:
    """Create the folder of an audit, or open an existing one of the same audit. It is locked."""
    state = output / FOLDS / "key"
    if not is_mine:
        if state.is_file():
            open_locked(state).close()  # refused while another process writes it
        with report_unwritable(output):
            if output.is_dir():
                _empty(output)
            state.parent.mkdir(parents=True, exist_ok=True)
    with open_locked(state) as file:
        file.write(key.encode("utf-8"))
        sync(file, state)
        yield


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def format_audit(result: Audit) -> str:
    """Format the numbers of suspects as a table.

    result (Audit): The audit.
    RETURNS (str): The table.
    """
    rows = [(kind, str(n)) for kind, n in result.count_kinds().items()]
    rows.append(("all", str(len(result.suspects))))
    text = table(rows, header=("Kind", "Suspects"), divider=True, aligns=("l", "r"))
    return f"{text.strip()}\n"
