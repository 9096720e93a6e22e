"""The Containerfile, as far as it can be checked without a container: what it copies exists and is
enough, and its steps are those of `make onnx`, which are run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "Containerfile").read_text(encoding="utf-8")
PIPELINE = "exported"  # made by the user


def read_steps(name):
    """RETURNS (List[List[str]]): The words of all instructions of a kind."""
    return [shlex.split(line) for line in re.findall(rf"^{name} (.+)$", TEXT, re.MULTILINE)]


def get_sources():
    """RETURNS (List[str]): What is copied from the repository."""
    return [
        name
        for words in read_steps("COPY")
        if not words[0].startswith("--from")
        for name in words[:-1]
    ]


def test_sources_exist():
    names = set(get_sources()) - {PIPELINE}
    assert {"spacy_bert_ner", "requirements-onnx.txt"} <= names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_installs_as_make_does():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    options = {"--no-cache-dir", "--quiet", "--constraint", "constraints.txt"}

    def strip(words):
        return [word for word in words if word not in options][1:]

    ours = [strip(words) for words in read_steps("RUN") if words[0].endswith("/pip")]
    lines = re.findall(r"^\t\$\(ONNX_VENV\)/bin/pip (.+)$", makefile, re.MULTILINE)
    assert ours == [strip(["pip", *shlex.split(line)]) for line in lines]
    assert len(ours) == 2


def test_user_is_not_root():
    assert TEXT.rindex("USER ner") > TEXT.rindex("FROM ")


def test_what_is_copied_is_enough_to_install(tmp_path):
    """In a folder with nothing else, pip makes a wheel with the configs."""
    for name in get_sources():
        if name != PIPELINE:
            (tmp_path / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "."]
    subprocess.run([*command, "--wheel-dir", "wheels"], cwd=tmp_path, check=True)
    assert len(list((tmp_path / "wheels").glob("spacy_bert_ner-*.whl"))) == 1
