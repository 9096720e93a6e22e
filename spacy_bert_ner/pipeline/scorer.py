from typing import Any, Callable, Dict, Iterable

from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Example

# A function that returns scores by name.
ScorerT = Callable[..., Dict[str, Any]]


def bert_ner_score(
    examples: Iterable[Example],
    *,
    annotate_ents: bool = True,
    spans_key: str = "bert_ner",
    **kwargs: Any,
) -> Dict[str, Any]:
    """Calculate precision, recall and F-score of entities by exact start, end and label, in total
    and for each label: `ents_p`, `ents_r`, `ents_f`, `ents_per_type`. The scores are the same as
    those of spaCy's `ner_scorer.v1`.

    examples (Iterable[Example]): Predicted and gold documents.
    annotate_ents (bool): Whether the predicted entities are in `doc.ents`; if not, those in
        `doc.spans` are scored.
    spans_key (str): Key of `doc.spans` with the predicted entities.
    kwargs (Any): Other settings of the component, which are ignored.
    RETURNS (Dict[str, Any]): The scores, 0 to 1; None where there is no annotation.
    """
    if not annotate_ents:
        examples = (_with_ents(example, spans_key) for example in examples)
    return get_ner_prf(examples)


def _with_ents(example: Example, spans_key: str) -> Example:
    doc = example.predicted
    copy = Doc(doc.vocab, [token.text for token in doc], [bool(token.whitespace_) for token in doc])
    group = doc.spans.get(spans_key, [])
    copy.set_ents([Span(copy, span.start, span.end, label=span.label) for span in group])
    return Example(copy, example.reference)


def make_bert_ner_scorer() -> ScorerT:
    """Construct `spacy-bert-ner.bert_ner_scorer.v1`: precision, recall and F-score of entities by
    exact start, end and label, the same as those of spaCy's `ner_scorer.v1`. With `annotate_ents =
    false`, it scores the entities in `doc.spans`.

    RETURNS (ScorerT): The scorer.
    """
    return bert_ner_score
