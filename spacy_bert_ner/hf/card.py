"""The README.md of an exported checkpoint."""

from typing import Any, Dict, List, Tuple

import srsly
from spacy.language import Language

from ..pages.markdown import code, escape, link
from ..pipeline.bert_ner import BertNER
from ..pipeline.encoders import Found

USAGE = """```python
from transformers import pipeline

ner = pipeline("token-classification", model="PATH", aggregation_strategy="first")
ner("Text to read")
```"""
ALIGNED = {
    "token": "spaCy's tokens, which separate a word from its punctuation",
    "word": "words between spaces",
}


def make_card(nlp: Language, ner: BertNER, found: Found) -> str:
    """Describe the model as far as the pipeline knows it: labels, scores, data and licence.

    nlp (Language): The pipeline.
    ner (BertNER): Its component.
    found (Found): Its encoder.
    RETURNS (str): Markdown, with the front matter that the Hugging Face hub reads.
    """
    meta = nlp.meta
    title = _get_title(meta)
    sections = [
        f"# {escape(title)}",
        escape(meta.get("description") or "Named entity recognition."),
        "## Use",
        USAGE,
        "## Labels",
        "\n".join(f"- {code(label)}" for label in ner.labels),
        "## Model",
        _describe_model(ner, found),
        *_section("## Scores", _make_scores(meta.get("performance", {}))),
        *_section("## Data and sources", _make_sources(meta)),
        *_section("## Licence", escape(meta.get("license") or "")),
        *_section("## Author", _make_author(meta)),
    ]
    front = srsly.yaml_dumps(_make_front(nlp, title)).strip()
    return f"---\n{front}\n---\n\n" + "\n\n".join(sections) + "\n"


def _get_title(meta: Dict[str, Any]) -> str:
    name = str(meta.get("name") or "pipeline")
    return name if name.startswith(f"{meta['lang']}_") else f"{meta['lang']}_{name}"


def _make_front(nlp: Language, title: str) -> Dict[str, Any]:
    meta = nlp.meta
    front: Dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "token-classification",
        "tags": ["token-classification", "named-entity-recognition", "spacy-bert-ner"],
    }
    if nlp.lang and nlp.lang != "xx":
        front["language"] = [nlp.lang]
    if meta.get("license"):
        front["license"] = str(meta["license"])
    scores = meta.get("performance", {})
    names = {"ents_p": "precision", "ents_r": "recall", "ents_f": "f1"}
    metrics = [
        {"type": names[key], "name": names[key], "value": float(scores[key])}
        for key in names
        if isinstance(scores.get(key), (int, float))
    ]
    if metrics:
        task = {"type": "token-classification", "name": "Named entity recognition"}
        results = {"task": task, "metrics": metrics}
        front["model-index"] = [{"name": title, "results": [results]}]
    return front


def _describe_model(ner: BertNER, found: Found) -> str:
    settings = found.node.attrs["settings"]
    encoder = type(found.module).__name__
    lines = [
        f"{code(encoder)} with a token classifier on the first wordpiece of each word. The tags "
        f"are {ner.cfg['scheme']}, on {ALIGNED[ner.cfg['align']]}.",
        "Exported from a spaCy pipeline of spacy-bert-ner, which reads text in windows of "
        f"{settings.window or 'one sentence'}{' wordpieces' if settings.window else ''}, decodes "
        f'with `decoder = "{ner.cfg["decoder"]}"` and leaves out entities with scores below '
        f"{ner.cfg['threshold']}. Hugging Face's pipeline uses the most probable tag of each word, "
        "and cuts off text beyond the limit of the encoder unless it is given a `stride`.",
    ]
    return "\n\n".join(lines)


def _make_scores(scores: Dict[str, Any]) -> str:
    rows: List[Tuple[Any, ...]] = [("all", *(scores.get(f"ents_{key}") for key in "prf"))]
    for label, values in (scores.get("ents_per_type") or {}).items():
        values = values if isinstance(values, dict) else {}
        rows.append((code(label, in_table=True), *(values.get(key) for key in "prf")))
    lines = [
        f"| {label} | {' | '.join(f'{100 * float(value):.1f}' for value in values)} |"
        for label, *values in rows
        if all(isinstance(value, (int, float)) for value in values)
    ]
    if not lines:
        return ""
    head = ["| entities | precision | recall | F1 |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *lines])


def _make_sources(meta: Dict[str, Any]) -> str:
    lines = []
    for source in meta.get("sources") or []:
        entry = source if isinstance(source, dict) else {"name": source}
        name, url = entry.get("name") or "", entry.get("url")
        text = link(name, url) if url else escape(name)
        extra = [escape(entry[key]) for key in ("author", "license") if entry.get(key)]
        lines.append(f"- {text} ({', '.join(extra)})" if extra else f"- {text}")
    return "\n".join(lines)


def _make_author(meta: Dict[str, Any]) -> str:
    return ", ".join(escape(meta[key]) for key in ("author", "email", "url") if meta.get(key))


def _section(head: str, text: Any) -> List[str]:
    return [head, str(text)] if text else []
