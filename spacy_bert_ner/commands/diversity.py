"""Choose texts that differ from each other."""

from typing import Any, Sequence
from warnings import catch_warnings, simplefilter

import numpy
from spacy.language import Language
from spacy.tokens import Doc

from ..pipeline.bert_ner import BertNER
from ..types import Floats1d, Floats2d, Ints1d


def get_vectors(nlp: Language, ner: BertNER, docs: Sequence[Doc], batch_size: int) -> Floats2d:
    """Get the mean of the vectors of the tokens that a component reads.

    nlp (Language): The pipeline.
    ner (BertNER): Its component.
    docs (Sequence[Doc]): Documents with only words, of the vocabulary of the pipeline. Changed.
    batch_size (int): Documents read at once.
    RETURNS (Floats2d): Vectors of length 1, float32, (n_docs, width).
    """
    disabled = nlp.pipe_names[nlp.pipe_names.index(ner.name) :]
    tok2vec: Any = ner.model.get_ref("tok2vec")
    means = []
    for start in range(0, len(docs), batch_size):
        read = list(nlp.pipe(docs[start : start + batch_size], disable=disabled))
        means += [tok2vec.ops.to_numpy(X).mean(axis=0) for X in tok2vec.predict(read)]
        for doc in read:
            doc.user_data.clear()  # the vectors of all wordpieces
    vectors = numpy.array(means)
    return vectors / numpy.maximum(numpy.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def choose_diverse(vectors: Floats2d, weights: Floats1d, n: int, seed: int) -> Ints1d:
    """Divide texts into clusters, and choose the one with the highest weight of each (as Zhdanov
    2019, "Diverse mini-batch active learning", who chooses the one nearest to the center).

    vectors (Floats2d): Their vectors, (n_texts, width).
    weights (Floats1d): How much each counts in its cluster, above 0, in descending order,
        (n_texts,).
    n (int): How many to choose. If there are fewer clusters, the first of the other texts are
        added.
    seed (int): Random seed of the clustering.
    RETURNS (Ints1d): The chosen texts, in ascending order, int64, (n,), or all if there are fewer.
    """
    if n >= len(vectors):
        return numpy.arange(len(vectors))
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    means = KMeans(n, n_init=1, random_state=seed)
    with catch_warnings():
        simplefilter("ignore", ConvergenceWarning)  # of fewer clusters, for equal vectors
        clusters = means.fit_predict(vectors, sample_weight=weights)
    _, chosen = numpy.unique(clusters, return_index=True)
    others = numpy.setdiff1d(numpy.arange(len(vectors)), chosen)
    return numpy.sort(numpy.concatenate([chosen, others[: n - len(chosen)]]))
