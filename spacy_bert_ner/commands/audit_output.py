"""The result of an audit as files: a page, JSON lines, and documents to correct in other tools."""

from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence

import srsly
from spacy.tokens import Doc, Span, SpanGroup

from ..formats import write_docs
from ..formats.files import RECORD_KEY, get_fields
from ..formats.label_studio import SUGGESTIONS
from ..formats.output import replace_file
from ..pages import render
from .audit_strings import Inconsistency
from .audit_suspects import KINDS, Suspect
from .entity_counts import Entity
from .entity_errors import Pair, show_error
from .entity_groups import get_text, shorten

# Suspects, strings and labels of a string on the page. The JSON lines have all.
N_SUSPECTS, N_STRINGS, N_LABELS = 200, 100, 10
# Files with documents to correct, by format.
CORRECTIONS = {
    "jsonl": "prodigy.jsonl",
    "doccano": "doccano.jsonl",
    "label-studio": "label-studio.json",
}


class Audit(NamedTuple):
    """The result of an audit.

    corpus (str): The file.
    docs (List[Doc]): Its annotated documents.
    n_left_out (int): Number of documents without annotation.
    n_folds (int): Number of folds.
    labels (List[str]): The labels of the corpus.
    suspects (List[Suspect]): The suspected errors, the most suspicious ones first.
    inconsistencies (List[Inconsistency]): Strings that are annotated in several ways.
    """

    corpus: str
    docs: List[Doc]
    n_left_out: int
    n_folds: int
    labels: List[str]
    suspects: List[Suspect]
    inconsistencies: List[Inconsistency]

    @property
    def n_ents(self) -> int:
        """RETURNS (int): Number of gold entities."""
        return sum(len(doc.ents) for doc in self.docs)

    def count_kinds(self) -> Dict[str, int]:
        """RETURNS (Dict[str, int]): Number of suspects of each kind."""
        kinds = [suspect.kind for suspect in self.suspects]
        return {kind: kinds.count(kind) for kind in KINDS}

    def to_records(self) -> Iterator[Dict[str, Any]]:
        """YIELDS (Dict[str, Any]): The suspects in plain types: "rank" and number of the "document"
        from 1, the "id" of its record, "kind", "score", "reason", and "gold" and "suggested" with
        the characters "start" and "end", "text", "label" and "score"."""
        for place, suspect in enumerate(self.suspects, start=1):
            doc = self.docs[suspect.doc]
            yield {
                "rank": place,
                "document": suspect.doc + 1,
                "id": get_fields(doc).get("id"),
                "kind": suspect.kind,
                "score": round(suspect.p_suggested, 4),
                "reason": suspect.explain(doc),
                "gold": _to_record(doc, suspect.gold),
                "suggested": _to_record(doc, suspect.suggested),
            }


def _to_record(doc: Doc, entity: Optional[Entity]) -> Optional[Dict[str, Any]]:
    if entity is None:
        return None
    span = doc[entity.start : entity.end]
    place = {"start": span.start_char, "end": span.end_char, "text": span.text}
    return {**place, "label": entity.label, "score": round(entity.score or 0.0, 4)}


def write_audit(audit: Audit, output: Path, top: int) -> None:
    """Write all files of an audit. Each is replaced when the new one is complete.

    audit (Audit): The audit.
    output (Path): The folder.
    top (int): Number of suspects whose documents are written to be corrected.
    RAISES (UserError): If they can't be written.
    """
    strings = (one.to_record() for one in audit.inconsistencies)
    for name, records in (("suspects", audit.to_records()), ("inconsistencies", strings)):
        with replace_file(output / f"{name}.jsonl") as file:
            for record in records:
                file.write(f"{srsly.json_dumps(record)}\n".encode())
    docs = make_corrections(audit, top)
    for form, name in CORRECTIONS.items():
        write_docs(output / name, docs, form)
    with replace_file(output / "audit.html") as file:
        file.write(render_page(audit, top).encode("utf-8"))


def make_corrections(audit: Audit, top: int) -> List[Doc]:
    """Make the documents to correct: as annotated, with the reasons in the meta of their record,
    and with the suggestions as a span group.

    audit (Audit): The audit.
    top (int): Number of suspects.
    RETURNS (List[Doc]): Copies of their documents, in the order of the suspects.
    """
    groups: Dict[int, List[Suspect]] = {}
    for suspect in audit.suspects[:top]:
        groups.setdefault(suspect.doc, []).append(suspect)
    return [_make_correction(audit.docs[i], suspects) for i, suspects in groups.items()]


def _make_correction(doc: Doc, suspects: Sequence[Suspect]) -> Doc:
    copy = doc.copy()
    copy.spans.clear()
    fields = get_fields(doc)
    meta = fields["meta"] if isinstance(fields.get("meta"), dict) else {}
    reasons = [_name(doc, suspect) for suspect in suspects]
    copy.user_data = {RECORD_KEY: {**fields, "meta": {**meta, "suspects": "; ".join(reasons)}}}
    entities = apply(doc, suspects)
    spans = [Span(copy, entity.start, entity.end, label=entity.label) for entity in entities]
    scores = {"scores": [entity.score for entity in entities]}
    copy.spans[SUGGESTIONS] = SpanGroup(copy, name=SUGGESTIONS, spans=spans, attrs=scores)
    return copy


def _name(doc: Doc, suspect: Suspect) -> str:
    entity = suspect.gold or suspect.suggested
    text = "" if entity is None else shorten(get_text(doc, entity))
    return f"“{text}”: {suspect.explain(doc)}"


def apply(doc: Doc, suspects: Sequence[Suspect]) -> List[Entity]:
    """Replace the annotation of a document by suggestions.

    doc (Doc): The document.
    suspects (Sequence[Suspect]): Its suspects. A suggestion that overlaps an earlier one is left
        out.
    RETURNS (List[Entity]): The entities, in the order of the text. Only those that are suggested
        have a score.
    """
    added: List[Entity] = []
    removed = set()
    for suspect in suspects:
        new = suspect.suggested
        if new is None or not any(_overlap(new, other) for other in added):
            added += [] if new is None else [new]
            removed |= set() if suspect.gold is None else {suspect.gold.span}
    kept = [
        Entity(ent.start, ent.end, ent.label_)
        for ent in doc.ents
        if (ent.start, ent.end) not in removed and not any(_overlap(ent, one) for one in added)
    ]
    return sorted(kept + added)


def _overlap(one: Any, other: Any) -> bool:
    return bool(one.start < other.end and other.start < one.end)


def render_page(audit: Audit, top: int) -> str:
    """RETURNS (str): A page in HTML with the first suspects in context.

    audit (Audit): The audit.
    top (int): Number of suspects whose documents are written to be corrected.
    """
    return render(
        "audit.html",
        title="Audit of labels",
        lang="en",
        direction="ltr",
        audit=audit,
        kinds=audit.count_kinds(),
        top=min(top, len(audit.suspects)),
        files=list(CORRECTIONS.values()),
        n_tokens=sum(map(len, audit.docs)),
        suspects=[_show(audit, suspect) for suspect in audit.suspects[:N_SUSPECTS]],
        strings=[one.to_record() for one in audit.inconsistencies[:N_STRINGS]],
        max_labels=N_LABELS,
    )


def _show(audit: Audit, suspect: Suspect) -> Dict[str, Any]:
    """A suspect in its context, as annotated and as suggested."""
    doc = audit.docs[suspect.doc]
    gold = [Entity(ent.start, ent.end, ent.label_) for ent in doc.ents]
    mine = suspect.gold and suspect.gold._replace(score=None)
    pair = Pair(0, mine, suspect.suggested)
    shown = show_error([doc], None, [gold], [apply(doc, [suspect])], pair)
    return {
        **shown,
        "document": suspect.doc + 1,
        "id": get_fields(doc).get("id"),
        "kind": suspect.kind,
        "score": suspect.p_suggested,
        "reason": suspect.explain(doc),
    }
