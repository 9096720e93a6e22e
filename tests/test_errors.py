"""What users are shown of errors."""

import errno
import os
import sys
from pathlib import Path

import pytest
from spacy.cli._util import show_validation_error
from thinc.api import ConfigValidationError

import spacy_bert_ner
from spacy_bert_ner.commands import checks
from spacy_bert_ner.errors import MissingFileError, UserError, explain, warn, wrap
from spacy_bert_ner.hf import folders

from .util import run_cli

PACKAGE = Path(spacy_bert_ner.__file__).parent
MESSAGE = "Can't use a: it is b. Name c."


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")


def test_spacys_commands_show_the_message_alone(capsys):
    with pytest.raises(SystemExit) as ended, show_validation_error("config.cfg"):
        raise UserError(MESSAGE)
    assert ended.value.code == 1
    (line,) = capsys.readouterr().out.strip().split("\n")
    assert MESSAGE in line


def test_is_a_value_error():
    error = UserError(MESSAGE)
    assert isinstance(error, ValueError)
    assert (str(error), error.args) == (MESSAGE, (MESSAGE,))


@pytest.mark.parametrize(
    "error,message",
    [
        (UserError(MESSAGE), MESSAGE),
        (ConfigValidationError(title="a", desc="b"), "a\nb"),
        (
            PermissionError(errno.EACCES, "Permission denied", "a.cfg"),
            "Can't open a.cfg: Permission denied.",
        ),
        (MissingFileError(MESSAGE), MESSAGE),
        (OSError("a mistake of ours"), None),
        (ImportError("a mistake of ours"), None),
        (ModuleNotFoundError("a mistake of ours", name="spacy_bert_ner.none"), None),
        (
            ModuleNotFoundError(name="torch.nn"),
            "This needs torch, which isn't installed: python -m pip install spacy-bert-ner. "
            "Without torch, use pipelines that 'bert-ner quantize' exported.",
        ),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), None),
        (ValueError("a mistake of ours"), None),
        (KeyError("a"), None),
    ],
)
def test_explain(error, message):
    assert explain(error) == message


def test_messages_are_broken_between_words_in_a_terminal(terminal):
    text = wrap("Error: " + "word " * 30)
    assert max(map(len, text.split("\n"))) <= 60
    assert text.replace("\n", " ") == ("Error: " + "word " * 30).strip()
    first, second, third = wrap(f"a {'b' * 80} c\nd", taken=10, indent="  ").split("\n")[1:]
    assert (first, second, third) == (f"  {'b' * 80}", "  c", "d")


def test_messages_stay_whole_elsewhere():
    assert wrap("word " * 30) == "word " * 30


def test_warnings_leave_place_for_the_date(terminal, caplog):
    warn("[a.jsonl] " + "word " * 10)
    (record,) = caplog.records
    first, *more = record.getMessage().split("\n")
    assert first == "[a.jsonl] word word word"  # 36 and 24 columns
    assert all(line.startswith("    word") for line in more)


@pytest.fixture
def describe(monkeypatch):
    """`describe`, which raises an error."""

    def set_error(error):
        def fail(source):
            raise error

        monkeypatch.setattr("spacy_bert_ner.commands.describe.describe", fail)
        return run_cli("describe", "a")

    return set_error


def test_commands_show_one_line(describe):
    result = describe(UserError(MESSAGE))
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {MESSAGE}\n")


@pytest.mark.parametrize("error", [ValueError("a"), KeyError("a"), TypeError("a")])
def test_mistakes_of_ours_keep_their_traceback(describe, error):
    assert describe(error).exception is error


def test_wrong_use_shows_the_usage():
    result = run_cli("describe")
    assert (result.exit_code, "Usage" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "error,reason",
    [
        (ValueError("Cannot use GPU, CuPy is not installed"), "CuPy is not installed"),
        (ValueError("No GPU devices detected"), "No GPU devices detected"),
        (RuntimeError("cudaErrorInvalidDevice: invalid"), "cudaErrorInvalidDevice: invalid"),
    ],
)
def test_no_gpu(error, reason, monkeypatch):
    def fail(number):
        raise error

    monkeypatch.setattr("thinc.api.require_gpu", fail)
    expected = f"Can't use GPU 1: {reason}. Leave out --use-gpu to use the CPU."
    with pytest.raises(UserError) as caught:
        checks.require_gpu(1)
    assert str(caught.value) == expected
    checks.require_gpu(-1)


def test_folders_that_cant_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"Can't write .*more/a: .*file is a file"):
        folders.check_parent(tmp_path / "file" / "more" / "a")
    monkeypatch.setattr(os, "access", lambda *args: False)
    with pytest.raises(UserError, match=f"Can't write .*: {tmp_path} is read-only"):
        folders.check_parent(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_config_that_makes_no_pipeline(tmp_path):
    path = tmp_path / "config.cfg"
    for text, message in (
        ('[nlp]\nlang = "en"\npipeline = ["a"]\n\n[components]\na = {"factory": "b"}\n', "E002"),
        ('[nlp]\nlang = "qq"\n', "E048"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=f"Can't make the pipeline of .*{message}"):
            checks.load_blank(path)


def test_a_file_that_is_no_config(tmp_path):
    path = tmp_path / "config.cfg"
    for text, message in (
        (b"Anna Berg lives in Oslo.", "File contains no section headers"),
        (b"[a]\n[a]\n", "section 'a' already exists"),
        (b"[a.b]\nc = 1\n", "Section 'a' is not defined"),
        (b"\xff\xfe", "'utf-8' codec can't decode"),
        (b"[a.b]\n[a]\nb = 1", "found conflicting values"),
    ):
        path.write_bytes(text)
        for read in (checks.read_config, checks.load_blank):
            with pytest.raises(UserError, match=f"Can't read the config .*{message}"):
                read(path)


def test_what_users_can_fix_is_a_user_error():
    """A ValueError is a mistake of ours, and shown with its traceback: of what a component is given
    in Python."""
    lines = [
        f"{path.name}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if "raise ValueError(" in line
    ]
    assert sorted(lines) == [
        "labels.py: raise ValueError(Errors.E187)",
        "pooling.py: raise ValueError(\"Can't backpropagate through a prediction: use "
        'model.begin_update.")',
    ]
