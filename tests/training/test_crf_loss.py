"""The CRF: its likelihood, its decoding, and the component with it."""

import numpy
import pytest
import spacy
from thinc.api import fix_random_seed

from spacy_bert_ner.model.architectures import build_linear_crf_v1
from spacy_bert_ner.model.layers.linear_crf import get_transitions
from spacy_bert_ner.tagging.decode import crf_tags, decode
from spacy_bert_ner.tagging.schemes import TagSet
from spacy_bert_ner.training.crf_loss import CRFLikelihood

from ..util import CRF, EXPECTED, TEXT, get_ents, make_example, make_nlp
from .util import make_gold, make_layer, random_logits, score_all


@pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
@pytest.mark.parametrize("missing", [[], [1], [1, 2]])
def test_likelihood_against_enumeration(scheme, missing):
    gold, tag_set = make_gold(list("abc"), [(0, 1, "PER")], missing=missing, scheme=scheme)
    layer = make_layer(len(tag_set))
    scores = random_logits(3, tag_set)
    loss, _ = CRFLikelihood()(layer, [scores], [gold], tag_set)
    everything = score_all(scores, get_transitions(layer), tag_set)
    agreeing = [
        score
        for tags, score in everything.items()
        if all(one in (-1, other) for one, other in zip(gold.tags, tags))
    ]
    total = numpy.exp(list(everything.values())).sum()
    expected = -numpy.log(numpy.exp(agreeing).sum() / total)
    assert loss * (gold.tags != -1).sum() == pytest.approx(expected)


@pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
def test_gradients(scheme):
    """By the scores and by the parameter of the transitions, for known, missing and wrong."""
    one, tag_set = make_gold(
        list("abcde"), [(0, 2, "PER")], incorrect=[(2, 4, "LOC")], missing=[3, 4], scheme=scheme
    )
    two, _ = make_gold(list("ab"), [(1, 2, "LOC")], scheme=scheme)
    golds = [one, two]
    layer = make_layer(len(tag_set), factor=3.0)
    scores = [random_logits(n, tag_set, seed=n) for n in (5, 2)]
    _, gradients = CRFLikelihood()(layer, scores, golds, tag_set)
    arrays = [*zip(scores, gradients), (layer.get_param("T"), layer.get_grad("T").copy())]
    epsilon = 1e-4
    for array, gradient in arrays:
        for place in numpy.ndindex(array.shape):
            value = array[place]
            ends = []
            for step in (epsilon, -epsilon):
                array[place] = value + step
                ends.append(CRFLikelihood()(layer, scores, golds, tag_set)[0])
            array[place] = value
            numeric = (ends[0] - ends[1]) / (2 * epsilon)
            assert float(gradient[place]) == pytest.approx(numeric, abs=2e-4), place


def test_batches_dont_change_the_loss():
    """Documents of any lengths, in one call or alone."""
    golds = [
        make_gold(["w"] * n, [(0, 1, "PER")], incorrect=[(2, 4, "LOC")])[0] for n in (4, 9, 40)
    ]
    _, tag_set = make_gold(["w"])
    scores = [random_logits(n, tag_set, seed=n) for n in (4, 9, 40)]
    layer = make_layer(len(tag_set), factor=3.0)
    loss, gradients = CRFLikelihood()(layer, scores, golds, tag_set)
    together = layer.get_grad("T").copy()
    n_known = [len(gold.rows) + 1 for gold in golds]
    alone = numpy.zeros(together.shape)
    for X, gold, n, gradient in zip(scores, golds, n_known, gradients):
        one = make_layer(len(tag_set), factor=3.0)
        part, (d_part,) = CRFLikelihood()(one, [X], [gold], tag_set)
        loss -= part * n / sum(n_known)
        alone += one.get_grad("T") * n / sum(n_known)
        numpy.testing.assert_allclose(gradient, d_part * n / sum(n_known), atol=1e-6)
    assert loss == pytest.approx(0.0, abs=1e-9)
    numpy.testing.assert_allclose(together, alone, atol=1e-5)


def test_nothing_known():
    gold, tag_set = make_gold(list("ab"))
    layer = make_layer(len(tag_set))
    loss, (gradient,) = CRFLikelihood()(layer, [random_logits(2, tag_set)], [gold], tag_set)
    assert loss == 0.0
    assert not gradient.any()
    assert not layer.has_grad("T")


@pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
def test_best_tags_against_enumeration(scheme):
    tag_set = TagSet(scheme, ["PER", "LOC"])
    for seed in range(20):
        transitions = make_layer(len(tag_set), seed=seed).get_param("T")
        scores = random_logits(5, tag_set, seed=seed)
        breaks = numpy.array([True, False, False, True, False])
        found = crf_tags(scores, breaks, tag_set, transitions).tolist()
        for part in (slice(0, 3), slice(3, 5)):
            everything = score_all(scores[part], transitions, tag_set)
            assert tuple(found[part]) == max(everything, key=everything.get)


@pytest.mark.parametrize("decoder", ["constrained", "greedy"])
def test_scores_are_marginals(decoder):
    tag_set = TagSet("BIO", ["PER"])
    transitions = make_layer(len(tag_set)).get_param("T")
    scores = numpy.array([[0.0, 3.0, 0.0], [0.0, 0.0, 2.0], [2.0, 0.0, 0.0]])
    breaks = numpy.array([True, False, False])
    entities = decode(scores, breaks, tag_set, decoder, transitions)
    everything = score_all(scores, transitions, tag_set)
    total = numpy.exp(list(everything.values())).sum()
    marginals = [
        sum(numpy.exp(score) for tags, score in everything.items() if tags[i] == tag) / total
        for i, tag in enumerate([1, 2])
    ]
    assert (entities.starts.tolist(), entities.ends.tolist()) == ([0], [2])
    assert entities.scores[0] == pytest.approx(numpy.sqrt(numpy.prod(marginals)), rel=1e-5)


def test_decode_nothing():
    tag_set = TagSet("BIO", ["PER"])
    entities = decode(
        numpy.zeros((0, 3)), numpy.zeros(0, bool), tag_set, "constrained", numpy.zeros((3, 3))
    )
    assert len(entities.starts) == 0


@pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
def test_learns_and_survives_saving(tiny_encoder, tmp_path, scheme):
    fix_random_seed(0)
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    nlp = make_nlp(
        {"name": tiny_encoder, "window": 0, "transformer_config": no_dropout},
        component={"scheme": scheme, "loss": CRF["loss"]},
        head=CRF["model"],
    )
    examples = [make_example(nlp)]
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 1e-2
    for _ in range(60):
        losses = nlp.update(examples, sgd=sgd)
    assert losses["bert_ner"] < 0.05
    layer = nlp.get_pipe("bert_ner").model.get_ref("output_layer")
    assert numpy.abs(get_transitions(layer)).max() > 0.1
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    for pipeline in (nlp, loaded):
        doc = pipeline(TEXT)
        assert get_ents(doc) == EXPECTED
        assert all(0.5 < ent._.score <= 1.0 for ent in doc.ents)
    assert loaded.get_pipe("bert_ner").loss == CRFLikelihood()
    # A label more: what was learned stays, transitions included.
    before = get_transitions(layer)
    loaded.get_pipe("bert_ner").add_label("ORG")
    layer = loaded.get_pipe("bert_ner").model.get_ref("output_layer")
    n = len(before)
    numpy.testing.assert_array_equal(get_transitions(layer)[:n, :n], before)
    assert get_ents(loaded(TEXT)) == EXPECTED


class TestMismatch:
    def test_loss_of_the_other(self):
        nlp = make_nlp(head=CRF["model"])
        with pytest.raises(
            ValueError, match="needs probabilities.* a CRF outputs.*CRFLikelihood.v1"
        ):
            nlp.initialize(lambda: [make_example(nlp)])
        nlp = make_nlp(component={"loss": CRF["loss"]})
        with pytest.raises(ValueError, match="CRFLikelihood.v1 needs .* transitions.*LinearCRF"):
            nlp.initialize(lambda: [make_example(nlp)])

    @pytest.mark.parametrize("factor", [0.0, -1.0, float("nan")])
    def test_learning_rate_factor(self, factor):
        tok2vec = spacy.registry.architectures.get("spacy.HashEmbedCNN.v2")(
            width=8,
            depth=1,
            embed_size=10,
            window_size=1,
            maxout_pieces=2,
            subword_features=False,
            pretrained_vectors=None,
        )
        with pytest.raises(ValueError, match="learn_rate_factor = .*set it to a number above 0"):
            build_linear_crf_v1(tok2vec, learn_rate_factor=factor)
