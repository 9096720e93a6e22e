"""Commands where torch isn't installed: those that need none of it work, and all others end in one
line with the way out. `make onnx` runs some of them in an environment of its own."""

import json
import re
import subprocess
import sys

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_bert_ner.cli import COMMANDS

from .model.onnx.util import export
from .util import CONFIG_FOLDER, EXPECTED, HIDE_TORCH, ROOT, TEXT

# Reads commands as JSON, and prints for each its exit code, its output, and the name of its error
# if that isn't explained.
PROGRAM = (
    HIDE_TORCH
    + """
import json
import spacy
from spacy.cli import app
from spacy.util import registry
from typer.testing import CliRunner

registry.cli.get_all()
found = {}
for name, words in json.load(sys.stdin).items():
    result = CliRunner().invoke(app, words, env={"COLUMNS": "300"})
    error = None if isinstance(result.exception, (SystemExit, type(None))) else result.exception
    found[name] = [result.exit_code, result.output, repr(error)]
try:
    spacy.load(sys.argv[1])
except Exception as error:
    found["spacy.load"] = [1, str(error), type(error).__name__]
assert not hidden & set(sys.modules)
sys.stdout.write(json.dumps(found))
"""
)
MISSING = re.compile(
    r"This needs \w+, which isn't installed: python -m pip install spacy-bert-ner\. Without torch, "
    r"use pipelines that 'bert-ner quantize' exported\."
)
# Commands by what they do, with the files of the fixture.
WORK = {
    "annotate": "annotate exported text.txt out.jsonl",
    "calibrate": "calibrate exported gold.spacy calibrated",
    "convert": "convert dev.spacy out.conll",
    "describe": "describe exported",
    "evaluate": "evaluate exported dev.spacy --report page.html",
    "init-config": "init-config new.cfg",
    "init-config --recipe cnn": "init-config cnn.cfg --recipe cnn",
    "debug-data": "debug-data cnn.cfg --paths.train dev.spacy --paths.dev dev.spacy",
    "label": "label exported text.txt labeled.spacy",
    "filter": "filter labeled.spacy filtered.spacy --top 1.0",
    "profile": "profile exported text.txt",
    "push": "push exported someone/en_pipeline --dry-run pushed",
    "select": "select exported text.txt next.jsonl --n 1",
    "translate": "translate dev.spacy translated.spacy --lexicon words.txt --min-coverage 0",
}
REFUSED = {
    "annotate with torch": "annotate trained text.txt",
    "augment": "augment encoder text.txt augmented.spacy",
    "compare": "compare spec.yml compared",
    "debug-data with torch": "debug-data CONFIG --paths.train dev.spacy --paths.dev dev.spacy",
    "describe with torch": "describe trained",
    "from-hf": "from-hf encoder imported",
    "init-config --encoder": "init-config other.cfg --encoder encoder",
    "quantize": "quantize trained quantized --dev dev.spacy",
    "set-lang": "set-lang trained danish --lang da",
    "shrink": "shrink trained shrunk --layers 1",
    "to-hf": "to-hf exported checkpoint",
    "train": "train dev.spacy --n-cpu 2",
    "weigh-sources": "weigh-sources encoder text.txt text.txt text.txt",
}
# Runs until it is stopped: tests/server/test_process.py.
SERVE = {"serve"}
# Start `spacy train` in another process.
TRAIN = {"audit", "learning-curve"}
SPACYS = {
    "evaluate": "evaluate exported dev.spacy",
    "init fill-config": "init fill-config CONFIG filled.cfg",
    "train": "train CONFIG --paths.train dev.spacy --paths.dev dev.spacy",
    "train without torch": "train cnn.cfg --paths.train dev.spacy --paths.dev dev.spacy "
    "--training.max_steps 1",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory, tiny_pipeline, tiny_encoder, corpus):
    """Of all commands, in one process. RETURNS (dict): See PROGRAM."""
    folder = tmp_path_factory.mktemp("without")
    exported = export(spacy.load(tiny_pipeline))
    exported.to_disk(folder / "exported")
    (folder / "trained").symlink_to(tiny_pipeline)
    (folder / "encoder").symlink_to(tiny_encoder)
    (folder / "dev.spacy").symlink_to(corpus / "dev.spacy")
    save_gold(folder / "gold.spacy", exported)
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    (folder / "words.txt").write_text("in i\n", encoding="utf-8")
    config = str(CONFIG_FOLDER / "bert_ner.cfg")
    spec = {
        "config": config,
        "paths": dict.fromkeys(("train", "dev", "test"), "dev.spacy"),
        "seeds": [1],
        "cells": {"a": {}},
    }
    (folder / "spec.yml").write_text(json.dumps(spec), encoding="utf-8")
    commands = {name: f"bert-ner {words}" for name, words in (WORK | REFUSED).items()}
    commands |= {f"spacy {name}": words for name, words in SPACYS.items()}
    split = {
        name: [config if word == "CONFIG" else word for word in words.split()]
        for name, words in commands.items()
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, "trained"],
        input=json.dumps(split),
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder


def save_gold(path, nlp):
    """As many entities that a pipeline finds as others, the former with higher scores."""
    docs = []
    for text in [TEXT] * 8 + ["Rex met Ida Moe in New Berg", "Bob Karl lives in York"] * 20:
        doc = nlp(text)
        if text != TEXT:
            doc.set_ents([], default="outside")
        docs.append(doc)
    DocBin(docs=docs).to_disk(path)


def test_commands_that_work(results):
    found, folder = results
    for name in (*WORK, "spacy evaluate", "spacy train without torch"):
        code, output, error = found[name]
        assert (code, error) == (0, "None"), (name, output)
    (line,) = (folder / "out.jsonl").read_text(encoding="utf-8").splitlines()
    spans = json.loads(line)["spans"]
    assert [(TEXT[span["start"] : span["end"]], span["label"]) for span in spans] == EXPECTED
    assert (folder / "page.html").exists()


@pytest.mark.parametrize("name", [*REFUSED, "spacy init fill-config", "spacy train"])
def test_others_end_in_one_line(name, results):
    found, folder = results
    code, output, error = found[name]
    assert (code, error) == (1, "None"), output
    assert MISSING.search(" ".join(output.split())), output
    assert "Traceback" not in output
    for path in ("imported", "quantized", "danish", "shrunk", "checkpoint", "other.cfg"):
        assert not (folder / path).exists()


def test_loading(results):
    """A pipeline with an encoder of torch, in Python."""
    _, message, kind = results[0]["spacy.load"]
    assert kind == "UserError"
    assert MISSING.fullmatch(message)


def test_documentation_has_all_commands():
    """Each in the table of docs/deploy.md, as what it is here."""
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    table = page.split("## What works without torch\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    for names, commands in zip(cells, ({*WORK, *SERVE}, REFUSED, TRAIN), strict=True):
        assert set(re.findall(r"`([a-z -]+)`", names)) == {
            name for name in commands if " with torch" not in name
        }
    assert {name.split()[0] for name in {*WORK, *SERVE, *REFUSED, *TRAIN}} == set(COMMANDS)
