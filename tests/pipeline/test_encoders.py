"""One finder for encoders of every kind, wherever they are."""

import pytest
import spacy
import torch
from spacy_transformers.layers import TransformerModel
from thinc.api import Model, PyTorchWrapper

from spacy_bert_ner import describe
from spacy_bert_ner.model.encoder.shim import EncoderShim
from spacy_bert_ner.pipeline.encoders import find_encoder, iter_encoders
from spacy_bert_ner.pipeline.listeners import find_upstream, get_listeners

from ..toy import WIDTH
from ..util import WORDS, make_curated, make_example, make_nlp

POOLING = {"@layers": "spacy-bert-ner.reduce_first.v1"}
STOCK = "spacy-transformers.TransformerModel.v3"
LISTENERS = {
    "transformer": {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": POOLING,
    },
    "curated_transformer": {
        "@architectures": "spacy-curated-transformers.LastTransformerLayerListener.v1",
        "width": WIDTH,
        "pooling": POOLING,
    },
    "tok2vec": {"@architectures": "spacy.Tok2VecListener.v1", "width": WIDTH},
}


def initialize(nlp):
    nlp.initialize(lambda: [make_example(nlp)])
    return nlp


def make_own(tiny_encoder):
    return initialize(make_nlp({"name": tiny_encoder, "window": 0}))


def make_stock(tiny_encoder):
    nlp = spacy.blank("en")
    model = {"@architectures": STOCK, "name": tiny_encoder}
    nlp.add_pipe("transformer", config={"model": model})
    nlp.add_pipe("bert_ner")
    return initialize(nlp)


def make_inlined(tiny_encoder, version=2):
    """Made so by the config, as v1 or v2 of the architecture."""
    settings = {"name": tiny_encoder, "window": 0}
    if version == 2:
        transformer = {"@architectures": "spacy-bert-ner.TransformerModel.v1", **settings}
        settings = {"transformer": transformer}
    tok2vec = {
        "@architectures": f"spacy-bert-ner.Tok2VecTransformer.v{version}",
        "pooling": POOLING,
        **settings,
    }
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": {"tok2vec": tok2vec}})
    return initialize(nlp)


def make_tok2vec(tiny_encoder):
    """Our encoder in a `tok2vec`, to which its listeners listen."""
    inlined = make_inlined(tiny_encoder)
    model = inlined.get_pipe_config("bert_ner")["model"]["tok2vec"]
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": model})
    nlp.add_pipe("bert_ner", config={"model": {"tok2vec": LISTENERS["tok2vec"]}})
    return initialize(nlp)


def replace(nlp):
    nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    nlp.remove_pipe("transformer")
    return nlp


def read_with(nlp, name="bert_ner"):
    """The encoders that a component reads with."""
    return list(iter_encoders(nlp.get_pipe(name).model, name, nlp))


def check_own(nlp, component, name="bert_ner"):
    """Exactly one encoder, ours, which all who ask find."""
    (found,) = read_with(nlp, name)
    assert (found.component, found.is_ours, found.is_stock) == (component, True, False)
    assert isinstance(found.shim, EncoderShim)
    assert found.module is found.shim.encoder.model
    assert found.tokenizer is found.shim.encoder.tokenizer
    assert found.node.attrs["settings"].window == 0
    assert find_encoder(nlp, name, nlp.get_pipe(name).model) == found
    info = describe(nlp)
    assert [encoder["component"] for encoder in info["encoders"]] == [component]
    assert info["encoders"][0]["family"] == "bert"
    assert [ner["reads"] for ner in info["components"] if ner["name"] == name] == [component]


def test_shared(tiny_encoder):
    nlp = make_own(tiny_encoder)
    check_own(nlp, "transformer")
    assert list(iter_encoders(nlp.get_pipe("bert_ner").model)) == []  # without the pipeline


@pytest.mark.parametrize("version", [1, 2])
def test_inlined(tiny_encoder, version):
    check_own(make_inlined(tiny_encoder, version), "bert_ner")


def test_replaced_listener(tiny_encoder, tmp_path):
    nlp = replace(make_own(tiny_encoder))
    check_own(nlp, "bert_ner")
    nlp.to_disk(tmp_path)
    check_own(spacy.load(tmp_path), "bert_ner")


def test_in_a_tok2vec(tiny_encoder):
    check_own(make_tok2vec(tiny_encoder), "tok2vec")


def test_renamed(tiny_encoder, tmp_path):
    nlp = make_own(tiny_encoder)
    nlp.rename_pipe("transformer", "reader")
    nlp.rename_pipe("bert_ner", "second")
    check_own(nlp, "reader", "second")
    nlp.to_disk(tmp_path)
    check_own(spacy.load(tmp_path), "reader", "second")


def check_stock(nlp, component):
    (found,) = read_with(nlp)
    assert (found.component, found.is_ours, found.is_stock) == (component, False, True)
    assert type(found.node) is TransformerModel, "spacy-transformers changed its encoder"
    assert found.module.config.model_type == "bert"
    assert found.tokenizer.is_fast
    assert found.shim is found.node.layers[0].shims[0]
    with pytest.raises(ValueError, match=r"which isn't a|uses no transformer"):
        find_encoder(nlp, "bert_ner", nlp.get_pipe("bert_ner").model)
    (encoder,) = describe(nlp)["encoders"]
    assert (encoder["component"], encoder["width"], encoder["precision"]) == (
        component,
        WIDTH,
        "fp32",
    )


def test_stock(tiny_encoder):
    nlp = make_stock(tiny_encoder)
    check_stock(nlp, "transformer")
    check_stock(replace(nlp), "bert_ner")


def test_curated(tmp_path):
    nlp = make_curated(tmp_path, WORDS)
    nlp.remove_pipe("bert_ner")
    nlp.add_pipe("bert_ner", config={"model": {"tok2vec": LISTENERS["curated_transformer"]}})
    initialize(nlp)
    for component in ("transformer", "bert_ner"):
        (found,) = read_with(nlp)
        assert (found.component, found.is_ours, found.is_stock) == (component, False, False)
        assert found.module is not None, "thinc changed PyTorchShim: its module isn't in _model"
        assert found.tokenizer is None
        (encoder,) = describe(nlp)["encoders"]
        assert (encoder["component"], encoder["precision"]) == (component, "fp32")
        assert encoder["parameters"] > 1000
        if component == "transformer":
            replace(nlp)
    # What `replace_listeners` leaves of the listener listens no more.
    assert get_listeners(nlp.get_pipe("bert_ner").model) == []


def test_several_in_one_component(tiny_encoder):
    """One that is shared beside one of its own, and a module that is no transformer."""
    own = make_inlined(tiny_encoder).get_pipe_config("bert_ner")["model"]["tok2vec"]
    layers = {"own": own, "shared": LISTENERS["transformer"]}
    tok2vec = {"@layers": "spacy-bert-ner.concatenate.v1", "*": layers}
    nlp = make_nlp({"name": tiny_encoder, "window": 0}, head={"tok2vec": tok2vec})
    initialize(nlp)
    assert [found.component for found in read_with(nlp)] == ["bert_ner", "transformer"]
    wrapped = PyTorchWrapper(torch.nn.Linear(2, 3))
    (found,) = iter_encoders(wrapped, "other")
    assert isinstance(found.module, torch.nn.Linear)
    assert (found.is_ours, found.is_stock, found.tokenizer) == (False, False, None)


def test_before_it_is_initialized(tiny_encoder):
    nlp = make_nlp({"name": tiny_encoder})
    (found,) = read_with(nlp)
    assert found.is_ours
    assert (found.module, found.tokenizer) == (None, None)
    assert describe(nlp)["encoders"] == []


@pytest.mark.parametrize("model", [None, "no model", Model("empty", lambda model, X, is_train: X)])
def test_none(model):
    assert list(iter_encoders(model, "name", spacy.blank("en"))) == []


def test_listener_that_hears_nothing():
    nlp = spacy.blank("en")
    model = nlp.add_pipe("bert_ner").model
    (listener,) = get_listeners(model)
    assert find_upstream(nlp, listener) is None
    assert list(iter_encoders(model, "bert_ner", nlp)) == []
    with pytest.raises(ValueError, match="listens to a transformer, but the pipeline has none"):
        find_encoder(nlp, "bert_ner", model)
