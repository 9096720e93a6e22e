"""Entities marked in the text, as a web page by displaCy."""

from functools import cache
from typing import Any, Dict, Optional

from spacy import displacy
from spacy.displacy.render import DEFAULT_DIR, DEFAULT_LANG, EntityRenderer
from spacy.displacy.templates import TPL_PAGE
from spacy.tokens import Doc
from spacy.util import escape_html

from .report import Report

_HEAD, TAIL = TPL_PAGE.strip().split("{content}")


def start(doc: Optional[Doc]) -> str:
    """RETURNS (str): The page before its first document, in the language of that."""
    return _make_head({} if doc is None else displacy.get_doc_settings(doc))


def _make_head(settings: Dict[str, Any]) -> str:
    lang, direction = settings.get("lang", DEFAULT_LANG), settings.get("direction", DEFAULT_DIR)
    return _HEAD.format(lang=lang, dir=direction)


def render(doc: Doc, report: Report) -> str:
    """RETURNS (str): The figure of a document, from the page that displaCy makes of it."""
    # displaCy's own reading of documents warns of those without entities, and leaves their labels
    # as they are.
    ents = [
        {"start": ent.start_char, "end": ent.end_char, "label": escape_html(ent.label_)}
        for ent in doc.ents
    ]
    settings = displacy.get_doc_settings(doc)
    parsed = {"text": doc.text, "ents": ents, "settings": settings}
    page = _get_renderer().render([parsed], page=True).strip()
    return page[len(_make_head(settings)) : -len(TAIL)]


@cache
def _get_renderer() -> EntityRenderer:
    return EntityRenderer()
