"""Calibrate the scores of a pipeline on documents that it wasn't trained on."""

import math
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

import numpy
from spacy.language import Language
from wasabi import table

from ..errors import UserError
from ..formats import check_format
from ..hf.folders import check_folder, write_folder
from ..pipeline.bert_ner import BertNER
from ..pipeline.components import find_component
from ..tagging.calibration import CALIBRATION, NAMED, Calibration, CandidateSettings, Curve
from ..types import Bools1d, Floats1d
from .checks import check_input
from .guarantees import check_target, find_precision_threshold, find_recall_threshold
from .pipelines import explain_pipeline, load_pipeline
from .reliability import LEAST_OUTCOMES, fit_curve, fit_held_out, get_error, import_sklearn
from .scored_entities import Sample, read_sample, uncalibrated


class ScoreRow(NamedTuple):
    """What calibration does to a score, measured by cross-validation.

    name (str): "exact", "edges" or "type".
    n_entities (int): Entities for which the event is known.
    right (float): The share of them for which it happened.
    before, after (float): The mean score.
    error_before, error_after (float): The expected calibration error.
    is_calibrated (bool): Whether there are enough entities to calibrate it.
    """

    name: str
    n_entities: int
    right: float
    before: float
    after: float
    error_before: float
    error_after: float
    is_calibrated: bool


class CalibrationReport(NamedTuple):
    """What was calibrated, and on what.

    n_docs, n_ents (int): Numbers of annotated documents and of their entities.
    rows (List[ScoreRow]): The named scores.
    threshold (Optional[float]): The lowest score of an entity, if a precision is guaranteed.
    log_lowest (Optional[float]): Logarithm of the lowest probability of a candidate, if a recall is
        guaranteed.
    n_candidates (int): Number of candidates in the documents.
    """

    n_docs: int
    n_ents: int
    rows: List[ScoreRow]
    threshold: Optional[float] = None
    log_lowest: Optional[float] = None
    n_candidates: int = 0


def calibrate(
    pipeline: str,
    dev_path: Path,
    output_path: Path,
    *,
    target_recall: Optional[float] = None,
    target_precision: Optional[float] = None,
    component: Optional[str] = None,
    source: Optional[str] = None,
    force: bool = False,
) -> CalibrationReport:
    """Write a pipeline with calibrated scores. It finds the same entities, unless a precision is
    guaranteed. A progress bar is shown on terminals.

    pipeline (str): Name or path of a trained pipeline.
    dev_path (Path): Documents with gold entities that the pipeline wasn't trained on.
    output_path (Path): A folder, new or empty.
    target_recall (Optional[float]): Also write candidates, which have this share of the entities of
        a document in expectation.
    target_precision (Optional[float]): Leave out entities with low scores, so that this share of
        the others is right, with a probability of at least 0.9.
    component (Optional[str]): Name of the `bert_ner`, if there are several.
    source (Optional[str]): Format of the documents; by default guessed from the file name.
    force (bool): Replace a folder that isn't empty.
    RETURNS (CalibrationReport): What was calibrated.
    RAISES (UserError): For files and pipelines that can't be read, loaded or written, for too few
        documents, and if scikit-learn isn't installed.
    """
    import_sklearn()
    targets = {"--target-recall": target_recall, "--target-precision": target_precision}
    for option, target in targets.items():
        if target is not None:
            check_target(option, target)
    check_input(dev_path)
    source = check_format(dev_path, source)
    check_folder(output_path, force, pipeline)
    nlp = load_pipeline(pipeline)
    name, ner = find_component(nlp, component)
    _check_component(nlp, name, ner, target_precision)
    with explain_pipeline(pipeline), uncalibrated(ner, with_candidates=target_recall is not None):
        sample = read_sample(nlp, dev_path, source)
    calibration, report = fit(sample, target_recall, target_precision)
    ner.cfg[CALIBRATION] = calibration.to_json()
    if report.threshold is not None:
        ner.cfg["threshold"] = report.threshold
        nlp.meta.pop("performance", None)  # of all entities
    with write_folder(output_path, force=force) as folder:
        nlp.to_disk(folder)
    return report


def _check_component(
    nlp: Language, name: str, ner: BertNER, target_precision: Optional[float]
) -> None:
    if name not in nlp.pipe_names:
        raise UserError(f"'{name}' is disabled, so it has no scores. Enable it in config.cfg.")
    threshold = ner.cfg["threshold"]
    if threshold > 0 and target_precision is None:
        raise UserError(
            f"'{name}' has threshold = {threshold}, which is a limit for its scores as they are "
            "now: set it to 0 in config.cfg, or choose a new one with --target-precision."
        )


def fit(
    sample: Sample, target_recall: Optional[float] = None, target_precision: Optional[float] = None
) -> Tuple[Calibration, CalibrationReport]:
    """Calibrate scores, and find the thresholds of targets.

    sample (Sample): The scores, with all candidates if there is a target for recall.
    target_recall, target_precision (Optional[float]): See `calibrate`.
    RETURNS (Tuple[Calibration, CalibrationReport]): The calibration, and what it is about.
    RAISES (UserError): If there are too few entities.
    """
    curves, rows = {}, []
    for name in NAMED:
        chosen, event = sample.get_rows(name), sample.get_event(name)
        scores, right = numpy.array(sample.scores[name])[chosen], event[chosen]
        # The guarantee needs an order of entities that doesn't depend on which of them are right.
        keeps_order = name == "exact" and target_precision is not None
        labels = None if keeps_order else [sample.labels[i] for i in chosen]
        curve = fit_curve(scores, right, labels)
        if curve is not None:
            curves[name] = curve
        documents = numpy.array(sample.documents, dtype="int64")[chosen]
        after = fit_held_out(scores, right, labels, documents)
        rows.append(_measure(name, scores, right, after, curve is not None))
    if "exact" not in curves:
        _refuse(sample)
    report = CalibrationReport(sample.n_docs, sample.n_ents, rows)
    if target_precision is not None:
        exact = numpy.array(sample.scores["exact"])
        scores = curves["exact"].apply(exact, numpy.zeros(len(exact), dtype="int64"), [""])
        threshold = find_precision_threshold(scores, sample.get_event("exact"), target_precision)
        report = report._replace(threshold=threshold)
    if target_recall is None:
        return Calibration(curves), report
    candidates = fit_candidates(sample, target_recall)
    lowest = math.exp(candidates.log_lowest)
    n_candidates = int((numpy.array(sample.candidate_scores) >= lowest).sum())
    report = report._replace(log_lowest=candidates.log_lowest, n_candidates=n_candidates)
    return Calibration(curves, candidates), report


def fit_candidates(sample: Sample, target_recall: float) -> CandidateSettings:
    """Find the candidates that have a share of the entities in expectation. Their scores have one
    curve, which keeps their order, for the guarantee.

    sample (Sample): The scores, with all candidates.
    target_recall (float): The share, above 0 and below 1.
    RETURNS (CandidateSettings): Which candidates are written, and their scores.
    RAISES (UserError): If there are too few documents, or the candidates have too few entities.
    """
    threshold = find_recall_threshold(list(sample.gold.values()), target_recall)
    scores, right = numpy.array(sample.candidate_scores), numpy.array(sample.candidate_right)
    curve = fit_curve(scores, right)
    # Rounded down, since saved numbers have few decimals.
    log_lowest = math.floor(threshold * 1e4) / 1e4
    return CandidateSettings(log_lowest, Curve(1.0, 0.0) if curve is None else curve)


def _measure(
    name: str, scores: Floats1d, right: Bools1d, after: Floats1d, is_calibrated: bool
) -> ScoreRow:
    if not len(scores):
        return ScoreRow(name, 0, *(math.nan,) * 5, is_calibrated)
    return ScoreRow(
        name,
        len(scores),
        float(right.mean()),
        float(scores.mean()),
        float(after.mean()),
        get_error(scores, right),
        get_error(after, right),
        is_calibrated,
    )


def _refuse(sample: Sample) -> None:
    """RAISES (UserError): Why the score can't be calibrated."""
    right = sum(sample.exact)
    wrong = len(sample.exact) - right
    if min(right, wrong) >= LEAST_OUTCOMES:
        raise UserError(
            "Can't calibrate scores that don't tell right entities from wrong ones: in these "
            "documents, entities with higher scores aren't right more often. Train the pipeline."
        )
    raise UserError(
        f"Can't calibrate on {right} right and {wrong} wrong entities, since at least "
        f"{LEAST_OUTCOMES} of each are needed. Use more documents."
    )


def format_rows(rows: List[ScoreRow]) -> str:
    """Format what calibration does as a table.

    rows (List[ScoreRow]): The named scores.
    RETURNS (str): The table.
    """
    header = ("Score", "Entities", "Right", "Mean", "After", "Error", "After")
    data = [
        (
            row.name,
            str(row.n_entities),
            *(f"{value:.3f}" for value in row[2:5]),
            f"{row.error_before:.3f}",
            f"{row.error_after:.3f}" if row.is_calibrated else "too few",
        )
        for row in rows
    ]
    return table(data, header=header, divider=True, aligns=("l", *"rrrrrr"))
