"""docs/troubleshooting.md: messages that it explains are those that are shown."""

import ast
import re
from pathlib import Path

import pytest
import thinc.util
from spacy import errors

import spacy_bert_ner

from .util import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
# Headings that are a message as a whole; "…" stands for what differs.
MESSAGES = re.findall(r"^### `([^`]+)`$", PAGE, re.M)
SOURCES = [
    *Path(spacy_bert_ner.__file__).parent.rglob("*.py"),
    Path(errors.__file__),
    Path(thinc.util.__file__),
]
GAP = "…"


def read_strings():
    """YIELDS (str): The strings and names of errors of the source, with "…" for what is put in."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value for part in node.values]
                yield "".join(part if isinstance(part, str) else GAP for part in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"\{\w*\}", GAP, node.value)
            elif isinstance(node, ast.ClassDef):
                yield node.name


@pytest.fixture(scope="module")
def shown():
    return "\n".join(text.replace("\n", " ") for text in read_strings())


@pytest.mark.parametrize("message", MESSAGES)
def test_message_is_shown(message, shown):
    # spaCy puts the code of an error before it, and our components are called bert_ner.
    message = re.sub(r"^\[E\d+\] ", "", message).replace("'bert_ner'", f"'{GAP}'")
    pattern = ".*".join(map(re.escape, message.split(GAP)))
    assert re.search(pattern, shown), message


def test_messages_are_found():
    assert len(MESSAGES) > 15
