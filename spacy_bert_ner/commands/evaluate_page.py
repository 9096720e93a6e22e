"""The result of an evaluation as a page."""

from typing import Any, Dict

from ..pages import render
from .summary import MIN_DOCS

# Labels with their own row; the page says how many others there are.
MAX_ROWS = 100


def render_page(result: Dict[str, Any]) -> str:
    """RETURNS (str): A page in HTML.

    result (Dict[str, Any]): See `evaluate`.
    """
    return render(
        "evaluate.html",
        title="Evaluation of entities",
        lang="en",
        direction="ltr",
        result=result,
        two=len(result["pipelines"]) == 2,
        max_rows=MAX_ROWS,
        min_docs=MIN_DOCS,
    )
