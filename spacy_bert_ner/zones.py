"""Keep memory constant, however many documents are read."""

from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from typing import Any, Callable, Iterable, Iterator, List, Sequence

from spacy.attrs import NORM
from spacy.language import Language
from spacy.tokens import Doc

# The most words in the index of a vocabulary, removed ones included: a few megabytes.
MAX_INDEXED = 200_000
# New strings in the vocabularies of a zone, after which it is renewed: a few megabytes. A word has
# about four: itself, its shape, prefix and suffix.
MAX_NEW = 100_000


class Zone:
    """A memory zone of some pipelines that is renewed after many new words. A zone for each batch
    would make the words of all batches again: most of the time of spaCy's tokenizer.

    nlps (Sequence[Language]): The pipelines whose vocabularies are bounded.
    """

    def __init__(self, nlps: Sequence[Language]):
        self.nlps = nlps
        self._zones = ExitStack()

    def __enter__(self) -> "Zone":
        self._zones.__enter__()
        for nlp in self.nlps:
            self._zones.enter_context(bounded_zone(nlp))
        self._n_before = self._count()
        return self

    def __exit__(self, *error: Any) -> None:
        self._zones.__exit__(*error)

    def renew(self) -> None:
        """End the zone and open another, if there are many new words. Don't use objects from the
        zone after that."""
        if self._count() - self._n_before > MAX_NEW:
            self.__exit__(None, None, None)
            self.__enter__()

    def _count(self) -> int:
        return sum(len(nlp.vocab.strings) for nlp in self.nlps)


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
    """Yield documents in batches, in a `Zone` of some pipelines, so that their vocabularies don't
    grow with the number of documents.

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
    with Zone(nlps) as zone:
        batch = take(docs)
        yield batch
        while batch:
            zone.renew()
            batch = take(docs)
            if batch:
                yield batch


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
