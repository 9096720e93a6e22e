"""A tenth of the programs in tests/soak."""

from collections import Counter

import pytest
import spacy

from .damaged_pipelines import damage_pipelines
from .threads import run_threads
from .util import HEADS, make_pipeline


@pytest.mark.parametrize("head", HEADS)
def test_threads(head, tmp_path):
    assert run_threads(make_pipeline(tmp_path, head), 100) == []


def test_threads_on_exports(exported_paths):
    for path in exported_paths.values():
        assert run_threads(spacy.load(path), 50) == []


def test_damaged_pipelines(tmp_path):
    counts, failures = damage_pipelines(6, 0, tmp_path)
    assert failures == []
    total = sum(counts.values(), Counter())
    assert total["refused"] > total.total() / 2
