"""A head of one's own: a file like this, and a line in setup.cfg in place of the decorators."""

import pickle
from copy import deepcopy
from dataclasses import dataclass

import numpy
import pytest
import spacy
import srsly
from thinc.api import Model, fix_random_seed
from thinc.util import get_width

from spacy_bert_ner import to_huggingface
from spacy_bert_ner.hf.loader import HuggingFaceCheckpoint
from spacy_bert_ner.model.heads import (
    HEAD,
    Head,
    check_loss,
    get_head,
    get_transitions,
    init_normal,
    make_head,
    softmax,
)
from spacy_bert_ner.model.layers.linear_crf import linear_crf
from spacy_bert_ner.tagging.gold import MISSING

from ..util import EXPECTED, TEXT, get_ents, make_example, make_nlp

LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "pooling": {"@layers": "spacy-bert-ner.reduce_first.v1"},
}
COSINE = {
    "model": {"@architectures": "test.Cosine.v1", "scale": 10.0, "tok2vec": LISTENER},
    "loss": {"@losses": "test.Margin.v1", "margin": 2.0},
}


def cosine(nO=None, nI=None, *, scale=10.0):
    """Scores of tags by the direction of the vectors alone, without biases."""
    return Model(
        "cosine",
        forward,
        init=init,
        dims={"nO": nO, "nI": nI},
        params={"W": None},
        attrs={"scale": scale, HEAD: CONTRACT},
    )


def forward(model, X, is_train):
    scale, W = model.attrs["scale"], model.get_param("W")
    x_norm = numpy.linalg.norm(X, axis=1, keepdims=True) + 1e-9
    w_norm = numpy.linalg.norm(W, axis=1, keepdims=True) + 1e-9
    x, w = X / x_norm, W / w_norm
    Y = scale * x @ w.T

    def backprop(dY):
        dx, dw = scale * dY @ w, scale * dY.T @ x
        model.inc_grad("W", (dw - (dw * w).sum(axis=1, keepdims=True) * w) / w_norm)
        return (dx - (dx * x).sum(axis=1, keepdims=True) * x) / x_norm

    return Y, backprop


def init(model, X=None, Y=None):
    if X is not None:
        model.set_dim("nI", get_width(X))
    if Y is not None:
        model.set_dim("nO", get_width(Y))
    model.set_param("W", init_normal(model.ops, (model.get_dim("nO"), model.get_dim("nI"))))


def make_like(layer, nO):
    return cosine(nO, layer.maybe_get_dim("nI"), scale=layer.attrs["scale"])


CONTRACT = Head(
    name="a cosine head",
    output="logits",
    loss="test.Margin.v1",
    make_layer=make_like,
    rows=("W",),
    no_export="Hugging Face's classifiers don't divide by norms",
)


@spacy.registry.architectures("test.Cosine.v1")
def build_cosine(tok2vec, dropout=None, nO=None, scale=10.0):
    return make_head(tok2vec, nO, dropout, cosine(nO, tok2vec.maybe_get_dim("nO"), scale=scale))


@dataclass(frozen=True)
class Margin:
    """The gold tag is to have a score that is higher than all others by a margin."""

    margin: float

    def check(self, labels, model):
        check_loss(model, "test.Margin.v1", "logits", "test.Cosine.v1")

    def __call__(self, model, scores, gold, tag_set):
        n_known = max(sum(int((doc.tags != MISSING).sum()) for doc in gold), 1)
        loss, gradients = 0.0, []
        for X, doc in zip(scores, gold):
            (known,) = numpy.nonzero(doc.tags != MISSING)
            right = X[known, doc.tags[known]][:, None]
            short = numpy.maximum(X[known] - right + self.margin, 0.0)
            short[numpy.arange(len(known)), doc.tags[known]] = 0.0
            gradient = numpy.zeros_like(X)
            gradient[known] = short > 0.0
            gradient[known, doc.tags[known]] = -(short > 0.0).sum(axis=1)
            gradients.append(gradient / n_known)
            loss += float(short.sum()) / n_known
        return loss, gradients


spacy.registry.losses.register("test.Margin.v1", func=Margin)


def make_cosine(encoder, **component):
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return make_nlp(
        {"name": encoder, "window": 0, "transformer_config": no_dropout},
        head=COSINE["model"],
        component={"loss": COSINE["loss"], **component},
    )


@pytest.fixture(scope="module")
def saved(tiny_encoder, tmp_path_factory):
    """A pipeline with the cosine head that has learned one text, on disk."""
    fix_random_seed(0)
    nlp = make_cosine(tiny_encoder)
    examples = [make_example(nlp)]
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 1e-2
    losses = [nlp.update(examples, sgd=sgd, drop=0.0)["bert_ner"] for _ in range(80)]
    assert losses[-1] < 0.05 < losses[0]
    path = tmp_path_factory.mktemp("pipeline") / "cosine"
    nlp.to_disk(path)
    assert get_ents(nlp(TEXT)) == EXPECTED
    return path


class TestThirdHead:
    @pytest.fixture
    def nlp(self, saved):
        return spacy.load(saved)

    def test_loads_and_predicts(self, nlp):
        doc = nlp(TEXT)
        assert get_ents(doc) == EXPECTED
        pipe = nlp.get_pipe("bert_ner")
        assert pipe.loss == Margin(2.0)
        # Scores of entities are probabilities, of a softmax over the logits.
        (logits,) = pipe.predict([doc])
        exps = numpy.exp(logits)
        best = (exps / exps.sum(axis=1, keepdims=True)).max(axis=1)
        for ent in doc.ents:
            mean = numpy.exp(numpy.log(best[ent.start : ent.end]).mean())
            assert ent._.score == pytest.approx(mean, rel=1e-4)
            assert ent._.score > 0.5

    def test_saved_without_the_contract(self, nlp, saved, tmp_path):
        nlp.to_disk(tmp_path)
        model = (tmp_path / "bert_ner" / "model").read_bytes()
        assert model == (saved / "bert_ner" / "model").read_bytes()
        attrs = srsly.msgpack_loads(model)["attrs"]
        assert sum("scale" in names for names in attrs) == 1
        assert not any(HEAD in names for names in attrs)

    def test_copies_keep_it(self, nlp):
        pipe = nlp.get_pipe("bert_ner")
        assert get_head(pipe.model) == CONTRACT
        assert get_head(deepcopy(pipe.model)) == CONTRACT  # as nlp.resume_training does
        assert pickle.loads(pickle.dumps(CONTRACT)) == CONTRACT

    def test_takes_a_label_more(self, nlp):
        pipe = nlp.get_pipe("bert_ner")
        before = pipe.model.get_ref("output_layer").get_param("W")
        pipe.add_label("ORG")
        layer = pipe.model.get_ref("output_layer")
        assert (layer.name, layer.attrs["scale"], len(pipe.tag_set)) == ("cosine", 10.0, 7)
        numpy.testing.assert_array_equal(layer.get_param("W")[: len(before)], before)
        assert get_ents(nlp(TEXT)) == EXPECTED
        example = make_example(nlp, ["in", "Oslo"], ["O", "B-ORG"])
        sgd = nlp.resume_training()
        losses = [nlp.update([example], sgd=sgd, drop=0.0)["bert_ner"] for _ in range(10)]
        assert losses[-1] < losses[0]

    def test_damage_is_noticed(self, nlp, tmp_path):
        nlp.get_pipe("bert_ner").cfg["labels"].append("ORG")
        nlp.to_disk(tmp_path)
        with pytest.raises(ValueError, match="has 5 outputs, but 3 labels .* need 7"):
            spacy.load(tmp_path)

    def test_rehearsal_is_refused(self, nlp):
        nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
        nlp.resume_training()
        with pytest.raises(ValueError, match="can't rehearse, since its model is a cosine head"):
            nlp.get_pipe("bert_ner").rehearse([make_example(nlp)])

    def test_export_is_refused(self, nlp, tmp_path):
        message = "is a cosine head, and Hugging Face's classifiers don't divide by norms: train it"
        with pytest.raises(ValueError, match=message):
            to_huggingface(nlp, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_import_is_refused(self, tiny, tiny_encoder, tmp_path):
        """Of a classifier with a bias, which this head doesn't have."""
        to_huggingface(tiny, tmp_path / "out")
        nlp = make_cosine(tiny_encoder)
        checkpoint = HuggingFaceCheckpoint(str(tmp_path / "out"))
        pipe = nlp.get_pipe("bert_ner")
        with pytest.raises(ValueError, match="has a different classifier from .*LinearSoftmax.v1"):
            pipe.initialize(lambda: [make_example(nlp)], nlp=nlp, checkpoint=checkpoint)


@pytest.mark.parametrize(
    "loss,message",
    [
        (
            {"@losses": "spacy-bert-ner.CrossEntropy.v1"},
            "spacy-bert-ner.CrossEntropy.v1 needs probabilities of tags, but a cosine head outputs "
            "scores of tags without a softmax. Use the loss test.Margin.v1, or the model "
            "spacy-bert-ner.LinearSoftmax.v1.",
        ),
        (
            {"@losses": "spacy-bert-ner.RDrop.v1"},
            "spacy-bert-ner.RDrop.v1 needs probabilities of tags, but a cosine head outputs",
        ),
        (
            {"@losses": "spacy-bert-ner.CRFLikelihood.v1"},
            "needs log-scores of tags, and transitions between them, but a cosine head outputs",
        ),
    ],
)
def test_other_losses_are_refused(tiny_encoder, loss, message):
    nlp = make_cosine(tiny_encoder, loss=loss)
    with pytest.raises(ValueError, match=message):
        nlp.initialize(lambda: [make_example(nlp)])


@pytest.mark.parametrize("make,name", [(softmax, "a softmax"), (linear_crf, "a CRF")])
def test_its_loss_is_refused_by_others(make, name):
    layer = make(3, 2)
    layer.set_ref("output_layer", layer)
    message = f"test.Margin.v1 needs scores of tags without a softmax, but {name} outputs"
    with pytest.raises(ValueError, match=message):
        Margin(1.0).check(["PER"], layer)


def test_gradient():
    rng = numpy.random.default_rng(0)
    layer = cosine(3, 4)
    layer.initialize()
    layer.set_param("W", rng.normal(size=(3, 4)))
    X, weights = rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    _, backprop = layer(X, is_train=True)
    dX = backprop(weights)
    for array, gradient in ((X, dX), (layer.get_param("W"), layer.get_grad("W"))):
        for place in numpy.ndindex(array.shape):
            value, ends = array[place], []
            for step in (1e-6, -1e-6):
                array[place] = value + step
                ends.append(float((weights * layer.predict(X)).sum()))
            array[place] = value
            assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-4)


@pytest.mark.parametrize("make", [softmax, linear_crf, cosine])
def test_contracts_hold(make):
    """What a contract says of a layer is so."""
    layer = make(5, 4)
    layer.set_ref("output_layer", layer)
    layer.initialize()
    head = get_head(layer)
    Y = layer.predict(numpy.ones((3, 4), dtype="float32"))
    (scores,) = head.to_scores([Y])
    assert Y.shape == scores.shape == (3, 5)
    transitions = get_transitions(layer)
    assert (transitions is None) == (head.output != "emissions")
    if transitions is None:
        numpy.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=1e-6)
    else:
        assert transitions.shape == (5, 5)
    assert all(len(layer.get_param(name)) == 5 for name in head.rows)
    wider = head.make_layer(layer, 7)
    assert (wider.name, wider.get_dim("nO"), wider.get_dim("nI")) == (layer.name, 7, 4)
    assert get_head(wider) is head or wider.attrs[HEAD] == head
    assert head.rehearses == (head.output == "probabilities")


def test_model_without_a_contract():
    """Such as one of the user's own: it gives probabilities."""
    model = Model("own", forward, params={"W": None})
    assert get_head(model).output == "probabilities"
    assert get_transitions(model) is None
