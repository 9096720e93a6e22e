"""Keep memory constant, however many documents are read."""

from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from typing import Any, Callable, Iterable, Iterator, List, Sequence

from spacy.attrs import NORM
from spacy.language import Language
from spacy.tokens import Doc

# The most words in the index of a vocabulary, removed ones included: a few megabytes.
MAX_INDEXED = 200_000


@contextmanager
def bounded_zone(nlp: Language) -> Iterator[None]:
    """Open a memory zone of spaCy, and keep the indexes of the vocabulary small after any number of
    zones. Don't use objects from the zone after it ends; lexeme flags that were set manually
    (`lexeme.is_stop`) may be lost.

    nlp (Language): The pipeline whose vocabulary is bounded.
    """
    with nlp.memory_zone():
        yield
    if len(nlp.vocab) > MAX_INDEXED:
        renew_indexes(nlp.vocab)


def renew_indexes(vocab: Any) -> None:
    """Rebuild the indexes of words and strings of a Vocab. A zone frees everything that is new in
    it except its slots in these hash tables, which grow with every new word.

    Words are created again when they next occur, as after loading a pipeline.

    vocab (Vocab): The vocabulary, outside of zones.
    """
    norm = vocab.lex_attr_getters.get(NORM)
    vocab.from_bytes(vocab.to_bytes(exclude=["vectors", "lookups"]))
    if norm is not None:
        vocab.lex_attr_getters[NORM] = norm  # which from_bytes wraps in one more lookup


def take_batches(
    nlps: Sequence[Language], docs: Iterable[Doc], take: Callable[[Iterator[Doc]], List[Doc]]
) -> Iterator[List[Doc]]:
    """Yield documents in batches, each in a memory zone of some pipelines, so that their
    vocabularies don't grow with the number of documents.

    nlps (Sequence[Language]): The pipelines that read the documents.
    docs (Iterable[Doc]): The documents, read as they are needed.
    take (Callable[[Iterator[Doc]], List[Doc]]): Returns the next batch; an empty list if there are
        no more documents.
    YIELDS (List[Doc]): Batches, at least one; it is empty if there are no documents. Don't use a
        batch, or anything made from it, after the next one.
    """
    docs = iter(docs)
    # A DocBin adds the strings of all its documents with the first one, so that is read outside.
    docs = chain(list(islice(docs, 1)), docs)
    is_first = True
    while True:
        with ExitStack() as zones:
            for nlp in nlps:
                zones.enter_context(bounded_zone(nlp))
            batch = take(docs)
            if not batch and not is_first:
                return
            yield batch
        is_first = False


def take_at_most(size: int) -> Callable[[Iterator[Doc]], List[Doc]]:
    """RETURNS (Callable[[Iterator[Doc]], List[Doc]]): Returns the next documents, see
    `take_batches`.

    size (int): The most documents to return.
    """
    return lambda docs: list(islice(docs, size))


def take_words(n_words: int) -> Callable[[Iterator[Doc]], List[Doc]]:
    """RETURNS (Callable[[Iterator[Doc]], List[Doc]]): Returns the next documents, see
        `take_batches`. The last one is that with which they have so many words.

    n_words (int): Number of words.
    """

    def take(docs: Iterator[Doc]) -> List[Doc]:
        batch: List[Doc] = []
        n_taken = 0
        for doc in docs:
            batch.append(doc)
            n_taken += len(doc)
            if n_taken >= n_words:
                break
        return batch

    return take
