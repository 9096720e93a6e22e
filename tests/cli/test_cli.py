"""The command group as spaCy loads it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import spacy_bert_ner
from spacy_bert_ner.cli import COMMANDS, app

PACKAGE = Path(spacy_bert_ner.__file__).parent


def run_python(*args, cwd=None):
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, cwd=cwd)


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name):
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "can't be imported" not in result.output
    assert "--help" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_no_markup(name):
    """Words in square brackets are markup of rich: generated pages leave them out."""
    command = get_command(app).commands[name]
    helps = [getattr(param, "help", None) for param in command.params]
    assert any(helps)
    for text in (command.help, *filter(None, helps)):
        assert "[" not in text, text


def test_help_of_the_group():
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)


def test_every_module_is_registered():
    """A command is a module of its name."""
    modules = {path.stem for path in (PACKAGE / "cli").glob("*.py")} - {
        "__init__",
        "_util",
        "register",
    }
    assert modules == {name.replace("-", "_") for name in COMMANDS}


def test_spacy_knows_the_group():
    result = run_python("-m", "spacy", "bert-ner", "--help")
    assert result.returncode == 0, result.stderr
    assert all(name in result.stdout for name in COMMANDS)


def test_loads_nothing_but_itself():
    """spaCy imports this with every command of its own."""
    result = run_python(
        "-c",
        "import sys, spacy.cli; before = set(sys.modules);"
        "import spacy_bert_ner.cli.register;"
        "print(*sorted(set(sys.modules) - before))",
    )
    assert result.returncode == 0, result.stderr
    commands = [f"spacy_bert_ner.cli.{name.replace('-', '_')}" for name in COMMANDS]
    own = ["spacy_bert_ner.cli", "spacy_bert_ner.cli._util", "spacy_bert_ner.cli.register"]
    allowed = {"spacy_bert_ner", *own, *commands}
    assert set(result.stdout.split()) == allowed


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Where Python finds a package with modules that can't be imported: for want of another, by a
    mistake, and without the function that they are for."""
    folder = tmp_path_factory.mktemp("broken")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / "spacy_bert_ner", ignore=ignored)
    cli = folder / "spacy_bert_ner" / "cli"
    for name, text in (
        ("annotate", "import nothing_there\n"),
        ("debug_data", "x = (\n"),
        ("init_config", ""),
    ):
        (cli / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


def test_broken_modules_leave_other_commands_alone(broken, tmp_path):
    result = run_python("-m", "spacy", "info", cwd=broken)
    assert result.returncode == 0, result.stderr
    assert "spaCy version" in result.stdout
    source, target = tmp_path / "a.conll", tmp_path / "a.jsonl"
    source.write_text("a B-X\n", encoding="utf-8")
    result = run_python("-m", "spacy", "bert-ner", "convert", str(source), str(target), cwd=broken)
    assert result.returncode == 0, result.stderr
    assert target.exists()


@pytest.mark.parametrize(
    "command,reason",
    [
        (["annotate", "a", "--b"], "ModuleNotFoundError: No module named 'nothing_there'"),
        (["debug-data", "a", "--paths.train", "b"], "SyntaxError: '(' was never closed"),
        (["init-config", "-"], "AttributeError: module"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_broken_modules_tell_why(broken, command, reason):
    result = run_python("-m", "spacy", "bert-ner", *command, cwd=broken)
    assert result.returncode == 1
    assert f"'{command[0]}' can't be imported ({reason}" in result.stderr
    assert "pip install --force-reinstall" in result.stderr
    assert "Traceback" not in result.stderr


def test_broken_modules_show_in_the_group(broken):
    result = run_python("-m", "spacy", "bert-ner", cwd=broken)
    shown = " ".join((result.stdout + result.stderr).split())
    assert "No module named 'nothing_there'" in shown
    assert "pip install" in shown
