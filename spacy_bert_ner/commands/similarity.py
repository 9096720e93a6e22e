"""Measure how similar the vectors of an encoder are to each other, before it is trained."""

from pathlib import Path
from typing import Any, Iterable, List, Optional, Union

import numpy
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from ..formats import Report
from ..training.corpus import Corpus
from ..types import Floats2d

# Maximum number of tokens to measure, in all and per document.
MOST_TOKENS = 1000
MOST_OF_DOC = 200
# Mean cosine above which vectors count as nearly parallel. On English text, MiniLM has 0.05 and
# multilingual-e5-small 0.67.
ONE_WAY = 0.5
# Learning rate of a new head on such vectors, as a multiple of the encoder's.
HEAD_FACTOR = 50.0
# Configs with at least this factor get no warning.
LEAST_FACTOR = 25.0
LAYERED_ADAM = "spacy-bert-ner.LayeredAdam.v1"


def measure_similarity(encoder: str, path: Path, lang: str) -> Optional[float]:
    """Measure how similar an encoder's vectors of tokens are, on the first texts of a corpus.

    encoder (str): A folder, an installed Python package, or a name on the hub.
    path (Path): A file in any of the formats, or a folder of such files.
    lang (str): Language code; its tokenizer is used for texts without tokens.
    RETURNS (Optional[float]): The mean cosine, see `get_mean_cosine`.
    """
    nlp = spacy.blank(lang)
    docs = take_docs(Corpus(path).read_docs(nlp, Report()))
    return get_similarity(make_encoder_node(encoder, nlp), docs)


def make_encoder_node(encoder: str, nlp: Language) -> Any:
    """Load an encoder to read sentences, or documents without sentence boundaries.

    encoder (str): A folder, an installed Python package, or a name on the hub.
    nlp (Language): A pipeline, to which a component with the encoder is added.
    RETURNS (Model): The layer of the encoder, initialized.
    """
    settings = {"@architectures": "spacy-bert-ner.TransformerModel.v1", "name": encoder}
    # A window of 0 is a sentence: any encoder can read it.
    config = {"model": {**settings, "window": 0}}
    node: Any = nlp.add_pipe("transformer", config=config).model  # type: ignore[attr-defined]
    node.initialize()
    return node


def take_docs(docs: Iterable[Doc]) -> List[Doc]:
    """Read enough text to measure similarity.

    docs (Iterable[Doc]): Documents. No more are read than needed.
    RETURNS (List[Doc]): The beginnings of the first documents, about 1,000 tokens.
    """
    taken: List[Doc] = []
    for doc in filter(len, docs):
        taken.append(take_beginning(doc))
        if sum(map(len, taken)) >= MOST_TOKENS:
            break
    return taken


def take_beginning(doc: Union[Doc, Span]) -> Doc:
    """Copy the first tokens of a document.

    doc (Union[Doc, Span]): The document, or a sentence of one.
    RETURNS (Doc): A copy of its first tokens.
    """
    return doc[:MOST_OF_DOC].as_doc()


def get_similarity(node: Any, docs: List[Doc]) -> Optional[float]:
    """Measure how similar the vectors of tokens are.

    node (Model): The layer of an encoder, initialized.
    docs (List[Doc]): The documents to read.
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
    they are nearly parallel, so that a new layer can hardly distinguish them.

    vectors (Floats2d): (n_tokens, width).
    RETURNS (Optional[float]): The mean; None if there are fewer than two vectors.
    """
    n = len(vectors)
    if n < 2:
        return None
    lengths = numpy.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / numpy.maximum(lengths, 1e-12)
    total = float((units.sum(axis=0) ** 2).sum())
    return (total - float((units**2).sum())) / (n * (n - 1))
