"""spaCy's own commands, as a user types them."""

import subprocess
import sys
from pathlib import Path

import pytest
import spacy
import srsly
from spacy.tokens import DocBin
from spacy.util import load_config

from .util import CONFIG_FOLDER, EXPECTED, TAGS, TEXT, WORDS, get_ents, run_spacy

STREAM = """
import spacy
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import registry

WORDS = {words}
TAGS = {tags}


@registry.readers("stream.v1")
def make_stream():
    def read(nlp):
        while True:
            reference = Doc(nlp.vocab, words=WORDS, ents=TAGS)
            yield Example(Doc(nlp.vocab, words=WORDS), reference)

    return read
"""


def run(*words):
    """RETURNS (Result): What `python -m spacy …` prints, if it succeeds."""
    result = run_spacy(*words)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result


@pytest.fixture
def config(tmp_path, corpus, tiny_encoder):
    """A config that trains two steps."""
    config = load_config(CONFIG_FOLDER / "bert_ner.cfg")
    config["vars"]["encoder"] = tiny_encoder
    config["components"]["transformer"]["model"]["window"] = 0
    config["training"].update(max_steps=2, eval_frequency=1)
    config["paths"].update(train=str(corpus / "train.spacy"), dev=str(corpus / "dev.spacy"))
    path = tmp_path / "config.cfg"
    config.to_disk(path)
    return path


def test_fill_config(tmp_path):
    """From the names alone to all settings with their defaults."""
    base = tmp_path / "base.cfg"
    base.write_text(
        '[nlp]\nlang = "en"\npipeline = ["transformer","bert_ner"]\n\n[components]\n\n'
        '[components.transformer]\nfactory = "transformer"\n\n'
        '[components.transformer.model]\n@architectures = "spacy-bert-ner.TransformerModel.v1"\n'
        'name = "x"\n\n[components.bert_ner]\nfactory = "bert_ner"\n',
        encoding="utf-8",
    )
    run("init", "fill-config", base, tmp_path / "filled.cfg")
    filled = load_config(tmp_path / "filled.cfg")
    component = filled["components"]["bert_ner"]
    assert component["threshold"] == 0.0
    assert component["loss"]["label_smoothing"] == 0.0
    assert component["loss"]["confidence_penalty"] == 0.0
    assert component["model"]["@architectures"] == "spacy-bert-ner.LinearSoftmax.v1"
    assert filled["components"]["transformer"]["model"]["batch_pieces"] is None


def test_init_labels(config, tmp_path):
    run("init", "labels", config, tmp_path / "labels")
    path = tmp_path / "labels" / "bert_ner.json"
    assert srsly.read_json(path) == ["LOC", "PER"]
    srsly.write_json(path, ["PER", "LOC"])  # an order of one's own
    named = load_config(config)
    labels = {"@readers": "spacy.read_labels.v1", "path": str(path)}
    named["initialize"] = {"components": {"bert_ner": {"labels": labels}}}
    named.to_disk(config)
    run("train", config, "--output", tmp_path / "out")
    nlp = spacy.load(tmp_path / "out" / "model-last")
    assert nlp.pipe_labels["bert_ner"] == ["PER", "LOC"]


def test_debug_config(config):
    run("init", "fill-config", config, config)
    result = run("debug", "config", config, "--show-functions")
    assert "spacy-bert-ner.LinearSoftmax.v1" in result.output


def test_assemble(trained_path, tmp_path):
    """A pipeline from trained ones, without training."""
    (tmp_path / "config.cfg").write_text(
        '[nlp]\nlang = "en"\npipeline = ["sentencizer","transformer","bert_ner"]\n\n[components]\n'
        + "".join(
            f'\n[components.{name}]\nsource = "{trained_path}"\n'
            for name in ("sentencizer", "transformer", "bert_ner")
        ),
        encoding="utf-8",
    )
    run("assemble", tmp_path / "config.cfg", tmp_path / "assembled")
    assert get_ents(spacy.load(tmp_path / "assembled")(TEXT)) == EXPECTED


def test_train_on_a_stream(config, tmp_path, caplog):
    """Without an end. The labels have to be named: gold of others is outside, and told of once."""
    (tmp_path / "stream.py").write_text(STREAM.format(words=WORDS, tags=TAGS), encoding="utf-8")
    stream = load_config(config)
    stream["training"]["max_epochs"] = -1
    stream["corpora"]["train"] = {"@readers": "stream.v1"}
    stream["initialize"] = {"components": {"bert_ner": {"labels": ["PER"]}}}
    stream.to_disk(config)
    run("train", config, "--output", tmp_path / "out", "--code", tmp_path / "stream.py")
    assert spacy.load(tmp_path / "out" / "model-last").get_pipe("bert_ner").labels == ("PER",)
    told = [r for r in caplog.records if "labels the model doesn't have" in r.getMessage()]
    assert len(told) == 1


def test_evaluate(trained_path, corpus, tmp_path):
    run("evaluate", trained_path, corpus / "dev.spacy", "--output", tmp_path / "metrics.json")
    metrics = srsly.read_json(tmp_path / "metrics.json")
    assert metrics["ents_f"] == 1.0
    assert metrics["ents_per_type"]["PER"]["r"] == 1.0


def test_benchmark_speed(tiny_pipeline, corpus):
    result = run(
        "benchmark",
        "speed",
        tiny_pipeline,
        corpus / "dev.spacy",
        "--batches",
        30,
        "--batch-size",
        2,
    )
    assert "words/s" in result.output


def test_apply(trained_path, tmp_path):
    (tmp_path / "texts.jsonl").write_text(f'{{"text": "{TEXT}"}}\n' * 2, encoding="utf-8")
    run("apply", trained_path, tmp_path / "texts.jsonl", tmp_path / "docs.spacy")
    docs = list(DocBin().from_disk(tmp_path / "docs.spacy").get_docs(spacy.blank("en").vocab))
    assert [get_ents(doc) for doc in docs] == [EXPECTED] * 2
    assert all(ent._.score > 0.5 for doc in docs for ent in doc.ents)


def test_find_threshold(trained_path, corpus, capsys):
    """Its table shows that scores follow the threshold."""
    from spacy.cli.find_threshold import find_threshold

    best, score, scores = find_threshold(
        trained_path, corpus / "dev.spacy", "bert_ner", "threshold", "ents_f", n_trials=3
    )
    assert (best, score) == (0.0, 1.0)
    assert scores[0.5] == 1.0
    assert scores[1.0] == 0.0
    run("find-threshold", trained_path, corpus / "dev.spacy", "bert_ner", "threshold", "ents_f")


def test_package(tiny_pipeline, tmp_path):
    """A wheel, installed into an environment that has nothing of it but the dependencies, and
    loaded by name without a hub."""
    package = [tiny_pipeline, tmp_path, "--name", "tiny", "--build", "wheel"]
    # Not in this process: spaCy leaves files open there.
    subprocess.run([sys.executable, "-m", "spacy", "package", *package], check=True)
    (wheel,) = tmp_path.glob("*/dist/*.whl")
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--target", site, wheel], check=True)
    (own,) = Path(sys.prefix).glob("lib/python*/site-packages")
    dependencies = f"import site; site.addsitedir({str(own)!r})\n"
    (site / "dependencies.pth").write_text(dependencies, encoding="utf-8")
    program = (
        "import spacy, sys; nlp = spacy.load('en_tiny');"
        "sys.stdout.write(repr([(e.text, e.label_) for e in nlp(sys.argv[1]).ents]))"
    )
    result = subprocess.run(
        [environment / "bin" / "python", "-c", program, TEXT],
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        cwd=environment,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == repr(EXPECTED)
    meta = srsly.read_json(next(site.glob("en_tiny/meta.json")))
    assert any(name.startswith("spacy-bert-ner") for name in meta["requirements"])


def test_apply_with_merged_tokens(tiny, tmp_path):
    """A component that retokenizes after `bert_ner`."""
    tiny.add_pipe("merge_entities")
    tiny.to_disk(tmp_path / "merging")
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    run("apply", tmp_path / "merging", tmp_path / "text.txt", tmp_path / "out.spacy")
    (doc,) = DocBin().from_disk(tmp_path / "out.spacy").get_docs(tiny.vocab)
    assert get_ents(doc) == EXPECTED
    assert all(0.0 < ent._.score <= 1.0 for ent in doc.ents)
    assert [span.text for span in doc.spans["bert_ner"]] == [text for text, _ in EXPECTED]
