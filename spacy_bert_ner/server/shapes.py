"""Entities as JSON, in the shape of spaCy or in that of Hugging Face."""

import json
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from spacy.tokens import Doc, Span

from ..characters import get_text, token_chars
from ..tagging.entity_scores import get_scores

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def render(doc: Doc, shape: str) -> str:
    """RETURNS (str): The entities of a document, as JSON.

    doc (Doc): The document.
    shape (str): One of SHAPES.
    """
    return _encode(SHAPES[shape](doc))


def to_spacy(doc: Doc) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): Text, entities and tokens, as in `Doc.to_json`, which
    `Doc.from_json` reads. Entities have a `score`, None if no `bert_ner` predicted them.

    doc (Doc): The document.
    """
    starts, ends = (offsets.tolist() for offsets in token_chars(doc))
    return {
        "text": get_text(doc),
        "ents": [
            {"start": ent.start_char, "end": ent.end_char, "label": ent.label_, "score": score}
            for ent, score in _iter_ents(doc)
        ],
        "tokens": [
            {"id": i, "start": start, "end": end}
            for i, (start, end) in enumerate(zip(starts, ends))
        ],
    }


def to_huggingface(doc: Doc) -> List[Dict[str, Any]]:
    """RETURNS (List[Dict[str, Any]]): Entities as Hugging Face's pipeline for token classification
    returns them, if it aggregates words.

    doc (Doc): The document.
    """
    return [
        {
            "entity_group": ent.label_,
            "score": score,
            "word": ent.text,
            "start": ent.start_char,
            "end": ent.end_char,
        }
        for ent, score in _iter_ents(doc)
    ]


SHAPES: Dict[str, Callable[[Doc], Any]] = {"spacy": to_spacy, "huggingface": to_huggingface}


def _iter_ents(doc: Doc) -> Iterator[Tuple[Span, Optional[float]]]:
    scores = get_scores(doc) or {}
    for ent in doc.ents:
        yield ent, scores.get((ent.start, ent.end, ent.label))
