"""Find texts that are nearly contained in others."""

from typing import Any, Iterable

import numpy

from ..types import Bools1d, Ints1d
from .checks import needing_sklearn

# A text is a near-duplicate if another one has this share of its n-grams.
SHARE = 0.8
# Characters of an n-gram, and the number of columns that their hashes are distributed over.
SIZE, N_COLUMNS = 5, 2**20
# Texts that are compared with others at once.
CHUNK = 256


class NGrams:
    """Compares texts by the share of the n-grams of one that another has (containment, Broder
    1997), of 5 characters each. Case and the amount of white space make no difference."""

    def __init__(self) -> None:
        """RAISES (UserError): If scikit-learn isn't installed."""
        with needing_sklearn("find near-duplicates"):
            from sklearn.feature_extraction.text import HashingVectorizer
        settings = {"analyzer": "char", "ngram_range": (SIZE, SIZE), "n_features": N_COLUMNS}
        self.vectorizer = HashingVectorizer(
            **settings, binary=True, norm=None, alternate_sign=False, lowercase=False
        )

    def count(self, texts: Iterable[str]) -> Any:
        """RETURNS (csr_matrix): Which n-grams each text has, (n_texts, n_columns).

        texts (Iterable[str]): The texts.
        """
        normalized = [_normalize(text) for text in texts]
        # scikit-learn can't read an empty list.
        return self.vectorizer.transform(normalized or [""])[: len(normalized)]


def _normalize(text: str) -> str:
    """As long as an n-gram at least. scikit-learn merges white space, but not null characters."""
    return f" {' '.join(text.split())} ".casefold().ljust(SIZE, "\0")


def find_contained(grams: Any, others: Any) -> Any:
    """Find the near-duplicates of texts.

    grams (csr_matrix): The n-grams of the texts, (n_texts, n_columns).
    others (csr_matrix): Those of other texts, (n_others, n_columns).
    RETURNS (csr_matrix): Whether each text is nearly contained in each of the others, bool,
        (n_texts, n_others).
    """
    shared = (grams @ others.T).tocsr()
    needed = numpy.repeat(SHARE * grams.getnnz(axis=1), numpy.diff(shared.indptr))
    shared.data = shared.data >= needed
    shared.eliminate_zeros()
    return shared


def mark_contained(grams: Any, others: Any) -> Bools1d:
    """RETURNS (Bools1d): Whether each text is nearly contained in any of the others, bool,
        (n_texts,).

    grams, others (csr_matrix): See `find_contained`.
    """
    parts = range(0, grams.shape[0], CHUNK)
    found = [find_contained(grams[i : i + CHUNK], others).getnnz(axis=1) > 0 for i in parts]
    return numpy.concatenate([numpy.zeros(0, dtype=bool), *found])


def find_distinct(grams: Any) -> Ints1d:
    """Leave out texts that are nearly contained in an earlier one that isn't left out.

    grams (csr_matrix): Their n-grams, (n_texts, n_columns).
    RETURNS (Ints1d): The other texts, int64, (n_distinct,).
    """
    is_kept = numpy.zeros(grams.shape[0], dtype=bool)
    for start in range(0, grams.shape[0], CHUNK):
        contained = find_contained(grams[start : start + CHUNK], grams[: start + CHUNK])
        for i, row in enumerate(numpy.split(contained.indices, contained.indptr[1:-1]), start):
            if not is_kept[row].any():
                is_kept[i] = True
    return numpy.nonzero(is_kept)[0]
