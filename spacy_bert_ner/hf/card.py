"""The README.md of an exported checkpoint."""

from spacy.language import Language

from ..pages.markdown import code, escape
from ..pipeline.bert_ner import BertNER
from ..pipeline.encoders import Found
from .card_parts import get_title, join_card, make_end, make_front, make_scores, make_section

USAGE = """```python
from transformers import pipeline

ner = pipeline("token-classification", model="PATH", aggregation_strategy="first")
ner("Text to read")
```"""
TAGS = ["token-classification", "named-entity-recognition", "spacy-bert-ner"]
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
    sections = [
        f"# {escape(get_title(meta))}",
        escape(meta.get("description") or "Named entity recognition."),
        "## Use",
        USAGE,
        "## Labels",
        "\n".join(f"- {code(label)}" for label in ner.labels),
        "## Model",
        _describe_model(ner, found),
        *make_section("## Scores", make_scores(meta)),
        *make_end(meta),
    ]
    return join_card(make_front(meta, "transformers", TAGS), sections)


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
