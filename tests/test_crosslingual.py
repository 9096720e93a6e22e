"""The workflows of projects/crosslingual, with a tiny encoder on a small corpus."""

import subprocess
import sys
from pathlib import Path

import pytest
import spacy
import srsly

from .toy import save_encoder
from .util import TAGS, WORDS

PROJECT = Path(__file__).parent.parent / "projects" / "crosslingual"
IOB2 = "# newdoc id = 1\n# sent_id = 1\n" + "".join(
    f"{i}\t{word}\t{tag}\t-\t-\n" for i, (word, tag) in enumerate(zip(WORDS, TAGS), start=1)
)
VARS = {"steps": 2, "warmup": 1, "eval_frequency": 1, "freeze_layers": 1}


@pytest.fixture
def project(tmp_path, tmp_path_factory):
    """A copy, with the files that its assets are."""
    encoder = save_encoder(tmp_path_factory.mktemp("encoder"), "bert", max_position_embeddings=128)
    config = srsly.read_yaml(PROJECT / "project.yml")
    config["vars"].update(encoder=encoder, **VARS)
    srsly.write_yaml(tmp_path / "project.yml", config)
    for asset in config["assets"]:
        path = tmp_path / asset["dest"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(IOB2, encoding="utf-8")
    return tmp_path


def run(project, workflow, *options):
    command = [sys.executable, "-m", "spacy", "project", "run", workflow, ".", *options]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def get_times(project, pattern):
    return {path: path.stat().st_mtime_ns for path in project.glob(pattern)}


def test_zero_shot(project):
    run(project, "zero-shot")
    scores = srsly.read_json(project / "training" / "zero_shot" / "da.json")
    assert 0.0 <= scores["ents_f"] <= 1.0
    nlp = spacy.load(project / "training" / "zero_shot" / "da")
    assert nlp.lang == "da"
    settings = nlp.config["components"]["transformer"]["model"]
    assert settings["freeze_layers"] == 1
    assert nlp.config["training"]["max_steps"] == 2
    # For another language, nothing is trained again.
    trained = get_times(project, "training/zero_shot/model-last/**/*")
    assert len(trained) > 5
    out = run(project, "zero-shot", "--vars.target", "sv")
    assert "Skipping 'train'" in out
    assert get_times(project, "training/zero_shot/model-last/**/*") == trained
    assert spacy.load(project / "training" / "zero_shot" / "sv").lang == "sv"
    assert (project / "training" / "zero_shot" / "sv.json").exists()


def test_no_step_but_the_score_reads_labels_of_the_other_language():
    config = srsly.read_yaml(PROJECT / "project.yml")
    readers = {
        command["name"]
        for command in config["commands"]
        for line in command["script"]
        if "${vars.target}/test" in line
    }
    assert readers == {"target", "evaluate"}


def test_assets_and_commands_are_complete():
    config = srsly.read_yaml(PROJECT / "project.yml")
    assert all(asset["url"].startswith("https://") for asset in config["assets"])
    assert all(len(asset["checksum"]) == 32 for asset in config["assets"])
    commands = {command["name"]: command for command in config["commands"]}
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    for name, steps in config["workflows"].items():
        assert set(steps) <= set(commands)
        assert f"`{name}`" in readme
    for command in commands.values():
        assert command["outputs"], command["name"]  # so that a finished step is skipped
