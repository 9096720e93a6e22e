"""Web pages that show the entities in the text, with their scores."""

from functools import cache
from typing import Any, Dict, Iterator, Optional, Tuple

from spacy.tokens import Doc

from ..pages import get_hue
from ..pages import render as render_template
from .files import get_fields
from .report import Report
from .spans import get_scores

# Placeholder for the documents, at which a page is cut. No name of a language contains it.
CUT = "\0"
LONGEST_ID = 40


def start(doc: Optional[Doc]) -> str:
    """RETURNS (str): The page before its first document, in the language of that document.

    doc (Optional[Doc]): The first document, None if there is none.
    """
    lang = "" if doc is None or doc.vocab.lang == "xx" else doc.vocab.lang
    return _make_page(lang, "ltr" if doc is None else _get_direction(doc))[0]


def end() -> str:
    """RETURNS (str): The page after its last document."""
    return _make_page("", "ltr")[1]


@cache
def _make_page(lang: str, direction: str) -> Tuple[str, str]:
    page = render_template(
        "annotate.html", title="Entities", lang=lang, direction=direction, documents=CUT
    )
    before, _, after = page.rpartition(CUT)
    return before + "\n", f"{after}\n"


def _get_direction(doc: Doc) -> str:
    return doc.vocab.writing_system.get("direction", "ltr")


def render(doc: Doc, report: Report) -> str:
    """RETURNS (str): The part of the page that shows a document.

    doc (Doc): The document.
    report (Report): Counts the documents, which gives the number of this one.
    """
    lang = doc.vocab.lang
    # Without a language, the direction depends on the letters of each text.
    direction = "auto" if lang in ("", "xx") else _get_direction(doc)
    article = render_template(
        "document.html",
        number=report.n_docs,
        id=_get_id(doc),
        direction=direction,
        parts=list(_iter_parts(doc)),
    )
    return f"{article}\n"


def _get_id(doc: Doc) -> Optional[str]:
    value = get_fields(doc).get("id")
    if not isinstance(value, (str, int)):
        return None
    text = str(value)
    return text if len(text) <= LONGEST_ID else text[:LONGEST_ID] + "…"


def _iter_parts(doc: Doc) -> Iterator[Dict[str, Any]]:
    """YIELDS (Dict[str, Any]): The text in pieces, in order: entities, and the text between."""
    text, at = doc.text, 0
    scores = get_scores(doc) or {}
    for ent in doc.ents:
        yield {"text": text[at : ent.start_char], "label": None}
        yield {
            "text": text[ent.start_char : ent.end_char],
            "label": ent.label_,
            "hue": get_hue(ent.label_),
            "score": scores.get((ent.start, ent.end, ent.label)),
        }
        at = ent.end_char
    yield {"text": text[at:], "label": None}
