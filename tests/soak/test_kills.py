import os
import subprocess
import sys
from pathlib import Path

import pytest

from spacy_bert_ner.formats import FORMATS

PROGRAM = Path(__file__).parent / "kills.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forks")
def test_a_tenth():
    """In a process of its own, without the threads of this one."""
    result = subprocess.run(
        [sys.executable, PROGRAM, "--kills", "3", "--records", "100"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == sum(entry.writer is not None for entry in FORMATS.values())
    assert all(": 3 kills, " in line and line.endswith("all identical") for line in lines)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forks")
def test_shard():
    """A shard that is killed has the same output in the end."""
    result = subprocess.run(
        [sys.executable, PROGRAM, "--kills", "4", "--shard", "2/3", "--formats", "jsonl", "spacy"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count(": 4 kills, ") == result.stdout.count("all identical\n") == 2
