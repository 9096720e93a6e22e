"""Training goes on from a checkpoint."""

import numpy
import pytest
import spacy
from spacy.cli.train import train
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.util import registry
from thinc.api import Config, fix_random_seed

from spacy_bert_ner import from_huggingface, to_huggingface

from ..util import EXPECTED, TEXT, WORDS, get_ents, make_example, make_nlp
from .util import LISTENER, make_checkpoint

DATE = ["Anna", "met", "Karl", "today"], ["B-PER", "O", "B-PER", "B-DATE"]


@pytest.fixture(scope="module")
def checkpoint(tiny_pipeline, tmp_path_factory):
    """A checkpoint that has learned one text."""
    folder = tmp_path_factory.mktemp("checkpoint") / "out"
    to_huggingface(spacy.load(tiny_pipeline), folder)
    return str(folder)


def get_loss(nlp, examples):
    return nlp.evaluate(examples)["ents_f"], nlp.update(examples, sgd=False, drop=0.0)["bert_ner"]


def head_of(nlp):
    layer = nlp.get_pipe("bert_ner").model.get_ref("output_layer")
    return layer.get_param("W").copy(), layer.get_param("b").copy()


def test_loss_starts_low(checkpoint):
    nlp = from_huggingface(checkpoint)
    losses = nlp.update([make_example(nlp)], sgd=False, drop=0.0)
    assert losses["bert_ner"] < 0.3  # a new one has ln(5), 1.6, and the trained one 0.05
    assert get_ents(nlp(Doc(nlp.vocab, words=WORDS))) == EXPECTED


def test_training_goes_on(checkpoint):
    """New text, new label: learned, and the old is kept."""
    fix_random_seed(0)
    nlp = from_huggingface(checkpoint)
    old_W, old_b = head_of(nlp)
    nlp.get_pipe("bert_ner").add_label("DATE")
    W, b = head_of(nlp)
    numpy.testing.assert_array_equal(W[: len(old_W)], old_W)
    numpy.testing.assert_array_equal(b[: len(old_b)], old_b)
    assert len(W) == len(old_W) + 2
    sgd = nlp.resume_training()
    sgd.learn_rate = 1e-2
    examples = [make_example(nlp), make_example(nlp, *DATE)]
    for _ in range(40):
        losses = nlp.update(examples, sgd=sgd, drop=0.0)
    assert losses["bert_ner"] < 0.3
    doc = nlp(Doc(nlp.vocab, words=DATE[0]))
    assert get_ents(doc) == [("Anna", "PER"), ("Karl", "PER"), ("today", "DATE")]


def initialize(checkpoint, *, words=None, labels=None, **component):
    nlp = make_nlp({"name": checkpoint, "window": 0}, component=component)
    loader = {"@misc": "spacy-bert-ner.HuggingFaceCheckpoint.v1", "name": checkpoint}
    settings = {"checkpoint": loader}
    if labels is not None:
        settings["labels"] = labels
    nlp.config["initialize"]["components"]["bert_ner"] = settings
    nlp.initialize(lambda: [make_example(nlp, *(words or DATE))])
    return nlp


def test_loader(checkpoint):
    """Labels of the checkpoint first, then those of the examples: the old rows are kept."""
    imported = from_huggingface(checkpoint)
    nlp = initialize(checkpoint)
    assert nlp.get_pipe("bert_ner").labels == ("LOC", "PER", "DATE")
    old, new = head_of(imported), head_of(nlp)
    assert len(new[0]) == 7
    for ours, theirs in zip(new, old):
        numpy.testing.assert_array_equal(ours[:5], theirs)
    assert numpy.abs(new[0][5:]).max() < 0.2
    assert set(get_ents(nlp(Doc(nlp.vocab, words=WORDS)))) >= set(EXPECTED[:1])
    encoders = [
        pipeline.get_pipe("transformer").model.shims[0].encoder.model.state_dict()
        for pipeline in (imported, nlp)
    ]
    assert set(encoders[0]) == set(encoders[1])
    assert all(encoders[0][name].equal(encoders[1][name]) for name in encoders[0])


def test_loader_with_labels(checkpoint):
    nlp = initialize(checkpoint, labels=["TIME", "PER"])
    assert nlp.get_pipe("bert_ner").labels == ("LOC", "PER", "TIME")


def test_loader_of_an_inlined_encoder(checkpoint):
    tok2vec = {
        "@architectures": "spacy-bert-ner.Tok2VecTransformer.v2",
        "transformer": {
            "@architectures": "spacy-bert-ner.TransformerModel.v1",
            "name": checkpoint,
            "window": 0,
        },
        "pooling": {"@layers": "spacy-bert-ner.reduce_first.v1"},
    }
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": {"tok2vec": tok2vec}})
    loader = {"@misc": "spacy-bert-ner.HuggingFaceCheckpoint.v1", "name": checkpoint}
    nlp.config["initialize"]["components"]["bert_ner"] = {"checkpoint": loader}
    nlp.initialize(lambda: [make_example(nlp)])
    assert get_ents(nlp(Doc(nlp.vocab, words=WORDS))) == EXPECTED


@pytest.mark.parametrize(
    "component,message",
    [
        (
            {"scheme": "BILUO"},
            r'the tags of .* are BIO: set scheme = "BIO" in \[components.bert_ner\]',
        ),
        (
            {"model": {"@architectures": "spacy-bert-ner.DenseSoftmax.v1", "tok2vec": LISTENER}},
            r'set @architectures = "spacy-bert-ner.LinearSoftmax.v1"',
        ),
    ],
)
def test_loader_error(component, message, checkpoint):
    with pytest.raises(ValueError, match=message):
        initialize(checkpoint, **component)


def test_loader_error_of_another_encoder(checkpoint, tmp_path):
    other = make_checkpoint(tmp_path, hidden_size=32)
    nlp = make_nlp({"name": other, "window": 0})
    loader = registry.misc.get("spacy-bert-ner.HuggingFaceCheckpoint.v1")(name=checkpoint)
    get_examples = lambda: [make_example(nlp)]  # noqa: E731
    nlp.get_pipe("transformer").initialize(get_examples, nlp=nlp)
    with pytest.raises(
        ValueError, match=r"vectors of width 16, but those of 'transformer' have width 32: set"
    ):
        nlp.get_pipe("bert_ner").initialize(get_examples, nlp=nlp, checkpoint=loader)
    nlp.config["training"]["frozen_components"] = ["transformer"]
    nlp.config["training"]["annotating_components"] = ["transformer"]
    with pytest.raises(ValueError, match="'transformer' is frozen: remove it"):
        nlp.get_pipe("bert_ner").initialize(get_examples, nlp=nlp, checkpoint=loader)


@pytest.mark.parametrize("how", ["sourced", "loader"])
def test_spacy_train(how, checkpoint, corpus, tmp_path):
    """The config holds the name of the checkpoint, the trained pipeline needs it no more."""
    config = from_huggingface(checkpoint).config.copy()
    config["corpora"]["train"]["path"] = str(corpus / "train.spacy")
    config["corpora"]["dev"]["path"] = str(corpus / "dev.spacy")
    config["training"].update(max_steps=2, eval_frequency=1)
    config["training"]["optimizer"]["learn_rate"] = 1e-5
    if how == "sourced":
        from_huggingface(checkpoint).to_disk(tmp_path / "imported")
        for name in ("transformer", "bert_ner"):
            config["components"][name] = {"source": str(tmp_path / "imported")}
    else:
        loader = {"@misc": "spacy-bert-ner.HuggingFaceCheckpoint.v1", "name": checkpoint}
        config["initialize"]["components"]["bert_ner"] = {"checkpoint": loader}
    Config(config).to_disk(tmp_path / "config.cfg")
    train(tmp_path / "config.cfg", tmp_path / "out")
    nlp = spacy.load(tmp_path / "out" / "model-last")
    assert nlp.meta["performance"]["ents_f"] == 1.0
    assert get_ents(nlp(Doc(nlp.vocab, words=WORDS))) == EXPECTED


@pytest.mark.parametrize("scheme", ["BIO", "BILUO", "IOB1", "IO"])
@pytest.mark.parametrize("align", ["token", "word"])
def test_every_scheme_trains(scheme, align, tiny_encoder):
    fix_random_seed(0)
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    transformer = {"name": tiny_encoder, "window": 0, "transformer_config": no_dropout}
    nlp = make_nlp(transformer, component={"scheme": scheme, "align": align})
    text = TEXT.replace(" .", ".").replace("Oslo", "(Oslo)")
    doc = nlp.make_doc(text)
    ents = [doc.char_span(text.index(e), text.index(e) + len(e), label) for e, label in EXPECTED]
    doc.set_ents(ents, default="outside")
    examples = [Example(nlp.make_doc(text), doc)]
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 1e-2
    for _ in range(60):
        nlp.update(examples, sgd=sgd, drop=0.0)
    assert get_ents(nlp(text)) == EXPECTED
    assert nlp.evaluate(examples)["ents_f"] == 1.0


def test_corpus_is_as_expected(corpus):
    (doc, *_) = DocBin().from_disk(corpus / "dev.spacy").get_docs(spacy.blank("en").vocab)
    assert get_ents(doc) == EXPECTED


@pytest.mark.parametrize("family", ["modernbert", "camembert", "mobilebert"])
def test_families_train(family, tmp_path):
    """All of a classifier's layers, and its encoder; a new label resizes the last one alone."""
    fix_random_seed(0)
    nlp = from_huggingface(make_checkpoint(tmp_path, family))
    nlp.get_pipe("bert_ner").add_label("DATE")
    model = nlp.get_pipe("bert_ner").model
    sgd = nlp.resume_training()
    sgd.learn_rate = 1e-2
    before = {
        (node.id, name): node.get_param(name).copy()
        for node in model.walk()
        for name in node.param_names
    }
    examples = [make_example(nlp, *DATE)]
    losses = [nlp.update(examples, sgd=sgd, drop=0.0)["bert_ner"] for _ in range(20)]
    assert losses[-1] < 0.5 * losses[0]
    for node in model.walk():
        for name in node.param_names:
            assert not numpy.array_equal(node.get_param(name), before[node.id, name])
    assert len(before) == (4 if family == "modernbert" else 2)
    nlp.to_disk(tmp_path / "out")
    doc, loaded = (
        pipeline(Doc(pipeline.vocab, words=WORDS))
        for pipeline in (nlp, spacy.load(tmp_path / "out"))
    )
    assert get_ents(doc) == get_ents(loaded)
