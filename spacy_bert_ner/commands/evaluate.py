"""Evaluate pipelines on a file of gold entities."""

from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Tuple

import numpy
import srsly
from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from ..characters import token_chars
from ..errors import UserError
from ..formats import Report, check_format, read_docs
from ..formats.output import check_target, replace_file
from ..formats.spans import get_scores
from ..terminal import printable
from ..types import Ints1d
from .annotate import predict
from .checks import check_input
from .entity_counts import Entity
from .entity_groups import read_seen
from .evaluate_page import render_page
from .evaluation import Answer, GoldData, evaluate
from .pipelines import explain_no_ents, explain_pipeline, load_pipeline


def evaluate_file(
    pipeline: str,
    gold_path: Path,
    other: Optional[str] = None,
    *,
    train_path: Optional[Path] = None,
    source: Optional[str] = None,
    batch_size: Optional[int] = None,
    report_path: Optional[Path] = None,
    json_path: Optional[Path] = None,
) -> Tuple[Dict[str, Any], Report]:
    """Evaluate one or two pipelines on a file. A progress bar is shown on terminals.

    pipeline (str): Name or path of a trained pipeline.
    gold_path (Path): Documents with gold entities. Those without annotation are left out.
    other (Optional[str]): A second pipeline, which is compared with the first one.
    train_path (Optional[Path]): Training data, to score entities by whether they were seen there.
    source (Optional[str]): The format of the gold data; guessed by default.
    batch_size (Optional[int]): Documents read at once; by default that of the pipeline.
    report_path, json_path (Optional[Path]): Where to write the result as a page, and as JSON.
    RETURNS (Tuple[Dict[str, Any], Report]): The result, see `evaluate`; counts of what was read and
        what didn't fit.
    RAISES (UserError): For input, pipelines and outputs that can't be read, loaded or written, and
        for a file without gold entities.
    """
    inputs = [path for path in (gold_path, train_path) if path is not None]
    for path in inputs:
        check_input(path)
    source = check_format(gold_path, source)
    outputs = [path for path in (report_path, json_path) if path is not None]
    for path in outputs:
        check_target(path, inputs)
    if len(outputs) == 2 and outputs[0].resolve() == outputs[1].resolve():
        raise UserError(f"Can't write both outputs to {outputs[0]}. Choose two files.")
    report = Report()
    names = [pipeline] if other is None else [pipeline, other]
    nlps = [_load(name) for name in names]
    gold = read_gold(report.count(read_docs(gold_path, nlps[0], source, report)))
    if not any(gold.entities):
        raise UserError(f"{gold_path} has no gold entities. Name a file with annotated entities.")
    seen = None if train_path is None else read_seen(read_docs(train_path, nlps[0]))
    answers = [ask(nlp, name, gold, batch_size) for nlp, name in zip(nlps, names)]
    result = {"gold": str(gold_path), "train": train_path and str(train_path)}
    result = {**result, **evaluate(gold, answers, seen)}
    for output, render in ((report_path, render_page), (json_path, _to_json)):
        if output is not None:
            with replace_file(output) as file:
                file.write(render(result).encode("utf-8"))
    return result, report


def _load(name: str) -> Language:
    nlp = load_pipeline(name)
    no_ents = explain_no_ents(nlp, name)
    if no_ents is not None:
        raise UserError(no_ents)
    return nlp


def _to_json(result: Dict[str, Any]) -> str:
    return f"{srsly.json_dumps(result, indent=2)}\n"


def read_gold(docs: Iterable[Doc]) -> GoldData:
    """RETURNS (GoldData): The documents that have annotation.

    docs (Iterable[Doc]): Documents.
    """
    docs = list(docs)
    kept = [doc for doc in docs if doc.has_annotation("ENT_IOB")]
    entities = [[Entity(ent.start, ent.end, ent.label_) for ent in doc.ents] for doc in kept]
    return GoldData(kept, entities, len(docs) - len(kept))


def ask(nlp: Language, name: str, gold: GoldData, batch_size: Optional[int] = None) -> Answer:
    """Predict the entities of documents from their words. As in spaCy's scorer, predicted entities
    on tokens with missing annotation are left out.

    nlp (Language): The pipeline.
    name (str): Its name or path.
    gold (GoldData): The documents.
    batch_size (Optional[int]): Documents read at once; by default that of the pipeline.
    RETURNS (Answer): The entities, on the tokens of the gold documents.
    RAISES (UserError): If the pipeline can't predict.
    """
    entities, sentences = [], []
    with explain_pipeline(name):
        docs = predict(nlp, gold.docs, batch_size=batch_size)
        bar = tqdm(docs, total=len(gold.docs), desc=printable(name), unit=" docs", disable=None)
        for doc, reference in zip(bar, gold.docs):
            entities.append(_find_entities(doc, reference))
            sentences.append(_number_sentences(doc, reference))
    known = [numbers for numbers in sentences if numbers is not None]
    return Answer(name, entities, known if len(known) == len(sentences) else None)


def _find_entities(doc: Doc, reference: Doc) -> List[Entity]:
    scores = get_scores(doc) or {}
    starts, ends = token_chars(reference)
    is_missing = reference.to_array("ENT_IOB") == 0
    found = []
    for ent in doc.ents:  # whose tokens may have been merged
        start = int(numpy.searchsorted(ends, ent.start_char, side="right"))
        end = int(numpy.searchsorted(starts, ent.end_char, side="left"))
        if not is_missing[start:end].any():
            score = scores.get((ent.start, ent.end, ent.label))
            found.append(Entity(start, end, ent.label_, score))
    return found


def _number_sentences(doc: Doc, reference: Doc) -> Optional[Ints1d]:
    """The number of the sentence of each token, by the gold data or else by the pipeline."""
    known = reference if reference.has_annotation("SENT_START") else doc
    if len(known) != len(reference) or not known.has_annotation("SENT_START"):
        return None
    is_start = known.to_array("SENT_START") == 1
    is_start[:1] = True
    return numpy.cumsum(is_start) - 1
