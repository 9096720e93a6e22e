"""Soft labels: kept with documents, checked, and put in the columns of others."""

import numpy
import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus as SpacyCorpus
from spacy.training import Example

from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats import FormatError, Report, read_docs, write_docs
from spacy_bert_ner.tagging.gold import get_gold, get_labels
from spacy_bert_ner.tagging.schemes import get_tag_set
from spacy_bert_ner.tagging.settings import Settings
from spacy_bert_ner.tagging.soft_labels import (
    SOFT_KEY,
    SoftLabels,
    average_tags,
    find_scheme,
    get_soft_labels,
    get_soft_tags,
    map_tags,
    set_soft_labels,
)
from spacy_bert_ner.training.corpus import Corpus
from spacy_bert_ner.training.gold_report import make_gold_report

NLP = spacy.blank("en")
WORDS = ["Anna", "lives", "here", ".", "In", "Oslo", "."]
STARTS = [True, False, False, False, True, False, False]
LABELS = ("PER", "LOC")


def make_soft(n_tokens, scheme="BIO", labels=LABELS, align="token", seed=0, has_gold=False):
    tag_set = get_tag_set(scheme, labels)
    probs = numpy.random.default_rng(seed).dirichlet(numpy.full(len(tag_set), 0.3), size=n_tokens)
    agreement = numpy.linspace(1.0, 0.5, n_tokens).astype("float32")
    return SoftLabels(scheme, labels, align, probs.astype("float32"), agreement, has_gold)


def make_doc(soft=None, words=WORDS, starts=STARTS):
    doc = Doc(NLP.vocab, words=words, sent_starts=starts)
    if soft is not None:
        set_soft_labels(doc, soft)
    return doc


def assert_same(found, expected):
    assert found._replace(probs=None, agreement=None) == expected._replace(
        probs=None, agreement=None
    )
    numpy.testing.assert_allclose(found.probs, expected.probs, atol=1e-3)
    numpy.testing.assert_allclose(found.agreement, expected.agreement, atol=1e-3)
    assert found.probs.dtype == numpy.float32


def test_round_trips(tmp_path):
    """Through a DocBin, our writer and reader, and spaCy's corpus; without any user data else."""
    soft = make_soft(len(WORDS), "BILUO", has_gold=True)
    soft.probs[3] = 0.0  # a token of which nothing is told
    doc = make_doc(soft)
    assert_same(get_soft_labels(doc), soft)
    data = DocBin(store_user_data=True, docs=[doc]).to_bytes()
    (again,) = DocBin().from_bytes(data).get_docs(spacy.blank("xx").vocab)
    assert_same(get_soft_labels(again), soft)
    write_docs(tmp_path / "a.spacy", [doc])
    (again,) = read_docs(tmp_path / "a.spacy", NLP)
    assert_same(get_soft_labels(again), soft)
    (example,) = SpacyCorpus(tmp_path / "a.spacy")(NLP)
    assert_same(get_soft_labels(example.reference), soft)
    (example,) = Corpus(tmp_path / "a.spacy")(NLP)
    assert_same(get_soft_labels(example.reference), soft)
    assert get_soft_labels(make_doc()) is None


def test_empty_documents():
    soft = make_soft(0)
    doc = Doc(NLP.vocab)
    set_soft_labels(doc, soft)
    assert get_soft_labels(doc).probs.shape == (0, 5)


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("probs", b"", "probs has 0 bytes, not 70"),
        ("probs", "text", "probs is str, not bytes"),
        ("probs", b"\xff" * 70, "probs isn't from 0 to 1"),
        ("probs", numpy.full(35, 0.5, "<f2").tobytes(), "don't add up to 1"),
        ("agreement", numpy.full(7, 2.0, "<f2").tobytes(), "agreement isn't from 0 to 1"),
        ("agreement", None, "agreement is NoneType"),
        ("scheme", "BIOX", "scheme = 'BIOX'"),
        ("scheme", ["BIO"], "scheme = ['BIO']"),
        ("align", "line", "align = 'line'"),
        ("labels", ["PER"], "probs has 70 bytes, not 42"),
        ("labels", ["PER", "PER"], "labels = ['PER', 'PER']"),
        ("labels", [1, 2], "their labels aren't strings"),
        ("labels", "PER", "their labels aren't strings"),
        ("has_gold", 1, "has_gold = 1"),
    ],
)
def test_what_was_changed_is_refused(tmp_path, key, value, message):
    doc = make_doc(make_soft(len(WORDS)))
    doc.user_data[SOFT_KEY][key] = value
    with pytest.raises(UserError) as error:
        get_soft_labels(doc)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    write_docs(tmp_path / "a.spacy", [make_doc(), doc])
    with pytest.raises(FormatError, match="Can't read record 2 of .*soft labels"):
        list(read_docs(tmp_path / "a.spacy", NLP))
    report = Report(skip_broken=True)
    assert len(list(read_docs(tmp_path / "a.spacy", NLP, report=report))) == 1
    assert report.n_broken == 1


def test_missing_and_other_types():
    doc = make_doc(make_soft(len(WORDS)))
    del doc.user_data[SOFT_KEY]["labels"]
    with pytest.raises(UserError, match="has no 'labels'"):
        get_soft_labels(doc)
    doc.user_data[SOFT_KEY] = [1]
    with pytest.raises(UserError, match="they are list, not a dict"):
        get_soft_labels(doc)


def test_of_other_tokens():
    """As after a retokenization."""
    doc = make_doc(make_soft(len(WORDS)))
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
    with pytest.raises(UserError, match="of 6 tokens"):
        get_soft_labels(doc)


@pytest.mark.parametrize("settings", [{"max_length": 5}, {"gold_preproc": True}])
def test_sentences_have_theirs(tmp_path, settings):
    soft = make_soft(len(WORDS))
    write_docs(tmp_path / "a.spacy", [make_doc(soft)])
    examples = list(Corpus(tmp_path / "a.spacy", **settings)(NLP))
    assert [len(example.reference) for example in examples] == [4, 3]
    for example, place in zip(examples, (slice(0, 4), slice(4, 7))):
        assert_same(get_soft_labels(example.reference), soft.within(place.start, place.stop))


def test_mixed_with_gold(tmp_path):
    """A folder with both: documents without soft labels stay as they are."""
    write_docs(tmp_path / "a.spacy", [make_doc(make_soft(len(WORDS)))])
    gold = Doc(NLP.vocab, words=WORDS, ents=["B-ORG", *"OOOOOO"])
    write_docs(tmp_path / "b.iob2", [gold])
    examples = list(Corpus(tmp_path)(NLP))
    assert [get_soft_labels(example.reference) is None for example in examples] == [False, True]
    assert get_labels(examples) == ["LOC", "ORG", "PER"]


def test_soft_labels_alone_are_something_to_learn(tmp_path, monkeypatch):
    messages = []
    monkeypatch.setattr("spacy_bert_ner.training.corpus.warn", messages.append)
    write_docs(tmp_path / "a.spacy", [make_doc(make_soft(len(WORDS)))])
    Corpus(tmp_path / "a.spacy").check()
    write_docs(tmp_path / "b.spacy", [make_doc()])
    Corpus(tmp_path / "b.spacy").check()
    assert len(messages) == 1 and "b.spacy" in messages[0]


def test_augmenters(tmp_path):
    """That change words keep soft labels; those that change tokens are refused."""
    soft = make_soft(len(WORDS))
    write_docs(tmp_path / "a.spacy", [make_doc(soft)])
    lower = spacy.registry.augmenters.get("spacy.lower_case.v1")(level=1.0)
    (example,) = Corpus(tmp_path / "a.spacy", augmenter=lower)(NLP)
    assert example.reference[0].text == "anna"
    assert_same(get_soft_labels(example.reference), soft)

    def shorten(nlp, example):
        yield Example(nlp.make_doc("Anna"), nlp.make_doc("Anna"))

    with pytest.raises(UserError, match="its 7 tokens to 1"):
        list(Corpus(tmp_path / "a.spacy", augmenter=shorten)(NLP))


def test_other_tokens_are_aligned():
    """Tokens that aren't one token there have none."""
    soft = make_soft(5)
    soft.probs[4] = 0.0
    reference = make_doc(soft, ["Mr.", "Lee-Ann", "is", "n't", "."], [True, *[False] * 4])
    predicted = Doc(NLP.vocab, words=["Mr.", "Lee", "-", "Ann", "isn't", "."])
    rows = numpy.arange(6)
    found = get_soft_tags(Example(predicted, reference), soft.tag_set, "token", rows)
    assert found.rows.tolist() == [0]
    numpy.testing.assert_allclose(found.probs, soft.probs[:1], atol=1e-3)
    predicted = Doc(NLP.vocab, words=["Mr.", "Lee-Ann", "isn't", "."])
    found = get_soft_tags(Example(predicted, reference), soft.tag_set, "token", rows[:4])
    assert found.rows.tolist() == [0, 1]
    assert found.agreement.tolist() == pytest.approx([1.0, 0.875], abs=1e-3)
    found = get_soft_tags(Example(predicted, reference), soft.tag_set, "token", rows[1:2])
    assert found.rows.tolist() == [1]


def test_in_gold():
    """By the names of the labels, in any order, and outside for labels that aren't there."""
    soft = make_soft(len(WORDS))
    example = Example(make_doc(), make_doc(soft))
    tags = get_tag_set("BIO", ("ORG", "PER"))
    found = get_gold(example, tags).soft
    assert found.rows.tolist() == list(range(7))
    theirs, ours = soft.tag_set.tags, tags.tags
    for tag in ("B-PER", "I-PER"):
        numpy.testing.assert_allclose(
            found.probs[:, ours.index(tag)], soft.probs[:, theirs.index(tag)], atol=1e-3
        )
    assert not found.probs[:, ours.index("B-ORG")].any()
    numpy.testing.assert_allclose(found.probs.sum(axis=1), 1.0, atol=1e-5)
    assert get_gold(Example(make_doc(), make_doc()), tags).soft is None


@pytest.mark.parametrize(
    "theirs, ours, pairs",
    [
        ("BILUO", "BIO", {"B": "B", "I": "I", "L": "I", "U": "B"}),
        ("BILUO", "IO", {"B": "I", "I": "I", "L": "I", "U": "I"}),
        ("BIO", "IO", {"B": "I", "I": "I"}),
        ("IOB1", "IO", {"B": "I", "I": "I"}),
    ],
)
def test_schemes_are_converted(theirs, ours, pairs):
    their_tags, our_tags = get_tag_set(theirs, LABELS), get_tag_set(ours, LABELS)
    matrix = map_tags(their_tags, our_tags)
    assert matrix.sum() == len(their_tags)
    for prefix, other in pairs.items():
        for name in LABELS:
            place = (
                their_tags.tags.index(f"{prefix}-{name}"),
                our_tags.tags.index(f"{other}-{name}"),
            )
            assert matrix[place] == 1.0


def test_what_cant_be_converted_is_refused():
    example = Example(make_doc(), make_doc(make_soft(len(WORDS))))
    with pytest.raises(
        UserError, match='of the scheme BIO with scheme = "BILUO".*Set scheme to "BIO"'
    ):
        get_gold(example, get_tag_set("BILUO", LABELS))
    with pytest.raises(UserError, match='align = "token" in a component with align = "word"'):
        get_gold(example, get_tag_set("BIO", LABELS), align="word")
    report = make_gold_report(None, Settings(scheme="IOB1"), lambda doc: numpy.ones(7, bool))
    with pytest.raises(UserError, match="of the scheme BIO"):
        report.add(example)


def test_common_scheme():
    assert find_scheme(["BIO", "BIO"]) == "BIO"
    assert find_scheme(["BILUO", "BIO", "BILUO"]) == "BIO"
    assert find_scheme(["BIO", "IO"]) == "IO"
    assert find_scheme(["BIO", "IOB1"]) is None


def test_mean_and_agreement():
    P, Q = (make_soft(4, seed=seed).probs for seed in (1, 2))
    Q[0] = 0.0  # of which this teacher tells nothing
    known = [numpy.ones(5, dtype=bool)] * 2
    mean, agreement = average_tags([P, Q], known, numpy.array([0.75, 0.25]))
    numpy.testing.assert_allclose(mean[0], P[0], rtol=1e-6)
    numpy.testing.assert_allclose(mean[1:], 0.75 * P[1:] + 0.25 * Q[1:], rtol=1e-5)
    best = mean.argmax(axis=1)
    expected = 0.75 * (P.argmax(axis=1) == best) + 0.25 * (Q.argmax(axis=1) == best)
    expected[0] = 1.0
    numpy.testing.assert_allclose(agreement, expected, rtol=1e-6)
    nothing = numpy.zeros((1, 5))
    mean, agreement = average_tags([nothing] * 2, known, numpy.array([0.5, 0.5]))
    assert not mean.any() and not agreement.any()


def test_labels_that_not_all_know():
    """The O of who doesn't know LOC is divided as by the teacher that knows it."""
    tags = get_tag_set("IO", LABELS).tags
    assert tags == ["O", "I-PER", "I-LOC"]
    knows_all = numpy.array([True, True, True])
    knows_per, knows_loc = numpy.array([True, True, False]), numpy.array([True, False, True])
    weights = numpy.array([0.5, 0.5])
    one, other = numpy.array([[0.9, 0.1, 0.0]]), numpy.array([[0.2, 0.2, 0.6]])
    mean, agreement = average_tags([one, other], [knows_per, knows_all], weights)
    filled = [0.9 * 0.25, 0.1, 0.9 * 0.75]
    numpy.testing.assert_allclose(mean[0], (filled + other[0]) / 2, rtol=1e-6)
    assert agreement[0] == 1.0
    # Each knows a label that the other doesn't.
    other = numpy.array([[0.3, 0.0, 0.7]])
    mean, _ = average_tags([one, other], [knows_per, knows_loc], weights)
    expected = numpy.array([0.9 * 0.3 + 0.3 * 0.9, 0.1 + 0.3 * 0.1, 0.9 * 0.7 + 0.7]) / 2
    numpy.testing.assert_allclose(mean[0], expected, rtol=1e-6)
    numpy.testing.assert_allclose(mean.sum(), 1.0, rtol=1e-6)
