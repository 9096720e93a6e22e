"""Control characters in data: shown, and never sent to a terminal."""

import json

import pytest

from spacy_bert_ner.commands.entity_rows import EntityRow, format_table
from spacy_bert_ner.errors import UserError, warn, wrap
from spacy_bert_ner.terminal import SafePrinter, printable

from .util import run_cli

TITLE, CLEAR = "\x1b]0;a\x07", "\x1b[2J"
SHOWN = [r"\x1b]0;a\x07", r"\x1b[2J"]


@pytest.mark.parametrize(
    "text,shown",
    [
        (TITLE, SHOWN[0]),
        (CLEAR, SHOWN[1]),
        ("a\tb\rc\x00\x7f\x9b", r"a\tb\rc\x00\x7f\x9b"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("\ud800\u2028", r"\ud800\u2028"),
        ("two\nlines, 北京, é, \u200d, 😀", "two\nlines, 北京, é, \u200d, 😀"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown


def test_errors_and_warnings(caplog):
    error = UserError(f"There is no file {CLEAR}.")
    assert str(error) == error.title == rf"There is no file {SHOWN[1]}."
    assert wrap(CLEAR) == SHOWN[1]
    warn(CLEAR)
    assert caplog.messages == [SHOWN[1]]


def test_tables(capsys):
    text = format_table([EntityRow(1, 0, f"Oslo{TITLE}", f"LOC{CLEAR}", 0.9)])
    assert "\x1b" not in text and all(shown in text for shown in SHOWN)
    msg = SafePrinter(pretty=False)
    msg.warn(f"Label '{TITLE}'", CLEAR)
    msg.table([(CLEAR, 1)], header=("", "train"), aligns=("l", "r"))
    out = capsys.readouterr().out
    assert "\x1b" not in out and out.count(SHOWN[0]) == 1 and out.count(SHOWN[1]) == 2


def test_reports(tmp_path):
    record = {"text": "Anna lives", "spans": [{"start": 1, "end": 2, "label": "PER"}]}
    broken = {"text": "Anna", "answer": CLEAR}
    path = tmp_path / f"in{CLEAR}.jsonl"
    path.write_text(f"{json.dumps(record)}\n{json.dumps(broken)}\n", encoding="utf-8")
    for args in ([], ["--on-error", "skip"]):
        result = run_cli("convert", path, tmp_path / "o.spacy", *args)
        assert result.exit_code == (0 if args else 1), result.output
        assert "\x1b" not in result.output and SHOWN[1] in result.output


def test_descriptions(monkeypatch):
    monkeypatch.setattr("spacy_bert_ner.commands.describe.describe", lambda source: {})
    monkeypatch.setattr("spacy_bert_ner.commands.describe.format_description", lambda info: CLEAR)
    assert run_cli("describe", "a").output == SHOWN[1] + "\n"
