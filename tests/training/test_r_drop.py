"""R-Drop: copies in batches, and the loss against differences."""

from collections import Counter

import numpy
import pytest
from spacy.training import Example
from spacy.training.loop import subdivide_batch
from thinc.api import registry

from spacy_bert_ner.model.layers.linear_crf import linear_crf
from spacy_bert_ner.training.losses import CrossEntropy
from spacy_bert_ner.training.r_drop import RDrop, find_pairs, make_batch_twice, make_rdrop

from ..util import make_example, make_nlp
from .util import HEAD, check_gradient, make_gold, random_logits, softmax

WORDS = ["Ada", "Byron", "saw", "Oslo"]
ENTS = [(0, 2, "PER"), (3, 4, "LOC")]


def test_batches():
    nlp = make_nlp()
    examples = [make_example(nlp) for _ in range(5)]
    batcher = make_batch_twice(lambda examples: iter([examples[:3], examples[3:]]))
    first, second = batcher(examples)
    assert (len(first), len(second)) == (6, 4)
    for batch in (first, second):
        for one, other in zip(batch[::2], batch[1::2]):
            assert isinstance(other, Example)
            assert one.reference is other.reference
            assert one.predicted is not other.predicted
            assert one.predicted.text == other.predicted.text
    assert registry.has("batchers", "spacy-bert-ner.batch_twice.v1") is False


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_pairs_stay_together(accumulate):
    """spaCy divides a batch by the lengths of documents."""
    nlp = make_nlp()
    lengths = [3, 1, 2, 1, 3, 3, 2, 1]
    examples = [make_example(nlp, ["a"] * n, ["O"] * n) for n in lengths]
    (batch,) = make_batch_twice(lambda examples: [examples])(examples)
    for part in subdivide_batch(batch, accumulate):
        keys = Counter(id(example.reference) for example in part)
        assert set(keys.values()) == {2}


def test_batch_without_pairs():
    gold, tag_set = make_gold(WORDS, ENTS)
    with pytest.warns(UserWarning, match="batch_twice"):
        make_rdrop()(HEAD, [softmax(random_logits(4, tag_set))], [gold], tag_set)


def test_pairs():
    one, _ = make_gold(WORDS, ENTS)
    other, _ = make_gold(WORDS, ENTS)  # the same words and tags, but another document
    assert find_pairs([one, other, other, one]) == [(1, 2), (0, 3)]
    assert find_pairs([one, other]) == []


@pytest.mark.parametrize("weight", [1.0, 5.0])
def test_gradient(weight):
    gold, tag_set = make_gold(WORDS, ENTS, missing=[2])
    single, _ = make_gold(WORDS[:3], ENTS[:1])
    check_gradient(make_rdrop(weight=weight), [gold, single, gold], tag_set, [4, 3, 4])


def test_values():
    """Cross-entropy and half of both divergences, a mean over the tokens that are known."""
    gold, tag_set = make_gold(WORDS, ENTS, missing=[2])
    P, Q = (softmax(random_logits(4, tag_set, seed=i)) for i in (1, 2))
    loss, _ = make_rdrop(weight=3.0)(HEAD, [P, Q], [gold, gold], tag_set)
    plain, _ = CrossEntropy()(HEAD, [P, Q], [gold, gold], tag_set)
    known = [0, 1, 3]
    divergence = 0.5 * ((P - Q) * (numpy.log(P) - numpy.log(Q))).sum(axis=1)[known].mean()
    assert loss == pytest.approx(plain + 3.0 * divergence)


def test_confidence_penalty():
    """Of the other loss, a mean over both readings."""
    gold, tag_set = make_gold(WORDS, ENTS, missing=[2])
    loss = RDrop(CrossEntropy(confidence_penalty=0.5), 2.0)
    check_gradient(loss, [gold, gold], tag_set, [4, 4])
    P, Q = (softmax(random_logits(4, tag_set, seed=i)) for i in (1, 2))
    value, _ = loss(HEAD, [P, Q], [gold, gold], tag_set)
    plain, _ = make_rdrop(weight=2.0)(HEAD, [P, Q], [gold, gold], tag_set)
    entropies = [-(X * numpy.log(X)).sum(axis=1)[[0, 1, 3]].mean() for X in (P, Q)]
    assert value == pytest.approx(plain - 0.5 * numpy.mean(entropies))


def test_agreement_costs_nothing():
    gold, tag_set = make_gold(WORDS, ENTS)
    P = softmax(random_logits(4, tag_set))
    loss, gradients = make_rdrop()(HEAD, [P, P.copy()], [gold, gold], tag_set)
    plain, expected = CrossEntropy()(HEAD, [P, P.copy()], [gold, gold], tag_set)
    assert loss == pytest.approx(plain)
    numpy.testing.assert_allclose(gradients[0], expected[0], atol=1e-7)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_weight(weight):
    with pytest.raises(ValueError, match="set weight to a number above 0"):
        make_rdrop(weight=weight)


def test_crf():
    model = linear_crf()
    model.set_ref("output_layer", model)
    with pytest.raises(ValueError, match="CRF outputs log-scores"):
        RDrop(CrossEntropy(), 1.0).check(["PER"], model)


def test_trains():
    """By its names in a config, through `nlp.update`."""
    loss = {"@losses": "spacy-bert-ner.RDrop.v1", "weight": 1.0}
    nlp = make_nlp(component={"loss": loss})
    nlp.initialize(lambda: [make_example(nlp)])
    assert nlp.get_pipe("bert_ner").loss == make_rdrop()
    (batch,) = make_batch_twice(lambda examples: [examples])([make_example(nlp)])
    assert nlp.update(batch, sgd=nlp.create_optimizer(), drop=0.5)["bert_ner"] > 0
