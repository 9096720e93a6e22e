import pytest
import spacy
from spacy.util import load_model_from_config

from spacy_bert_ner.callbacks import make_set_max_length

NAME = "spacy-bert-ner.set_max_length.v1"


def make_nlp(max_length):
    callback = {"@callbacks": NAME, "max_length": max_length}
    config = {"nlp": {"lang": "en", "pipeline": [], "after_pipeline_creation": callback}}
    return load_model_from_config(config, auto_fill=True)


@pytest.mark.parametrize("max_length", [1, 12, 2_000_000, 10**12])
def test_max_length_is_set_and_kept(tmp_path, max_length):
    nlp = make_nlp(max_length)
    assert nlp.max_length == max_length
    nlp.to_disk(tmp_path / "first")
    again = spacy.load(tmp_path / "first")
    assert again.max_length == max_length
    again.to_disk(tmp_path / "second")
    assert spacy.load(tmp_path / "second").max_length == max_length


def test_max_length_is_lost_without():
    """What the callback is for: the limit is no part of what spaCy saves."""
    nlp = spacy.blank("en")
    nlp.max_length = 2_000_000
    assert load_model_from_config(nlp.config).max_length == 1_000_000


def test_max_length_counts():
    text = "word " * 220_000  # over spaCy's limit of 1,000,000 characters
    with pytest.raises(ValueError, match="E088"):
        spacy.blank("en").make_doc(text)
    assert len(make_nlp(2_000_000).make_doc(text)) == 220_000
    with pytest.raises(ValueError, match="E088"):
        make_nlp(12)("thirteen chars")


@pytest.mark.parametrize("max_length", [0, -1])
def test_limit_that_no_text_meets(max_length):
    with pytest.raises(ValueError, match=f"at most {max_length} characters: set max_length to 1"):
        make_set_max_length(max_length)


def test_limit_of_another_type():
    with pytest.raises(ValueError, match="max_length"):
        make_nlp("long")
