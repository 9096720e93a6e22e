"""What a user copies runs: configs, the project, the table of names."""

import subprocess
import sys
from importlib.metadata import distribution

import pytest
import spacy
import srsly
from spacy.cli.init_config import fill_config
from spacy.cli.train import train
from spacy.util import load_config, registry

from spacy_bert_ner import __version__

from .util import CONFIGS, ROOT, read_setup, run_spacy


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_configs_train_as_they_are(path, corpus, tmp_path):
    overrides = {
        "paths.train": str(corpus / "train.spacy"),
        "paths.dev": str(corpus / "dev.spacy"),
        "training.max_steps": 2,
        "training.eval_frequency": 1,
    }
    train(path, tmp_path, overrides=overrides)
    nlp = spacy.load(tmp_path / "model-last")
    assert nlp.max_length == 100_000_000
    doc = nlp("Anna lives in Oslo.")
    assert doc.has_annotation("ENT_IOB")
    if "transformer" in nlp.pipe_names:
        assert doc._.trf_data is None  # doc_cleaner has let go of the vectors
    nlp.resume_training()  # the optimizer's block stands by itself


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_configs_have_what_they_promise(path, tmp_path):
    config = load_config(path)
    assert config["vars"]["encoder"]
    assert config["training"]["optimizer"]["use_averages"] == (path.stem == "accurate")
    if "transformer" in config["components"]:
        assert config["components"]["transformer"]["max_batch_items"] >= 100_000
        assert config["training"]["annotating_components"] == ["sentencizer"]
    assert fill_config(tmp_path / "filled.cfg", path, silent=True)


def test_every_name_of_the_table_resolves():
    parser = read_setup()
    table = parser["options.entry_points"]
    registries = {
        "spacy_factories": registry.factories,
        "spacy_architectures": registry.architectures,
        "spacy_scorers": registry.scorers,
        "spacy_readers": registry.readers,
        "spacy_misc": registry.misc,
        "thinc_losses": registry.losses,
        "thinc_optimizers": registry.optimizers,
        "spacy_batchers": registry.batchers,
        "spacy_callbacks": registry.callbacks,
        "spacy_loggers": registry.loggers,
        "spacy_cli": registry.cli,
        "thinc_layers": registry.layers,
    }
    names = [
        (group, line.split("=")[0].strip())
        for group in table
        for line in table[group].strip().splitlines()
    ]
    assert len(names) >= 8
    for group, name in names:
        assert callable(registries[group].get(name)) or group == "spacy_cli"
    installed = {(point.group, point.name) for point in distribution("spacy-bert-ner").entry_points}
    assert installed == set(names)


def test_one_version():
    citation = srsly.read_yaml(ROOT / "CITATION.cff")
    assert citation["version"] == __version__


def test_the_wheel_has_all_packages():
    """setup.cfg names them, as configs/ isn't where its package is."""
    parser = read_setup()
    named = parser["options"]["packages"].split()
    folders = (path.parent for path in (ROOT / "spacy_bert_ner").rglob("__init__.py"))
    found = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert sorted(named) == sorted({*found, "spacy_bert_ner.configs"})
    assert parser["options"]["package_dir"].split() == ["spacy_bert_ner.configs", "=", "configs"]


def test_project_runs_at_few_steps(tmp_path, monkeypatch, project_in_process):
    """The workflow `all`, as `make demo` runs it, in a copy."""
    project = srsly.read_yaml(ROOT / "project.yml")
    project["vars"].update(sample_steps=2, sample_warmup=1)
    srsly.write_yaml(tmp_path / "project.yml", project)
    for folder in ("assets", "configs"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    result = run_spacy("project", "run", "all")
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert "Score" in result.stdout
    metrics = srsly.read_json(tmp_path / "training" / "sample" / "metrics.json")
    assert 0.0 <= metrics["ents_f"] <= 1.0


def test_project_commands_are_known():
    project = srsly.read_yaml(ROOT / "project.yml")
    names = {command["name"] for command in project["commands"]}
    for steps in project["workflows"].values():
        assert set(steps) <= names
    assert all(asset["url"] and asset["checksum"] for asset in project["assets"])


def run_python(program):
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("module", ["spacy_bert_ner", "spacy_bert_ner.cli"])
def test_imports_nothing_heavy(module):
    heavy = "{'torch', 'transformers', 'spacy_transformers', 'spacy'}"
    out = run_python(f"import sys, {module}; sys.stdout.write(str({heavy} & set(sys.modules)))")
    assert out == "set()"


@pytest.mark.parametrize("module", ["pipeline.bert_ner", "model.architectures", "cli.register"])
def test_imports_without_torch(module):
    """spaCy imports torch where it is installed; where it isn't, these modules do without."""
    blocked = "['torch', 'transformers', 'spacy_transformers', 'safetensors']"
    out = run_python(
        f"import sys; sys.modules.update(dict.fromkeys({blocked}));"
        f"import spacy_bert_ner.{module}; sys.stdout.write('imported')"
    )
    assert out == "imported"
