"""Exports to onnxruntime: the same predictions without quantization, little loss with it, and
nothing written for more."""

import sys

import numpy
import pytest
import spacy
import torch
from spacy.tokens import DocBin

import spacy_bert_ner
from spacy_bert_ner import from_huggingface
from spacy_bert_ner.commands import exporting
from spacy_bert_ner.commands import quantize as module
from spacy_bert_ner.commands.fidelity import measure
from spacy_bert_ner.commands.quantize import STEPS, quantize
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats import read_docs
from spacy_bert_ner.formats.spans import get_scores
from spacy_bert_ner.model.encoder import onnx_export
from spacy_bert_ner.model.encoder.onnx_export import export_encoder
from spacy_bert_ner.model.onnx.layer import set_export
from spacy_bert_ner.model.onnx.quantizing import Step, find_layers, quantize_graph
from spacy_bert_ner.model.onnx.sessions import get_graph

from .. import toy
from ..hf.util import LISTENER, TEXTS, make_checkpoint
from ..util import (
    CRF,
    EXPECTED,
    LEXICAL,
    TAGS,
    TEXT,
    encoder_of,
    get_ents,
    make_example,
    make_nlp,
    plain,
    run_cli,
)
from .util import train

DENSE = {"model": {"@architectures": "spacy-bert-ner.DenseSoftmax.v1", "tok2vec": LISTENER}}
CONCATENATED = {
    "model": {
        "@architectures": "spacy-bert-ner.LinearSoftmax.v1",
        "tok2vec": {
            "@layers": "spacy-bert-ner.concatenate.v1",
            "*": {
                "transformer": LISTENER,
                "lexical": LEXICAL,
            },
        },
    }
}


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    """A corpus of documents as the pipelines of these tests have learned them."""
    path = tmp_path_factory.mktemp("dev") / "dev.spacy"
    nlp = spacy.blank("en")
    DocBin(docs=[make_example(nlp).reference for _ in range(5)]).to_disk(path)
    return path


def get_scored(nlp, texts, batch_size=64):
    """RETURNS (Tuple[list, list]): Entities of texts, and their scores in order."""
    docs = list(nlp.pipe(texts, batch_size=batch_size))
    ents = [[(ent.start, ent.end, ent.label_) for ent in doc.ents] for doc in docs]
    scores = [get_scores(doc) or {} for doc in docs]
    return ents, [value for row in scores for _, value in sorted(row.items())]


def check_same(ours, theirs, texts=TEXTS, atol=1e-4):
    ents, scores = get_scored(theirs, texts)
    for batch_size in (1, 7, 64):
        found = get_scored(ours, texts, batch_size)
        assert found[0] == ents
        numpy.testing.assert_allclose(found[1], scores, atol=atol)


def test_hugging_face_folder(dev, tmp_path):
    path = make_checkpoint(tmp_path / "in", "bert")
    result = quantize(path, tmp_path / "fp32", dev, precision="fp32", max_loss=0.0)
    assert result.original.scores == result.export.scores
    assert (result.export.agreement, result.step) == (100.0, "same weights")
    check_same(spacy.load(tmp_path / "fp32"), from_huggingface(path))
    result = quantize(path, tmp_path / "int8", dev, max_loss=100.0)
    assert result.export.agreement > 80.0
    assert spacy.load(tmp_path / "int8").pipe_names == ["bert_ner", "doc_cleaner"]


@pytest.mark.parametrize("family", sorted(toy.FAMILIES))
def test_families(family, dev, tmp_path):
    nlp = from_huggingface(make_checkpoint(tmp_path, family))
    gold = list(read_docs(dev, nlp))
    original, docs = measure(nlp, gold, ["bert_ner"])
    made = exporting.make_exported(nlp)
    exported = export_encoder(made.found.shim, family)

    def measure_export(graph):
        for layer in made.layers:
            set_export(layer, graph, exported.tokenizer, exported.facts)
        return measure(made.nlp, gold, made.users, docs)[0]

    same = measure_export(exported.graph)
    assert (same.scores, same.agreement) == (original.scores, 100.0)
    check_same(made.nlp, nlp)
    assert measure_export(quantize_graph(exported.graph, STEPS[0])).agreement > 80.0


@pytest.mark.parametrize("component", [{}, CRF, DENSE, CONCATENATED], ids=str)
@pytest.mark.parametrize("mixed_layers", [1, 2])
def test_heads(component, mixed_layers, tiny_encoder, dev, tmp_path):
    transformer = {"window": 12, "stride": 5, "context": 3, "mixed_layers": mixed_layers}
    nlp = make_nlp({"name": tiny_encoder, **transformer}, component=component)
    nlp.add_pipe("sentencizer", first=True)
    examples = [make_example(nlp)]
    sgd = nlp.initialize(lambda: examples)
    for _ in range(3):
        nlp.update(examples, sgd=sgd)
    nlp.to_disk(tmp_path / "in")
    quantize(tmp_path / "in", tmp_path / "out", dev, precision="fp32", max_loss=100)
    exported = spacy.load(tmp_path / "out")
    assert exported.pipe_names == ["sentencizer", "bert_ner"]
    texts = [TEXT, "Anna", "", "A long text without an end " * 9, "Oslo, Oslo."]
    expected = list(nlp.pipe(texts))
    for doc, other in zip(exported.pipe(texts), expected):
        assert get_ents(doc) == get_ents(other)
    blanks = [doc for doc in expected if len(doc)]
    ours, theirs = (pipe.get_pipe("bert_ner").predict(blanks) for pipe in (exported, nlp))
    for X, Y in zip(ours, theirs):
        numpy.testing.assert_allclose(X, Y, atol=1e-4)


def test_settings_and_meta_are_kept(tiny_pipeline, dev, tmp_path):
    nlp = spacy.load(tiny_pipeline)
    nlp.meta.update(name="named", version="1.2.3", author="A. Author", performance={"ents_f": 0.1})
    nlp.get_pipe("bert_ner").cfg["threshold"] = 0.25
    nlp.tokenizer.add_special_case("Oslo,", [{"ORTH": "Oslo,"}])
    nlp.add_pipe("entity_ruler", first=True).add_patterns(
        [{"label": "PET", "pattern": [{"ORTH": "Rex"}]}]
    )
    nlp.disable_pipe("entity_ruler")
    nlp.to_disk(tmp_path / "in")
    result = spacy_bert_ner.quantize(tmp_path / "in", tmp_path / "out", dev, max_loss=100)
    exported = spacy.load(tmp_path / "out")
    assert exported.component_names == ["entity_ruler", "bert_ner", "doc_cleaner"]
    assert exported.disabled == ["entity_ruler"]
    exported.enable_pipe("entity_ruler")
    assert ("Rex", "PET") in get_ents(exported("Rex"))
    assert exported.get_pipe("bert_ner").cfg["threshold"] == 0.25
    assert exported.get_pipe("doc_cleaner").cfg["attrs"] == {"tensor": None}
    assert [token.text for token in exported("Oslo, a")] == ["Oslo,", "a"]
    meta = exported.meta
    assert (meta["name"], meta["version"], meta["author"]) == ("named", "1.2.3", "A. Author")
    assert "performance" not in meta
    noted = meta["spacy_bert_ner"]["export"]
    assert noted["precision"] == "int8"
    assert noted["step"] == result.step
    assert noted["scores"] == result.export.scores
    doc = exported.make_doc(TEXT)
    preset = spacy.tokens.Span(doc, 2, 3, label="SET")
    doc.set_ents([preset], default="missing")
    assert ("lives", "SET") in get_ents(exported(doc))


def test_components_on_one_encoder(tiny_encoder, corpus, tmp_path):
    """A tagger and two bert_ner: the encoder is exported once, and each keeps its own weights."""
    nlp = make_nlp({"name": tiny_encoder, "window": 0})
    nlp.add_pipe("bert_ner", name="second", config={"spans_key": "second", "annotate_ents": False})
    nlp.add_pipe("tagger", config={"model": {"tok2vec": LISTENER}})
    examples = [make_example(nlp)]
    for example in examples:
        for token in example.reference:
            token.tag_ = "NN" if token.text[0].isupper() else "XX"
    sgd = nlp.initialize(lambda: examples)
    for _ in range(20):
        nlp.update(examples, sgd=sgd)
    nlp.to_disk(tmp_path / "in")
    result = quantize(
        tmp_path / "in", tmp_path / "out", corpus / "dev.spacy", precision="fp32", max_loss=0.0
    )
    assert set(result.original.scores) == {"ents_f", "tag_acc"}
    exported = spacy.load(tmp_path / "out")
    assert exported.pipe_names == ["bert_ner", "second", "tagger"]
    doc, other = exported(TEXT), nlp(TEXT)
    assert get_ents(doc) == get_ents(other)
    assert [token.tag_ for token in doc] == [token.tag_ for token in other]
    assert [str(span) for span in doc.spans["second"]] == [
        str(span) for span in other.spans["second"]
    ]


def test_encoder_inside(tiny_pipeline, dev, tmp_path):
    nlp = spacy.load(tiny_pipeline)
    nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    nlp.remove_pipe("transformer")
    nlp.to_disk(tmp_path / "in")
    quantize(tmp_path / "in", tmp_path / "out", dev, precision="fp32")
    assert get_ents(spacy.load(tmp_path / "out")(TEXT)) == EXPECTED


def test_neighbors_do_not_matter(tiny_pipeline, dev, tmp_path):
    """Also for weights and inputs of 8 bits."""
    quantize(tiny_pipeline, tmp_path / "out", dev)
    nlp = spacy.load(tmp_path / "out")
    nlp.get_pipe("bert_ner").cfg["threshold"] = 0.0
    alone = get_scored(nlp, [TEXT])
    for others in (["Oslo"], ["a " * 300], [TEXT.upper(), "x" * 90]):
        ents, scores = get_scored(nlp, [TEXT, *others])
        assert ents[:1] == alone[0]
        numpy.testing.assert_allclose(scores[: len(alone[1])], alone[1], atol=1e-5)


def fail_first(monkeypatch, n_bad):
    """Make the first steps give the vectors of another encoder. RETURNS (list): The steps."""
    steps = []
    other = make_shim("bert", initializer_range=1.0)
    bad = export_encoder(other, "other").graph

    def quantize_badly(graph, step):
        if step not in steps:
            steps.append(step)
        return bad if steps.index(step) < n_bad else graph

    monkeypatch.setattr(module, "quantize_graph", quantize_badly)
    return steps


def make_shim(family, **settings):
    nlp = make_nlp({"name": "x"})
    shim = nlp.get_pipe("transformer").model.shims[0]
    shim.set_encoder(toy.make_encoder(family, **settings))
    return shim


def test_next_step(tiny_pipeline, dev, tmp_path, monkeypatch):
    fail_first(monkeypatch, 2)
    messages = []
    result = quantize(tiny_pipeline, tmp_path / "out", dev, notify=messages.append)
    assert result.step == STEPS[2].name
    assert [name for name, _ in result.tried] == [step.name for step in STEPS[:2]]
    assert all(loss > 0.3 for _, loss in result.tried)
    assert len(messages) == 4


def test_too_much_loss_writes_nothing(tiny_pipeline, dev, tmp_path, monkeypatch):
    steps = fail_first(monkeypatch, 99)
    with pytest.raises(UserError) as error:
        quantize(tiny_pipeline, tmp_path / "out", dev)
    assert list(tmp_path.iterdir()) == []
    message = str(error.value)
    assert "a loss of at most 0.3 points, so nothing was written" in message
    assert "--precision fp32" in message
    for name in (*(step.name for step in STEPS), "1 of 2 layers in fp32"):
        assert name in message
    # With all but one layer in float32, each layer was tried alone.
    assert sorted(len(step.kept) for step in steps) == [0, 0, 0, 1, 1, 1]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    with pytest.raises(UserError, match="nothing was written"):
        quantize(tiny_pipeline, tmp_path / "out", dev, force=True)
    assert (tmp_path / "out" / "mine").read_text() == "kept"


def test_interrupted_writes_nothing(tiny_pipeline, dev, tmp_path, monkeypatch):
    def stop(self, path, **settings):
        (path / "config.cfg").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr("spacy.lang.en.English.to_disk", stop)
    with pytest.raises(KeyboardInterrupt):
        quantize(tiny_pipeline, tmp_path / "out", dev)
    assert list(tmp_path.iterdir()) == []


def test_sensitive_layers_come_first():
    """A layer is sensitive if each block of its weights has one that is much larger."""
    shim = make_shim("bert", num_hidden_layers=3)
    with torch.no_grad():
        for linear in (m for m in shim.encoder.model.encoder.layer[1].modules()):
            if isinstance(linear, torch.nn.Linear):
                linear.weight[:, 0] = 4.0
    exported = export_encoder(shim, "toy")
    layers = list(find_layers(exported.graph))
    assert layers == [f"/model/encoder/layer.{i}" for i in range(3)]
    ids = numpy.arange(5, 17).reshape(2, 6)
    batch = onnx_export.Batch(ids=ids, lengths=numpy.array([6, 6]), places=[(0, 0), (1, 0)])
    expected = get_graph(exported.graph).run(batch, 1)
    changes = []
    for layer in layers:
        step = Step("", 16, kept=[other for other in layers if other != layer])
        graph = quantize_graph(exported.graph, step)
        changes.append(float(numpy.abs(get_graph(graph).run(batch, 1) - expected).max()))
    assert max(changes) == changes[1] > 5 * max(changes[0], changes[2]) > 0


def test_sizes():
    """Weights of 8 bits need a quarter of the space, with a factor for each block."""
    shim = make_shim("bert", hidden_size=128, intermediate_size=256, vocab_size=4000)
    graph = export_encoder(shim, "toy").graph
    sizes = [len(quantize_graph(graph, step)) / len(graph) for step in STEPS]
    assert 0.25 < sizes[0] < sizes[1] < 0.4 < sizes[2] < 0.8
    assert len(quantize_graph(graph, STEPS[0]._replace(kept=list(find_layers(graph))))) > sizes[0]


def test_command(tiny_pipeline, dev, tmp_path):
    result = run_cli("quantize", tiny_pipeline, tmp_path / "out", "--dev", dev)
    assert result.exit_code == 0, result.output
    assert "Quantized by: blocks of 128 weights." in result.stdout
    assert "ents_f" in result.stdout
    assert "original: ents_f" in result.stderr
    assert get_ents(spacy.load(tmp_path / "out")(TEXT)) == EXPECTED
    again = run_cli("quantize", tiny_pipeline, tmp_path / "out", "--dev", dev)
    assert again.exit_code == 1
    assert "the folder isn't empty" in plain(again)
    twice = run_cli("quantize", tmp_path / "out", tmp_path / "twice", "--dev", dev)
    assert "exported to ONNX, which can only predict" in plain(twice)


def test_hostile_labels(tmp_path, tiny_encoder):
    labels = ["../../x", "\x1b[31mred\n", "a|b`<b>", "ＰＥＲ"]
    tags = ["O"] * len(TAGS)
    for i, label in enumerate(labels):
        tags[3 * i] = f"B-{label}"
    path = train(tmp_path / "in", tiny_encoder, tags, n_steps=80)
    nlp = spacy.load(path)
    corpus = tmp_path / "dev.spacy"
    DocBin(docs=[make_example(nlp, tags=tags).reference]).to_disk(corpus)
    result = run_cli("quantize", path, tmp_path / "out", "--dev", corpus, "--max-loss", 100)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert set(spacy.load(tmp_path / "out").get_pipe("bert_ner").labels) == set(labels)
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out", "dev.spacy"}


def test_missing_package(tiny_pipeline, dev, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r'pip install "spacy-bert-ner\[quantize\]"'):
        quantize(tiny_pipeline, tmp_path / "out", dev)


def test_refused(tiny_pipeline, dev, tmp_path, monkeypatch):
    def check(source, message, corpus=dev, **settings):
        with pytest.raises(UserError, match=message):
            quantize(source, tmp_path / "out", corpus, **settings)
        assert not (tmp_path / "out").exists()

    check(tiny_pipeline, "precision = 'int4': use one of int8, fp32", precision="int4")
    check(tiny_pipeline, "max_loss = -1: set it to 0 or more", max_loss=-1)
    check(tiny_pipeline, "max_loss = nan", max_loss=float("nan"))
    check(tiny_pipeline, "There is no file", corpus=tmp_path / "none.spacy")
    nlp = spacy.load(tiny_pipeline)
    DocBin(docs=[nlp.make_doc(TEXT)]).to_disk(tmp_path / "plain.spacy")
    check(tiny_pipeline, "has no entities", corpus=tmp_path / "plain.spacy")
    with monkeypatch.context() as patch:
        patch.setattr(onnx_export, "MAX_BYTES", 100)
        check(tiny_pipeline, "an ONNX file holds 2 GB")
    with monkeypatch.context() as patch:
        patch.setattr(onnx_export, "TOLERANCE", 0.0)
        check(tiny_pipeline, "differ from those of torch")
    with monkeypatch.context() as patch:
        patch.setattr(torch.onnx, "export", lambda *args, **settings: 1 / int("no"))
        check(tiny_pipeline, "torch can't convert BertModel to ONNX")
    nlp.remove_pipe("bert_ner")
    nlp.to_disk(tmp_path / "none")
    check(tmp_path / "none", "Can't export a pipeline without bert_ner")
    nlp = spacy.load(tiny_pipeline)
    other = spacy.load(tiny_pipeline)
    other.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    nlp.add_pipe("bert_ner", name="second", source=other)
    nlp.to_disk(tmp_path / "two")
    check(tmp_path / "two", "Can't export several encoders: bert_ner, second use 2 of them")


def test_the_original_is_not_changed(tiny):
    before = tiny.to_bytes()
    made = exporting.make_exported(tiny)
    assert tiny.to_bytes() == before
    assert encoder_of(tiny) is made.found.shim.encoder.model
