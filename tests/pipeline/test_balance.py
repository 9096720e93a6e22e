"""Gradients of the components that train one encoder."""

import pickle

import numpy
import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model, fix_random_seed

from spacy_bert_ner.pipeline.balance import SIZE, GradientBalance, balance_gradients
from spacy_bert_ner.pipeline.bert_ner import BertNER

from ..util import EXPECTED, TAGS, TEXT, WORDS, get_ents, make_curated, make_nlp

TAGGER = {"@architectures": "spacy.Tagger.v2", "nO": None}
LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "upstream": "*",
    "pooling": {"@layers": "reduce_mean.v1"},
}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def make_examples(nlp, ents=TAGS):
    reference = Doc(nlp.vocab, words=WORDS, ents=ents, tags=[word.lower() for word in WORDS])
    return [Example(Doc(nlp.vocab, words=WORDS), reference) for _ in range(2)]


def make(encoder, grad_factor=1.0, tagger_first=True):
    fix_random_seed(0)
    nlp = make_nlp({"name": encoder, "window": 0, "transformer_config": NO_DROPOUT})
    model = {**TAGGER, "tok2vec": {**LISTENER, "grad_factor": grad_factor}}
    place = {"before": "bert_ner"} if tagger_first else {"after": "bert_ner"}
    nlp.add_pipe("tagger", config={"model": model}, **place)
    return nlp


def initialize(nlp, examples):
    """As nlp.initialize, but that the tagger's head, all zeros at first, gives gradients."""
    sgd = nlp.initialize(lambda: examples)
    softmax = nlp.get_pipe("tagger").model.get_ref("softmax")
    shape = softmax.get_param("W").shape
    softmax.set_param("W", numpy.random.default_rng(0).normal(size=shape).astype("float32"))
    return sgd


def scale_loss(component, factor):
    """Have a component's loss and gradients multiplied."""
    get_loss = component.get_loss

    def scaled(examples, scores):
        loss, gradients = get_loss(examples, scores)
        return loss, [factor * gradient for gradient in gradients]

    component.get_loss = scaled


def get_gradients(nlp, examples, steps=3):
    """RETURNS (List[ndarray]): What reaches the encoder in each step, which doesn't train."""
    pipe = nlp.get_pipe("transformer")
    encoder = pipe.model
    seen = []

    def forward(model, docs, is_train):
        output, backprop = encoder(docs, is_train)

        def spied(gradient):
            (tensor,) = gradient.model_output.values()
            seen.append(tensor.numpy().copy())
            return backprop(gradient)

        return output, spied

    pipe.model = Model("spy", forward, layers=[encoder])
    for _ in range(steps):
        nlp.update(examples, sgd=False)
    pipe.model = encoder
    return seen


def get_alone(encoder, name, steps=3):
    """RETURNS (List[ndarray]): The gradient of one of the two components."""
    nlp = make(encoder)
    examples = make_examples(nlp)
    initialize(nlp, examples)
    nlp.remove_pipe({"tagger": "bert_ner", "bert_ner": "tagger"}[name])
    return get_gradients(nlp, examples, steps)


@pytest.mark.parametrize("tagger_first", [True, False])
@pytest.mark.parametrize("factor", [0.001, 1.0, 1000.0])
def test_the_scale_of_a_loss_makes_no_difference(tiny_encoder, factor, tagger_first):
    nlp = make(tiny_encoder, tagger_first=tagger_first)
    examples = make_examples(nlp)
    initialize(nlp, examples)
    scale_loss(nlp.get_pipe("tagger"), factor)
    ours, others = (get_alone(tiny_encoder, name) for name in ("bert_ner", "tagger"))
    for seen, own, other in zip(get_gradients(nlp, examples), ours, others):
        ratio = SIZE * numpy.linalg.norm(own) / numpy.linalg.norm(other)
        assert ratio < 0.1  # a sum over tokens is far above their mean
        numpy.testing.assert_allclose(seen, own + ratio * other, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("grad_factor", [0.0, 0.5, 2.0])
def test_grad_factor_is_a_weight(tiny_encoder, grad_factor):
    nlp = make(tiny_encoder, grad_factor)
    examples = make_examples(nlp)
    initialize(nlp, examples)
    (own,), (other,) = (get_alone(tiny_encoder, name, 1) for name in ("bert_ner", "tagger"))
    other *= SIZE * grad_factor * numpy.linalg.norm(own) / numpy.linalg.norm(other)
    (seen,) = get_gradients(nlp, examples, 1)
    numpy.testing.assert_allclose(seen, own + other, rtol=1e-4, atol=1e-7)


def test_a_smaller_gradient_than_before_stays_smaller(tiny_encoder):
    """The scale is that of the steps so far: what is learned lets go of the encoder."""
    nlp = make(tiny_encoder)
    examples = make_examples(nlp)
    initialize(nlp, examples)
    (own,), (other,) = (get_alone(tiny_encoder, name, 1) for name in ("bert_ner", "tagger"))
    get_gradients(nlp, examples, 50)
    scale_loss(nlp.get_pipe("tagger"), 0.01)
    (seen,) = get_gradients(nlp, examples, 1)
    rest = numpy.linalg.norm(seen - own) / (SIZE * numpy.linalg.norm(own))
    assert rest == pytest.approx(0.01, rel=0.15)  # it is part of the mean itself


@pytest.mark.parametrize("name", ["bert_ner", "tagger"])
def test_one_alone_is_trained_as_before(tiny_encoder, name, monkeypatch):
    balanced = get_alone(tiny_encoder, name)
    monkeypatch.setattr("spacy_bert_ner.pipeline.bert_ner.balance_gradients", lambda *_: None)
    for before, after in zip(get_alone(tiny_encoder, name), balanced):
        assert before.tobytes() == after.tobytes()


def test_others_without_bert_ner_are_trained_as_before(tiny_encoder, monkeypatch):
    def train():
        nlp = make(tiny_encoder)
        model = {**TAGGER, "tok2vec": LISTENER}
        nlp.add_pipe("tagger", name="second", config={"model": model})
        examples = make_examples(nlp)
        initialize(nlp, examples)
        nlp.remove_pipe("bert_ner")
        return get_gradients(nlp, examples)

    balanced = train()
    monkeypatch.setattr("spacy_bert_ner.pipeline.bert_ner.balance_gradients", lambda *_: None)
    for before, after in zip(train(), balanced):
        assert before.tobytes() == after.tobytes()


def test_batches_without_entities_or_tokens(tiny_encoder):
    """They say nothing of the scale, and the neighbour learns from them."""
    nlp = make(tiny_encoder)
    examples = make_examples(nlp)
    initialize(nlp, examples)
    sgd = nlp.create_optimizer()
    empty = [Example(nlp.make_doc(""), nlp.make_doc(""))]
    unknown = make_examples(nlp)
    for example in unknown:
        example.reference.set_ents([], default="missing")
    for batch in (empty, unknown, examples, empty, unknown):
        losses = nlp.update(batch, sgd=sgd)
        assert numpy.isfinite(list(losses.values())).all()
    balance = nlp.get_pipe("transformer").update.__self__
    assert balance.means["tagger"][1] > balance.means["bert_ner"][1] == 1.0
    assert not balance.waiting


@pytest.mark.parametrize(
    ("grad_factor", "expected"), [(0.0, 1.0), (1.0, 1.16**0.5), (2.5, 2.0**0.5)]
)
def test_the_encoder_steps_as_far_for_each(tiny_encoder, grad_factor, expected):
    """Adam divides by the size of the sum."""
    nlp = make(tiny_encoder, grad_factor)
    examples = make_examples(nlp)
    sgd = initialize(nlp, examples)
    rates = []
    shim = nlp.get_pipe("transformer").model.shims[0]
    shim.finish_update = lambda optimizer: rates.append(optimizer.learn_rate)
    before = sgd.learn_rate
    for _ in range(2):  # the encoder steps with the gradients of the batch before
        nlp.update(examples, sgd=sgd)
    assert rates == [before, pytest.approx(expected * before)]
    assert sgd.learn_rate == before
    nlp.remove_pipe("tagger")
    nlp.update(examples, sgd=sgd)
    assert rates[2] == before


def test_a_head_of_zeros_does_not_begin_with_leaps(tiny_encoder):
    """Its first gradients are almost nothing, and those after them many times larger."""
    nlp = make(tiny_encoder)
    examples = make_examples(nlp)
    initialize(nlp, examples)
    (own,) = get_alone(tiny_encoder, "bert_ner", 1)
    tagger = nlp.get_pipe("tagger")
    for factor in (1e-3, 1e2, 1e2):
        scale_loss(tagger, factor)
        (seen,) = get_gradients(nlp, examples, 1)
        assert numpy.linalg.norm(seen - own) <= 1.01 * SIZE * numpy.linalg.norm(own)


def test_learns_what_it_learns_alone(tiny_encoder, tmp_path):
    """Also in parts of batches, when it is loaded or sourced, and in another process."""
    nlp = make(tiny_encoder)
    examples = make_examples(nlp)
    sgd = initialize(nlp, examples)
    sgd.learn_rate = 1e-2
    for _ in range(80):
        losses = {}
        for example in examples:
            nlp.update([example], losses=losses, sgd=False)
        for _, pipe in nlp.pipeline:
            pipe.finish_update(sgd)
    assert losses["bert_ner"] < 0.1
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    sourced = spacy.blank("en")
    for name in loaded.pipe_names:
        sourced.add_pipe(name, source=loaded)
    copied = spacy.blank("en")
    for name in loaded.pipe_names:
        copied.add_pipe(name, source=pickle.loads(pickle.dumps(loaded)))
    for pipeline in (nlp, loaded, sourced, copied):
        doc = pipeline(TEXT)
        assert get_ents(doc) == EXPECTED
        assert [token.tag_ for token in doc] == [word.lower() for word in WORDS]
        balance = pipeline.get_pipe("transformer").update.__self__
        pipeline.update(examples, sgd=pipeline.resume_training())
        assert set(balance.means) == {"tagger", "bert_ner"}


def test_inlined_encoders_have_nothing_to_balance(tiny_encoder):
    nlp = make(tiny_encoder)
    examples = make_examples(nlp)
    sgd = initialize(nlp, examples)
    nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    nlp.update(examples, sgd=sgd)
    assert not nlp.get_pipe("transformer").update.__self__.means


def test_installed_once(tiny_encoder):
    nlp = make(tiny_encoder)
    balance = nlp.get_pipe("transformer").update.__self__
    assert isinstance(balance, GradientBalance)
    balance_gradients(nlp, BertNER)
    assert nlp.get_pipe("transformer").update.__self__ is balance


CNN = {
    "@architectures": "spacy.HashEmbedCNN.v2",
    "pretrained_vectors": None,
    "width": 16,
    "depth": 1,
    "embed_size": 50,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": False,
}
CNN_LISTENER = {"@architectures": "spacy.Tok2VecListener.v1", "width": 16, "upstream": "*"}


def test_beside_a_tok2vec():
    fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": CNN})
    nlp.add_pipe("tagger", config={"model": {**TAGGER, "tok2vec": CNN_LISTENER}})
    head = {"@architectures": "spacy-bert-ner.LinearSoftmax.v1", "tok2vec": CNN_LISTENER}
    nlp.add_pipe("bert_ner", config={"model": head})
    examples = make_examples(nlp)
    sgd = initialize(nlp, examples)
    sgd.learn_rate = 1e-2
    for _ in range(60):
        losses = nlp.update(examples, sgd=sgd)
    assert losses["bert_ner"] < 0.1
    means = nlp.get_pipe("tok2vec").update.__self__.means
    assert set(means) == {"tagger", "bert_ner"}


STOCK = {
    "@architectures": "spacy-transformers.TransformerModel.v3",
    "get_spans": {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 8, "stride": 6},
    "tokenizer_config": {"use_fast": True},
}


def test_stock_encoder(tiny_encoder):
    fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", config={"model": {**STOCK, "name": tiny_encoder}})
    nlp.add_pipe("tagger", config={"model": {**TAGGER, "tok2vec": LISTENER}})
    nlp.add_pipe("bert_ner")
    examples = make_examples(nlp)
    initialize(nlp, examples)
    (seen,) = get_gradients(nlp, examples, 1)
    nlp.remove_pipe("tagger")
    (own,) = get_gradients(nlp, examples, 1)
    rest = numpy.linalg.norm(seen - own)
    assert rest == pytest.approx(SIZE * numpy.linalg.norm(own), rel=0.02)  # dropout


# spacy-curated-transformers' own, on NumPy 1.25 to 2.3.
@pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning")
def test_curated_encoder(tmp_path):
    nlp = make_curated(tmp_path, WORDS)
    listener = {
        "@architectures": "spacy-curated-transformers.LastTransformerLayerListener.v1",
        "width": 16,
        "pooling": {"@layers": "spacy-bert-ner.reduce_first.v1"},
    }
    head = {"@architectures": "spacy-bert-ner.LinearSoftmax.v1", "tok2vec": listener}
    nlp.remove_pipe("bert_ner")
    nlp.add_pipe("tagger", config={"model": {**TAGGER, "tok2vec": listener}})
    nlp.add_pipe("bert_ner", config={"model": head})
    examples = make_examples(nlp)
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 1e-2
    for _ in range(60):
        losses = nlp.update(examples, sgd=sgd)
    assert losses["bert_ner"] < 0.1
    assert set(nlp.get_pipe("transformer").update.__self__.means) == {"tagger", "bert_ner"}
