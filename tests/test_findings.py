import pytest

from spacy_bert_ner.findings import Finding
from spacy_bert_ner.formats import spans


@pytest.mark.parametrize(
    "several,one",
    [
        (spans.TRIMMED, "span begins or ends with white space, which is left out"),
        (spans.BLANK, "span has only white space, and is left out"),
        (spans.UNLABELED, "span has no label, and its tokens count as missing"),
        (spans.MISALIGNED, "span doesn't align with the tokens, which count as missing"),
        ("entities are left out: no place", "entity is left out: no place"),
        (
            "visible tokens have no wordpieces: they aren't learned from, and none ends with them",
            "visible token has no wordpieces: it isn't learned from, and none ends with it",
        ),
        (
            "documents have tokens with missing annotation",
            "document has tokens with missing annotation",
        ),
    ],
)
def test_one_is_said_of_one(several, one):
    found = Finding(several)
    found.add("a")
    assert found.line() == f"1 {one}: a"
    found.add("b")
    assert found.line() == f"2 {several}: a, b"


def test_one_of_many():
    found = Finding("spans have no label")
    found.add("a")
    assert found.line(3) == "1 of 3 spans have no label: a"


def test_the_first_are_shown():
    found = Finding("spans overlap others")
    for i in range(7):
        found.add(str(i))
    assert found.line(9) == "7 of 9 spans overlap others: 0, 1, 2, 3, 4, …"
