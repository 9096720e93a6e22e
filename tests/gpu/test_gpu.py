"""Training and prediction on a GPU, without one: a process of its own runs all cases on a stand-in
for CuPy, since thinc must first be imported with it. Where there is a GPU, they also run there.

What a batch and a step cost is limited by budgets, the tables below: lower their numbers where the
code got better."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
import torch

from ..util import ROOT
from .cases import CASES, SIZES

KINDS = ("launches", "to_device", "to_host", "waits")
# What this package may cause in one batch of prediction and in one training step, in the order of
# KINDS, for any number of documents. Thinc's ops count for the layer that uses them, its layers and
# its optimizer don't count here. A CRF also copies its transitions to the host.
OURS = {
    "softmax, batch": (4, 1, 1, 0),
    "softmax, step": (27, 5, 0, 1),
    "CRF, batch": (7, 1, 2, 0),
    "CRF, step": (21, 4, 2, 0),
    "concatenated, batch": (7, 1, 1, 0),
    "concatenated, step": (33, 5, 0, 1),
}
# What all packages may cause: a number, and one for each document. Spacy-transformers waits once
# for each document, and spaCy makes an array of the features of each document for a CNN.
ALL = {
    "softmax, batch": ((12, 0), (1, 0), (1, 0), (0, 0)),
    "softmax, step": ((64, 2), (5, 0), (0, 0), (1, 1)),
    "CRF, batch": ((8, 0), (1, 0), (2, 0), (0, 0)),
    "CRF, step": ((57, 2), (4, 0), (2, 0), (0, 1)),
    "concatenated, batch": ((54, 2), (4, 1), (2, 0), (2, 0)),
    "concatenated, step": ((303, 5), (8, 1), (2, 0), (5, 1)),
}


def run(path, *folders):
    """RETURNS (Dict[str, Any]): What the process writes.

    path (Path): Where to write.
    folders (Path): What it imports first.
    """
    paths = [*map(str, folders), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "tests.gpu", str(path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("gpu") / "results.json"
    return run(path, ROOT / "tests" / "gpu" / "stand_in")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU and CuPy")
def test_cases_on_a_gpu(tmp_path):
    errors = run(tmp_path / "results.json")["errors"]
    assert not any(errors.values()), "\n".join(errors.values())


@pytest.mark.parametrize("name", [*CASES, "budgets"])
def test_case(results, name):
    error = results["errors"][name]
    assert not error, error


def add_up(rows, *packages):
    """RETURNS (Tuple[int, …]): The numbers of events of some packages, by default of all, in the
    order of KINDS."""
    total = Counter()
    for kind, package, _, n in rows:
        if not packages or package in packages:
            total[kind] += n
    return tuple(total[kind] for kind in KINDS)


def explain(rows):
    return "\n".join(f"{n:5} {kind:10} {place}" for kind, _, place, n in rows)


@pytest.mark.parametrize("work", OURS)
def test_budget_of_this_package(results, work):
    for size in SIZES:
        rows = results["events"][f"{work}, {size}"]
        found = add_up(rows, "spacy_bert_ner")
        assert all(n <= most for n, most in zip(found, OURS[work])), f"{found}\n{explain(rows)}"


@pytest.mark.parametrize("work", OURS)
def test_number_of_documents_makes_no_difference(results, work):
    few, many = (add_up(results["events"][f"{work}, {size}"], "spacy_bert_ner") for size in SIZES)
    assert few == many


@pytest.mark.parametrize("work", ALL)
def test_budget_of_all(results, work):
    for size in SIZES:
        rows = results["events"][f"{work}, {size}"]
        found = add_up(rows)
        most = [fixed + size * each for fixed, each in ALL[work]]
        assert all(n <= m for n, m in zip(found, most)), f"{found}\n{explain(rows)}"
