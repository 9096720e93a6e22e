"""Memory that stays the same however much is read."""

from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from typing import Any, Callable, Iterable, Iterator, List, Sequence

from spacy.attrs import NORM
from spacy.language import Language
from spacy.tokens import Doc

# Words in the index of a vocabulary, those that are gone counted too: a few megabytes.
MAX_INDEXED = 200_000


@contextmanager
def bounded_zone(nlp: Language) -> Iterator[None]:
    """A memory zone of spaCy, and what is needed besides to read any number of them. Nothing that
    is made within may be used behind it; flags of words that were set by hand (`lexeme.is_stop`)
    are lost at some time.

    nlp (Language): The pipeline whose vocabulary is bounded.
    """
    with nlp.memory_zone():
        yield
    if len(nlp.vocab) > MAX_INDEXED:
        renew_indexes(nlp.vocab)


def renew_indexes(vocab: Any) -> None:
    """Make the indexes of words and strings of a Vocab anew. A zone gives back all that is
    new in it, but for its places in these hash tables, which grow with all words there ever were.

    Words are made again when they are met, as after loading: this is what loading does, too.

    vocab (Vocab): The vocabulary, outside of zones.
    """
    norm = vocab.lex_attr_getters.get(NORM)
    vocab.from_bytes(vocab.to_bytes(exclude=["vectors", "lookups"]))
    if norm is not None:
        vocab.lex_attr_getters[NORM] = norm  # not looked up once more with each time


def take_batches(
    nlps: Sequence[Language], docs: Iterable[Doc], take: Callable[[Iterator[Doc]], List[Doc]]
) -> Iterator[List[Doc]]:
    """Take documents in batches, each in a memory zone of some pipelines, so that their
    vocabularies don't grow with what is read.

    nlps (Sequence[Language]): Those that read the documents.
    docs (Iterable[Doc]): The documents, which are read as they are taken.
    take (Callable[[Iterator[Doc]], List[Doc]]): Takes the next ones; none, if there are no more.
    YIELDS (List[Doc]): Batches, at least one, which is empty if there are no documents. They are
        gone with the next one, as is all that was made of them.
    """
    docs = iter(docs)
    # A DocBin adds the strings of all its documents with the first, so that one is read outside.
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
    """RETURNS (Callable[[Iterator[Doc]], List[Doc]]): Takes so many documents, see `take_batches`.

    size (int): How many.
    """
    return lambda docs: list(islice(docs, size))
