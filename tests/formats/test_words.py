"""Records of words and tags."""

import pytest

from spacy_bert_ner.formats import FormatError, guess_format, read_docs

from .util import NLP, ents_of, read_records, tags_of, words_of

WORDS = ["Anna", "Berg", "in", "Oslo"]
TAGS = ["B-PER", "I-PER", "O", "B-LOC"]


@pytest.mark.parametrize("words", ["tokens", "words"])
@pytest.mark.parametrize("tags", ["ner_tags", "tags", "ner", "entities", "labels"])
def test_words_and_tags(tmp_path, words, tags):
    record = {"id": "0", words: WORDS, "pos_tags": [1, 2, 3, 4], tags: TAGS}
    (doc,), report = read_records(tmp_path, record, "jsonl")
    assert words_of(doc) == WORDS
    assert tags_of(doc) == TAGS
    assert doc.has_unknown_spaces
    assert not report.findings
    assert guess_format(tmp_path / "records.json") == "jsonl"


def test_tags_of_any_scheme(tmp_path):
    record = {"tokens": WORDS, "ner_tags": ["B-PER", "L-PER", "-", " U-LOC "]}
    (doc,), _ = read_records(tmp_path, record, "jsonl")
    assert ents_of(doc) == [("Anna Berg", "PER"), ("Oslo", "LOC")]
    assert tags_of(doc)[2] == "-"


def test_words_without_tags(tmp_path):
    (doc,), _ = read_records(tmp_path, {"tokens": WORDS}, "jsonl")
    assert words_of(doc) == WORDS
    assert not doc.has_annotation("ENT_IOB")


@pytest.mark.parametrize(
    "text,expected", [("Anna Berg in Oslo", "Anna Berg in Oslo"), (" Anna  Berg in Oslo", None)]
)
def test_words_of_a_text(tmp_path, text, expected):
    """White space that is a token of its own has no tag."""
    (doc,), _ = read_records(tmp_path, {"text": text, "words": WORDS, "tags": TAGS}, "jsonl")
    assert words_of(doc) == WORDS
    assert tags_of(doc) == TAGS
    assert doc.has_unknown_spaces == (expected is None)
    assert expected is None or doc.text == expected


@pytest.mark.parametrize(
    "record,match",
    [
        ({"ner_tags": TAGS[:3]}, "it has 4 words and 3 ner_tags. Give each word a tag"),
        ({"ner_tags": [1, 2, 0, 5]}, r"numbers, such as 1. Write the names.*features\['ner_tags"),
        ({"ner_tags": ["PER", "PER", "O", "LOC"]}, "the label 'PER' has no prefix: write B-PER"),
        ({"ner_tags": ["B-PER", "X", "O", ""]}, "the label 'X' has no prefix"),
        ({"ner_tags": ["B-PER", "O", "O", ""]}, "'' isn't a tag. Tags are O"),
        ({"words": ["a", ""], "tags": ["O", "O"], "tokens": None}, "its word 2 is empty"),
        ({"text": "Anna in Oslo", "tags": TAGS}, "its words don't match its text"),
        ({"text": 3, "tags": TAGS}, "its text is 3"),
        ({"tokens": ["\ud83d"]}, "of its words is half of a surrogate pair"),
        ({"tags": [*TAGS[:3], "B-\ud83d"]}, "of its tags is half of a surrogate pair"),
    ],
)
def test_wrong_records(tmp_path, record, match):
    with pytest.raises(FormatError, match=f"the record at line 1 of .*: .*{match}"):
        read_records(tmp_path, {"tokens": WORDS, **record}, "jsonl")


def test_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(NLP, "max_length", 3)
    (tmp_path / "a.conll").write_text("ab\tO\ncd\tO\n", encoding="utf-8")
    with pytest.raises(FormatError, match="line 1 of .*its text has 4 characters.* = 3. Split"):
        list(read_docs(tmp_path / "a.conll", NLP))
    with pytest.raises(FormatError, match="its text has 13 characters"):
        read_records(tmp_path, {"tokens": ["Anna", "Berg", "Oslo", "."]}, "jsonl")
