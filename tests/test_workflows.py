"""What runs for contributors: the workflows, the hooks before a commit, and the versions they are
run with. All commands begin with a module of Python or a tool that every system has."""

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec

import pytest
import srsly
from packaging.requirements import Requirement

from spacy_bert_ner import __version__
from spacy_bert_ner.cli import COMMANDS

from .util import ROOT, read_setup, run_spacy

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
HOOKS = ROOT / ".pre-commit-config.yaml"
TOOLS = {"tar", "make"}
# Installed by a workflow, and by no extra of setup.cfg.
ELSEWHERE = {"pip", "twine"}
# What a job may do besides reading the repository, in which workflow.
PERMISSIONS = {
    ("release.yml", "publish"): {"id-token": "write"},
    ("docs.yml", "deploy"): {"pages": "write", "id-token": "write"},
}


def read_yaml(path):
    """RETURNS (dict): The file, by keys that are strings: YAML 1.1 takes "on" for True."""
    data = srsly.read_yaml(path)
    return {"on" if key is True else key: value for key, value in data.items()}


def get_commands(path):
    """RETURNS (List[List[str]]): The words of each command that a file of the two kinds runs."""
    data = read_yaml(path)
    if path == HOOKS:
        lines = [hook["entry"] for repo in data["repos"] for hook in repo["hooks"]]
    else:
        steps = [step for job in data["jobs"].values() for step in job["steps"]]
        lines = [line for step in steps for line in step.get("run", "").splitlines()]
    return [shlex.split(line) for line in lines]


def read_requirements(text):
    """RETURNS (Dict[str, str]): What is said of the version of each package."""
    lines = [re.sub(r"#.*|;.*", "", line).strip() for line in text.splitlines()]
    return dict(re.match(r"([\w-]+)(.*)", line).groups() for line in lines if line)


def check_make(targets):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert targets and all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def read_pythons():
    """RETURNS (List[str]): The versions of Python that setup.cfg names."""
    parser = read_setup()
    return re.findall(r"Python :: (3\.\d+)", parser["metadata"]["classifiers"])


def check_spacy(arguments):
    if arguments[0] == "project":
        names = {c["name"] for c in srsly.read_yaml(ROOT / "project.yml")["commands"]}
        assert arguments[1] == "run" and arguments[2] in names
    elif arguments[0] == "bert-ner":
        assert arguments[1] in COMMANDS
    else:
        assert arguments[:2] == ["init", "fill-config"]


@pytest.mark.parametrize("path", [*WORKFLOWS, HOOKS], ids=lambda path: path.name)
def test_commands_exist(path):
    commands = get_commands(path)
    assert commands
    for words in commands:
        if words[0] in TOOLS:
            if words[0] == "make":
                check_make(words[1:])
            continue
        assert words[0] == "python", words
        arguments = words[1:]
        if arguments[:2] == ["-W", "error"]:
            arguments = arguments[2:]
        if arguments[0] == "-c":
            compile(arguments[1], "command", "exec")
            continue
        assert arguments[0] == "-m" and (arguments[1] in ELSEWHERE or find_spec(arguments[1])), (
            words
        )
        if arguments[1] == "spacy":
            check_spacy(arguments[2:])
        for name in re.findall(r"constraints[\w-]*\.txt|tests/[\w/.]+", " ".join(words)):
            assert (ROOT / name).exists(), words


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_are_whole(path):
    """Jobs wait for jobs that are there, and steps do one thing, with the parts a step can have."""
    data = read_yaml(path)
    assert {"name", "on", "jobs", "permissions"} <= set(data)
    for name, job in data["jobs"].items():
        assert {"runs-on", "steps"} <= set(job), name
        needs = job.get("needs", [])
        assert set([needs] if isinstance(needs, str) else needs) <= set(data["jobs"]), name
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), (name, step)
            assert set(step) <= {"uses", "run", "name", "with", "id"}, (name, step)


def test_actions_have_one_version():
    """The same action by the same tag in all workflows, so that they are raised together."""
    versions = {}
    for path in WORKFLOWS:
        for job in read_yaml(path)["jobs"].values():
            for step in job["steps"]:
                if "uses" in step:
                    action, tag = step["uses"].split("@")
                    assert re.fullmatch(r"v\d+|release/v\d+", tag), step
                    versions.setdefault(action, set()).add(tag)
    assert len(versions) >= 7
    assert {action: tags for action, tags in versions.items() if len(tags) > 1} == {}


def test_permissions_are_the_least():
    granted = {}
    for path in WORKFLOWS:
        data = read_yaml(path)
        assert data["permissions"] == {"contents": "read"}, path.name
        for name, job in data["jobs"].items():
            if "permissions" in job:
                granted[path.name, name] = job["permissions"]
    assert granted == PERMISSIONS


def read_jobs(name):
    return read_yaml(ROOT / ".github" / "workflows" / name)["jobs"]


def list_runs(job):
    return [step["run"] for step in job["steps"] if "run" in step]


def test_release_publishes_what_the_other_jobs_have_tried():
    """On a tag: the build is checked, and both files are tried before they are published."""
    workflow = read_yaml(ROOT / ".github" / "workflows" / "release.yml")
    jobs = dict(workflow["jobs"])
    assert workflow["on"] == {"push": {"tags": ["v*"]}}
    publish = jobs.pop("publish")
    assert publish["environment"] == "pypi"
    assert {*publish["needs"]} | {"build"} == {*jobs}
    assert all(job["needs"] == "build" for name, job in jobs.items() if name != "build")
    assert "python -m twine check --strict dist/*" in list_runs(jobs["build"])
    steps = [step["uses"].split("@")[0] for step in publish["steps"]]
    assert steps == ["actions/download-artifact", "pypa/gh-action-pypi-publish"]
    assert publish["steps"][-1]["with"] == {"attestations": True}


def test_the_wheel_is_tried_by_the_same_commands():
    assert read_jobs("release.yml")["wheel"] == read_jobs("tests.yml")["wheel"]


@pytest.mark.parametrize(
    "tag,is_right",
    [(f"v{__version__}", True), (__version__, False), (f"v{__version__}rc1", False), ("v9", False)],
)
def test_release_checks_the_tag(tag, is_right):
    (command,) = (run for run in list_runs(read_jobs("release.yml")["build"]) if "REF_NAME" in run)
    environment = {**os.environ, "GITHUB_REF_NAME": tag}
    words = [sys.executable, *shlex.split(command)[1:]]
    result = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (result.returncode == 0) == is_right, result.stderr
    assert is_right or f"AssertionError: {__version__}" in result.stderr


def test_commands_that_try_the_wheel_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = [shlex.split(run) for run in list_runs(read_jobs("release.yml")["wheel"])]
    for words in commands:
        if words[:3] == ["python", "-m", "spacy"]:
            result = run_spacy(*words[3:])
            assert result.exit_code == 0, result.output + repr(result.exception)
    assert "spacy-bert-ner.LinearSoftmax.v1" in (tmp_path / "filled.cfg").read_text("utf-8")


def test_site_is_built_on_each_push_and_published_from_main():
    workflow = read_yaml(ROOT / ".github" / "workflows" / "docs.yml")
    build, deploy = workflow["jobs"]["build"], workflow["jobs"]["deploy"]
    assert set(workflow["on"]) == {"push", "pull_request"}
    assert not workflow["on"]["push"]  # all branches
    assert "make docs" in list_runs(build)
    assert build["steps"][-1]["with"] == {"path": srsly.read_yaml(ROOT / "mkdocs.yml")["site_dir"]}
    assert "github.ref == 'refs/heads/main'" in deploy["if"]
    assert deploy["needs"] == "build"
    assert deploy["environment"]["url"] == "${{ steps.deployment.outputs.page_url }}"
    assert [step.get("id") for step in deploy["steps"]] == ["deployment"]


def test_lanes():
    """All versions of Python that setup.cfg names, on three systems, and the two ends."""
    named = read_pythons()
    matrix = read_yaml(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["test"]["strategy"][
        "matrix"
    ]
    assert matrix["python"] == named
    assert [system.split("-")[0] for system in matrix["os"]] == ["ubuntu", "macos", "windows"]
    lanes = {(lane["python"], lane["versions"]) for lane in matrix["include"]}
    assert lanes == {
        (named[0], "constraints-minimal.txt"),
        (named[-1], "constraints-newest.txt"),
    }
    for versions in {*matrix["versions"], *(versions for _, versions in lanes)}:
        assert (ROOT / versions).exists()


def read_pins(path, python):
    """RETURNS (Dict[str, str]): The versions of a file of constraints for a version of Python.
    RAISES (AssertionError): If it has two for a package."""
    pins = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        requirement = Requirement(text) if text else None
        if requirement is None or (
            requirement.marker
            and not requirement.marker.evaluate({"python_version": python, "extra": ""})
        ):
            continue
        assert requirement.name not in pins, line
        pins[requirement.name] = str(requirement.specifier)
    return pins


@pytest.mark.parametrize("python", read_pythons())
def test_all_that_setup_cfg_names_is_pinned(python):
    """In the lane of each Python, with a version that setup.cfg allows."""
    parser = read_setup()
    pins = read_pins(ROOT / "constraints.txt", python)
    texts = [parser["options"]["install_requires"], *parser["options.extras_require"].values()]
    for line in filter(None, "\n".join(texts).splitlines()):
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"python_version": python}):
            continue
        assert requirement.name in pins, (requirement.name, python)
        version = pins[requirement.name].removeprefix("==")
        assert requirement.specifier.contains(version), line


def test_all_constraints_have_a_lane():
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    files = {path.name for path in ROOT.glob("constraints*.txt")}
    assert files == set(re.findall(r"constraints[\w-]*\.txt", text))


def test_transformers_5_is_what_setup_cfg_does_not_allow():
    """So the lane installs it over the other versions, and has spacy-transformers changed."""
    parser = read_setup()
    jobs = read_yaml(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]
    lines = [step.get("run", "") for step in jobs["transformers-5"]["steps"]]
    assert any("tests.lanes.patch_spacy_transformers" in line for line in lines)
    pins = read_requirements((ROOT / "constraints-transformers-5.txt").read_text("utf-8"))
    version = pins["transformers"].removeprefix("==")
    assert version.startswith("5.")
    allowed = read_requirements(parser["options"]["install_requires"])
    assert not Requirement("transformers" + allowed["transformers"]).specifier.contains(version)


def test_minimal_versions_are_those_of_setup_cfg():
    parser = read_setup()
    allowed = read_requirements(parser["options"]["install_requires"])
    least = {name: re.match(r">=([\d.]+)", spec)[1] for name, spec in allowed.items()}
    minimal = read_requirements((ROOT / "constraints-minimal.txt").read_text("utf-8"))
    assert minimal == {name: f"=={version}" for name, version in least.items()}


def test_requirements_without_torch():
    """Each is one of the package or of its extra `onnx`, at the same versions."""
    options = read_setup()
    stated = "\n".join(
        [options["options"]["install_requires"], options["options.extras_require"]["onnx"]]
    )
    found = read_requirements((ROOT / "requirements-onnx.txt").read_text("utf-8"))
    known = read_requirements(stated)
    assert {name: known.get(name) for name in found} == found
    left_out = {"torch", "transformers", "spacy-transformers", "safetensors"}
    assert set(known) - set(found) == left_out
