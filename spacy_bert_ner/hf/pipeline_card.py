"""The README.md of a pipeline on the Hugging Face hub."""

from pathlib import PurePath
from typing import Any, Dict, Optional

from spacy.language import Language

from ..pages.markdown import code, escape
from ..pipeline.bert_ner import BertNER
from ..pipeline.encoders import Found, iter_encoders
from ..training.callbacks import META_KEY
from .card import ALIGNED
from .card_parts import get_title, join_card, make_end, make_front, make_scores, make_section

USAGE = """```sh
pip install "{url}"
```

```python
import spacy

nlp = spacy.load("{name}")
for ent in nlp("Text to read").ents:
    print(ent.text, ent.label_, ent._.score)
```"""
SCORED = (
    "In percent, as they were measured when the pipeline was trained, on the documents by which it "
    "was evaluated during training. On other texts, they may be lower."
)
TAGS = ["spacy", "token-classification", "named-entity-recognition", "spacy-bert-ner"]
# These are true of any pipeline of this kind.
LIMITS = [
    "It only finds entities of the labels above, as they were annotated in its training data. In "
    "other kinds of text, on other subjects or in another language, it may find fewer of them, and "
    "more wrong ones.",
    "Entities begin and end at the edges of tokens, and don't overlap.",
    "It may find names of some groups or regions less often than others.",
]


def make_pipeline_card(nlp: Language, name: str, url: str) -> str:
    """Describe a pipeline: how to install it, its labels, parts, scores, data, limits and licence.

    nlp (Language): The pipeline.
    name (str): Name of its package.
    url (str): Address of its wheel.
    RETURNS (str): Markdown, with the front matter that the Hugging Face hub reads.
    """
    meta = nlp.meta
    pipes = [(key, pipe) for key, pipe in nlp.components if isinstance(pipe, BertNER)]
    labels = [label for _, pipe in pipes for label in pipe.labels]
    scores = make_scores(meta)
    sections = [
        f"# {escape(get_title(meta))}",
        escape(meta.get("description") or "Named entity recognition with spaCy."),
        "## Use",
        USAGE.format(url=url, name=name),
        "## Labels",
        "\n".join(f"- {code(label)}" for label in dict.fromkeys(labels)),
        "## Model",
        f"A spaCy pipeline of {', '.join(map(code, nlp.pipe_names))}.",
        *(_describe(nlp, key, pipe) for key, pipe in pipes),
        *make_section("## Scores", scores and f"{SCORED}\n\n{scores}"),
        *make_section("## Training data", _describe_data(meta)),
        "## Limits",
        "\n".join(f"- {limit}" for limit in LIMITS),
        *make_end(meta),
    ]
    return join_card(make_front(meta, "spacy", TAGS), sections)


def _describe_data(meta: Dict[str, Any]) -> str:
    """By the names of files: their folders are those of another machine."""
    noted = meta.get(META_KEY)
    training = noted.get("training") if isinstance(noted, dict) else None
    if not isinstance(training, dict):
        return ""
    train, dev = (code(PurePath(str(training.get(key))).name) for key in ("train", "dev"))
    return f"Trained on {train}, and evaluated on {dev} during training."


def _describe(nlp: Language, name: str, ner: BertNER) -> str:
    encoders = iter_encoders(ner.model, name, nlp)
    found = next((item for item in encoders if item.is_ours or item.is_exported), None)
    threshold = ner.cfg["threshold"]
    lines = [
        _describe_encoder(found),
        f"The tags are {ner.cfg['scheme']}, on {ALIGNED[ner.cfg['align']]}.",
        f"Entities with scores below {threshold} are left out." if threshold else "",
        "The scores are calibrated." if ner.calibration.curves else "",
    ]
    return " ".join(line for line in [f"{code(name)}:", *lines] if line)


def _describe_encoder(found: Optional[Found]) -> str:
    if found is None:
        return ""
    window = found.node.attrs["settings"].window
    size = f"windows of {window} wordpieces" if window else "one sentence at a time"
    kind = "An encoder for onnxruntime" if found.is_exported else code(type(found.module).__name__)
    return f"{kind} reads {size}, so long texts are read to their end."
