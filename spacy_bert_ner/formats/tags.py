"""Tags of any scheme, and the entities that they mark."""

import re
from typing import List, Optional, Sequence

from spacy.tokens import Doc, Span

# Prefixes that begin and that end an entity, of all common schemes.
BEGINS, ENDS = "BUS", "USLE"
MISSING_TAG = "-"
TAG = re.compile(r"(O|-|[BILUES]-.+)$")
KINDS = "Tags are O, - for missing annotation, or one of B I L U E S, a hyphen and a label"


def is_tag(text: str) -> bool:
    """RETURNS (bool): Whether a text is a tag of any scheme.

    text (str): The text.
    """
    return TAG.match(text.strip()) is not None


def explain_tag(text: str) -> str:
    """RETURNS (str): Why a text isn't a tag, and the way out.

    text (str): The text.
    """
    label = text.strip()
    if label.isupper() and label.isalpha():
        return (
            f"the label {label!r} has no prefix: write B-{label} where an entity begins, and "
            f"I-{label} where it continues"
        )
    return f"{text!r} isn't a tag. {KINDS}"


def set_ents(doc: Doc, tags: List[str], starts: Optional[Sequence[object]] = None) -> None:
    """Set entities from tags of any scheme: an entity ends if its prefix marks the end, if the
    label changes, if another one begins, and at the end of a sentence.

    doc (Doc): The document.
    tags (List[str]): A tag for each token.
    starts (Optional[Sequence[object]]): For each token, whether it begins a sentence.
    """
    spans: List[Span] = []
    missing: List[Span] = []
    open_label = ""
    for i, (tag, is_start) in enumerate(zip(tags, starts or [False] * len(tags))):
        prefix, _, label = tag.partition("-")
        if tag == MISSING_TAG:
            missing.append(doc[i : i + 1])
        if not label:
            open_label = ""
            continue
        if label == open_label and prefix not in BEGINS and not is_start:
            spans[-1] = Span(doc, spans[-1].start, i + 1, label=label)
        else:
            spans.append(Span(doc, i, i + 1, label=label))
        open_label = "" if prefix in ENDS else label
    doc.set_ents(spans, missing=missing, default="outside")
