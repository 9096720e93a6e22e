import json

import pytest

from spacy_bert_ner.formats import FormatError, Report
from spacy_bert_ner.formats import spans as module
from spacy_bert_ner.formats.files import Record
from spacy_bert_ner.formats.spans import CharSpan, align_spans, get_knowledge, set_ents

from .util import NLP, ents_of, found, make_doc, tags_of

#        0    5    10      18       27
TEXT = "Anna Berg lives  in New-York.\n"
WORDS = ["Anna", "Berg", "lives", " ", "in", "New-York", ".", "\n"]


def make(spans, text=TEXT, **settings):
    """The document with spans set, and the report."""
    doc, report = NLP.make_doc(text), Report()
    spans = [CharSpan(*span) for span in spans]
    set_ents(doc, align_spans(doc, spans, report, Record("a", 3, 1, {})), **settings)
    return doc, report


@pytest.fixture(autouse=True)
def whole_hyphens(monkeypatch):
    """New-York is one token here."""
    monkeypatch.setattr(NLP.tokenizer, "infix_finditer", None)


def test_tokens():
    assert [token.text for token in NLP.make_doc(TEXT)] == WORDS


def test_spans_that_fit():
    doc, report = make([(20, 28, "LOC"), (0, 9, "PER")])
    assert tags_of(doc) == ["B-PER", "I-PER", "O", "O", "O", "B-LOC", "O", "O"]
    assert not report.findings


def test_no_spans():
    doc, report = make([])
    assert tags_of(doc) == ["O"] * 8
    assert not report.findings
    assert tags_of(make([], outside=False)[0]) == ["-"] * 8


def test_others_may_be_missing():
    doc, _ = make([(0, 4, "PER")], outside=False)
    assert tags_of(doc) == ["B-PER"] + ["-"] * 7


@pytest.mark.parametrize(
    "what,spans,missing",
    [
        (module.MISALIGNED, [(0, 3, "X")], [0]),
        (module.MISALIGNED, [(1, 9, "X")], [0, 1]),
        (module.MISALIGNED, [(24, 28, "X")], [5]),
        (module.MISALIGNED, [(21, 29, "X")], [5, 6]),
        (module.OVERLAPPING, [(0, 9, "X"), (5, 9, "Y")], [0, 1]),
        (module.OVERLAPPING, [(0, 4, "X"), (0, 4, "Y")], [0]),
        (module.OVERLAPPING, [(0, 3, "X"), (2, 9, "Y")], [0, 1]),
        (module.UNLABELED, [(0, 4, None)], [0]),
        (module.UNLABELED, [(0, 4, "")], [0]),
        (module.UNLABELED, [(0, 4, " \n")], [0]),
        (module.NUMBERED, [(0, 4, 3)], [0]),
        (module.NUMBERED, [(0, 4, ["X"])], [0]),
        (module.NUMBERED, [(0, 4, 2.0)], [0]),
        (module.NUMBERED, [(0, 4, {"a": 1})], [0]),
    ],
)
def test_spans_that_do_not_fit(what, spans, missing):
    doc, report = make([*spans, (10, 15, "Z")])
    assert found(report) == {what: len(spans)}
    assert [i for i, tag in enumerate(tags_of(doc)) if tag == "-"] == missing
    assert ents_of(doc) == [("lives", "Z")]


def test_same_span_twice():
    """Other than two labels for one span, it says nothing new."""
    doc, report = make([(0, 4, "X"), (0, 4, "X"), (0, 5, "X")])
    assert ents_of(doc) == [("Anna", "X")]
    assert found(report) == {module.TRIMMED: 1}


def test_spans_side_by_side():
    doc, report = make([(0, 4, "X"), (4, 9, "X"), (28, 29, "Y"), (20, 28, "Y")])
    assert ents_of(doc) == [("Anna", "X"), ("Berg", "X"), ("New-York", "Y"), (".", "Y")]
    assert found(report) == {module.TRIMMED: 1}


@pytest.mark.parametrize("span", [(4, 9), (5, 10), (4, 10)])
def test_white_space_at_the_edges(span):
    doc, report = make([(*span, " X ")])
    assert ents_of(doc) == [("Berg", "X")]
    assert found(report) == {module.TRIMMED: 1}


@pytest.mark.parametrize("span", [(4, 5), (15, 17), (29, 30)])
def test_white_space_alone(span):
    doc, report = make([(*span, "X")])
    assert tags_of(doc) == ["O"] * 8
    assert found(report) == {module.BLANK: 1}


def test_white_space_within():
    doc, report = make([(10, 19, "X")])
    assert ents_of(doc) == [("lives  in", "X")]
    assert not report.findings


@pytest.mark.parametrize(
    "start,end",
    [
        (-4, 4),
        (0, 31),
        (4, 0),
        (4, 4),
        (30, 31),
        (None, 4),
        (0, None),
        ("0", "4"),
        (0.0, 4.0),
        (False, True),
        (0, True),
        ([], {}),
    ],
)
def test_offsets_that_are_no_place(start, end):
    """The span may be anywhere, so that no token is known to be outside of entities."""
    doc, report = make([(start, end, "X"), (20, 28, "LOC")])
    assert tags_of(doc) == ["-"] * 5 + ["B-LOC"] + ["-"] * 2
    assert found(report) == {module.UNPLACED: 1}
    shown = f"{json.dumps(start)}–{json.dumps(end)}"
    assert f"? (X, {shown}, record 3, line 1)" in report.message()
    assert "whole numbers" in report.message()


def test_label_with_half_of_a_pair():
    with pytest.raises(FormatError, match="character 1 of its label is half of a surrogate pair"):
        make([(0, 4, "A\ud83d")])


def test_all_are_counted_and_five_shown():
    _, report = make([(i, i + 2, "X") for i in (0, 5, 10, 20, 22, 24)])
    assert found(report) == {module.MISALIGNED: 6}
    places = {"'An' (X, 0–2": "Anna", "'Be' (X, 5–7": "Berg", "'li' (X, 10–12": "lives"}
    places.update({"'Ne' (X, 20–22": "New-York", "'w-' (X, 22–24": "New-York"})
    shown = [f"{place}, record 3, line 1, cuts '{word}')" for place, word in places.items()]
    shown = f"{', '.join(shown)}, …"
    assert report.message() == f"6 {module.MISALIGNED}: {shown}"


@pytest.mark.parametrize(
    "start,end,words", [(1, 3, "'Anna'"), (1, 9, "'Anna'"), (1, 6, "'Anna' and 'Berg'")]
)
def test_the_tokens_that_a_span_cuts(start, end, words):
    _, report = make([(start, end, "X")])
    assert report.message().endswith(f"(X, {start}–{end}, record 3, line 1, cuts {words})")


def test_empty_text():
    doc, report = make([(0, 0, "X")], text="")
    assert len(doc) == 0
    assert found(report) == {module.UNPLACED: 1}


@pytest.mark.parametrize(
    "words,tags,expected",
    [
        ("a b", "- -", (False, True, False)),
        ("a b", "B-X -", (True, True, False)),
        ("a b", "O -", (True, True, True)),
        ("a b", "O B-X", (True, False, True)),
        ("a \n", "O -", (True, False, True)),
        ("a \n", "B-X O", (True, False, False)),
    ],
)
def test_knowledge(words, tags, expected):
    assert get_knowledge(make_doc(words.split(" "), tags.split())) == expected
