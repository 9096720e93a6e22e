from itertools import product

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from spacy_bert_ner.tagging import decode as decode_module
from spacy_bert_ner.tagging.decode import (
    constrained_tags,
    crf_probs,
    decode,
    find_entities,
    viterbi,
)
from spacy_bert_ner.tagging.schemes import SCHEMES, TagSet

# Standard deviation of random logits: 0 makes all tags alike, 1e-6 makes every neighbour clash,
# 60 leaves probabilities of exactly 0 and 1.
SHARPNESS = [0.0, 1e-6, 1e-4, 1e-2, 0.1, 1.0, 5.0, 20.0, 60.0]
TAG_SETS = [TagSet("BIO", ["X", "Y"]), TagSet("BILUO", ["X"])]  # 5 tags each
SEEDS = st.integers(0, 2**32 - 1)
TRANSITIONS = {
    tag_set.scheme.prefixes: numpy.where(tag_set.allowed, 0.0, -numpy.inf).astype("float32")
    for tag_set in TAG_SETS
}


def make_probs(rng, n_tokens, n_tags, sharpness):
    logits = rng.normal(size=(n_tokens, n_tags)) * sharpness
    probs = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    return (probs / probs.sum(axis=1, keepdims=True)).astype("float32")


def make_breaks(rng, n_tokens, rate):
    breaks = rng.random(n_tokens) < rate
    breaks[:1] = True
    return breaks


def only_first(n_tokens):
    return numpy.arange(n_tokens) == 0


def to_logs(probs):
    return numpy.log(numpy.maximum(probs, numpy.finfo("float32").tiny))


def score_of(log_probs, tags):
    return log_probs[numpy.arange(len(tags)), tags].sum(dtype="float64")


def is_valid(tag_set, tags, breaks):
    ends = numpy.append(breaks[1:], True)[: len(tags)]
    return bool(
        tag_set.first[tags[breaks]].all()
        and tag_set.last[tags[ends]].all()
        and (tag_set.allowed[tags[:-1], tags[1:]] | breaks[1:]).all()
    )


def best_of_all(scores, transitions):
    """Try all tag sequences. Of equal ones, the one that is lowest read from its end."""
    n_tokens, n_tags = scores.shape
    paths = numpy.array(list(product(range(n_tags), repeat=n_tokens)))[:, ::-1]
    totals = scores[numpy.arange(n_tokens), paths].sum(axis=1)
    totals = totals + transitions[paths[:, :-1], paths[:, 1:]].sum(axis=1)
    return paths[totals.argmax()]


def split(breaks):
    starts = numpy.nonzero(breaks)[0].tolist()
    return list(zip(starts, starts[1:] + [len(breaks)]))


def mask_edges(log_probs, tag_set):
    scores = log_probs.astype("float64")
    scores[0, ~tag_set.first] = -numpy.inf
    scores[-1, ~tag_set.last] = -numpy.inf
    return scores


def plain_viterbi(log_probs, breaks, tag_set):
    """Each sequence decoded as a whole, in double precision."""
    transitions = TRANSITIONS[tag_set.scheme.prefixes]
    tags = [
        viterbi(
            mask_edges(log_probs[start:end], tag_set)[None],
            numpy.array([end - start]),
            transitions,
        )[0]
        for start, end in split(breaks)
    ]
    return numpy.concatenate(tags)


def parse(tags, tag_set):
    return numpy.array([tag_set.tags.index(tag) for tag in tags.split()])


def as_tuples(entities, tag_set, labels):
    return [
        (labels[label], start, end)
        for start, end, label in zip(
            entities.starts.tolist(), entities.ends.tolist(), entities.labels.tolist()
        )
    ]


@pytest.fixture
def count_steps(monkeypatch):
    """Counts the tokens that viterbi passes over, padding included, and stops it at a limit."""
    steps = {"n": 0, "limit": 0}

    def counting(scores, lengths, transitions):
        steps["n"] += scores.shape[0] * scores.shape[1]
        assert steps["n"] <= steps["limit"], "decodes the same tokens over and over"
        return viterbi(scores, lengths, transitions)

    monkeypatch.setattr(decode_module, "viterbi", counting)
    return steps


@settings(deadline=None, max_examples=100)
@given(SEEDS, st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 4))
def test_viterbi_is_best_of_all(seed, lengths, n_tags):
    """Small whole numbers, so that sums are exact and many are equal."""
    rng = numpy.random.default_rng(seed)
    scores = rng.integers(-3, 1, (len(lengths), max(lengths), n_tags)).astype("float32")
    transitions = rng.integers(-2, 1, (n_tags, n_tags)).astype("float32")
    transitions[rng.random(transitions.shape) < 0.2] = -numpy.inf
    transitions[:, 0] = 0.0
    tags = viterbi(scores, numpy.array(lengths), transitions)
    assert tags.shape == (len(lengths), max(lengths))
    for i, length in enumerate(lengths):
        expected = best_of_all(scores[i, :length], transitions)
        assert tags[i, :length].tolist() == expected.tolist()


@pytest.mark.parametrize("tag_set", TAG_SETS)
@settings(deadline=None, max_examples=100)
@given(SEEDS, st.integers(1, 9), st.sampled_from(SHARPNESS))
def test_constrained_is_best_of_all(tag_set, seed, n_tokens, sharpness):
    rng = numpy.random.default_rng(seed)
    log_probs = to_logs(make_probs(rng, n_tokens, len(tag_set), sharpness))
    breaks = make_breaks(rng, n_tokens, 0.4)
    breaks[::5] = True  # nothing too long to try everything
    tags = constrained_tags(log_probs, breaks, tag_set)
    assert is_valid(tag_set, tags, breaks)
    for start, end in split(breaks):
        scores = mask_edges(log_probs[start:end], tag_set)
        expected = best_of_all(scores, TRANSITIONS[tag_set.scheme.prefixes])
        best = score_of(log_probs[start:end], expected)
        assert score_of(log_probs[start:end], tags[start:end]) == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("tag_set", TAG_SETS)
@settings(deadline=None, max_examples=100)
@given(SEEDS, st.integers(1, 200))
def test_constrained_ties_as_plain_viterbi(tag_set, seed, n_tokens):
    """Decoding piece by piece takes the same one of equal sequences as decoding at once."""
    rng = numpy.random.default_rng(seed)
    log_probs = rng.integers(-2, 1, (n_tokens, len(tag_set))).astype("float32")
    breaks = make_breaks(rng, n_tokens, 0.1)
    tags = constrained_tags(log_probs, breaks, tag_set)
    assert tags.tolist() == plain_viterbi(log_probs, breaks, tag_set).tolist()


@pytest.mark.parametrize("tag_set", TAG_SETS)
@settings(deadline=None, max_examples=60)
@given(SEEDS, st.integers(1, 400), st.sampled_from(SHARPNESS), st.sampled_from([0.0, 0.05, 0.5]))
def test_constrained_scores_as_plain_viterbi(tag_set, seed, n_tokens, sharpness, rate):
    rng = numpy.random.default_rng(seed)
    log_probs = to_logs(make_probs(rng, n_tokens, len(tag_set), sharpness))
    breaks = make_breaks(rng, n_tokens, rate)
    tags = constrained_tags(log_probs, breaks, tag_set)
    assert is_valid(tag_set, tags, breaks)
    best = score_of(log_probs, plain_viterbi(log_probs, breaks, tag_set))
    assert score_of(log_probs, tags) == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("tag_set", TAG_SETS)
@pytest.mark.parametrize("sharpness", SHARPNESS)
def test_constrained_long(tag_set, sharpness, count_steps):
    """The best whole of 5,000 tokens, without going over them more than a few times."""
    n_tokens = 5000
    log_probs = to_logs(make_probs(numpy.random.default_rng(0), n_tokens, len(tag_set), sharpness))
    count_steps["limit"] = 10 * n_tokens
    tags = constrained_tags(log_probs, only_first(n_tokens), tag_set)
    assert is_valid(tag_set, tags, only_first(n_tokens))
    best = score_of(log_probs, plain_viterbi(log_probs, only_first(n_tokens), tag_set))
    assert score_of(log_probs, tags) == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("at_end", [True, False])
def test_constrained_clash_that_travels(at_end, count_steps):
    """One token that decides about all the others, one after the other, from either end."""
    tag_set, n_tokens = TAG_SETS[0], 5000
    if at_end:  # I-X needs an entity before it, and tags before it are I-X at hardly any cost
        usual, sure = [0.4001, 0.0001, 0.4, 0.1, 0.0998], [0.0001, 0.0001, 0.9997, 5e-5, 5e-5]
    else:  # B-X, and tags after it are I-X as long as nothing else may stand there
        usual, sure = [1e-6, 1e-6, 0.4, 1e-6, 0.599997], [1e-6, 0.999996, 1e-6, 1e-6, 1e-6]
    probs = numpy.tile(numpy.array(usual, dtype="float32"), (n_tokens, 1))
    probs[-1 if at_end else 0] = sure
    log_probs = to_logs(probs)
    expected = plain_viterbi(log_probs, only_first(n_tokens), tag_set)
    count_steps["limit"] = 10 * n_tokens
    tags = constrained_tags(log_probs, only_first(n_tokens), tag_set)
    assert tags.tolist() == expected.tolist()


@pytest.mark.parametrize("decoder", ["constrained", "greedy"])
@pytest.mark.parametrize("tag_set", TAG_SETS)
@settings(deadline=None, max_examples=60)
@given(SEEDS, st.integers(1, 80), st.sampled_from(SHARPNESS), st.sampled_from([0.05, 0.3, 1.0]))
def test_breaks_are_ends_of_text(tag_set, decoder, seed, n_tokens, sharpness, rate):
    """Sequences one after the other have the entities that each has alone, and no others."""
    rng = numpy.random.default_rng(seed)
    probs = make_probs(rng, n_tokens, len(tag_set), sharpness)
    breaks = make_breaks(rng, n_tokens, rate)
    together = decode(probs, breaks, tag_set, decoder)
    for start, end in zip(together.starts, together.ends):
        assert start < end
        assert not breaks[start + 1 : end].any()
    assert (together.starts[1:] >= together.ends[:-1]).all()
    alone = [
        (start, decode(probs[start:end], only_first(end - start), tag_set, decoder))
        for start, end in split(breaks)
    ]
    for name, offset in (("starts", 1), ("ends", 1), ("labels", 0), ("scores", 0)):
        parts = [getattr(entities, name) + offset * start for start, entities in alone]
        numpy.testing.assert_allclose(
            getattr(together, name), numpy.concatenate(parts), rtol=1e-5, err_msg=name
        )


@pytest.mark.parametrize("with_transitions", [False, True])
@pytest.mark.parametrize("tag_set", TAG_SETS)
def test_named_scores(tag_set, with_transitions):
    """Those of the edges are sums over labels, and those of the type what is left."""
    rng = numpy.random.default_rng(0)
    probs = make_probs(rng, 200, len(tag_set), 3.0)
    transitions = rng.normal(size=(len(tag_set),) * 2) if with_transitions else None
    scores = numpy.log(probs) if with_transitions else probs
    breaks = make_breaks(rng, 200, 0.1)
    if with_transitions:
        probs = crf_probs(scores, breaks, tag_set, transitions)
    found = decode(scores, breaks, tag_set, "constrained", transitions)
    assert len(found.starts) > 20
    for start, end, label, exact, edges, kind in zip(*vars(found).values()):
        tags = tag_set.encode(end - start, label)
        rows = range(start, end)
        names = [tag_set.tags[tag].split("-")[0] for tag in tags]
        same = [[tag.split("-")[0] == name for tag in tag_set.tags] for name in names]
        product = numpy.prod([probs[i, tag] for i, tag in zip(rows, tags)])
        of_edges = numpy.prod([probs[i, columns].sum() for i, columns in zip(rows, same)])
        assert exact == pytest.approx(product ** (1 / (end - start)), rel=1e-4)
        assert edges == pytest.approx(of_edges ** (1 / (end - start)), rel=1e-4)
        assert exact == pytest.approx(edges * kind, rel=1e-4)
        assert exact <= edges <= 1.0


@pytest.mark.parametrize(
    "scheme,tags,expected",
    [
        ("BIO", "O O O", []),
        ("BIO", "B-X I-X O", [("X", 0, 2)]),
        ("BIO", "B-X B-X", [("X", 0, 1), ("X", 1, 2)]),
        ("BIO", "B-X I-X B-Y I-Y", [("X", 0, 2), ("Y", 2, 4)]),
        # Tags that can't continue the entity before them
        ("BIO", "I-X", [("X", 0, 1)]),
        ("BIO", "O I-X I-X", [("X", 1, 3)]),
        ("BIO", "B-X I-Y I-Y", [("X", 0, 1), ("Y", 1, 3)]),
        ("BIO", "B-X I-Y I-X", [("X", 0, 1), ("Y", 1, 2), ("X", 2, 3)]),
        ("BIO", "I-X O I-X", [("X", 0, 1), ("X", 2, 3)]),
        ("BILUO", "U-X U-X", [("X", 0, 1), ("X", 1, 2)]),
        ("BILUO", "B-X I-X L-X O", [("X", 0, 3)]),
        ("BILUO", "B-X L-X B-X L-X", [("X", 0, 2), ("X", 2, 4)]),
        ("BILUO", "L-X", [("X", 0, 1)]),
        ("BILUO", "O I-X L-X", [("X", 1, 3)]),
        ("BILUO", "B-X L-X L-X", [("X", 0, 2), ("X", 2, 3)]),
        ("BILUO", "B-X L-X I-X", [("X", 0, 2), ("X", 2, 3)]),
        ("BILUO", "U-X L-X", [("X", 0, 1), ("X", 1, 2)]),
        # Entities that aren't closed
        ("BILUO", "B-X", [("X", 0, 1)]),
        ("BILUO", "B-X I-X O", [("X", 0, 2)]),
        ("BILUO", "B-X B-X L-X", [("X", 0, 1), ("X", 1, 3)]),
        ("BILUO", "B-X U-X", [("X", 0, 1), ("X", 1, 2)]),
        ("BILUO", "I-X L-Y", [("X", 0, 1), ("Y", 1, 2)]),
    ],
)
def test_greedy_repair(scheme, tags, expected):
    labels = ["X", "Y"]
    tag_set = TagSet(scheme, labels)
    tags = parse(tags, tag_set)
    probs = numpy.full((len(tags), len(tag_set)), 0.01, dtype="float32")
    probs[numpy.arange(len(tags)), tags] = 0.9
    entities = decode(probs, only_first(len(tags)), tag_set, "greedy")
    assert as_tuples(entities, tag_set, labels) == expected
    numpy.testing.assert_allclose(entities.scores, 0.9, rtol=1e-6)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@pytest.mark.parametrize("labels", [["X", "Y"], ["O", "O-x"], ["geo-loc", "loc"]])
@settings(deadline=None, max_examples=100)
@given(st.data())
def test_finds_what_seqeval_finds(scheme, labels, data):
    """seqeval reads as conlleval does, with E and S for our L and U."""
    tag_set = TagSet(scheme, labels)
    ids = st.integers(0, len(tag_set) - 1)
    sequences = data.draw(st.lists(st.lists(ids, min_size=1, max_size=8), max_size=4))
    tags = numpy.array([i for sequence in sequences for i in sequence], dtype="int64")
    breaks = numpy.array([i == 0 for sequence in sequences for i in range(len(sequence))], bool)
    starts, ends = find_entities(tags, breaks, tag_set)
    found = [
        (labels[tag_set.label_ids[tags[start]]], int(start), int(end))
        for start, end in zip(starts, ends)
    ]
    theirs = {"L": "E", "U": "S"}
    expected, offset = [], 0
    for sequence in sequences:
        names = [tag_set.tags[i] for i in sequence]
        names = [theirs.get(name[0], name[0]) + name[1:] for name in names]
        chunks = get_entities(names)
        expected += [(label, start + offset, end + 1 + offset) for label, start, end in chunks]
        offset += len(sequence)
    assert found == expected


@pytest.mark.parametrize("decoder", ["constrained", "greedy"])
def test_score_is_geometric_mean(decoder):
    tag_set = TagSet("BIO", ["X", "Y"])
    probs = numpy.array(
        [
            [0.05, 0.9, 0.02, 0.02, 0.01],  # B-X
            [0.3, 0.1, 0.4, 0.1, 0.1],  # I-X: (.9 * .4) ** 1/2 = .6
            [0.1, 0.1, 0.1, 0.64, 0.06],  # B-Y
            [0.1, 0.1, 0.1, 0.2, 0.5],  # I-Y
            [0.0, 0.1, 0.1, 0.0, 0.8],  # I-Y: (.64 * .5 * .8) ** 1/3 = .256 ** 1/3
            [0.9, 0.1, 0.0, 0.0, 0.0],  # O
            [0.2, 0.7, 0.1, 0.0, 0.0],  # B-X
        ],
        dtype="float32",
    )
    entities = decode(probs, only_first(7), tag_set, decoder)
    assert entities.starts.tolist() == [0, 2, 6]
    assert entities.ends.tolist() == [2, 5, 7]
    assert entities.labels.tolist() == [0, 1, 0]
    assert entities.scores.dtype == "float32"
    numpy.testing.assert_allclose(entities.scores, [0.6, 0.256 ** (1 / 3), 0.7], rtol=1e-6)


def test_constrained_and_greedy_differ():
    """I-X is best at the second token, and doesn't fit what is best before it."""
    tag_set = TagSet("BIO", ["X"])
    breaks = only_first(2)
    probs = numpy.array([[0.5, 0.3, 0.2], [0.1, 0.3, 0.6]], dtype="float32")
    greedy = decode(probs, breaks, tag_set, "greedy")
    assert as_tuples(greedy, tag_set, ["X"]) == [("X", 1, 2)]
    assert greedy.scores[0] == pytest.approx(0.6)
    # B-X I-X: .3 * .6 = .18, O B-X: .5 * .3 = .15
    constrained = decode(probs, breaks, tag_set, "constrained")
    assert as_tuples(constrained, tag_set, ["X"]) == [("X", 0, 2)]
    assert constrained.scores[0] == pytest.approx(0.18**0.5)
    split_up = decode(probs, numpy.ones(2, dtype=bool), tag_set, "constrained")
    assert as_tuples(split_up, tag_set, ["X"]) == [("X", 1, 2)]
    assert split_up.scores[0] == pytest.approx(0.3)


@pytest.mark.parametrize("decoder", ["constrained", "greedy"])
@pytest.mark.parametrize("tag_set", TAG_SETS)
@settings(deadline=None, max_examples=60)
@given(SEEDS, st.integers(0, 60), st.sampled_from(SHARPNESS))
def test_scores_from_0_to_1(tag_set, decoder, seed, n_tokens, sharpness):
    rng = numpy.random.default_rng(seed)
    probs = make_probs(rng, n_tokens, len(tag_set), sharpness)
    entities = decode(probs, make_breaks(rng, n_tokens, 0.1), tag_set, decoder)
    n = len(entities.starts)
    assert len(entities.ends) == len(entities.labels) == len(entities.scores) == n
    assert ((entities.scores >= 0.0) & (entities.scores <= 1.0)).all()


def test_rounded_above_1():
    """A softmax in float32 gives a little more than 1 at times."""
    probs = numpy.array([[0.0, 1.0000002, 0.0]], dtype="float32")
    assert probs.max() > 1.0
    assert decode(probs, only_first(1), TagSet("BIO", ["X"]), "greedy").scores.tolist() == [1.0]


def test_long_text_does_not_blur_scores():
    """Scores are differences of sums over all tokens, which must not lose digits."""
    tag_set, n_tokens = TagSet("BIO", ["X"]), 200_000
    probs = numpy.tile(numpy.array([0.34, 0.33, 0.33], dtype="float32"), (n_tokens, 1))
    probs[-1] = [0.1, 0.8765, 0.0235]
    entities = decode(probs, only_first(n_tokens), tag_set, "constrained")
    assert entities.starts.tolist() == [n_tokens - 1]
    assert entities.scores[0] == pytest.approx(0.8765, abs=1e-6)


@pytest.mark.parametrize("decoder", ["constrained", "greedy"])
@pytest.mark.parametrize(
    "scheme,tags,expected",
    [
        ("BIO", "O B-X I-X O B-X", [("X", 1, 3), ("X", 4, 5)]),
        ("BIO", "B-X B-X I-X", [("X", 0, 1), ("X", 1, 3)]),
        ("BILUO", "U-X O B-X I-X L-X", [("X", 0, 1), ("X", 2, 5)]),
    ],
)
def test_probabilities_of_0_and_1(decoder, scheme, tags, expected):
    tag_set = TagSet(scheme, ["X"])
    probs = numpy.eye(len(tag_set), dtype="float32")[parse(tags, tag_set)]
    entities = decode(probs, only_first(len(probs)), tag_set, decoder)
    assert as_tuples(entities, tag_set, ["X"]) == expected
    assert entities.scores.tolist() == [1.0] * len(expected)


@pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
def test_certain_of_impossible_tags(scheme):
    """All probability on tags that don't fit together: valid tags all the same."""
    tag_set = TagSet(scheme, ["X", "Y"])
    tags = parse("I-X O I-Y I-X", tag_set)
    probs = numpy.eye(len(tag_set), dtype="float32")[tags]
    decoded = constrained_tags(to_logs(probs), only_first(4), tag_set)
    assert is_valid(tag_set, decoded, only_first(4))
    entities = decode(probs, only_first(4), tag_set, "constrained")
    assert numpy.isfinite(entities.scores).all()
    assert (entities.scores < 1.0).all()


@pytest.mark.parametrize("decoder", ["constrained", "greedy"])
@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_equal_tags_are_outside(decoder, scheme):
    """Ties go to the lowest tag id, which is O."""
    tag_set = TagSet(scheme, ["X", "Y"])
    probs = numpy.full((20, len(tag_set)), 1 / len(tag_set), dtype="float32")
    assert len(decode(probs, only_first(20), tag_set, decoder).starts) == 0


@pytest.mark.parametrize("decoder", ["constrained", "greedy"])
@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@pytest.mark.parametrize("labels", [[], ["X", "Y"]])
@pytest.mark.parametrize("n_tokens", [0, 1, 2])
def test_little_or_nothing(decoder, scheme, labels, n_tokens):
    tag_set = TagSet(scheme, labels)
    probs = numpy.full((n_tokens, len(tag_set)), 1 / len(tag_set), dtype="float32")
    entities = decode(probs, only_first(n_tokens), tag_set, decoder)
    for array in (entities.starts, entities.ends, entities.labels, entities.scores):
        assert array.shape == (0,)


@pytest.mark.parametrize("decoder", ["constrained", "greedy"])
def test_probabilities_are_not_changed(decoder):
    tag_set = TagSet("BIO", ["X", "Y"])
    rng = numpy.random.default_rng(0)
    probs, breaks = make_probs(rng, 50, len(tag_set), 1.0), make_breaks(rng, 50, 0.2)
    probs_before, breaks_before = probs.copy(), breaks.copy()
    decode(probs, breaks, tag_set, decoder)
    numpy.testing.assert_array_equal(probs, probs_before)
    numpy.testing.assert_array_equal(breaks, breaks_before)
