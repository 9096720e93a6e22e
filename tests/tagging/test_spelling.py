import pytest

from spacy_bert_ner.tagging.spelling import find_misspelled


@pytest.mark.parametrize(
    "counts,shown",
    [
        ({"INGREDEINT": 3, "INGREDIENT": 120}, "'INGREDEINT' (3) for 'INGREDIENT' (120)"),
        ({"per": 1, "PER": 10}, "'per' (1) for 'PER' (10)"),
        ({"TOOL_NAME": 2, "TOOL-NAME": 20}, "'TOOL_NAME' (2) for 'TOOL-NAME' (20)"),
        ({"PRODUCTS": 5, "PRODUCT": 50, "ORG": 90}, "'PRODUCTS' (5) for 'PRODUCT' (50)"),
        ({"PRODUCTS": 0, "PRODUCT": 50}, "'PRODUCTS' (0) for 'PRODUCT' (50)"),
    ],
)
def test_alike(counts, shown):
    assert find_misspelled(counts).shown == [shown]


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"PRODUCT": 1},
        {"PRODUCTS": 6, "PRODUCT": 50},  # not rare
        {"LOC": 1, "LOCA": 100, "ORG": 100, "GPE": 1},  # short
        {"PERSON": 1, "PERCENT": 100, "TIME": 2, "DATE": 100},
    ],
)
def test_not_alike(counts):
    assert find_misspelled(counts).n == 0
