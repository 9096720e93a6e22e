import pytest
import spacy
from spacy.tokens import Doc

from spacy_bert_ner import zones
from spacy_bert_ner.zones import bounded_zone, renew_indexes


@pytest.mark.parametrize("limit", [2000, 10**9])
def test_indexes_stay_small(monkeypatch, limit):
    """Without their renewal, they have room for all words that there ever were."""
    monkeypatch.setattr(zones, "MAX_INDEXED", limit)
    nlp = spacy.blank("en")
    before = len(nlp.vocab.strings)
    capacities = []
    for i in range(40):
        with bounded_zone(nlp):
            doc = nlp(" ".join(f"new{i}x{j}" for j in range(500)))
            assert doc[7].text == f"new{i}x7"
        capacities.append(nlp.vocab.strings._map.capacity)
    assert len(nlp.vocab.strings) == before
    assert (max(capacities) <= 8192) == (limit == 2000)


def test_words_and_strings_stay():
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "LOC", "pattern": "Oslo"}])
    doc = nlp("Oslo don't X. U.S.A. :)")
    expected = [(t.text, t.lower_, t.norm_, t.shape_, t.is_stop, t.ent_type_) for t in doc]
    strings = sorted(nlp.vocab.strings)
    norm = nlp.vocab.lex_attr_getters[spacy.attrs.NORM]
    for _ in range(3):
        renew_indexes(nlp.vocab)
        assert sorted(nlp.vocab.strings) == strings
        assert nlp.vocab.lex_attr_getters[spacy.attrs.NORM] is norm
        for read in (doc, nlp(doc.text), Doc(nlp.vocab).from_bytes(doc.to_bytes())):
            assert expected == [
                (t.text, t.lower_, t.norm_, t.shape_, t.is_stop, t.ent_type_) for t in read
            ]


def test_errors_leave_the_zone():
    nlp = spacy.blank("en")
    with pytest.raises(KeyError, match="mine"), bounded_zone(nlp):
        raise KeyError("mine")
    assert not nlp.vocab.in_memory_zone
