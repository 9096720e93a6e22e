"""What runs for contributors: the workflows, the hooks before a commit, and the versions they are
run with. All commands begin with a module of Python or a tool that every system has."""

import re
import shlex
from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path

import pytest
import srsly

from spacy_bert_ner.cli import COMMANDS

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
HOOKS = ROOT / ".pre-commit-config.yaml"
TOOLS = {"tar"}
# Installed by a workflow, and by no extra of setup.cfg.
ELSEWHERE = {"pip"}


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


def check_spacy(arguments):
    if arguments[0] == "project":
        names = {c["name"] for c in srsly.read_yaml(ROOT / "project.yml")["commands"]}
        assert arguments[1] == "run" and arguments[2] in names
    elif arguments[0] == "bert-ner":
        assert arguments[1] in COMMANDS
    else:
        assert arguments[:2] == ["debug", "config"]


@pytest.mark.parametrize("path", [*WORKFLOWS, HOOKS], ids=lambda path: path.name)
def test_commands_exist(path):
    commands = get_commands(path)
    assert len(commands) >= 3
    for words in commands:
        if words[0] in TOOLS:
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
        for name in re.findall(r"constraints[\w-]*\.txt", " ".join(words)):
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
            assert set(step) <= {"uses", "run", "name", "with"}, (name, step)


def test_lanes():
    """All versions of Python that setup.cfg names, on three systems, and the two ends."""
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    named = re.findall(r"Python :: (3\.\d+)", parser["metadata"]["classifiers"])
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


def test_minimal_versions_are_those_of_setup_cfg():
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    allowed = read_requirements(parser["options"]["install_requires"])
    least = {name: re.match(r">=([\d.]+)", spec)[1] for name, spec in allowed.items()}
    minimal = read_requirements((ROOT / "constraints-minimal.txt").read_text("utf-8"))
    assert minimal == {name: f"=={version}" for name, version in least.items()}
