from typing import Any, Callable, Dict, Iterable

from spacy.scorer import get_ner_prf
from spacy.training import Example


def bert_ner_score(examples: Iterable[Example], **kwargs: Any) -> Dict[str, Any]:
    """Precision, recall and F-score of entities by exact start, end and label, over all and for
    each label: `ents_p`, `ents_r`, `ents_f`, `ents_per_type`. Equal to spaCy's `ner_scorer.v1`."""
    return get_ner_prf(examples)


def make_bert_ner_scorer() -> Callable[..., Dict[str, Any]]:
    """RETURNS (Callable): The scorer `spacy-bert-ner.bert_ner_scorer.v1`."""
    return bert_ner_score
