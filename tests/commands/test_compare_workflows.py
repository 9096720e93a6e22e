"""Comparisons of workflows: the steps of a project that copy pipelines, and note that they ran."""

import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import spacy
import srsly

from spacy_bert_ner.commands import train_process
from spacy_bert_ner.commands.compare import compare
from spacy_bert_ner.commands.spec import check_spec, read_spec
from spacy_bert_ner.commands.workflow_folders import plan_run
from spacy_bert_ner.commands.workflows import check_workflow, get_facts
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats.output import open_locked

from ..util import CONFIG_FOLDER, EXPECTED, ROOT, plain, run_cli, run_command

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
LOG = "projects/*/log.txt"
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
    monkeypatch.setattr(train_process, "subprocess", SimpleNamespace(run=run_command))


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


def test_other_values_have_another_folder(spec_path, in_process):
    """Those of all cells, and a cell's own over them; by dotted names, or in blocks."""
    half = {**STUDENT, "vars": {"ruler": "half", "rates.student": 5e-05}}
    change(spec_path, seeds=[1], vars={"rates": {"student": 0.3}}, cells={"a": STUDENT, "b": half})
    assert get_scores(run(spec_path)) == {"a 1": 100.0, "b 1": 66.7}
    logs = sorted(read_logs(spec_path).values())
    assert logs == [
        ["convert", "teacher 1 a", "student 0.3"],
        ["convert", "teacher 1 a", "student 5e-05"],
    ]


def test_what_results_depend_on(spec_path, project, in_process):
    """On the steps of their own workflow, and on the files that these need."""
    change(spec_path, seeds=[1])
    n_results = 2

    def check(*trained):
        nonlocal n_results
        n_results += len(trained)
        run(spec_path)
        lines = list(srsly.read_jsonl(spec_path.parent / "out" / "results.jsonl"))
        assert len(lines) == n_results
        assert {line["cell"] for line in lines[n_results - len(trained) :]} == set(trained)

    run(spec_path)
    (project / "assets" / "unrelated").write_text("new", encoding="utf-8")
    more = make_step("more", "training/other", "training/more")
    changed = {
        "workflows": {**PROJECT["workflows"], "all": ["convert", "teacher", "student", "more"]},
        "commands": [*PROJECT["commands"], more],
        "vars": {**PROJECT["vars"], "more": 1},
    }
    change(project / "project.yml", **changed)
    check()
    changed["vars"]["rates"] = {"student": 0.7, "other": 2}
    change(project / "project.yml", **changed)
    check("student")
    change(spec_path, cells={"student": {**STUDENT, "pipeline": "training/student/sub"}})
    shutil.copytree(project / "assets" / "half", project / "assets" / "all" / "sub")
    check("student")
    (log,) = read_logs(spec_path).values()
    assert log == [
        *("convert", "teacher 1 a", "student 0.5", "other"),
        "student 0.7",
        *("convert", "teacher 1 a", "student 0.7"),
    ]


def test_failed_step_is_resumed(spec_path, project):
    """What the step printed is shown; steps that had finished are not repeated."""
    change(spec_path, seeds=[1], cells={"student": STUDENT})
    (project / "assets" / "stop").touch()
    result = run_cli("compare", spec_path, spec_path.parent / "out")
    assert result.exit_code == 1
    assert "Training 'student' with seed 1 failed" in plain(result)
    assert "stopped by assets/stop" in plain(result)
    (project / "assets" / "stop").unlink()
    result = run_cli("compare", spec_path, spec_path.parent / "out")
    assert result.exit_code == 0, result.output
    assert "Training student, seed 1: training 1 of 1" in result.output
    assert "100.00" in result.output
    (log,) = read_logs(spec_path).values()
    assert log == ["convert", "teacher 1 a", "student 0.5", "student 0.5"]


def is_free(path):
    try:
        open_locked(path).close()
    except UserError:
        return False
    return True


def wait_for(condition):
    for _ in range(2400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("timed out")


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_killed_comparison_is_resumed(spec_path, project):
    """Not before what it had started has ended: both would write the same files."""
    change(spec_path, seeds=[1], cells={"student": STUDENT})
    output = spec_path.parent / "out"
    waits = project / "assets" / "wait"
    waits.touch()
    words = ("-m", "spacy", "bert-ner", "compare", str(spec_path), str(output))
    killed = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    wait_for(lambda: any("student" in path.read_text("utf-8") for path in output.glob(LOG)))
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    with pytest.raises(UserError, match=r"\.lock: another process is writing it"):
        run(spec_path)
    waits.unlink()
    (lock,) = output.glob("projects/*/project.lock")
    wait_for(lambda: is_free(lock.with_name(".lock")))
    assert get_scores(run(spec_path)) == {"student 1": 100.0}
    (log,) = read_logs(spec_path).values()
    assert log == ["convert", "teacher 1 a", "student 0.5"]


def test_project_folder(spec_path, project, in_process):
    """What the project makes isn't linked, so nothing is written to it; all else is."""
    for name in ("training/mine", "metrics/mine", "corpus/given", "notes/a", "out of it"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("mine", encoding="utf-8")
    steps = [*PROJECT["commands"]]
    steps[0] = {**steps[0], "deps": [*steps[0]["deps"], "corpus/given"]}
    change(project / "project.yml", commands=steps)
    change(spec_path, seeds=[1], cells={"student": STUDENT})
    run(spec_path)
    (folder,) = (spec_path.parent / "out" / "projects").iterdir()
    links = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink()}
    assert links == {"assets", "scripts", "notes", "out of it", "corpus/given"}
    assert (folder / "corpus" / "given").read_text(encoding="utf-8") == "mine"
    assert not list((folder / "metrics").iterdir())
    assert not (project / "training" / "student").exists()


def prepare(spec_path):
    """RETURNS (Path): The folder of the first cell's run, prepared and not run."""
    spec = read_spec(spec_path)
    check_spec(spec)
    planned = plan_run(spec.cells[0].workflow, 1, spec_path.parent / "out")
    with planned.lock():
        planned.prepare()
    return planned.folder


@pytest.fixture
def given(project):
    """A folder of the project's that stands next to what steps make."""
    (project / "corpus" / "given" / "part").mkdir(parents=True)
    for name in ("text", "part/text"):
        (project / "corpus" / "given" / name).write_text("mine", encoding="utf-8")
    return project / "corpus" / "given"


def check_given(given):
    for path in (given / "text", given / "part" / "text"):
        assert not path.is_symlink()
        assert path.read_text(encoding="utf-8") == "mine"


def test_linked_folder_keeps_what_is_linked_in_it(spec_path, project, given):
    needed = ["corpus/given", "corpus/given/part", "corpus/given/text"]
    first, *others = PROJECT["commands"]
    commands = [{**first, "deps": [*first["deps"], *needed]}, *others]
    change(project / "project.yml", commands=commands)
    for _ in range(2):
        folder = prepare(spec_path)
        check_given(given)
        assert (folder / "corpus" / "given").resolve() == given
    # As a part of what was linked, of a project that has changed.
    commands[0] = {**first, "deps": [*first["deps"], *needed[1:]]}
    change(project / "project.yml", commands=commands)
    prepare(spec_path)
    check_given(given)
    assert not (folder / "corpus" / "given").is_symlink()
    assert (folder / "corpus" / "given" / "part").resolve() == given / "part"
    # As what a step makes.
    commands[0] = {**first, "outputs": [*first["outputs"], "corpus/given/part"]}
    change(project / "project.yml", commands=commands)
    prepare(spec_path)
    assert not (folder / "corpus" / "given" / "part").exists()
    check_given(given)


def test_nothing_outside_is_linked(spec_path, project, given, tmp_path):
    """Paths of other workflows aren't checked: such as absolute ones, next to absolute outputs."""
    moved = tmp_path / "moved"
    given.rename(moved)
    (tmp_path / "out" / "projects" / "mine").mkdir(parents=True)
    (tmp_path / "my project" / "mine").mkdir()
    outside = [str(moved), "../mine", "corpus/../mine", "."]
    change(project / "project.yml", directories=None)
    other = {"name": "absolute", "script": [], "deps": outside}
    other["outputs"] = [str(tmp_path / "made"), "../made"]
    change(project / "project.yml", commands=[*PROJECT["commands"], other])
    folder = prepare(spec_path)
    check_given(moved)
    assert not (folder.parent / "mine").is_symlink()
    assert {path.name for path in folder.rglob("*") if path.is_symlink()} >= {"assets", "mine"}


def test_copies_where_there_are_no_links(spec_path, project, in_process, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    change(spec_path, seeds=[1], cells={"student": STUDENT})
    (project / "README.md").write_text("old", encoding="utf-8")
    first = run(spec_path)
    (folder,) = (spec_path.parent / "out" / "projects").iterdir()
    shutil.rmtree(project / "assets" / "all")
    shutil.copytree(project / "assets" / "half", project / "assets" / "all")
    (project / "README.md").write_text("new", encoding="utf-8")
    assert (get_scores(first), get_scores(run(spec_path))) == (
        {"student 1": 100.0},
        {"student 1": 66.7},
    )
    assert (folder / "README.md").read_text(encoding="utf-8") == "new"
    assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_output_within_the_project(spec_path, project, in_process):
    """A folder doesn't hold a link to one that it is in."""
    change(spec_path, seeds=[1], cells={"student": STUDENT})
    list(compare(read_spec(spec_path), project / "results" / "first"))
    (folder,) = (project / "results" / "first" / "projects").iterdir()
    assert not (folder / "results").exists()


def test_kept_pipelines(spec_path, in_process):
    """Copies: the folder of the project stays whole."""
    change(spec_path, seeds=[1])
    output = spec_path.parent / "out"
    runs = run(spec_path)
    assert not (output / "student-1").exists()
    srsly.write_jsonl(
        output / "results.jsonl", [run._replace(train_seconds=1e6)._asdict() for run in runs]
    )
    kept = list(compare(read_spec(spec_path), output, keep=True))
    assert get_scores(kept) == get_scores(runs)
    assert [run.train_seconds for run in kept] == [1e6, 1e6], "the time of steps that were skipped"
    assert spacy.load(output / "student-1").pipe_names == ["entity_ruler"]
    (folder,) = (output / "projects").iterdir()
    assert spacy.load(folder / "training" / "other" / "all")
    log = (folder / "log.txt").read_text("utf-8").splitlines()
    assert log == ["convert", "teacher 1 a", "student 0.5", "other"], "trained again"


def test_with_cells_of_configs(spec_path, corpus, tiny_encoder, in_process):
    """They need paths.train, and compare with workflows."""
    config = {
        "config": str(CONFIG_FOLDER / "bert_ner.cfg"),
        "vars.encoder": tiny_encoder,
        "components.transformer.model.window": 0,
        "training.max_steps": 1,
        "training.optimizer.learn_rate.warmup_steps": 1,
    }
    change(spec_path, seeds=[1], cells={"rules": STUDENT, "trained": config})
    with pytest.raises(UserError, match="`paths` must have a file for each of train, dev, test"):
        read_spec(spec_path)
    paths = {**srsly.read_yaml(spec_path)["paths"], "train": str(corpus / "train.spacy")}
    change(spec_path, paths=paths)
    rules, trained = run(spec_path)
    assert (rules.cell, trained.cell) == ("rules", "trained")
    assert get_scores([rules]) == {"rules 1": 100.0}
    assert len(trained.counts["test"]) == 4


def test_gpu(spec_path, project):
    """Its number is a var of the project, and no other result."""
    spec = read_spec(spec_path)
    with pytest.raises(UserError, match="Can't run 'student' on GPU 0: .* has no var 'gpu'. Add"):
        check_spec(spec, 0)
    change(project / "project.yml", vars={**PROJECT["vars"], "gpu": -1})
    check_spec(spec, 0)
    cell = spec.cells[0]
    workflow_run = plan_run(cell.workflow, 1, spec_path.parent / "out")
    workflow_run.folder.mkdir(parents=True)
    for number in (0, -1):
        workflow_run.prepare(number)
        made = srsly.read_yaml(workflow_run.folder / "project.yml")
        assert (made["vars"]["gpu"], made["vars"]["seed"]) == (number, 1)


@pytest.mark.parametrize(
    "cell,message",
    [
        ({"workflow": None}, "'a' has workflow = None. Set it to the name of a workflow"),
        ({"pipeline": 1}, "'a' has pipeline = 1. Set it to the path at which"),
        (
            {"training.max_steps": 1},
            "'a' sets training.max_steps, which isn't a setting",
        ),
        (
            {"config": "x.cfg"},
            "'a' sets config, which isn't a setting of .*They are workflow",
        ),
        ({"vars": [1]}, "`vars` must be a mapping"),
        ({"vars": {"seed": 7}}, r"`vars` of 'a' set the seed. Use `seeds: \[7\]`"),
        ({"seeds": []}, r"seeds = \[\]"),
    ],
)
def test_wrong_cell(spec_path, cell, message):
    change(spec_path, cells={"a": {**STUDENT, **cell}})
    with pytest.raises(UserError, match=message):
        read_spec(spec_path)


def test_no_project(spec_path):
    data = srsly.read_yaml(spec_path)
    del data["project"]
    srsly.write_yaml(spec_path, data)
    with pytest.raises(UserError, match="'student' has project = None. Set it to the folder of"):
        read_spec(spec_path)


STEPS = PROJECT["commands"]


def with_student(**changes):
    """RETURNS (Dict): The commands of the project, with another student."""
    return {"commands": [*STEPS[:2], {**STEPS[2], **changes}, STEPS[3]]}


UNSEEDED = make_step("teacher", "corpus/ruler", "training/teacher")


@pytest.mark.parametrize(
    "cell,changed,message",
    [
        ({"project": "gone"}, {}, "no file gone.project.yml. Set project to the folder"),
        (
            {"workflow": "students"},
            {},
            "workflow 'students', which .* Its workflows are to-student, to-oth",
        ),
        (
            {"vars": {"rate": 1}},
            {},
            "sets the var rate, which .* Its vars are note, rates, rates.other",
        ),
        ({"vars": {"note": {"x": 1}}}, {}, "sets the var note.x, which"),
        ({"pipeline": "training/teachers"}, {}, "training/teachers, .* They are corpus/ruler, tr"),
        ({"pipeline": "training/student/../../../x"}, {}, "isn't among the outputs"),
        ({"vars": {"rates": 3, "rates.other": 2}}, {}, "'a' sets both rates and rates.other. L"),
        ({"pipeline": "training/${vars.no}"}, {}, "Can't read .*project.yml: .*vars.no"),
        ({}, {"vars": {"ruler": "all"}}, "has no var 'seed', .* Add `seed: 1` to its vars"),
        ({}, {"commands": 3}, r"project.yml isn't a project: \[commands\]"),
        (
            {},
            {"workflows": {"b": ["teach"], "to-student": []}},
            "workflow 'b' .* names 'teach', ",
        ),
        (
            {"vars": {"ruler": "none"}},
            {},
            "needs assets.none, which doesn't exist. Run `python ",
        ),
        ({}, {"workflows": {"to-student": ["convert", "student"]}}, "teacher, which another comm"),
        (
            {},
            with_student(outputs=[]),
            "isn't among the o",
        ),
        (
            {"pipeline": "../x"},
            with_student(outputs=["../x"]),
            r"makes \.\..x, outside of the project's folder",
        ),
        (
            {},
            {
                "commands": [
                    *STEPS[:2],
                    {**STEPS[2], "deps": ["../x", STEPS[2]["deps"][0]]},
                    STEPS[3],
                ]
            },
            r"needs \.\..x, which is outside of the project's folder",
        ),
        (
            {},
            {"commands": [STEPS[0], UNSEEDED, *STEPS[2:]]},
            r"trained 2 times with the same result: no step .* has \$\{vars.seed\}",
        ),
    ],
)
def test_checked_before_training(spec_path, project, tmp_path, cell, changed, message):
    change(project / "project.yml", **changed)
    change(spec_path, cells={"a": {**STUDENT, **cell}})
    with pytest.raises(UserError, match=message):
        run(spec_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text,message", [("a: [", "Can't read .*project.yml"), ("- a", "isn.t a pr")]
)
def test_broken_project(spec_path, project, text, message):
    (project / "project.yml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        check_spec(read_spec(spec_path))


def test_pipeline_that_is_not_made(spec_path, project, in_process):
    """Outputs may tell what isn't so."""
    change(project / "project.yml", **with_student(outputs=["training/student", "training/gone"]))
    change(spec_path, seeds=[1], cells={"a": {**STUDENT, "pipeline": "training/gone"}})
    with pytest.raises(UserError, match="has ended without making the pipeline .*training.gone"):
        run(spec_path)


def test_shown_specs_are_right(tmp_path, monkeypatch):
    """That of the documentation, and those of the benchmarks, name workflows, vars and pipelines
    that the project has."""
    text = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    _, shown = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "shown.yml").write_text(shown, encoding="utf-8")
    paths = [tmp_path / "shown.yml", *(ROOT / "benchmarks").glob("*.yml")]
    specs = [spec for spec in map(read_spec, paths) if not spec.train]
    assert len(specs) > 2
    lexicon = "assets/lexicon.txt"
    projects = {Path(cell.workflow.project) for spec in specs for cell in spec.cells}
    assert projects == {path.relative_to(ROOT) for path in (ROOT / "projects").iterdir()}
    files = []
    for project in projects:
        assets = srsly.read_yaml(ROOT / project / "project.yml")["assets"]
        files += [project / name for name in (lexicon, *(asset["dest"] for asset in assets))]
    files += [Path(path) for spec in specs for path in spec.paths.values()]
    for path in files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("", encoding="utf-8")
    for project in projects:
        shutil.copy(ROOT / project / "project.yml", tmp_path / project)
    monkeypatch.chdir(tmp_path)
    for spec in specs:
        facts = []
        for cell in spec.cells:
            workflow = cell.workflow
            if "lexicon" in workflow.vars:
                workflow = replace(workflow, vars={**workflow.vars, "lexicon": lexicon})
            check_workflow(cell.name, workflow, cell.seeds)
            facts.append(get_facts(workflow, 1))
        assert all(fact not in facts[:i] for i, fact in enumerate(facts)), "systems that are one"
