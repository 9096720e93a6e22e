"""A learning curve as a page."""

import math
from typing import Any, Dict, List, Tuple

from ..pages import render
from .curve_fit import TWICE
from .summary import format_time

# Steps between ticks, times powers of ten, and how many ticks there are at most.
STEPS, MAX_TICKS = (1, 2, 5), 6


def render_page(result: Dict[str, Any]) -> str:
    """RETURNS (str): A page in HTML.

    result (Dict[str, Any]): See `learning_curve`.
    """
    parts = [{**part, "time": format_time(part["seconds"])} for part in result["parts"]]
    return render(
        "learning_curve.html",
        title="Learning curve",
        lang="en",
        direction="ltr",
        result={**result, "parts": parts},
        plot=_plot(result),
    )


def _plot(result: Dict[str, Any]) -> Dict[str, Any]:
    """Everything that is drawn, with places from 0 to 1 on both axes."""
    curve = result["curve"] or []
    n_documents = result["parts"][-1]["documents"]
    runs = [(part, f1) for part in result["parts"] for f1 in part["f1_by_seed"]]
    values = [f1 for _, f1 in runs] + [point[name] for point in curve for name in ("low", "high")]
    y_ticks = make_ticks(min(values), max(values))
    last = TWICE if curve else 1.0
    x_ticks = make_ticks(0.0, last * n_documents)
    bottom, top, right = y_ticks[0], y_ticks[-1], x_ticks[-1]

    def place(share: float, f1: float) -> Tuple[float, float]:
        return share * n_documents / right, (f1 - bottom) / (top - bottom)

    points = []
    for point in curve:
        x, y = place(point["share"], point["f1"])
        low, high = (place(0.0, point[name])[1] for name in ("low", "high"))
        is_ahead = point["share"] >= 1.0
        points.append({"x": x, "f1": y, "low": low, "high": high, "is_ahead": is_ahead})
    circles = []
    for part, f1 in runs:
        x, y = place(part["documents"] / n_documents, f1)
        what = f"{part['documents']:,} documents: F1 {f1:.1f}"
        circles.append({"x": x, "f1": y, "what": what})
    return {
        "curve": points,
        "runs": circles,
        "now": n_documents / right,
        "x_ticks": [(tick / right, f"{tick:,.0f}") for tick in x_ticks],
        "y_ticks": [((tick - bottom) / (top - bottom), f"{tick:g}") for tick in y_ticks],
    }


def make_ticks(low: float, high: float) -> List[float]:
    """Choose round numbers for the ticks of an axis.

    low, high (float): The lowest and the highest value.
    RETURNS (List[float]): Ticks at whole numbers, from one below to one above the values.
    """
    power = 1
    while True:
        for step in (step * power for step in STEPS):
            first, last = math.floor(low / step), max(math.ceil(high / step), 1)
            if last == first:
                last += 1
            if last - first < MAX_TICKS:
                return [float(step * i) for i in range(first, last + 1)]
        power *= 10
