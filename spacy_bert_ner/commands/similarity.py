"""How similar the vectors of an encoder are to each other, before it is trained."""

from pathlib import Path
from typing import Any, Iterable, List, Optional, Union

import numpy
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from ..formats import read_docs
from ..types import Floats2d

# The most tokens to look at, and the most of a document.
MOST_TOKENS = 1000
MOST_OF_DOC = 200
# The mean cosine above which vectors all point one way. On English, MiniLM has 0.05, and
# multilingual-e5-small 0.67.
ONE_WAY = 0.5
# How many times the rate of the encoder a new head takes on such vectors.
HEAD_FACTOR = 50.0
# From this factor on, a config isn't said to lack one.
LEAST_FACTOR = 5.0
LAYERED_ADAM = "spacy-bert-ner.LayeredAdam.v1"


def measure_similarity(encoder: str, path: Path, lang: str) -> Optional[float]:
    """Measure how similar the vectors of tokens are that an encoder gives for the first texts of a
    file.

    encoder (str): A folder, an installed Python package, or a name on the hub.
    path (Path): A file in any of the formats.
    lang (str): Code of the language, whose tokenizer reads texts without tokens.
    RETURNS (Optional[float]): The mean cosine, see `get_mean_cosine`.
    """
    nlp = spacy.blank(lang)
    return get_similarity(make_encoder_node(encoder, nlp), take_docs(read_docs(path, nlp)))


def make_encoder_node(encoder: str, nlp: Language) -> Any:
    """Load an encoder to read sentences, or documents without sentence boundaries.

    encoder (str): A folder, an installed Python package, or a name on the hub.
    nlp (Language): A pipeline, which gets a component with the encoder.
    RETURNS (Model): A layer of ours, initialized.
    """
    settings = {"@architectures": "spacy-bert-ner.TransformerModel.v1", "name": encoder}
    # A window of 0 is a sentence: any encoder can read it.
    config = {"model": {**settings, "window": 0}}
    node: Any = nlp.add_pipe("transformer", config=config).model  # type: ignore[attr-defined]
    node.initialize()
    return node


def take_docs(docs: Iterable[Doc]) -> List[Doc]:
    """Take enough text to look at.

    docs (Iterable[Doc]): Documents, of which no more are read than needed.
    RETURNS (List[Doc]): The beginnings of the first of them, of about 1,000 tokens.
    """
    taken: List[Doc] = []
    for doc in filter(len, docs):
        taken.append(take_beginning(doc))
        if sum(map(len, taken)) >= MOST_TOKENS:
            break
    return taken


def take_beginning(doc: Union[Doc, Span]) -> Doc:
    """Take the first tokens of a document.

    doc (Union[Doc, Span]): The document, or a sentence of one.
    RETURNS (Doc): A copy of its first tokens.
    """
    return doc[:MOST_OF_DOC].as_doc()


def get_similarity(node: Any, docs: List[Doc]) -> Optional[float]:
    """Measure how similar the vectors of tokens are.

    node (Model): A layer of ours, initialized, of an encoder.
    docs (List[Doc]): What it reads.
    RETURNS (Optional[float]): See `get_mean_cosine`.
    """
    vectors = []
    for data in node.predict(docs).doc_data if docs else ():
        pieces = node.ops.to_numpy(data.model_output.last_hidden_state)
        pieces = pieces.reshape(-1, pieces.shape[-1])
        lengths = node.ops.to_numpy(data.align.lengths)
        first = numpy.cumsum(lengths) - lengths
        places = node.ops.to_numpy(data.align.dataXd).ravel()[first[lengths > 0]]
        vectors.append(pieces[places])
    return get_mean_cosine(numpy.concatenate(vectors)) if vectors else None


def get_mean_cosine(vectors: Floats2d) -> Optional[float]:
    """The mean cosine of all pairs of vectors: near 0 if they point in all directions, near 1 if
    they all point one way, so that a new layer sees little of what they differ in.

    vectors (Floats2d): (n_tokens, width).
    RETURNS (Optional[float]): The mean; None if there are no two vectors.
    """
    n = len(vectors)
    if n < 2:
        return None
    lengths = numpy.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / numpy.maximum(lengths, 1e-12)
    total = float((units.sum(axis=0) ** 2).sum())
    return (total - float((units**2).sum())) / (n * (n - 1))
