"""What a student learns from teachers."""

import numpy
import pytest
from thinc.api import Model

from spacy_bert_ner.errors import UserError
from spacy_bert_ner.model.layers.linear_crf import get_transitions
from spacy_bert_ner.tagging.schemes import TagSet
from spacy_bert_ner.tagging.soft_labels import SoftTags
from spacy_bert_ner.training.crf_loss import CRFLikelihood
from spacy_bert_ner.training.distillation import Distillation, make_distillation
from spacy_bert_ner.training.losses import CrossEntropy, Loss, make_cross_entropy
from spacy_bert_ner.training.r_drop import RDrop

from .util import (
    HEAD,
    LABELS,
    check_gradient,
    make_gold,
    make_layer,
    random_logits,
    score_all,
    softmax,
)

TAG_SET = TagSet("BIO", LABELS)
SETTINGS = [
    {},
    {"distance": "kl"},
    {"distance": "kl", "temperature": 2.0, "soft_weight": 0.7},
    {"distance": "kl", "temperature": 0.5},
    {"hard_weight": 1.0},
    {"hard_weight": 0.5, "min_agreement": 0.5, "soft_weight": 0.0},
    {"confidence_penalty": 0.3},
    {"soft_weight": 0.0, "hard_weight": 1.0, "confidence_penalty": 1.0},
    {"gold_weight": 3.0},
]


def make_soft(n_tokens, rows=None, seed=0, has_gold=False, tag_set=TAG_SET, ents=None):
    """A document with soft labels for some of its tokens; every other teacher agrees on them."""
    gold, _ = make_gold(["w"] * n_tokens, ents or [], scheme=tag_set.name)
    rows = numpy.arange(n_tokens) if rows is None else numpy.array(rows)
    probs = softmax(2.0 * random_logits(len(rows), tag_set, seed=seed + 100)).astype("float32")
    agreement = numpy.where(rows % 2 == 0, 1.0, 0.5).astype("float32")
    return gold._replace(soft=SoftTags(rows, probs, agreement, has_gold))


@pytest.mark.parametrize("settings", SETTINGS)
def test_gradients(settings):
    """Documents with soft labels, with some, with gold and soft labels, and with gold alone."""
    golds = [
        make_soft(4),
        make_soft(5, rows=[1, 3, 4], seed=1, ents=[(0, 2, "PER")]),
        make_soft(3, seed=2, has_gold=True, ents=[(0, 2, "PER")]),
        make_gold(list("abc"), [(1, 3, "LOC")], missing=[0])[0],
        make_gold(list("ab"))[0],
    ]
    check_gradient(make_distillation(**settings), golds, TAG_SET, [4, 5, 3, 3, 2])


@pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
@pytest.mark.parametrize("settings", SETTINGS)
def test_gradients_of_a_crf(settings, scheme):
    """By the scores and by the parameter of the transitions."""
    tag_set = TagSet(scheme, LABELS)
    golds = [
        make_soft(4, tag_set=tag_set),
        make_soft(3, rows=[0, 2], seed=1, has_gold=True, tag_set=tag_set, ents=[(0, 2, "PER")]),
        make_gold(list("ab"), [(1, 2, "LOC")], scheme=scheme)[0],
        make_soft(1, seed=2, tag_set=tag_set),
    ]
    layer = make_layer(len(tag_set), factor=3.0)
    scores = [random_logits(len(gold.rows), tag_set, seed=i) for i, gold in enumerate(golds)]
    loss = make_distillation(**settings)
    _, gradients = loss(layer, scores, golds, tag_set)
    arrays = [*zip(scores, gradients), (layer.get_param("T"), layer.get_grad("T").copy())]
    assert abs(arrays[-1][1]).max() > 1e-4
    epsilon = 1e-4
    for array, gradient in arrays:
        for place in numpy.ndindex(array.shape):
            value = array[place]
            ends = []
            for step in (epsilon, -epsilon):
                array[place] = value + step
                ends.append(loss(layer, scores, golds, tag_set)[0])
            array[place] = value
            numeric = (ends[0] - ends[1]) / (2 * epsilon)
            assert float(gradient[place]) == pytest.approx(numeric, abs=3e-4), place


def test_a_crf_is_compared_by_its_marginals():
    gold = make_soft(3)
    layer = make_layer(len(TAG_SET))
    scores = random_logits(3, TAG_SET)
    everything = score_all(scores, get_transitions(layer), TAG_SET)
    total = numpy.exp(list(everything.values())).sum()
    marginals = numpy.zeros((3, len(TAG_SET)))
    for tags, score in everything.items():
        marginals[numpy.arange(3), list(tags)] += numpy.exp(score) / total
    loss, _ = make_distillation()(layer, [scores], [gold], TAG_SET)
    assert loss == pytest.approx(((marginals - gold.soft.probs) ** 2).mean())


def test_gradients_of_transitions_add_up():
    """With what other losses have left in the layer."""
    gold = make_soft(4, has_gold=True, ents=[(0, 2, "PER")])
    scores, loss = random_logits(4, TAG_SET), make_distillation(hard_weight=0.5, gold_weight=2.0)
    layer, again = make_layer(len(TAG_SET)), make_layer(len(TAG_SET))
    loss(layer, [scores], [gold], TAG_SET)
    loss(again, [scores], [gold], TAG_SET)
    loss(again, [scores], [gold], TAG_SET)
    numpy.testing.assert_allclose(again.get_grad("T"), 2 * layer.get_grad("T"), atol=1e-6)


def test_mean_squared_error_as_in_the_papers():
    gold, other = make_soft(4), make_soft(2, seed=1)
    probs = [softmax(random_logits(len(doc.rows), TAG_SET)) for doc in (gold, other)]
    loss, _ = make_distillation()(HEAD, probs, [gold, other], TAG_SET)
    targets = numpy.concatenate([gold.soft.probs, other.soft.probs])
    assert loss == pytest.approx(((numpy.concatenate(probs) - targets) ** 2).mean())


def test_divergence_at_a_temperature():
    gold = make_soft(4)
    probs = softmax(random_logits(4, TAG_SET))
    loss, _ = make_distillation(distance="kl", temperature=2.0)(HEAD, [probs], [gold], TAG_SET)
    P, Q = (X**0.5 / (X**0.5).sum(axis=1, keepdims=True) for X in (gold.soft.probs, probs))
    assert loss == pytest.approx(4 * (P * numpy.log(P / Q)).sum(axis=1).mean())


@pytest.mark.parametrize("settings", SETTINGS[:4])
def test_nothing_to_learn_from_oneself(settings):
    gold = make_soft(4)
    loss, (gradient,) = make_distillation(**settings)(HEAD, [gold.soft.probs], [gold], TAG_SET)
    assert loss == pytest.approx(0.0, abs=1e-6)
    assert abs(gradient).max() < 1e-6


def test_what_has_no_soft_labels_teaches_nothing():
    gold = make_soft(4, rows=[1, 2], ents=[(0, 2, "PER")])
    loss = make_distillation(hard_weight=1.0, min_agreement=0.0, confidence_penalty=0.1)
    _, (gradient,) = loss(HEAD, [softmax(random_logits(4, TAG_SET))], [gold], TAG_SET)
    assert abs(gradient[[1, 2]]).min() > 0
    assert not gradient[[0, 3]].any()


def test_gold_alone_is_the_other_loss():
    gold, _ = make_gold(list("abc"), [(0, 2, "PER")], incorrect=[(2, 3, "LOC")])
    probs = [softmax(random_logits(3, TAG_SET))]
    smooth = make_cross_entropy(label_smoothing=0.1)
    expected, (d_expected,) = smooth(HEAD, probs, [gold], TAG_SET)
    loss, (gradient,) = Distillation(smooth, gold_weight=2.0)(HEAD, probs, [gold], TAG_SET)
    assert loss == pytest.approx(2 * expected)
    numpy.testing.assert_allclose(gradient, 2 * d_expected)


def test_confidence_penalty_of_the_other_loss():
    """On gold annotation and hard labels, by their weights, next to that of all soft labels."""
    golds = [make_soft(4), make_gold(list("abc"), [(1, 3, "LOC")], missing=[0])[0]]
    other = make_cross_entropy(confidence_penalty=1.0)
    weights = {"hard_weight": 0.5, "gold_weight": 2.0, "confidence_penalty": 0.3}
    check_gradient(make_distillation(other, **weights), golds, TAG_SET, [4, 3])
    probs = [softmax(random_logits(n, TAG_SET)) for n in (4, 3)]
    loss, _ = make_distillation(other, **weights)(HEAD, probs, golds, TAG_SET)
    plain, _ = make_distillation(**weights)(HEAD, probs, golds, TAG_SET)
    entropies = [-(X * numpy.log(X)).sum(axis=1) for X in probs]
    hard = make_distillation(**weights)._get_agreed(golds[0], TAG_SET).tags >= 0
    assert hard.any()
    # Six tokens are known.
    expected = plain - (0.5 * entropies[0][hard].sum() + 2.0 * entropies[1][1:].sum()) / 6
    assert loss == pytest.approx(expected)


def test_hard_labels_need_agreement():
    """And fit each other: an I- after O is no tag to learn."""
    gold, _ = make_gold(list("abcd"), [])
    tags = [TAG_SET.tags.index(tag) for tag in ("O", "I-PER", "O", "B-LOC")]
    probs = numpy.full((4, len(TAG_SET)), 0.05, dtype="float32")
    probs[numpy.arange(4), tags] = 0.8
    agreement = numpy.array([1.0, 1.0, 0.6, 1.0], dtype="float32")
    gold = gold._replace(soft=SoftTags(numpy.arange(4), probs, agreement, False))
    found = make_distillation(hard_weight=1.0)._get_agreed(gold, TAG_SET)
    assert found.tags.tolist() == [0, -1, -1, tags[3]]
    found = make_distillation(hard_weight=1.0, min_agreement=0.6)._get_agreed(gold, TAG_SET)
    assert found.tags.tolist() == [0, -1, 0, tags[3]]


@pytest.mark.parametrize("seed", range(5))
def test_hard_labels_of_a_crf_can_be_filled_in(seed):
    """However contradictory the teachers' tags are, and wherever they are missing."""
    for scheme in ("BIO", "BILUO", "IOB1"):
        tag_set = TagSet(scheme, LABELS)
        gold = make_soft(12, rows=[0, 1, 2, 5, 6, 7, 8, 11], seed=seed, tag_set=tag_set)
        layer = make_layer(len(tag_set), seed=seed)
        loss = make_distillation(hard_weight=1.0, min_agreement=0.0, soft_weight=0.0)
        value, (gradient,) = loss(layer, [random_logits(12, tag_set)], [gold], tag_set)
        assert 0 < value < 100
        assert numpy.isfinite(gradient).all()


def test_a_token_counts_the_same_in_every_batch():
    soft, gold = make_soft(4), make_gold(["w"] * 12, [(0, 2, "PER")])[0]
    probs = [softmax(random_logits(n, TAG_SET)) for n in (4, 12)]
    loss = make_distillation(gold_weight=0.5, hard_weight=0.5)
    together, _ = loss(HEAD, probs, [soft, gold], TAG_SET)
    one, two = (loss(HEAD, [P], [doc], TAG_SET)[0] for P, doc in zip(probs, [soft, gold]))
    assert together == pytest.approx(one * 4 / 16 + two * 12 / 16)


def test_confidence_penalty():
    """A student that is sure pays more than one that isn't."""
    gold = make_soft(2)
    loss = make_distillation(soft_weight=0.0, hard_weight=1e-9, confidence_penalty=1.0)
    even = numpy.full((2, len(TAG_SET)), 1 / len(TAG_SET))
    value, (gradient,) = loss(HEAD, [even], [gold], TAG_SET)
    assert value == pytest.approx(-numpy.log(len(TAG_SET)), abs=1e-6)
    assert abs(gradient).max() < 1e-6


def test_extreme_probabilities():
    """A student that is sure of the wrong tag still learns."""
    gold = make_soft(1)
    probs = numpy.zeros((1, len(TAG_SET)), dtype="float32")
    probs[0, 0] = 1.0
    loss, (gradient,) = make_distillation(distance="kl")(HEAD, [probs], [gold], TAG_SET)
    assert numpy.isfinite(loss)
    numpy.testing.assert_allclose(gradient, probs - gold.soft.probs, atol=1e-6)
    layer = make_layer(len(TAG_SET))
    scores = numpy.zeros((1, len(TAG_SET)), dtype="float32")
    scores[0, 0] = 60.0
    loss, (gradient,) = make_distillation(distance="kl")(layer, [scores], [gold], TAG_SET)
    assert numpy.isfinite(loss)
    possible = TAG_SET.first & TAG_SET.last
    numpy.testing.assert_allclose(
        gradient[0, possible][1:], -gold.soft.probs[0, possible][1:], atol=1e-5
    )


def test_no_documents_and_no_tokens():
    assert make_distillation()(HEAD, [], [], TAG_SET) == (0.0, [])
    gold = make_soft(0)
    empty = numpy.zeros((0, len(TAG_SET)), dtype="float32")
    for head in (HEAD, make_layer(len(TAG_SET))):
        loss, (gradient,) = make_distillation(hard_weight=1.0)(head, [empty], [gold], TAG_SET)
        assert loss == 0.0
        assert gradient.shape == empty.shape


def test_under_r_drop():
    golds = [make_soft(3)] * 2
    probs = [softmax(random_logits(3, TAG_SET, seed=i)) for i in range(2)]
    alone, _ = make_distillation()(HEAD, probs, golds, TAG_SET)
    loss, _ = RDrop(make_distillation(), 1.0)(HEAD, probs, golds, TAG_SET)
    assert loss > alone


class Anything:
    def check(self, labels, model):
        pass


def test_check():
    layer = make_layer(len(TAG_SET))
    assert isinstance(make_distillation(), Loss)
    make_distillation().check(LABELS, HEAD)
    make_distillation().check(LABELS, layer)
    with pytest.raises(UserError, match="spacy-bert-ner.CrossEntropy.v1 needs prob"):
        make_distillation(CrossEntropy()).check(LABELS, layer)
    with pytest.raises(UserError, match="spacy-bert-ner.CRFLikelihood.v1 needs log-scores"):
        make_distillation(CRFLikelihood()).check(LABELS, HEAD)
    with pytest.raises(UserError, match="Can't weight the labels"):
        make_distillation(make_cross_entropy({"XYZ": 2.0})).check(LABELS, Model("m", None))
    with pytest.raises(UserError, match="can't use the loss Anything for a CRF"):
        make_distillation(Anything()).check(LABELS, layer)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"distance": "cosine"}, 'no distance \'cosine\': set it to "mse" or "kl"'),
        ({"distance": "kl", "temperature": 0.0}, "temperature = 0.0: set it to a number above 0"),
        ({"distance": "kl", "temperature": float("nan")}, "temperature = nan"),
        ({"temperature": 2.0}, 'temperature = 2.0 only with distance = "kl"'),
        ({"min_agreement": 1.5}, "min_agreement = 1.5"),
        ({"gold_weight": -1.0}, "gold_weight = -1.0: set it to a number of 0 or more"),
        ({"confidence_penalty": float("inf")}, "confidence_penalty = inf"),
        ({"soft_weight": 0.0}, "learns nothing from teachers"),
    ],
)
def test_settings(settings, message):
    with pytest.raises(UserError) as error:
        make_distillation(**settings)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
