"""Documents are the same when they are written and read again, as far as a format has them, and
also through any other that has the same."""

import string
from typing import NamedTuple

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from spacy_bert_ner.formats import Report, doccano, read_docs, write_docs
from spacy_bert_ner.formats.files import RECORD_KEY
from spacy_bert_ner.formats.spans import get_scores
from spacy_bert_ner.tagging.entity_scores import SOURCE

from .util import NLP, ents_of, sents_of, tags_of, words_of


class Keeps(NamedTuple):
    """What a format keeps, besides entities and the bounds of documents."""

    text: bool = True  # white space too, and what is known of each entity's place
    words: bool = False  # other tokens than the tokenizer's
    unannotated: bool = True
    missing: bool = False  # single tokens
    incorrect: bool = False  # where nothing else is known
    sents: bool = False
    fields: bool = True
    ids: bool = True  # of any type, else they become text
    scores: bool = False


FORMATS = {
    "spacy": Keeps(words=True, missing=True, incorrect=True, sents=True, scores=True),
    "jsonl": Keeps(words=True, incorrect=True),
    "doccano": Keeps(),
    "label-studio": Keeps(),
    "conll": Keeps(text=False, words=True, missing=True, sents=True, fields=False),
    "biluo": Keeps(text=False, words=True, missing=True, sents=True, fields=False),
    "parquet": Keeps(ids=False),
}


def make_docs():
    """One whole, with sentences; one of another tokenizer; one not annotated."""
    first = NLP.make_doc("Anna  Berg\tsaw \U0001f600 Oslo .\r\nBo , of Oslo , saw\u200b Anna .\n")
    first = Doc(
        NLP.vocab,
        words=words_of(first),
        spaces=[bool(token.whitespace_) for token in first],
        sent_starts=[token.i == 0 or token.text == "Bo" for token in first],
    )
    places = {"Anna": "PER", "Bo": "PER", "Oslo": "LOC", "\U0001f600": "A-b"}
    ents = [Span(first, t.i, t.i + 1, label=places[t.text]) for t in first if t.text in places]
    ents[0] = Span(first, 0, [t.text for t in first].index("Berg") + 1, label="PER")
    first.set_ents(ents)
    first.user_data[RECORD_KEY] = {"id": 3, "meta": {"source": "\U0001f600", "page": 4}}
    words = ["New York", "-", "based", "e", "\u0301", "x"]
    second = Doc(NLP.vocab, words=words, spaces=[False, False, True, False, True, False])
    second.set_ents([Span(second, 0, 1, label="LOC")])
    third = NLP.make_doc("Not annotated")
    return [first, second, third]


def round_trip(tmp_path, docs, name):
    path, report = tmp_path / name, Report()
    write_docs(path, docs, name, report)
    return list(read_docs(path, NLP, name, report)), report


def visible(items, doc):
    """Of items of tokens, those of tokens that are no white space."""
    return [item for item, token in zip(items, doc) if not token.is_space]


def squeezed(ents):
    return [(" ".join(text.split()), label) for text, label in ents]


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
def test_pairs(tmp_path, first, second):
    keeps = Keeps(*map(all, zip(FORMATS[first], FORMATS[second])))
    docs = make_docs()
    if not keeps.words:
        del docs[1]
    between, _ = round_trip(tmp_path, docs, first)
    read, _ = round_trip(tmp_path, between, second)
    assert len(read) == len(docs)
    for doc, other in zip(docs, read):
        assert squeezed(ents_of(other)) == squeezed(ents_of(doc))
        assert visible(words_of(other), other) == visible(words_of(doc), doc)
        assert other.has_annotation("ENT_IOB") == doc.has_annotation("ENT_IOB")
        if keeps.text:
            assert other.text == doc.text
            assert words_of(other) == words_of(doc)
            assert [e.start_char for e in other.ents] == [e.start_char for e in doc.ents]
            assert tags_of(other) == tags_of(doc)
        if keeps.sents and doc.has_annotation("SENT_START"):
            assert len(list(other.sents)) == len(list(doc.sents)) == 2
            words = [sent[0].text for sent in doc.sents]
            assert [sent[0].text for sent in other.sents] == words
        if keeps.fields:
            record = doc.user_data.get(RECORD_KEY)
            if record and not keeps.ids:
                record = {**record, "id": str(record["id"])}
            assert other.user_data.get(RECORD_KEY) == record


@pytest.mark.parametrize("name", [name for name, keeps in FORMATS.items() if keeps.missing])
def test_missing_tokens(tmp_path, name):
    doc = Doc(NLP.vocab, words=["a", "b", "c"])
    doc.set_ents([Span(doc, 1, 2, label="X")], missing=[doc[2:3]], default="outside")
    (read,), report = round_trip(tmp_path, [doc], name)
    assert tags_of(read) == tags_of(doc) == ["O", "B-X", "-"]
    assert not report.findings


@pytest.mark.parametrize("name", FORMATS)
def test_only_entities_are_known(tmp_path, name):
    """Formats that can't say that nothing else is known count such documents."""
    doc = Doc(NLP.vocab, words=["a", "b"])
    doc.set_ents([Span(doc, 1, 2, label="X")], default="missing")
    (read,), report = round_trip(tmp_path, [doc], name)
    assert ents_of(read) == [("b", "X")]
    assert (tags_of(read) == ["-", "B-X"]) != bool(report.findings)


@pytest.mark.parametrize("name", FORMATS)
def test_wrong_entities(tmp_path, name):
    doc = Doc(NLP.vocab, words=["a", "b"])
    doc.spans["incorrect_spans"] = [Span(doc, 1, 2, label="X")]
    (read,), report = round_trip(tmp_path, [doc], name)
    assert set(tags_of(read)) == {"-"}
    kept = [(span.text, span.label_) for span in read.spans.get("incorrect_spans", [])]
    assert kept == ([("b", "X")] if FORMATS[name].incorrect else [])
    assert bool(report.findings) != FORMATS[name].incorrect


@pytest.mark.parametrize("name", FORMATS)
def test_scores(tmp_path, name):
    doc = Doc(NLP.vocab, words=["a", "b"], ents=["B-X", "O"])
    doc.spans["bert_ner"] = doc.ents
    doc.spans["bert_ner"].attrs.update(scores=numpy.array([0.5], dtype="float32"), source=SOURCE)
    (read,), _ = round_trip(tmp_path, [doc], name)
    label = NLP.vocab.strings["X"]
    assert get_scores(read) == ({(0, 1, label): 0.5} if FORMATS[name].scores else None)


@pytest.mark.parametrize("name", FORMATS)
def test_empty_documents(tmp_path, name):
    """A format of tokens has nothing to say of them, and counts them."""
    docs = [Doc(NLP.vocab), Doc(NLP.vocab, words=["a"], ents=["B-X"]), Doc(NLP.vocab)]
    read, report = round_trip(tmp_path, docs, name)
    assert [len(doc) for doc in read if len(doc)] == [1]
    assert len(read) == (3 if FORMATS[name].text else 1)
    assert bool(report.findings) != FORMATS[name].text


PIECES = st.sampled_from(
    [
        *"ab.,-'é\u00df中ア",
        "\U0001f600",
        "\U0001f468\u200d\U0001f692",
        "\U00010348",
        "e\u0301",
        "\u0301",
        "\u200b",
        "\ufeff",
        "\u00a0",
        "\u2028",
        "\x85",
        "\x00",
        "\x1c",
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "\r",
        "\\n",
        '"',
        "<b>",
    ]
)
TEXTS = st.lists(PIECES, max_size=25).map("".join)
LABELS = st.text(alphabet=string.ascii_letters + "-_ é\U0001f600", min_size=1, max_size=5).filter(
    lambda label: label == label.strip()
)


@st.composite
def annotated_docs(draw):
    """A document with spans that don't overlap, begin or end with white space."""
    doc = NLP.make_doc(draw(TEXTS))
    spans = []
    shown = [token.i for token in doc if not token.text.isspace()]
    for _ in range(draw(st.integers(0, 4)) if shown else 0):
        first, last = sorted(draw(st.tuples(st.sampled_from(shown), st.sampled_from(shown))))
        spans.append(Span(doc, first, last + 1, label=draw(LABELS)))
    whole = [span for span in filter_spans(spans) if span.text == span.text.strip()]
    doc.set_ents(whole)
    return doc


@pytest.mark.parametrize("name", ["jsonl", "doccano", "label-studio", "spacy", "parquet"])
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(docs=st.lists(annotated_docs(), min_size=1, max_size=3))
def test_random_texts(tmp_path, name, docs):
    read, report = round_trip(tmp_path, docs, name)
    assert [doc.text for doc in read] == [doc.text for doc in docs]
    assert [words_of(doc) for doc in read] == [words_of(doc) for doc in docs]
    assert [tags_of(doc) for doc in read] == [tags_of(doc) for doc in docs]
    # Which is told wherever other tools may count otherwise.
    assert set(report.findings) <= {doccano.WIDE}


WORDS = TEXTS.filter(lambda text: text and not text.isspace())


@pytest.mark.parametrize("name", ["conll", "biluo"])
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(data=st.data())
def test_random_words(tmp_path, name, data):
    """Those that lines can't have are counted."""
    words = data.draw(st.lists(WORDS, min_size=1, max_size=8))
    starts = [True, *data.draw(st.lists(st.booleans(), min_size=7, max_size=7))][: len(words)]
    doc = Doc(NLP.vocab, words=words, sent_starts=starts)
    # An entity of several tokens has no sentence start within.
    doc.set_ents([Span(doc, i, i + 1, label=data.draw(LABELS)) for i in range(0, len(words), 2)])
    read, report = round_trip(tmp_path, [doc], name)
    kept = [token for token in doc if not set(token.text) & set("\t\r\n")]
    assert sum(finding.n for finding in report.findings.values()) == len(words) - len(kept) + (
        not kept
    )
    assert [words_of(doc) for doc in read] == ([[token.text for token in kept]] if kept else [])
    assert [ents_of(doc) for doc in read] == (
        [[(t.text, t.ent_type_) for t in kept if t.ent_type_]] if kept else []
    )
    if len(kept) == len(words):
        assert sents_of(read[0]) == sents_of(doc)
