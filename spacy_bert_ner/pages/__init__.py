"""Web pages from the templates in `templates/`, all in one style. A page is one file that loads
nothing else, and all values in it are escaped."""

from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .. import __version__

TEMPLATES = Path(__file__).parent / "templates"
# Labels that often occur together get hues that are easy to distinguish.
HUES = {
    "PER": 210,
    "PERSON": 210,
    "ORG": 35,
    "LOC": 140,
    "GPE": 160,
    "MISC": 285,
    "NORP": 315,
    "DATE": 60,
    "TIME": 80,
    "PRODUCT": 0,
    "EVENT": 335,
    "FAC": 185,
}


def render(template: str, **values: Any) -> str:
    """Fill in a template. Values are escaped, except those that are markup already.

    values (Any): The variables of the template.
    template (str): The name of a file in `templates/`.
    RETURNS (str): HTML.
    """
    return _get_environment().get_template(template).render(values)


def get_hue(label: str) -> int:
    """RETURNS (int): The hue of a label in degrees, 0 to 359, the same on every page. Saturation
    and lightness depend on the page, which may be light or dark.

    label (str): The label.
    """
    return HUES.get(label, crc32(label.encode("utf-8")) % 360)


@cache
def _get_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    environment.globals.update(version=__version__, get_hue=get_hue)
    return environment
