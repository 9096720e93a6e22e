"""Comparisons of workflows: the steps of a project that copy pipelines, and note that they ran."""

import shutil
from types import SimpleNamespace

import pytest
import spacy
import srsly

from spacy_bert_ner.commands import compare as module
from spacy_bert_ner.commands.compare import compare
from spacy_bert_ner.commands.spec import read_spec

from ..util import EXPECTED, run_command

# Notes a step and its settings, then copies a folder. A file "stop" makes the student fail, "wait"
# makes it wait.
STEP = """\
import os, shutil, sys, time
name, source, target = sys.argv[1:4]
with open("log.txt", "a") as file:
    file.write(" ".join([name, *sys.argv[4:]]) + "\\n")
if name == "student" and os.path.exists("assets/stop"):
    sys.exit("stopped by assets/stop")
while name == "student" and os.path.exists("assets/wait"):
    time.sleep(0.05)
shutil.rmtree(target, ignore_errors=True)
shutil.copytree(source, target)
"""


def make_step(name, source, target, *settings):
    words = ("python scripts/step.py", name, source, target, *settings)
    return {
        "name": name,
        "script": [" ".join(words)],
        "deps": [source, "scripts/step.py"],
        "outputs": [target],
    }


PROJECT = {
    "vars": {"seed": 0, "ruler": "all", "rates": {"student": 0.5, "other": 1}, "note": "a"},
    "directories": ["assets", "scripts", "corpus", "training", "metrics"],
    "assets": [{"dest": "assets/all", "url": "https://example.com"}],
    "workflows": {
        "to-student": ["convert", "teacher", "student"],
        "to-other": ["convert", "teacher", "other"],
    },
    "commands": [
        make_step("convert", "assets/${vars.ruler}", "corpus/ruler"),
        make_step("teacher", "corpus/ruler", "training/teacher", "${vars.seed}", "${vars.note}"),
        make_step("student", "training/teacher", "training/student", "${vars.rates.student}"),
        make_step("other", "training/teacher", "training/other/${vars.ruler}"),
    ],
}
STUDENT = {"workflow": "to-student", "pipeline": "training/student"}
OTHER = {"workflow": "to-other", "pipeline": "training/other/${vars.ruler}"}


@pytest.fixture(scope="module")
def rulers(tmp_path_factory):
    """Pipelines: one finds all entities of the corpus, one the half of them."""
    folder = tmp_path_factory.mktemp("rulers")
    for name, ents in (("all", EXPECTED), ("half", EXPECTED[:2])):
        nlp = spacy.blank("en")
        ruler = nlp.add_pipe("entity_ruler")
        ruler.add_patterns([{"label": label, "pattern": text} for text, label in ents])
        nlp.to_disk(folder / name)
    return folder


@pytest.fixture
def project(tmp_path, rulers):
    folder = tmp_path / "my project"
    (folder / "scripts").mkdir(parents=True)
    (folder / "scripts" / "step.py").write_text(STEP, encoding="utf-8")
    shutil.copytree(rulers, folder / "assets")
    srsly.write_yaml(folder / "project.yml", PROJECT)
    return folder


@pytest.fixture
def spec_path(tmp_path, project, corpus):
    path = tmp_path / "spec.yml"
    srsly.write_yaml(
        path,
        {
            "paths": {"dev": str(corpus / "dev.spacy"), "test": str(corpus / "train.spacy")},
            "project": str(project),
            "seeds": [1, 2],
            "cells": {"student": STUDENT, "other": OTHER},
        },
    )
    return path


@pytest.fixture
def in_process(monkeypatch):
    """`spacy project run` in this process. Other tests here start one, as users do."""
    monkeypatch.setattr(module, "subprocess", SimpleNamespace(run=run_command))


def change(path, **changes):
    """Change a file of YAML: a spec, or a project."""
    srsly.write_yaml(path, {**srsly.read_yaml(path), **changes})


def run(spec_path):
    return list(compare(read_spec(spec_path), spec_path.parent / "out"))


def read_logs(spec_path):
    """RETURNS (Dict[str, List[str]]): The steps that ran, by the end of the folder's name."""
    folders = (spec_path.parent / "out" / "projects").iterdir()
    return {path.name: (path / "log.txt").read_text("utf-8").splitlines() for path in folders}


def get_scores(runs):
    totals = {f"{run.cell} {run.seed}": [sum(x) for x in zip(*run.counts["test"])] for run in runs}
    return {name: round(200 * a / (b + c), 1) for name, (a, b, c) in totals.items()}


def test_shared_steps_run_once(spec_path, project, in_process):
    runs = run(spec_path)
    assert get_scores(runs) == dict.fromkeys(
        ["student 1", "student 2", "other 1", "other 2"], 100.0
    )
    logs = read_logs(spec_path)
    assert len(logs) == 2
    for name, log in logs.items():
        assert name.startswith("my-project-")
        assert log == ["convert", f"teacher {name[-1]} a", "student 0.5", "other"]
    before = sorted(project.rglob("*"))
    assert run(spec_path) == runs
    assert read_logs(spec_path) == logs
    assert sorted(project.rglob("*")) == before, "something is written to the project's folder"
