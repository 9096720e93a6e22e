"""Calibrated scores of entities, and what a pipeline saves of them."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy

from ..errors import UserError
from ..types import Floats1d, Ints1d
from .decode import Entities

# Key in the `cfg` of a component.
CALIBRATION = "calibration"
# The named scores, with their columns in `Entities`.
NAMED = {"exact": "scores", "edges": "edges_scores", "type": "type_scores"}
# The lowest and highest score that are told apart: the highest float32 below 1 is 1 - 6e-8.
LOWEST, HIGHEST = 1e-9, 1.0 - 1e-7


def get_logits(scores: Floats1d) -> Floats1d:
    """RETURNS (Floats1d): log(score / (1 - score)), float64, from -21 to 16, (n_entities,).

    scores (Floats1d): Scores, 0 to 1, (n_entities,).
    """
    clipped = numpy.clip(scores.astype("float64"), LOWEST, HIGHEST)
    logits: Floats1d = numpy.log(clipped) - numpy.log1p(-clipped)
    return logits


@dataclass(frozen=True)
class Curve:
    """From the score of an entity to the probability of an event, by logistic regression on the
    logit of the score (Platt 1999). 1 / slope is a temperature (Guo et al. 2017), of the score
    instead of the tags.

    Attributes
    ----------
    slope (float): What the logit is multiplied with, above 0, so that the order of scores stays.
    intercept (float): What is added to it.
    shifts (Dict[str, float]): What is added besides, for each label that was seen.
    """

    slope: float
    intercept: float
    shifts: Dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Curve":
        """Read a curve.

        data (Mapping[str, Any]): The result of `asdict`.
        RETURNS (Curve): The curve.
        RAISES (UserError): For numbers that make no curve. TypeError: For data of another form.
        """
        curve = cls(**data)
        numbers = [curve.slope, curve.intercept, *curve.shifts.values()]
        if not all(math.isfinite(value) for value in numbers) or curve.slope <= 0:
            raise UserError(f"{curve} is no calibration")
        return curve

    def apply(self, scores: Floats1d, label_ids: Ints1d, labels: Sequence[str]) -> Floats1d:
        """Calculate probabilities.

        scores (Floats1d): Scores, 0 to 1, (n_entities,).
        label_ids (Ints1d): Index of the label of each, (n_entities,).
        labels (Sequence[str]): The labels.
        RETURNS (Floats1d): Probabilities, float32, (n_entities,).
        """
        shifts = numpy.array([self.shifts.get(label, 0.0) for label in labels])
        logits = self.slope * get_logits(scores) + self.intercept
        if self.shifts:
            logits = logits + shifts[label_ids]
        probs: Floats1d = (1.0 / (1.0 + numpy.exp(-logits))).astype("float32")
        return probs


class CandidateSettings(NamedTuple):
    """Which spans are candidates.

    log_lowest (float): Logarithm of the lowest probability of a candidate.
    curve (Curve): From the probability of a span, given by its tags, to its score.
    """

    log_lowest: float
    curve: Curve


@dataclass(frozen=True)
class Calibration:
    """How the scores of a component are calibrated.

    Attributes
    ----------
    curves (Dict[str, Curve]): By the name of a score. Scores without one stay as they are.
    candidates (Optional[CandidateSettings]): Which candidates are written; None for none.
    """

    curves: Dict[str, Curve] = field(default_factory=dict)
    candidates: Optional[CandidateSettings] = None

    @classmethod
    def from_cfg(cls, cfg: Mapping[str, Any]) -> "Calibration":
        """Read the calibration of a component.

        cfg (Mapping[str, Any]): Its `cfg`.
        RETURNS (Calibration): The calibration; one that changes nothing if there is none.
        RAISES (UserError): For a calibration that can't be used. KeyError, TypeError: For data of
            another form.
        """
        data = dict(cfg.get(CALIBRATION, {}))
        found = data.pop("candidates", None)
        candidates = None
        if found is not None:
            log_lowest = float(found["log_lowest"])
            candidates = CandidateSettings(log_lowest, Curve.from_json(found["curve"]))
        unknown = sorted({*data} - {*NAMED})
        if unknown:
            raise UserError(f"unknown scores {unknown} in {CALIBRATION}")
        return cls({name: Curve.from_json(curve) for name, curve in data.items()}, candidates)

    def to_json(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): What is saved in the `cfg` of a component."""
        data: Dict[str, Any] = {name: asdict(curve) for name, curve in self.curves.items()}
        if self.candidates is not None:
            log_lowest, curve = self.candidates
            data["candidates"] = {"log_lowest": log_lowest, "curve": asdict(curve)}
        return data

    def apply(self, entities: Entities, labels: Sequence[str]) -> Entities:
        """Calibrate the scores of entities.

        entities (Entities): The entities, with scores of the tags.
        labels (Sequence[str]): The labels.
        RETURNS (Entities): The same entities with calibrated scores.
        """
        columns: List[Any] = []
        names = {column: name for name, column in NAMED.items()}
        for column, values in vars(entities).items():
            curve = self.curves.get(names.get(column, ""))
            columns.append(
                values if curve is None else curve.apply(values, entities.labels, labels)
            )
        return Entities(*columns)
