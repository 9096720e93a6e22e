"""Tags by word: which tokens make one, and what hangs on its edges."""

import numpy
import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import Model

from spacy_bert_ner.pipeline.bert_ner import BertNER
from spacy_bert_ner.tagging.gold import MISSING, get_gold
from spacy_bert_ner.tagging.schemes import TagSet
from spacy_bert_ner.tagging.words import get_words
from spacy_bert_ner.training.gold_report import GoldReport

NLP = spacy.blank("en")


def make_words(doc, align="word", breaks=()):
    rows = numpy.arange(len(doc))
    marks = numpy.isin(rows, [0, *breaks])
    words = get_words(doc, rows, marks, align)
    return [
        (doc[int(start)].text, doc[int(first) : int(last) + 1].text)
        for start, first, last in zip(*words)
    ]


@pytest.mark.parametrize(
    "text,expected",
    [
        # The token whose tag the word takes, and what an entity of this word alone is.
        ("London.", [("London", "London")]),
        ("(Paris)", [("(", "Paris")]),
        ('"Oslo" (Norway),', [('"', "Oslo"), ("(", "Norway")]),
        ("Bush's dog", [("Bush", "Bush"), ("dog", "dog")]),
        ("don't", [("do", "don't")]),
        ("U.S.-based", [("U.S.-based", "U.S.-based")]),
        ("London-based,", [("London", "London-based")]),
        ("AT&T's", [("AT&T", "AT&T")]),
        ("- x", [("-", "-"), ("x", "x")]),
        ("x ... !? y", [("x", "x"), ("...", "..."), ("!", "!?"), ("y", "y")]),
        ("about 5%, #tag", [("about", "about"), ("5", "5%"), ("#", "#tag")]),
        ("for $5.", [("for", "for"), ("$", "$5")]),
        ("‘Oslo’", [("‘", "Oslo")]),
    ],
)
def test_words(text, expected):
    assert make_words(NLP(text)) == expected


def test_tokens_are_units():
    doc = NLP("(Paris), don't")
    assert make_words(doc, "token") == [(token.text, token.text) for token in doc]


def test_breaks_divide_words():
    doc = Doc(NLP.vocab, words=["a", "-", "b"], spaces=[False] * 3)
    assert make_words(doc) == [("a", "a-b")]
    assert make_words(doc, breaks=[2]) == [("a", "a"), ("b", "b")]


def test_white_space_tokens_divide_words():
    doc = Doc(NLP.vocab, words=["a", "\n", "b"], spaces=[False] * 3)
    words = get_words(doc, numpy.array([0, 2]), numpy.array([True, False]), "word")
    assert words.starts.tolist() == [0, 1]


def test_tokens_that_show_nothing_do_not():
    doc = Doc(NLP.vocab, words=["a", "\u200b", "b"], spaces=[False] * 3)
    words = get_words(doc, numpy.array([0, 2]), numpy.array([True, False]), "word")
    assert words == ([0], [0], [2])


def test_no_tokens():
    doc = Doc(NLP.vocab)
    words = get_words(doc, numpy.zeros(0, dtype="int64"), numpy.zeros(0, dtype=bool), "word")
    assert [len(column) for column in words] == [0, 0, 0]


# Prediction


# The component only decodes here.
NO_MODEL = Model("none", forward=None)


def predict(doc, tags, **settings):
    """The entities that a component finds, given the best tag of each token."""
    ner = BertNER(doc.vocab, NO_MODEL, align="word", decoder="greedy", **settings)
    ner.cfg["labels"] = ["LOC", "PER"]
    ids = [ner.tag_set.tags.index(tag) for tag in tags.split()]
    ner.set_annotations([doc], [numpy.eye(len(ner.tag_set), dtype="float32")[ids]])
    return [(ent.text, ent.label_) for ent in doc.ents]


@pytest.mark.parametrize(
    "text,tags,expected",
    [
        # Tags of all tokens are given; only those of first tokens count.
        ("in (Paris).", "O B-LOC O O O", [("Paris", "LOC")]),
        ("in (Paris).", "O O B-LOC B-LOC B-LOC", []),
        ("Ann don't", "B-PER O B-LOC", [("Ann", "PER")]),
        ("New York, NY.", "B-LOC I-LOC O I-LOC O", [("New York, NY", "LOC")]),
        ("Oslo, Paris.", "B-LOC O B-LOC O", [("Oslo", "LOC"), ("Paris", "LOC")]),
        ("Bush's Ann", "B-PER O I-PER", [("Bush's Ann", "PER")]),
        ("Ann Bush's", "B-PER I-PER O", [("Ann Bush", "PER")]),
        ("- x", "B-LOC O", [("-", "LOC")]),
    ],
)
def test_predict(text, tags, expected):
    assert predict(NLP(text), tags) == expected


def test_predict_around_preset_entities():
    doc = NLP("London-based (Paris)")
    doc.set_ents([Span(doc, 0, 1, label="ORG")])
    assert predict(doc, "O B-LOC O B-LOC O O") == [
        ("London", "ORG"),
        ("based", "LOC"),
        ("Paris", "LOC"),
    ]


# Training


def make_example(text, ents, missing=()):
    doc = NLP(text)
    spans = [
        doc.char_span(text.index(ent), text.index(ent) + len(ent), label) for ent, label in ents
    ]
    doc.set_ents(spans, missing=[doc[i : i + 1] for i in missing], default="outside")
    return Example(NLP.make_doc(text), doc)


@pytest.mark.parametrize(
    "text,ents,missing,expected",
    [
        ("in (Paris).", [("Paris", "LOC")], [], "O B-LOC - - -"),
        ("in Paris.", [], [], "O O -"),
        ("New York, NY.", [("New York, NY", "LOC")], [], "B-LOC I-LOC - I-LOC -"),
        # An entity with the punctuation at its edge teaches the same
        ("at Yahoo!", [("Yahoo!", "LOC")], [], "O B-LOC -"),
        # Words that an entity divides
        ("London-based Ann", [("London", "LOC"), ("Ann", "PER")], [], "- - - B-PER"),
        ("Oslo/Paris x", [("Oslo", "LOC"), ("Paris", "LOC")], [], "- - - O"),
        # Labels that the model doesn't have
        ("at (UN)", [("UN", "ORG")], [], "O O - -"),
        # A word of which a part is not annotated
        ("a London-based", [], [2], "O - - -"),
        ("a London.", [("London", "LOC")], [2], "O B-LOC -"),
    ],
)
def test_gold(text, ents, missing, expected):
    tag_set = TagSet("BIO", ["LOC", "PER"])
    tags = get_gold(make_example(text, ents, missing), tag_set, align="word").tags
    assert ["-" if i == MISSING else tag_set.tags[i] for i in tags] == expected.split()


def test_incorrect_spans():
    example = make_example("in (New York), London-based", [])
    doc = example.reference
    doc.spans["wrong"] = [
        doc.char_span(4, 12, "LOC"),
        doc.char_span(15, 21, "LOC"),
    ]
    tag_set = TagSet("BIO", ["LOC"])
    (span,) = get_gold(example, tag_set, "wrong", align="word").incorrect
    assert span.rows.tolist() == [1, 3]
    assert [tag_set.tags[i] for i in span.tags] == ["B-LOC", "I-LOC"]
    assert span.follower == 6


def test_report():
    report = GoldReport(["LOC", "PER"], by_sentence=False, align="word")
    report.add(make_example("London-based Ann", [("London", "LOC"), ("Ann", "PER")]))
    report.add(make_example("(Oslo) at Yahoo!", [("Oslo", "LOC"), ("Yahoo!", "LOC")]))
    assert report.divided.n == 2
    assert 'set align = "token"' in report.message()
    report = GoldReport(["LOC", "PER"], by_sentence=False)
    report.add(make_example("London-based Ann", [("London", "LOC"), ("Ann", "PER")]))
    assert report.divided.n == 0


@pytest.mark.parametrize(
    "scheme,expected",
    [
        ("BIO", "B-X B-X I-X O"),
        ("IOB1", "I-X B-X I-X O"),
        ("IO", "I-X I-X I-X O"),
        ("BILUO", "U-X B-X L-X O"),
    ],
)
def test_gold_of_neighbours(scheme, expected):
    doc = Doc(NLP.vocab, words=list("abcd"), ents=["B-X", "B-X", "I-X", "O"])
    tag_set = TagSet(scheme, ["X"])
    tags = get_gold(Example(Doc(NLP.vocab, words=list("abcd")), doc), tag_set).tags
    assert [tag_set.tags[i] for i in tags] == expected.split()
