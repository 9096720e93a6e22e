"""The layer of an exported encoder, against the encoder of torch with the same weights."""

import random

import numpy
import pytest
import spacy
from spacy.tokens import Doc
from thinc.api import use_ops

from spacy_bert_ner.commands.annotate import TRF_DATA
from spacy_bert_ner.model.layers.pooling import reduce_first
from spacy_bert_ner.model.onnx.layer import build_onnx_encoder_v1, set_export
from spacy_bert_ner.model.onnx.quantizing import Step, quantize_graph

from ...soak import hostile_texts
from ...toy import POSITIONS, WIDTH, piece_tokenizer
from ...util import TEXT, WORDS, make_example
from .util import export, find_layer, find_shim, make_facts, make_graph


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    """Of each kind of tokenizer, a pipeline and its export."""
    originals = hostile_texts.make_pipelines(tmp_path_factory.mktemp("checkpoints"))
    return {name: (nlp, export(nlp)) for name, nlp in originals.items()}


@pytest.fixture(scope="module")
def exported(pipelines):
    return pipelines["WordPiece"][1]


def make_texts(n_texts):
    rng = random.Random(3)
    return [hostile_texts.make_text(rng) for _ in range(n_texts)]


def get_vectors(nlp, docs):
    return nlp.get_pipe("bert_ner").model.get_ref("tok2vec").predict(docs)


@pytest.mark.parametrize("kind", hostile_texts.FAMILIES)
def test_same_as_torch(kind, pipelines):
    texts = make_texts(100)
    n_ents = 0
    for doc, other in zip(*(nlp.pipe(texts) for nlp in pipelines[kind])):
        assert hostile_texts.get_entities(doc) == hostile_texts.get_entities(other)
        scores = hostile_texts.get_scores(doc)
        assert hostile_texts.get_scores(other) == pytest.approx(scores, abs=1e-4, rel=0)
        n_ents += len(doc.ents)
    assert n_ents > 200


def quantize(nlp):
    """RETURNS (Language): A copy with weights and inputs of 8 bits."""
    quantized = spacy.util.load_model_from_config(nlp.config).from_bytes(nlp.to_bytes())
    export = find_shim(nlp).export
    graph = quantize_graph(export.graph.data, Step("", 128))
    set_export(find_layer(quantized), graph, export.tokenizer, export.facts)
    return quantized


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_batch_sizes(precision, pipelines):
    change = quantize if precision == "int8" else lambda nlp: nlp
    exported = {kind: change(nlp) for kind, (_, nlp) in pipelines.items()}
    counts, faults = hostile_texts.run(exported, make_texts(200))
    assert faults == []
    assert all(counts[kind] > 300 for kind in exported)


def test_long_documents_are_not_cut(pipelines):
    """Vectors of all tokens, also where the encoder can't read the document at once."""
    nlp, exported = pipelines["WordPiece"]
    doc = Doc(nlp.vocab, words=WORDS * 60)
    assert len(doc) > 20 * POSITIONS
    listener = nlp.get_pipe("bert_ner").model.get_ref("tok2vec")
    expected = listener.predict([nlp.get_pipe("transformer")(doc.copy())])
    (found,) = get_vectors(exported, [doc])
    numpy.testing.assert_allclose(found, expected[0], atol=1e-5)


def test_neighbors_change_nothing(exported):
    docs = [exported.make_doc(text) for text in [TEXT, "", "Oslo", TEXT * 5, "ab cd " * 90]]
    for doc, vectors in zip(docs, get_vectors(exported, docs)):
        (alone,) = get_vectors(exported, [doc])
        numpy.testing.assert_allclose(vectors, alone, atol=1e-5)


def test_no_tokens(exported):
    doc, empty = exported.make_doc("Oslo"), exported.make_doc("")
    assert [X.shape for X in get_vectors(exported, [empty, doc, empty])] == [
        (0, WIDTH),
        (1, WIDTH),
        (0, WIDTH),
    ]
    assert [X.shape for X in get_vectors(exported, [empty])] == [(0, WIDTH)]
    assert get_vectors(exported, []) == []


def test_output_isnt_kept(exported):
    assert TRF_DATA not in exported(TEXT).user_data


def test_settings(pipelines):
    """As with torch, the config of a loaded pipeline sets them."""
    nlp, exported = pipelines["WordPiece"]
    settings = {"window": 12, "context": 4}
    config, other = nlp.config.copy(), exported.config.copy()
    config["components"]["transformer"]["model"].update(settings)
    other["components"]["bert_ner"]["model"]["tok2vec"].update(settings)
    changed = spacy.util.load_model_from_config(config).from_bytes(nlp.to_bytes())
    expected = hostile_texts.get_scores(changed(TEXT))
    found = spacy.util.load_model_from_config(other).from_bytes(exported.to_bytes())(TEXT)
    assert hostile_texts.get_scores(found) == pytest.approx(expected, abs=1e-4)
    assert hostile_texts.get_scores(exported(TEXT)) != pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"window": -1}, "window = -1: set it to 0 or more in the block of spacy-bert-ner.Onnx"),
        ({"n_threads": 0}, "n_threads = 0: set it to 1 or more"),
        ({"batch_pieces": 0}, "batch_pieces = 0: set it to 1 or more"),
    ],
)
def test_settings_out_of_range(settings, error):
    with pytest.raises(ValueError, match=error):
        build_onnx_encoder_v1(reduce_first(), **settings)


def test_window_that_it_cant_read():
    layer = build_onnx_encoder_v1(reduce_first(), window=41)
    pieces = piece_tokenizer("wordpiece")
    with pytest.raises(ValueError, match="windows of 41 wordpieces with 'toy': it accepts 3 to 40"):
        set_export(layer, make_graph(), pieces.backend.to_str(), make_facts(pieces))


def test_without_encoder():
    layer = build_onnx_encoder_v1(reduce_first())
    with pytest.raises(ValueError, match="exported from a trained pipeline"):
        layer.initialize()
    with pytest.raises(ValueError, match="E109"):
        layer.predict([Doc(spacy.blank("en").vocab, words=["a"])])


def test_training_is_refused(exported):
    with pytest.raises(ValueError, match="Train the pipeline that it was exported from") as caught:
        exported.update([make_example(exported)], sgd=exported.resume_training())
    assert "\n" not in str(caught.value)


def test_examples_without_tokens_change_nothing(exported):
    """Frozen or not, as with other encoders."""
    before = exported.to_bytes()
    exported.update([make_example(exported, [], [])], sgd=exported.resume_training())
    assert exported.to_bytes() == before


def test_other_devices(exported):
    """The rest of a model moves, and the encoder stays."""
    layer = find_layer(exported)
    layer.to_cpu()
    with use_ops("numpy"):
        (X,) = layer.predict([exported.make_doc("Oslo")])
    assert X.shape == (1, WIDTH)
