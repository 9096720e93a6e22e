from itertools import product

import numpy
import pytest
from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_bert_ner.tagging.calibration import Calibration, CandidateSettings, Curve
from spacy_bert_ner.tagging.candidates import MOST_PER_TOKEN, find_candidates, write_candidates
from spacy_bert_ner.tagging.entities import get_units
from spacy_bert_ner.tagging.schemes import SCHEMES, TagSet
from spacy_bert_ner.tagging.settings import Settings


def make_probs(n_tokens, n_tags, sharpness=1.0, seed=0):
    scores = numpy.random.default_rng(seed).normal(size=(n_tokens, n_tags)) * sharpness
    exps = numpy.exp(scores)
    return (exps / exps.sum(axis=1, keepdims=True)).astype("float32")


def is_there(tags, tag_set, start, end, label, breaks):
    """Whether tags have this entity: its tags, and none next to it that makes it longer."""
    wanted = tag_set.encode(end - start, label)
    if list(tags[start:end]) != wanted:
        return False
    before = start > 0 and not breaks[start] and not tag_set.starts[wanted[0]]
    after = end < len(tags) and not breaks[end]
    return not (
        (before and tag_set.continues[tags[start - 1], wanted[0]])
        or (after and tag_set.continues[wanted[-1], tags[end]])
    )


def sum_over_sequences(probs, breaks, tag_set):
    """RETURNS (Dict): The probability of each span, summed over all sequences of tags."""
    n_tokens, n_tags = probs.shape
    found = {}
    spans = [
        (start, end, label)
        for start in range(n_tokens)
        for end in range(start + 1, n_tokens + 1)
        for label in range(len(tag_set.labels))
        if not breaks[start + 1 : end].any()
    ]
    for tags in product(range(n_tags), repeat=n_tokens):
        p = float(numpy.prod(probs[range(n_tokens), tags].astype("float64")))
        for span in spans:
            if is_there(tags, tag_set, *span, breaks):
                found[span] = found.get(span, 0.0) + p
    return found


def to_dict(found):
    return {
        tuple(place): float(numpy.exp(log))
        for *place, log in zip(*(column.tolist() for column in found))
    }


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("break_at", [None, 2])
def test_probabilities(scheme, break_at):
    tag_set = TagSet(scheme, ["X", "Y"] if scheme != "BILUO" else ["X"])
    breaks = numpy.array([True, False, False, False])
    if break_at is not None:
        breaks[break_at] = True
    probs = make_probs(4, len(tag_set))
    found = to_dict(find_candidates(probs, breaks, tag_set, -numpy.inf))
    expected = sum_over_sequences(probs, breaks, tag_set)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=1e-6)


def test_threshold():
    tag_set = TagSet("BIO", ["X", "Y"])
    probs, breaks = make_probs(30, len(tag_set), 3.0), numpy.arange(30) == 0
    everything = to_dict(find_candidates(probs, breaks, tag_set, -numpy.inf))
    for lowest in (0.5, 0.1, 0.001):
        found = to_dict(find_candidates(probs, breaks, tag_set, numpy.log(lowest)))
        assert found == {place: p for place, p in everything.items() if p >= lowest}
        assert list(found) == sorted(found)


def test_limit():
    """The most probable ones."""
    tag_set = TagSet("BIO", ["A", "B", "C", "D", "E", "F", "G", "H", "I"])
    probs, breaks = make_probs(20, len(tag_set), 0.2), numpy.arange(20) == 0
    found = find_candidates(probs, breaks, tag_set, -numpy.inf)
    assert len(found.starts) == MOST_PER_TOKEN * 20
    single = to_dict(find_candidates(probs, breaks, tag_set, float(found.log_probs.min()) - 1e-12))
    assert to_dict(found) == single


def test_long_documents():
    """As many steps as the longest span that is probable enough."""
    tag_set = TagSet("BIO", ["X"])
    probs = numpy.tile(numpy.array([[0.98, 0.01, 0.01]], dtype="float32"), (50_000, 1))
    found = find_candidates(probs, numpy.arange(50_000) == 0, tag_set, numpy.log(0.005))
    assert len(found.starts) == 50_000
    assert (found.ends - found.starts == 1).all()


def test_no_tokens():
    found = find_candidates(numpy.zeros((0, 3)), numpy.zeros(0, bool), TagSet("BIO", ["X"]), -9.0)
    assert [len(column) for column in found] == [0] * 4


def test_written():
    """On the tokens of words, with calibrated scores, which no `ent._.score` reads."""
    words = ["New", "York", "(", "x", ")"]
    doc = Doc(Vocab(), words=words, spaces=[True, True, False, False, False])
    settings = Settings(align="word")
    tag_set = TagSet("BIO", ["LOC"])
    (units,) = get_units([doc], [numpy.ones(5, dtype=bool)], settings)
    probs = numpy.full((5, 3), [0.88, 0.02, 0.1], dtype="float32")
    probs[0], probs[1] = [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]
    candidates = CandidateSettings(float(numpy.log(0.1)), Curve(2.0, 0.5))
    calibration = Calibration({}, candidates)
    write_candidates(doc, units, probs, tag_set, None, Calibration(), "found")
    assert "found_candidates" not in doc.spans
    write_candidates(doc, units, probs, tag_set, None, calibration, "found")
    group = doc.spans["found_candidates"]
    assert [span.text for span in group] == ["New", "New York"]
    expected = Curve(2.0, 0.5).apply(
        numpy.array([0.8 * 0.2, 0.8 * 0.8 * 0.9]), numpy.zeros(2, dtype=int), ["LOC"]
    )
    numpy.testing.assert_allclose(group.attrs["scores"], expected, rtol=1e-5)
    copy = Doc(doc.vocab).from_bytes(doc.to_bytes())
    assert [span.text for span in copy.spans["found_candidates"]] == ["New", "New York"]
