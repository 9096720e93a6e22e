"""The result of an evaluation as a table of 80 columns."""

from typing import Any, Dict, List, Literal, Optional

from wasabi import table

from ..terminal import printable
from .entity_counts import SAME_LABEL
from .summary import MIN_DOCS

LABEL_WIDTH = 20
LEGEND = (
    "F1 by exact span and label, 0 to 100, with its 95 % interval over documents.\n"
    "partial: F1 where a prediction of the right label that overlaps counts half."
)
LEGEND_OF_TWO = (
    "F1 from 0 to 100, by exact span and label. difference: of the second pipeline\n"
    "from the first, with its 95 % interval over documents."
)
FEW_DOCS = f"There are fewer than {MIN_DOCS} documents: too few for an interval."


def format_evaluation(result: Dict[str, Any]) -> str:
    """RETURNS (str): A table of at most 80 columns, with a legend.

    result (Dict[str, Any]): See `evaluate`.
    """
    labels = [None, *result["labels"]]
    if result["differences"] is None:
        header = ["label", "gold", "precision", "recall", "F1", "95 %", "partial"]
        rows = [_format_one(result["pipelines"][0], label) for label in labels]
        legend = LEGEND
    else:
        header = ["label", "gold", "F1", "F1 of second", "difference", "95 %"]
        rows = [_format_two(result, label) for label in labels]
        legend = LEGEND_OF_TWO
    right: List[Literal["l", "r"]] = ["r"] * (len(header) - 1)
    text = table(rows, header=header, divider=True, aligns=["l", *right], spacing=2)
    if result["pipelines"][0]["totals"]["strict"]["interval"] is None:
        legend = f"{legend}\n{FEW_DOCS}"
    return f"{text.strip()}\n\n{legend}\n"


def _format_one(pipeline: Dict[str, Any], label: Optional[str]) -> List[str]:
    scores = pipeline["totals"] if label is None else pipeline["by_label"][label]
    strict, partial = scores["strict"], scores[SAME_LABEL if label is None else "partial"]
    numbers = [_format(strict[key]) for key in ("precision", "recall", "f1")]
    interval = _format_ends(strict["interval"])
    return [_format_label(label), str(strict["gold"]), *numbers, interval, _format(partial["f1"])]


def _format_two(result: Dict[str, Any], label: Optional[str]) -> List[str]:
    parts = [*result["pipelines"], result["differences"]]
    found = [part["totals"] if label is None else part["by_label"].get(label) for part in parts]
    *scores, change = [part and part["strict"] for part in found]
    gold = next(score["gold"] for score in scores if score)
    numbers = [_format(score and score["f1"]) for score in scores]
    difference = _format(change["difference"], "+.1f")
    interval = _format_ends(change["interval"], "+.1f")
    return [_format_label(label), str(gold), *numbers, difference, interval]


def _format_label(label: Optional[str]) -> str:
    text = "all" if label is None else printable(" ".join(label.split()))
    return text if len(text) <= LABEL_WIDTH else f"{text[: LABEL_WIDTH - 1]}…"


def _format(value: Optional[float], form: str = ".1f") -> str:
    return "-" if value is None else format(value, form)


def _format_ends(interval: Optional[List[float]], form: str = ".1f") -> str:
    return "-" if interval is None else " to ".join(format(end, form) for end in interval)
