import numpy
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_bert_ner.pipeline.scorer import bert_ner_score, make_bert_ner_scorer
from spacy_bert_ner.tagging.decode import decode
from spacy_bert_ner.tagging.schemes import TagSet

VOCAB = Vocab()
LABELS = ["LOC", "O-x", "PER"]


def make_doc(tags):
    return Doc(VOCAB, words=["w"] * len(tags), ents=tags)


def make_examples(predicted, gold):
    return [Example(make_doc(x), make_doc(y)) for x, y in zip(predicted, gold)]


def make_tags(rng, n_tokens, rate):
    """A random valid tag sequence in IOB2."""
    tag_set, ids = TagSet("BIO", LABELS), [0]
    weights = numpy.where(numpy.arange(len(tag_set)) == 0, 1.0 - rate, rate)
    for _ in range(n_tokens):
        weight = weights * tag_set.allowed[ids[-1]]
        ids.append(int(rng.choice(len(tag_set), p=weight / weight.sum())))
    return [tag_set.tags[i] for i in ids[1:]]


@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 12), min_size=1, max_size=5),
    st.sampled_from([0.05, 0.3, 0.8]),
    st.sampled_from([0.0, 0.2, 1.0]),
)
def test_equal_to_seqeval(seed, lengths, rate, changed):
    """Strict precision, recall and F, over all and for each label."""
    rng = numpy.random.default_rng(seed)
    gold = [make_tags(rng, length, rate) for length in lengths]
    predicted = [
        make_tags(rng, len(tags), rate) if rng.random() < changed else tags for tags in gold
    ]
    scores = bert_ner_score(make_examples(predicted, gold))
    strict = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    metrics = {"p": precision_score, "r": recall_score, "f": f1_score}
    names = sorted({tag[2:] for tags in gold + predicted for tag in tags if tag != "O"})
    if not names:
        assert scores["ents_f"] is None
        return
    assert sorted(scores["ents_per_type"]) == names
    for key, metric in metrics.items():
        assert scores[f"ents_{key}"] == pytest.approx(metric(gold, predicted, **strict))
        # seqeval orders labels by name
        expected = metric(gold, predicted, average=None, **strict)
        found = [scores["ents_per_type"][name][key] for name in names]
        assert found == pytest.approx(list(expected))


@settings(deadline=None, derandomize=True, max_examples=50)
@given(data=st.data(), length=st.integers(1, 30))
def test_equal_to_conlleval(data, length):
    """seqeval's default mode is conlleval. The most probable tags may break the scheme: greedy
    decoding reads them as conlleval does."""
    tag_set = TagSet("BIO", ("LOC", "PER"))
    ids = st.lists(st.integers(0, len(tag_set) - 1), min_size=length, max_size=length)
    tags = data.draw(ids)
    breaks = numpy.arange(length) == 0
    gold = ["O"] * length
    found = decode(numpy.eye(len(tag_set))[data.draw(ids)], breaks, tag_set, "greedy")
    for start, end, label in zip(found.starts, found.ends, found.labels):
        gold[start:end] = [tag_set.tags[i] for i in tag_set.encode(end - start, label)]
    doc = Doc(VOCAB, words=["w"] * length)
    found = decode(numpy.eye(len(tag_set))[tags], breaks, tag_set, "greedy")
    doc.set_ents(
        [
            Span(doc, start, end, label=tag_set.labels[label])
            for start, end, label in zip(found.starts, found.ends, found.labels)
        ]
    )
    scores = bert_ner_score([Example(doc, make_doc(gold))])
    predicted = [[tag_set.tags[tag] for tag in tags]]
    for key, metric in (("p", precision_score), ("r", recall_score), ("f", f1_score)):
        expected = metric([gold], predicted, zero_division=0)
        assert (scores[f"ents_{key}"] or 0.0) == pytest.approx(expected)


@pytest.mark.parametrize(
    "predicted,gold,p,r,f",
    [
        ("B-PER I-PER O", "B-PER I-PER O", 1.0, 1.0, 1.0),
        ("B-PER O O", "B-PER I-PER O", 0.0, 0.0, 0.0),  # another end
        ("O B-PER O", "B-PER I-PER O", 0.0, 0.0, 0.0),  # another start
        ("B-LOC I-LOC O", "B-PER I-PER O", 0.0, 0.0, 0.0),  # another label
        ("B-PER B-PER O", "B-PER I-PER O", 0.0, 0.0, 0.0),  # one split up
        ("B-PER O B-LOC", "B-PER O O", 0.5, 1.0, 2 / 3),
        ("B-PER O O", "B-PER O B-LOC", 1.0, 0.5, 2 / 3),
        ("O O O", "B-PER O O", 0.0, 0.0, 0.0),
    ],
)
def test_by_hand(predicted, gold, p, r, f):
    scores = bert_ner_score(make_examples([predicted.split()], [gold.split()]))
    assert [scores[key] for key in ("ents_p", "ents_r", "ents_f")] == pytest.approx([p, r, f])


def test_missing_annotation_is_not_scored():
    """Predictions where nobody annotated are neither right nor wrong."""
    predicted = ["B-PER", "O", "B-LOC"]
    unknown = Example(make_doc(predicted), Doc(VOCAB, words=["w"] * 3))
    assert bert_ner_score([unknown])["ents_f"] is None
    partly = make_doc(["B-PER", "O", "O"])
    partly.set_ents(list(partly.ents), missing=[partly[2:3]], default="outside")
    scores = bert_ner_score([unknown, Example(make_doc(predicted), partly)])
    assert (scores["ents_p"], scores["ents_r"], scores["ents_f"]) == (1.0, 1.0, 1.0)


def test_nothing_to_score():
    assert bert_ner_score([]) == {
        "ents_p": None,
        "ents_r": None,
        "ents_f": None,
        "ents_per_type": None,
    }


def test_registered():
    make = spacy.registry.scorers.get("spacy-bert-ner.bert_ner_scorer.v1")
    assert make is make_bert_ner_scorer
    assert make() is bert_ner_score
