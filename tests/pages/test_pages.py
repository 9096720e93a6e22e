import colorsys
import re

import pytest
from jinja2 import UndefinedError

from spacy_bert_ner.pages import HUES, get_hue, render

PAGE = render("base.html", title="", lang="en", direction="ltr")
# WCAG's level AA, for text of any size.
LEAST_CONTRAST = 4.5


def read_colors(block):
    return dict(re.findall(r"--([a-z-]+): ([^;]+);", block))


LIGHT, DARK = (read_colors(block) for block in re.findall(r":root \{(.*?)\}", PAGE, re.DOTALL)[:2])


def get_luminance(rgb):
    channels = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), channels))


def get_contrast(one, other):
    low, high = sorted((get_luminance(one), get_luminance(other)))
    return (high + 0.05) / (low + 0.05)


def from_hex(text):
    digits = text.strip("#")
    digits = digits if len(digits) == 6 else "".join(2 * char for char in digits)
    return [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]


def from_hue(hue, colors, part):
    saturation, lightness = (float(colors[f"{part}-{key}"].strip("%")) / 100 for key in "sl")
    return colorsys.hls_to_rgb(hue / 360, lightness, saturation)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(colors):
    """Of text in entities and in labels, whatever the hue; and of the page itself."""
    for hue in range(360):
        ent, label = (from_hue(hue, colors, part) for part in ("ent", "label"))
        assert get_contrast(from_hex(colors["ink"]), ent) > LEAST_CONTRAST
        assert get_contrast(from_hex(colors["label-ink"]), label) > LEAST_CONTRAST
    for name in ("ink", "faint", "link"):
        assert get_contrast(from_hex(colors[name]), from_hex(colors["page"])) > LEAST_CONTRAST


def test_hues():
    """The same in every process, of labels of one's own as well."""
    assert get_hue("INGREDIENT") == 159
    assert get_hue("") == 0
    assert [get_hue(label) for label in HUES] == list(HUES.values())
    hues = [get_hue(f"LABEL{i}") for i in range(100)]
    assert all(0 <= hue < 360 for hue in hues) and len(set(hues)) > 80


def test_values_are_escaped_and_complete():
    values = {"number": 1, "id": "<b>&\"'", "direction": "ltr", "parts": []}
    assert "&lt;b&gt;&amp;&#34;&#39;" in render("document.html", **values)
    with pytest.raises(UndefinedError, match="'parts' is undefined"):
        render("document.html", number=1, id=None, direction="ltr")
