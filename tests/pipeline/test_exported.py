"""Pipelines with an exported encoder: saved, copied, in processes, and in the commands."""

import copy
import json
import pickle

import pytest
import spacy
from spacy.util import load_model_from_config

from spacy_bert_ner import describe, to_huggingface
from spacy_bert_ner.commands.annotate import annotate
from spacy_bert_ner.commands.describe import format_description
from spacy_bert_ner.commands.profile import profile
from spacy_bert_ner.damage import DamagedPipelineError

from ..model.onnx.util import export, find_shim
from ..util import EXPECTED, TEXT, get_ents, plain, run_cli, run_spacy


@pytest.fixture(scope="module")
def path(tiny_pipeline, tmp_path_factory):
    """A pipeline that finds EXPECTED, on disk."""
    nlp = export(spacy.load(tiny_pipeline))
    path = tmp_path_factory.mktemp("exported") / "pipeline"
    nlp.to_disk(path)
    return path


@pytest.fixture
def nlp(path):
    return spacy.load(path)


def rebuild(nlp):
    return load_model_from_config(nlp.config).from_bytes(nlp.to_bytes())


@pytest.mark.parametrize(
    "make_copy", [lambda nlp: nlp, rebuild, lambda nlp: pickle.loads(pickle.dumps(nlp))]
)
def test_saved_and_loaded(make_copy, nlp):
    assert nlp.pipe_names == ["bert_ner"]
    other = make_copy(nlp)
    assert get_ents(other(TEXT)) == EXPECTED
    assert find_shim(other).export.graph is find_shim(nlp).export.graph


def test_deepcopy_of_the_component(nlp):
    """As spaCy makes for pipelines that share components."""
    ner = nlp.get_pipe("bert_ner")
    for other in (copy.deepcopy(ner), pickle.loads(pickle.dumps(ner))):
        assert get_ents(other(nlp.make_doc(TEXT))) == EXPECTED


def test_components_share_a_session(nlp):
    """Also one that is copied from another pipeline."""
    nlp.add_pipe("bert_ner", name="second", source=rebuild(nlp))
    shims = [find_shim(nlp, name) for name in ("bert_ner", "second")]
    assert shims[0] is not shims[1]
    assert shims[0].export.graph is shims[1].export.graph
    assert get_ents(nlp(TEXT)) == EXPECTED
    with nlp.select_pipes(enable="second"):
        assert get_ents(nlp(TEXT)) == EXPECTED


def test_loaded_pipelines_share_nothing_that_changes(nlp, path):
    other = spacy.load(path)
    other.get_pipe("bert_ner").add_label("NEW")
    find_shim(other).n_threads = 2
    assert "NEW" not in nlp.get_pipe("bert_ner").labels
    assert find_shim(nlp).n_threads is None
    assert find_shim(other).pieces is not find_shim(nlp).pieces
    assert get_ents(nlp(TEXT)) == EXPECTED


def test_memory_zones(nlp):
    """What is kept of documents for other components is gone with them."""
    nlp.add_pipe("bert_ner", name="second", source=rebuild(nlp))
    for _ in range(2):
        with nlp.memory_zone():
            docs = list(nlp.pipe([TEXT, "Annagret lives in Oslo ."]))
            assert get_ents(docs[0]) == EXPECTED
            del docs
        assert "Annagret" not in nlp.vocab.strings
    assert get_ents(nlp(TEXT)) == EXPECTED


def test_two_processes(nlp):
    """Also with a session that was used before."""
    nlp(TEXT)
    docs = list(nlp.pipe([TEXT, "", TEXT] * 4, n_process=2, batch_size=2))
    assert [get_ents(doc) for doc in docs] == [EXPECTED, [], EXPECTED] * 4


def test_damaged_file(path, tmp_path):
    """Whatever byte is changed, one line says so before anything is predicted."""
    data = (path / "bert_ner" / "model").read_bytes()
    spacy.load(path).to_disk(tmp_path)
    for i in range(7, len(data), len(data) // 12):
        damaged = data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]
        (tmp_path / "bert_ner" / "model").write_bytes(damaged)
        with pytest.raises(DamagedPipelineError) as caught:
            spacy.load(tmp_path)
        assert "\n" not in str(caught.value)


def test_encoder_of_another_width(nlp, path):
    ner = nlp.get_pipe("bert_ner")
    shim = find_shim(nlp)
    wrong = type(shim.export.facts)(**{**vars(shim.export.facts), "width": 5})
    shim.set_export(shim.export.graph.data, shim.export.tokenizer, wrong)
    with pytest.raises(DamagedPipelineError, match="16 inputs, but its encoder gives 5"):
        ner.from_bytes(ner.to_bytes())


def test_describe(nlp):
    info = describe(nlp)
    assert json.loads(json.dumps(info)) == info
    (encoder,) = info["encoders"]
    assert encoder["component"] == "bert_ner"
    assert (encoder["family"], encoder["precision"], encoder["width"]) == ("bert", "fp32", 16)
    assert (encoder["limit"], encoder["window"]) == (40, 0)
    assert encoder["size"].endswith(" MB")
    (ner,) = info["components"]
    assert (ner["reads"], ner["pooling"]) == ("bert_ner", "reduce_first")
    text = format_description(info)
    assert "class: OnnxEncoder (toy)" in text
    assert "precision: fp32" in text


def test_annotate(path, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    rows, _ = annotate(str(path), tmp_path / "text.txt")
    assert [(row.text, row.label) for row in rows] == EXPECTED


def test_profile(nlp):
    result = profile(nlp, [TEXT, ""], batch_size=2)
    assert set(result.inside["bert_ner"]) >= {"wordpieces", "windows", "forward", "decode"}
    assert result.n_windows == 2
    (hint,) = result.hints  # none about the threads of torch
    assert "is padding" in hint


def test_profile_of_components_on_one_encoder(nlp):
    """Only the first one runs it."""
    nlp.add_pipe("bert_ner", name="second", source=rebuild(nlp))
    nlp(TEXT)
    result = profile(nlp, [TEXT, ""], batch_size=2)
    steps = {"wordpieces", "windows", "decode", "packing, head and writing"}
    assert set(result.inside["second"]) == steps
    assert set(result.inside["bert_ner"]) == {*steps, "forward"}
    assert result.n_windows == 2


def test_evaluate(path, corpus):
    result = run_spacy("evaluate", path, corpus / "dev.spacy")
    assert result.exit_code == 0
    assert "100.00" in result.output


def test_training_is_refused(path, corpus, tmp_path):
    """One line says how to go back, whether the encoder is new or sourced."""
    paths = (f"--paths.train={corpus / 'train.spacy'}", f"--paths.dev={corpus / 'dev.spacy'}")
    result = run_spacy("train", path / "config.cfg", *paths)
    assert result.exit_code == 1
    assert "Can't initialize spacy-bert-ner.OnnxEncoder.v1" in plain(result)
    assert "Traceback" not in result.output
    config = spacy.load(path).config.to_str()
    sourced = spacy.util.load_config_from_str(config)
    sourced["components"]["bert_ner"] = {"source": str(path)}
    sourced.to_disk(tmp_path / "config.cfg")
    result = run_spacy("train", tmp_path / "config.cfg", *paths)
    assert result.exit_code == 1
    assert str(result.exception).startswith("Can't train spacy-bert-ner.OnnxEncoder.v1")


def test_debug_data_is_refused(path, corpus):
    paths = (f"--paths.train={corpus / 'train.spacy'}", f"--paths.dev={corpus / 'dev.spacy'}")
    result = run_cli("debug-data", path / "config.cfg", *paths)
    assert result.exit_code == 1
    assert "only holds an encoder that was exported" in plain(result)


def test_weights_are_refused(nlp, tmp_path):
    with pytest.raises(ValueError, match="exported to ONNX, which can only predict"):
        to_huggingface(nlp, tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint").exists()
