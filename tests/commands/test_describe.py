import json

import pytest
import spacy

from spacy_bert_ner import describe, from_huggingface
from spacy_bert_ner.commands.describe import format_description

from .. import toy
from ..hf.util import make_checkpoint
from ..util import make_example


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def check_plain(info):
    """Nothing but plain values, that can be shown."""
    assert json.loads(json.dumps(info)) == info
    text = format_description(info)
    assert text.startswith(f"{info['kind']}: ")
    assert "None" not in text
    return text


def check_encoder(encoder, **expected):
    for key, value in expected.items():
        assert encoder[key] == value, key
    assert encoder["parameters"] > 1000


def test_ours(checkpoint):
    info = describe(from_huggingface(checkpoint))
    text = check_plain(info)
    (encoder,) = info["encoders"]
    check_encoder(
        encoder,
        component="transformer",
        family="bert",
        layers=2,
        width=toy.WIDTH,
        tokenizer="WordPiece",
        limit=toy.POSITIONS,
        window=toy.POSITIONS,
        stride=0,
        context=0,
        precision="fp32",
        dropout={"attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0.1},
    )
    (ner,) = info["components"]
    assert (ner["reads"], ner["pooling"], ner["dropout"]) == ("transformer", "reduce_first", 0.1)
    assert (ner["labels"], ner["scheme"], ner["tags"]) == (["LOC", "PER"], "BIO", 5)
    assert (ner["decoder"], ner["align"]) == ("greedy", "token")
    assert ner["layers"] == [
        {"layer": "Linear(16 -> 5)", "shapes": {"W": [5, 16], "b": [5]}, "parameters": 85}
    ]
    assert "Linear(16 -> 5): 85 parameters (W [5, 16], b [5])" in text
    assert "labels: LOC, PER" in text


def test_inlined(checkpoint, tmp_path):
    nlp = from_huggingface(checkpoint)
    nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    nlp.remove_pipe("transformer")
    nlp.to_disk(tmp_path)
    info = describe(tmp_path)
    check_plain(info)
    (encoder,) = info["encoders"]
    check_encoder(encoder, component="bert_ner", family="bert", window=toy.POSITIONS)
    (ner,) = info["components"]
    assert (ner["reads"], ner["parameters"]) == ("bert_ner", 85)


def test_more_layers(tmp_path):
    info = describe(from_huggingface(make_checkpoint(tmp_path, "modernbert")))
    check_plain(info)
    assert info["encoders"][0]["tokenizer"] == "byte-level BPE"
    layers = info["components"][0]["layers"]
    assert [layer["layer"] for layer in layers] == ["Linear(16 -> 16)", "Linear(16 -> 5)"]
    assert [layer["parameters"] for layer in layers] == [16 * 16 + 16, 85]


@pytest.mark.parametrize("architecture", ["spacy-transformers.TransformerModel.v3"])
def test_stock_transformer(architecture, tiny_encoder):
    nlp = spacy.blank("en")
    nlp.add_pipe(
        "transformer", config={"model": {"@architectures": architecture, "name": tiny_encoder}}
    )
    nlp.add_pipe("bert_ner")
    nlp.initialize(lambda: [make_example(nlp)])
    info = describe(nlp)
    check_plain(info)
    check_encoder(info["encoders"][0], component="transformer", family="bert", width=toy.WIDTH)
    assert info["components"][0]["reads"] == "transformer"


def test_ner_of_spacy():
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("ner")
    nlp.initialize(lambda: [make_example(nlp)])
    info = describe(nlp)
    check_plain(info)
    assert info["encoders"] == []
    (ner,) = info["components"]
    assert (ner["factory"], ner["labels"]) == ("ner", ["LOC", "PER"])
    assert ner["parameters"] > 1000


def test_not_initialized(tiny_encoder):
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner")
    info = describe(nlp)
    check_plain(info)
    assert info["components"][0]["parameters"] == 0


def test_checkpoint(checkpoint):
    info = describe(checkpoint)
    check_plain(info)
    check_encoder(info["encoders"][0], family="bert", tokenizer="WordPiece", limit=toy.POSITIONS)
    (head,) = info["components"]
    assert (head["labels"], head["scheme"], head["tags"]) == (["LOC", "PER"], "BIO", 5)
    assert head["layers"][0]["layer"] == "Linear(16 -> 5)"


def test_checkpoint_with_labels_that_tell_nothing(tmp_path):
    info = describe(make_checkpoint(tmp_path, names=["LABEL_0", "LABEL_1", "LABEL_2"]))
    assert "LABEL_0 doesn't name an entity" in check_plain(info)
    assert info["components"][0]["layers"][0]["layer"] == "Linear(16 -> 3)"
    assert "labels" not in info["components"][0]


def test_plain_encoder(tmp_path):
    info = describe(toy.save_encoder(tmp_path, "deberta-v2"))
    assert "has no token classifier" in check_plain(info)
    check_encoder(info["encoders"][0], family="deberta-v2", tokenizer="Unigram")
    assert info["components"] == []


def test_nothing(tmp_path):
    with pytest.raises(OSError, match="nothing"):
        describe(tmp_path / "nothing")
