"""Records of words and their tags, as in Hugging Face datasets and in spaCy's training data."""

from typing import Any, List, Optional

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import get_words_and_spaces

from ..findings import number
from .files import Record, check_length, check_text, keep_fields
from .tags import explain_tag, is_tag, set_ents

WORDS_KEYS = ("tokens", "words")
TAGS_KEYS = ("ner_tags", "tags", "ner", "entities", "labels")


def has_words(record: Record) -> bool:
    """Whether a record has words: a list of strings, and either no text, or tags.

    record (Record): The record.
    RETURNS (bool): Whether it has words.
    """
    words = _get_words(record)
    return words is not None and ("text" not in record.data or _get_tags(record) is not None)


def _get_words(record: Record) -> Optional[List[Any]]:
    for key in WORDS_KEYS:
        words = record.data.get(key)
        if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
            return words
    return None


def _get_tags(record: Record) -> Optional[str]:
    """The key of the tags, which are strings or numbers."""
    for key in TAGS_KEYS:
        tags = record.data.get(key)
        if isinstance(tags, list) and tags and {type(tag) for tag in tags} <= {int, str}:
            return key
    return None


def read_words(nlp: Language, record: Record) -> Doc:
    """Read a record of words, with tags of any scheme or without.

    nlp (Language): Its tokenizer and vocabulary are used.
    record (Record): The record.
    RETURNS (Doc): A document of these words. White space between them is unknown, unless the record
        also has a text.
    RAISES (ValueError): For empty words, for invalid tags, and for more or fewer tags than words.
    """
    words = _get_words(record) or []
    record.check_unicode("".join(words), "words")
    if "" in words:
        raise record.error(f"its word {words.index('') + 1} is empty. Remove it and its tag.")
    check_length(nlp, record, sum(map(len, words)))
    doc = _make_doc(nlp, record, words)
    keep_fields(doc, record)
    key = _get_tags(record)
    if key is not None:
        set_ents(doc, _check_tags(record, key, len(words)))
    return doc


def _make_doc(nlp: Language, record: Record, words: List[str]) -> Doc:
    text = record.data.get("text")
    if text is None:
        return Doc(nlp.vocab, words=words)
    check_text(nlp, record, text)
    if "".join("".join(words).split()) != "".join(text.split()):
        raise record.error("its words don't match its text. Leave out the words or the text.")
    spaced = get_words_and_spaces(words, text)
    # A token of white space would have no tag.
    return Doc(nlp.vocab, *spaced) if spaced[0] == words else Doc(nlp.vocab, words=words)


def _check_tags(record: Record, key: str, n_words: int) -> List[str]:
    tags = record.data[key]
    if len(tags) != n_words:
        raise record.error(
            f"it has {number(n_words, 'word')} and {len(tags)} {key}. Give each word a tag."
        )
    for tag in tags:
        if not isinstance(tag, str):
            raise record.error(
                f"its {key} are numbers, such as {tag}. Write the names of the tags, which are in "
                f"dataset.features[{key!r}].feature.names"
            )
        record.check_unicode(tag, key)
        if not is_tag(tag):
            raise record.error(f"in its {key}, {explain_tag(tag)}.")
    return [tag.strip() for tag in tags]
