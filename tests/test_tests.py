"""The tests themselves: one thread, and helpers that stand in one place."""

import ast
import os
from pathlib import Path

import torch

TESTS = Path(__file__).parent


def test_one_thread():
    assert torch.get_num_threads() == 1
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_no_test_module_imports_another():
    """What several tests use is in tests/util.py, tests/toy.py, and the util.py of a folder."""
    wrong = []
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.ImportFrom):
                names = [alias.name for alias in node.names]
                modules = [node.module] if node.module else names
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            for module in modules:
                last = module.split(".")[-1]
                if last == "conftest" or last.startswith("test_"):
                    wrong.append(f"{path.relative_to(TESTS)} imports {module}")
    assert wrong == []
