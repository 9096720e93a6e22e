"""Memory that stays the same however much is read."""

from contextlib import contextmanager
from typing import Any, Iterator

from spacy.attrs import NORM
from spacy.language import Language

# Words in the index of a vocabulary, those that are gone counted too: a few megabytes.
MAX_INDEXED = 200_000


@contextmanager
def bounded_zone(nlp: Language) -> Iterator[None]:
    """A memory zone of spaCy, and what is needed besides to read any number of them. Nothing that
    is made within may be used behind it; flags of words that were set by hand (`lexeme.is_stop`)
    are lost at some time."""
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
