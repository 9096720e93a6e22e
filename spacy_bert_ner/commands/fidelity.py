"""Compare an exported pipeline with the original, on the same documents."""

import time
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example

from ..pipeline.bert_ner import BertNER
from .annotate import predict

# The first documents are read once before, since the first call of a library is slow.
N_WARM_UP = 3


class Measured(NamedTuple):
    """A pipeline on the documents.

    scores (Dict[str, float]): Those that count, such as "ents_f", 0 to 100.
    agreement (float): F1 of its entities against those of the original, 0 to 100.
    words_per_second (float): Words that it read in a second.
    n_bytes (int): Size of its folder, 0 if it has none.
    """

    scores: Dict[str, float]
    agreement: float
    words_per_second: float
    n_bytes: int = 0


def measure(
    nlp: Language, gold: List[Doc], users: List[str], expected: Optional[List[Doc]] = None
) -> Tuple[Measured, List[Doc]]:
    """Predict and score.

    nlp (Language): The pipeline.
    gold (List[Doc]): Documents with gold entities.
    users (List[str]): The components whose scores count.
    expected (Optional[List[Doc]]): The predictions of the original; None for the original itself.
    RETURNS (Tuple[Measured, List[Doc]]): The measurements, and the predictions.
    """
    list(predict(nlp, gold[:N_WARM_UP]))
    start = time.perf_counter()
    docs = list(predict(nlp, gold))
    seconds = time.perf_counter() - start
    examples = [Example(doc, reference) for doc, reference in zip(docs, gold)]
    found = Scorer(nlp=nlp).score(examples)
    keys = {
        key
        for name in users
        for key, weight in nlp.get_pipe_meta(name).default_score_weights.items()  # type: ignore[union-attr]
        if weight and found.get(key) is not None
    }
    scores = {key: 100.0 * found[key] for key in sorted(keys)}
    agreement = get_agreement(docs, docs if expected is None else expected, nlp)
    n_words = sum(map(len, docs))
    return Measured(scores, agreement, n_words / max(seconds, 1e-9)), docs


def get_agreement(docs: List[Doc], expected: List[Doc], nlp: Language) -> float:
    """RETURNS (float): F1 of entities against those that another pipeline predicts, 0 to 100.

    docs, expected (List[Doc]): Both predictions for the same documents.
    nlp (Language): One of the pipelines: a `bert_ner` that doesn't write `doc.ents` writes spans.
    """
    pairs = [(_get_ents(doc, nlp), _get_ents(other, nlp)) for doc, other in zip(docs, expected)]
    n_same = sum(len(ours & theirs) for ours, theirs in pairs)
    n_all = sum(len(ours) + len(theirs) for ours, theirs in pairs)
    return 100.0 * 2 * n_same / n_all if n_all else 100.0


def _get_ents(doc: Doc, nlp: Language) -> Set[Tuple[str, int, int, str]]:
    found = {("", ent.start, ent.end, ent.label_) for ent in doc.ents}
    for _, pipe in nlp.pipeline:
        if isinstance(pipe, BertNER):
            key = pipe.cfg["spans_key"]
            spans: Any = doc.spans.get(key, [])
            found |= {(key, span.start, span.end, span.label_) for span in spans}
    return found
