"""Select the texts of a pool that are worth labeling next."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy
from spacy.language import Language
from spacy.util import logger

from .. import __version__
from ..errors import UserError
from ..findings import number
from ..formats import Report, check_column, check_format, read_docs, write_docs
from ..formats.output import check_target
from ..formats.part import Part, open_part
from ..pipeline.bert_ner import BertNER
from ..types import Bools1d, Floats1d
from ..zones import take_at_most, take_batches
from .annotate import predict
from .checks import check_reread
from .diversity import choose_diverse, get_vectors
from .near_duplicates import NGrams, find_distinct, mark_contained
from .pipelines import explain_no_ents, explain_pipeline, load_pipeline
from .pool import BATCH, Pool, PoolText
from .resumable import can_resume, describe_input, digest_files
from .uncertainty import MEASURED, listing_candidates

# How many of the most uncertain texts are compared with each other and with labeled ones, and how
# many of these are clustered, as multiples of the number to select.
N_COMPARED, N_CLUSTERED = 10, 3


class NothingToSelectError(UserError):
    """A pool that has no texts, or none that differs from the labeled texts."""


@dataclass
class SelectReport:
    """What was selected.

    Attributes
    ----------
    pool, written (Report): Counts of what was read from the pool, and of what was written.
    n_wanted (int): Number of texts to select.
    n_texts (int): Number of texts of the pool.
    n_compared (int): Number of the most uncertain texts, which were compared.
    n_labeled, n_repeated (int): Numbers of these that are near-duplicates of labeled texts, and of
        other texts of the pool.
    errors_in_pool, errors_in_selected (float): Expected errors per 100 tokens, by text.
    """

    pool: Report
    written: Report
    n_wanted: int
    n_texts: int
    n_compared: int = 0
    n_labeled: int = 0
    n_repeated: int = 0
    errors_in_pool: float = 0.0
    errors_in_selected: float = 0.0

    def describe(self) -> str:
        """RETURNS (str): The counts, as lines of text."""
        texts = number(self.n_texts, "text")
        lines = [
            f"Selected {self.written.n_docs} of {texts}: {self.errors_in_selected:.1f} expected "
            f"errors per 100 tokens, {self.errors_in_pool:.1f} in the pool."
        ]
        if self.n_labeled or self.n_repeated:
            lines.append(
                f"Of the {self.n_compared} most uncertain texts, near-duplicates were left out: "
                f"{self.n_labeled} of labeled texts, {self.n_repeated} of other texts of the pool."
            )
        if self.written.n_docs < self.n_wanted:
            lines.append(
                f"{number(self.n_wanted, 'text')} were asked for, but the pool has no others "
                "except near-duplicates."
            )
        return "\n".join(lines)


def select(
    pipeline: str,
    pool_path: Path,
    output_path: Path,
    *,
    n: int = 200,
    labeled_path: Optional[Path] = None,
    sentences: bool = False,
    seed: int = 0,
    source: Optional[str] = None,
    target: Optional[str] = None,
    column: Optional[str] = None,
    batch_size: Optional[int] = None,
    skip_broken: bool = False,
    restart: bool = False,
    force: bool = False,
    notify: Callable[[str], None] = logger.info,
) -> SelectReport:
    """Select the texts of a file that are worth labeling next, and write them with the entities
    that the pipeline finds. Progress bars are shown on terminals.

    Selected are texts with many expected errors per token, of which no two are near-duplicates or
    in the same cluster of vectors. As in `annotate`, the same call resumes an interrupted one.

    pipeline (str): Name or path of a trained pipeline.
    pool_path (Path): The texts: a file, or a folder of .txt files.
    output_path (Path): Where to write the selected texts, the most uncertain one first.
    n (int): How many texts to select.
    labeled_path (Optional[Path]): A file of labeled documents: near-duplicates of these aren't
        selected.
    sentences (bool): Select sentences instead of whole documents.
    seed (int): Random seed of the clustering.
    source, target, column, batch_size, skip_broken, restart, notify: See `annotate`. The format of
        the labeled documents is guessed.
    force (bool): Replace an existing output.
    RETURNS (SelectReport): What was selected.
    RAISES (UserError): For input, pipelines and output that can't be read, loaded or written, for a
        pool without texts to select, and if scikit-learn isn't installed.
    """
    if n < 1:
        raise UserError(f"Can't select {number(n, 'text')}: --n must be at least 1.")
    source, target = _check_files(pool_path, output_path, labeled_path, source, target, force)
    check_column(source, column)
    grams = NGrams()
    nlp, ner = _load(pipeline)
    size = nlp.batch_size if batch_size is None else batch_size
    pool = Pool(pool_path, source, column, sentences)
    report = SelectReport(Report(skip_broken=skip_broken), Report(), n, 0)
    command = _describe(nlp, ner, pool)
    with (
        open_part(output_path, command, report.pool, notify, restart=restart) as part,
        explain_pipeline(pipeline),
    ):
        with (
            listing_candidates(ner),
            closing(pool.measure(nlp, size, report.pool)) as batches,
        ):
            for rows in batches:
                part.append([rows.tobytes()])
        rows, texts = _read_measured(nlp, pool, part, labeled_path, grams, report)
        vectors = get_vectors(nlp, ner, [text.make_doc(nlp) for text in texts], size)
        chosen = choose_diverse(vectors, rows["uncertainty"], n, seed)
        report.errors_in_selected = 100.0 * float(rows["uncertainty"][chosen].mean())
        selected = (texts[i].make_doc(nlp) for i in chosen.tolist())
        found = predict(nlp, selected, batch_size=size)
        write_docs(output_path, found, target, report.written)
        part.file.close()
        part.discard()
    return report


def _check_files(
    pool_path: Path,
    output_path: Path,
    labeled_path: Optional[Path],
    source: Optional[str],
    target: Optional[str],
    force: bool,
) -> Tuple[str, str]:
    """RETURNS (Tuple[str, str]): The formats of the pool and of the output.
    RAISES (UserError): For files that can't be read or written.
    """
    check_reread(pool_path, or_folder=True)
    if labeled_path is not None:
        check_reread(labeled_path)
        check_format(labeled_path)
    source = check_format(pool_path, source)
    target = check_format(output_path, target, for_writing=True)
    check_target(output_path, [path for path in (pool_path, labeled_path) if path is not None])
    if not can_resume(pool_path, output_path):
        raise UserError(f"Can't write {output_path}: it isn't a regular file. Name a file.")
    if output_path.exists() and not force:
        raise UserError(
            f"Can't write {output_path}: it already exists. Choose another output, or replace it "
            "with --force (force=True in Python)."
        )
    return source, target


def _load(pipeline: str) -> Tuple[Language, BertNER]:
    """RETURNS (Tuple[Language, BertNER]): A pipeline, and its component.
    RAISES (UserError): If it can't be loaded, sets no entities, or doesn't have one `bert_ner`.
    """
    nlp = load_pipeline(pipeline)
    no_ents = explain_no_ents(nlp, pipeline)
    if no_ents is not None:
        raise UserError(no_ents)
    found = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, BertNER)]
    if len(found) != 1:
        names = ", ".join(f"'{pipe.name}'" for pipe in found) or "none"
        raise UserError(
            f"Can't select with the pipeline '{pipeline}': it must have one bert_ner, whose scores "
            f"show what is uncertain, but it has {names}. Choose another pipeline."
        )
    return nlp, found[0]


def _describe(nlp: Language, ner: BertNER, pool: Pool) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): Everything that the measurements depend on, see `annotate`."""
    return {
        "spacy-bert-ner": __version__,
        "pipeline": str(nlp.path.resolve()),
        "the digest of its files": digest_files(nlp.path),
        **describe_input(pool.path),
        "--from": pool.source,
        "--column": pool.column,
        "--sentences": pool.sentences,
    }


def _read_measured(
    nlp: Language,
    pool: Pool,
    part: Part,
    labeled_path: Optional[Path],
    grams: NGrams,
    report: SelectReport,
) -> Tuple[Floats1d, List[PoolText]]:
    """Find texts with the measurements of a partial output, see `_find_texts`. If there are none,
    it is removed: the same command can't succeed."""
    part.file.seek(0)
    measured = numpy.frombuffer(part.file.read(), dtype=MEASURED)
    try:
        return _find_texts(nlp, pool, measured, labeled_path, grams, report)
    except NothingToSelectError:
        part.discard()
        raise


def _find_texts(
    nlp: Language,
    pool: Pool,
    measured: Floats1d,
    labeled_path: Optional[Path],
    grams: NGrams,
    report: SelectReport,
) -> Tuple[Floats1d, List[PoolText]]:
    """Find the most uncertain texts that aren't near-duplicates. More texts are compared until
    there are enough.

    RETURNS (Tuple[Floats1d, List[PoolText]]): The texts, the most uncertain one first, of the type
        `MEASURED`, (n_texts,), and what they are.
    RAISES (UserError): If there are none.
    """
    if not len(measured):
        raise NothingToSelectError(
            f"There is nothing to select in {pool.path}: it has no texts. Name another file."
        )
    report.n_texts = len(measured)
    order = numpy.argsort(-measured["uncertainty"], kind="stable")
    n_compared = N_COMPARED * report.n_wanted
    while True:
        rows = measured[order[:n_compared]]
        texts = pool.read(nlp, rows, skip_broken=report.pool.skip_broken)
        counts = grams.count(text.text for text in texts)
        is_new = ~_mark_labeled(nlp, counts, labeled_path, grams)
        distinct = numpy.nonzero(is_new)[0][find_distinct(counts[is_new])]
        if len(distinct) >= N_CLUSTERED * report.n_wanted or len(rows) == len(measured):
            break
        n_compared *= 2
    if not len(distinct):
        raise NothingToSelectError(
            f"There is nothing to select in {pool.path}: of {number(len(measured), 'text')}, none "
            "differs from the labeled texts. Name a file with other texts."
        )
    report.n_compared, report.n_labeled = len(rows), int((~is_new).sum())
    report.n_repeated = len(rows) - report.n_labeled - len(distinct)
    report.errors_in_pool = 100.0 * float(measured["uncertainty"].mean())
    distinct = distinct[: N_CLUSTERED * report.n_wanted]
    return rows[distinct], [texts[i] for i in distinct.tolist()]


def _mark_labeled(nlp: Language, counts: Any, path: Optional[Path], grams: NGrams) -> Bools1d:
    """RETURNS (Bools1d): Whether texts are near-duplicates of labeled ones, bool, (n_texts,)."""
    marks = numpy.zeros(counts.shape[0], dtype=bool)
    if path is not None:
        for batch in take_batches([nlp], read_docs(path, nlp), take_at_most(BATCH)):
            marks |= mark_contained(counts, grams.count(doc.text for doc in batch))
    return marks
