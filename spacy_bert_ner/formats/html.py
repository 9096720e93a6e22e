"""Entities marked in the text, as a web page by displaCy."""

from pathlib import Path
from typing import Any, Dict, Iterable

from spacy import displacy
from spacy.tokens import Doc
from spacy.util import escape_html

from .files import replace_file
from .report import Report


def write(path: Path, docs: Iterable[Doc], report: Report) -> None:
    """Write a page of all documents, which displaCy makes as a whole."""
    parsed = [_parse(doc) for doc in docs]
    html = displacy.render(parsed, style="ent", page=True, manual=True, jupyter=False)
    with replace_file(path) as file:
        file.write(html)


def _parse(doc: Doc) -> Dict[str, Any]:
    # displaCy's own reading of documents warns of those without entities, and leaves their labels
    # as they are.
    ents = [
        {"start": ent.start_char, "end": ent.end_char, "label": escape_html(ent.label_)}
        for ent in doc.ents
    ]
    return {"text": doc.text, "ents": ents, "settings": displacy.get_doc_settings(doc)}
