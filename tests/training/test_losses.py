"""Losses, and what partial and negative annotation teaches."""

import numpy
import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_bert_ner.training.gold_report import GoldReport
from spacy_bert_ner.training.losses import CrossEntropy, make_cross_entropy, rehearsal_loss

from ..util import TAGS, TEXT, WORDS, get_ents, make_example, make_nlp
from .util import HEAD, LABELS, VOCAB, check_gradient, make_gold, random_logits, softmax

ZWSP = "\u200b"


class TestCrossEntropy:
    def test_plain(self):
        gold, tag_set = make_gold(["a", "b", "c"], [(0, 2, "PER")], missing=[2])
        probs = softmax(random_logits(3, tag_set)).astype("float32")
        loss, (gradient,) = CrossEntropy()(HEAD, [probs], [gold], tag_set)
        assert loss == pytest.approx(-numpy.log(probs[[0, 1], [1, 2]]).mean(), rel=1e-6)
        assert gradient.dtype == numpy.float32
        assert (gradient[2] == 0).all()

    @pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"label_weights": {"PER": 3.0, "O": 0.2}},
            {"label_smoothing": 0.1},
            {"label_weights": {"LOC": 0.0}, "label_smoothing": 0.3},
            {"confidence_penalty": 1.0},
            {"confidence_penalty": 0.5, "label_weights": {"PER": 3.0, "O": 0.2}},
            {"confidence_penalty": 2.0, "label_weights": {"LOC": 0.0}, "label_smoothing": 0.3},
        ],
    )
    def test_gradient(self, scheme, settings):
        one, tag_set = make_gold(list("abcd"), [(0, 3, "PER")], scheme=scheme)
        two, _ = make_gold(list("ab"), [(1, 2, "LOC")], missing=[0], scheme=scheme)
        check_gradient(make_cross_entropy(**settings), [one, two], tag_set, [4, 2])

    def test_weights_are_those_of_a_mean(self):
        """A label of weight 3 counts as if each of its tokens stood there three times."""
        gold, tag_set = make_gold(["a", "b"], [(0, 1, "PER")])
        probs = softmax(random_logits(2, tag_set))
        losses = -numpy.log([probs[0, 1], probs[1, 0]])
        loss, _ = make_cross_entropy({"PER": 3.0})(HEAD, [probs], [gold], tag_set)
        assert loss == pytest.approx((3 * losses[0] + losses[1]) / 4)

    def test_smoothing_is_that_of_torch(self):
        from torch import tensor
        from torch.nn.functional import cross_entropy

        gold, tag_set = make_gold(list("abc"), [(1, 3, "LOC")])
        logits = random_logits(3, tag_set)
        loss, _ = make_cross_entropy(label_smoothing=0.2)(HEAD, [softmax(logits)], [gold], tag_set)
        expected = cross_entropy(tensor(logits), tensor(gold.tags), label_smoothing=0.2)
        assert loss == pytest.approx(float(expected), rel=1e-5)

    def test_entropy_is_subtracted(self):
        """Its mean over the tokens that count, by the weights of their labels."""
        gold, tag_set = make_gold(["a", "b", "c"], [(0, 1, "PER")], missing=[2])
        probs = softmax(random_logits(3, tag_set))
        plain, _ = make_cross_entropy()(HEAD, [probs], [gold], tag_set)
        loss, (gradient,) = make_cross_entropy(confidence_penalty=1.0)(
            HEAD, [probs], [gold], tag_set
        )
        entropies = -(probs * numpy.log(probs)).sum(axis=1)
        assert loss == pytest.approx(plain - entropies[:2].mean(), rel=1e-6)
        assert not gradient[2].any()
        plain, _ = make_cross_entropy({"PER": 3.0})(HEAD, [probs], [gold], tag_set)
        loss, _ = make_cross_entropy({"PER": 3.0}, confidence_penalty=0.5)(
            HEAD, [probs], [gold], tag_set
        )
        expected = plain - 0.5 * (3 * entropies[0] + entropies[1]) / 4
        assert loss == pytest.approx(expected, rel=1e-6)

    def test_certain_of_all(self):
        """Probabilities of 0 have no logarithm: the gradient is finite, and none of the entropy."""
        gold, tag_set = make_gold(["a"], [(0, 1, "PER")])
        probs = numpy.float32([[0, 1, 0, 0, 0]])
        loss, (gradient,) = make_cross_entropy(confidence_penalty=1.0)(
            HEAD, [probs], [gold], tag_set
        )
        assert loss == 0.0
        assert not gradient.any()

    def test_no_penalty_changes_nothing(self):
        """Not a bit, and a penalty does."""
        gold, tag_set = make_gold(list("abcd"), [(0, 3, "PER")])
        probs = [softmax(random_logits(4, tag_set)).astype("float32")]
        settings = ({"PER": 3.0}, 0.1)
        loss, (gradient,) = make_cross_entropy(*settings)(HEAD, probs, [gold], tag_set)
        same, (d_same,) = make_cross_entropy(*settings, 0.0)(HEAD, probs, [gold], tag_set)
        assert (same, d_same.tobytes()) == (loss, gradient.tobytes())
        other, (d_other,) = make_cross_entropy(*settings, 0.1)(HEAD, probs, [gold], tag_set)
        assert other < loss
        assert (d_other != gradient).any()

    def test_nothing_known(self):
        gold, tag_set = make_gold(["a", "b"])
        probs = softmax(random_logits(2, tag_set))
        made = make_cross_entropy({"O": 2.0}, confidence_penalty=1.0)
        loss, (gradient,) = made(HEAD, [probs], [gold], tag_set)
        assert loss == 0.0
        assert (gradient == 0).all()

    @pytest.mark.parametrize(
        "settings,message",
        [
            ({"label_weights": {"PER": -1.0}}, "Can't weight labels by {'PER': -1.0}"),
            ({"label_weights": {"PER": float("nan")}}, "Can't weight labels by {'PER': nan}"),
            ({"label_smoothing": 1.0}, "Can't smooth labels by 1.0"),
            ({"label_smoothing": -0.1}, "Can't smooth labels by -0.1"),
            ({"confidence_penalty": -0.1}, "Can't use confidence_penalty = -0.1"),
            ({"confidence_penalty": float("inf")}, "Can't use confidence_penalty = inf"),
        ],
    )
    def test_bad_settings(self, settings, message):
        with pytest.raises(ValueError, match=message):
            make_cross_entropy(**settings)

    def test_unknown_label(self):
        nlp = make_nlp(component={"loss": {"label_weights": {"PERSON": 2.0}}})
        with pytest.raises(ValueError, match=r"Can't weight the labels \['PERSON'\].*'LOC', 'PER'"):
            nlp.initialize(lambda: [make_example(nlp)])


class TestIncorrectSpans:
    """Entities that are known to be wrong."""

    @pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
    def test_gradient(self, scheme):
        gold, tag_set = make_gold(
            list("abcdef"),
            [(0, 1, "PER")],
            incorrect=[(1, 3, "LOC"), (2, 4, "PER"), (5, 6, "LOC")],
            missing=[2, 3, 4, 5],
            scheme=scheme,
        )
        assert len(gold.incorrect) == 3
        check_gradient(CrossEntropy(), [gold], tag_set, [6])

    def test_loss_is_that_of_exactly_this_entity(self):
        """B-PER I-PER and then no I-PER."""
        gold, tag_set = make_gold(list("abc"), incorrect=[(0, 2, "PER")])
        probs = softmax(random_logits(3, tag_set))
        loss, _ = CrossEntropy()(HEAD, [probs], [gold], tag_set)
        p = probs[0, 1] * probs[1, 2] * (1 - probs[2, 2])
        assert loss == pytest.approx(-numpy.log(1 - p))

    def test_certain_of_it(self):
        """No infinite loss, and a gradient that leads away."""
        gold, tag_set = make_gold(["a"], incorrect=[(0, 1, "PER")])
        probs = numpy.float32([[0, 1, 0, 0, 0]])
        loss, (gradient,) = CrossEntropy()(HEAD, [probs], [gold], tag_set)
        assert numpy.isfinite(loss)
        assert numpy.isfinite(gradient).all()

    def test_invisible_tokens_are_left_out(self):
        gold, _ = make_gold(["a", ZWSP, "b", ZWSP, "c"], incorrect=[(0, 3, "PER")])
        (span,) = gold.incorrect
        assert span.rows.tolist() == [0, 2]
        assert span.follower == 4

    def test_at_the_end(self):
        gold, _ = make_gold(["a", "b"], incorrect=[(1, 2, "PER")])
        assert gold.incorrect[0].follower is None

    def test_right_and_wrong(self):
        with pytest.raises(ValueError, match="E868"):
            make_gold(["a", "b"], [(0, 1, "PER")], incorrect=[(0, 1, "PER")])

    def test_report(self):
        reference = Doc(VOCAB, words=["New", "York", "x"])
        reference.spans["wrong"] = [Span(reference, 0, 1, "LOC"), Span(reference, 2, 3, "DATE")]
        example = Example(Doc(VOCAB, words=["NewYork", "x"]), reference)
        report = GoldReport(LABELS, by_sentence=False, incorrect_spans_key="wrong")
        report.add(example)
        assert report.incorrect.n == 2
        assert "2 spans of doc.spans['wrong'] aren't used in training" in report.message()
        assert "'New' (LOC), 'x' (DATE)" in report.message()

    def test_unlearns(self, tiny):
        """Only told that one entity is wrong, the component lets it go and keeps the others."""
        pipe = tiny.get_pipe("bert_ner")
        pipe.cfg["incorrect_spans_key"] = "wrong"
        reference = Doc(tiny.vocab, words=WORDS)
        reference.spans["wrong"] = [Span(reference, 4, 5, "LOC")]  # Oslo
        wrong = Example(Doc(tiny.vocab, words=WORDS), reference)
        partial = ["-" if i == 4 else tag for i, tag in enumerate(TAGS)]
        kept = make_partial(tiny, partial)
        sgd = tiny.resume_training()
        sgd.learn_rate = 3e-3
        for _ in range(40):
            tiny.update([wrong, kept], sgd=sgd)
        found = get_ents(tiny(TEXT))
        assert ("Oslo", "LOC") not in found
        assert {("Anna Berg", "PER"), ("Karl", "PER"), ("New York", "LOC")} <= set(found)


def make_partial(nlp, tags):
    """An example with "-" for missing annotation."""
    reference = Doc(nlp.vocab, words=WORDS, ents=["O" if tag == "-" else tag for tag in tags])
    missing = [reference[i : i + 1] for i, tag in enumerate(tags) if tag == "-"]
    reference.set_ents(list(reference.ents), missing=missing, default="outside")
    return Example(Doc(nlp.vocab, words=WORDS), reference)


def test_documents_without_annotation_among_others(tiny):
    """They teach nothing, and don't water down the loss of the others."""
    pipe = tiny.get_pipe("bert_ner")
    blank = Example(Doc(tiny.vocab, words=WORDS), Doc(tiny.vocab, words=WORDS))
    probs = numpy.full((len(WORDS), 5), 0.2, dtype="float32")
    alone, (gradient,) = pipe.get_loss([make_example(tiny)], [probs])
    among, gradients = pipe.get_loss([blank, make_example(tiny), blank], [probs] * 3)
    assert among == alone
    numpy.testing.assert_array_equal(gradients[1], gradient)
    assert not gradients[0].any() and not gradients[2].any()


def test_rehearsal_loss():
    probs = [numpy.float32([[0.7, 0.3], [0.5, 0.5]]), numpy.float32([[1, 0]])]
    targets = [numpy.float32([[0.5, 0.5], [0.5, 0.5]]), numpy.float32([[0, 1]])]
    loss, gradients = rehearsal_loss(HEAD.ops, targets, probs)
    assert loss == pytest.approx((0.04 * 2 + 2) / 3)
    numpy.testing.assert_allclose(gradients[0], [[0.2 / 3, -0.2 / 3], [0, 0]], atol=1e-7)


def test_settings_reach_training(tmp_path):
    """Through the config, saved and loaded."""
    settings = {"label_weights": {"PER": 2.0}, "label_smoothing": 0.1, "confidence_penalty": 0.3}
    nlp = make_nlp(component={"loss": settings})
    nlp.initialize(lambda: [make_example(nlp)])
    nlp.to_disk(tmp_path)
    loss = spacy.load(tmp_path).get_pipe("bert_ner").loss
    assert loss == CrossEntropy({"PER": 2.0}, 0.1, 0.3)
