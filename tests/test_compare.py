import re

import numpy
import pytest
import srsly
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from spacy.util import load_config
from typer.testing import CliRunner

from spacy_bert_ner.cli.compare import compare_cli
from spacy_bert_ner.compare import (
    Run,
    compare,
    format_markdown,
    get_f1,
    get_interval,
    read_spec,
    summarize,
)

from .test_project import CONFIGS, ROOT

(CONFIG,) = [path for path in CONFIGS if path.stem == "bert_ner"]


def run_cli(*args):
    from typer import Typer

    app = Typer()
    app.command()(compare_cli)
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def spec_path(tmp_path, corpus, tiny_encoder):
    dev = str(corpus / "dev.spacy")
    srsly.write_yaml(
        tmp_path / "spec.yml",
        {
            "paths": {"train": str(corpus / "train.spacy"), "dev": dev, "test": dev},
            "config": str(CONFIG),
            "seeds": [1, 2],
            "overrides": {
                "vars.encoder": tiny_encoder,
                "components.transformer.model.window": 0,
                "training.max_steps": 3,
                "training.optimizer.learn_rate.warmup_steps": 1,
            },
            "cells": {
                "greedy": {"components.bert_ner.decoder": "greedy"},
                "constrained": {},
            },
        },
    )
    return tmp_path / "spec.yml"


def test_trains_once_and_goes_on(spec_path, tmp_path):
    """Results come one by one; what is there isn't trained again, unless a setting is another."""
    spec = read_spec(spec_path)
    output = tmp_path / "out"
    runs = compare(spec, output)
    first = next(runs)
    assert (first.cell, first.seed) == ("greedy", 1)
    assert len(list(srsly.read_jsonl(output / "results.jsonl"))) == 1
    runs.close()  # interrupted
    all_runs = list(compare(spec, output))
    assert all_runs[0] == first
    assert [(run.cell, run.seed) for run in all_runs] == [
        ("greedy", 1),
        ("greedy", 2),
        ("constrained", 1),
        ("constrained", 2),
    ]
    assert list(output.iterdir()) == [output / "results.jsonl"]  # pipelines are not kept
    lines = (output / "results.jsonl").read_text(encoding="utf-8")
    assert list(compare(spec, output)) == all_runs
    assert (output / "results.jsonl").read_text(encoding="utf-8") == lines
    result = run_cli(spec_path, output, "--markdown", tmp_path / "table.md")
    assert result.exit_code == 0, result.output
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert table in result.output
    assert table.count("\n") == 4
    changed = srsly.read_yaml(spec_path)
    changed["seeds"], changed["overrides"]["training.max_steps"] = [1], 2
    changed["cells"] = {"greedy": changed["cells"]["greedy"]}
    srsly.write_yaml(spec_path, changed)
    (other,) = compare(read_spec(spec_path), output, keep=True)
    assert other.key != first.key
    assert (output / "greedy-1" / "model-last").exists()


def test_failed_training(spec_path, tmp_path):
    spec = srsly.read_yaml(spec_path)
    spec["overrides"]["components.transformer.model.window"] = -1
    srsly.write_yaml(spec_path, spec)
    result = run_cli(spec_path, tmp_path / "out")
    assert result.exit_code == 2
    assert "has failed" in result.output
    assert "window = -1" in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    "change,message",
    [
        ({"cell": {}}, r"\['cell'\] unknown"),
        ({"cells": None}, r"\['cells'\] missing"),
        ({"paths": {"train": "a"}}, "set paths to train, dev and test"),
        ({"config": None}, "'greedy' has no config"),
    ],
)
def test_wrong_spec(spec_path, change, message):
    spec = {**srsly.read_yaml(spec_path), **change}
    srsly.write_yaml(spec_path, {key: value for key, value in spec.items() if value is not None})
    with pytest.raises(ValueError, match=message):
        read_spec(spec_path)


def test_f1_is_seqevals():
    gold = [["B-X", "I-X", "O"], ["B-Y", "O", "B-X"]]
    predicted = [["B-X", "I-X", "O"], ["B-X", "O", "B-X"]]
    counts = numpy.array([[1, 1, 1], [1, 2, 2]])
    expected = 100 * f1_score(gold, predicted, mode="strict", scheme=IOB2)
    assert get_f1(counts.sum(axis=0)) == pytest.approx(expected)
    assert get_f1(numpy.zeros(3)) == 0.0


def make_counts(rng, n_seeds, n_docs, share):
    gold = rng.integers(0, 4, size=(1, n_docs)).repeat(n_seeds, axis=0)
    right = rng.binomial(gold, share)
    return numpy.stack([right, gold, gold], axis=2)


def test_interval():
    rng = numpy.random.default_rng(0)
    one, same, better = (make_counts(rng, 3, 400, share) for share in (0.5, 0.5, 0.7))
    difference, low, high = get_interval(one, better)
    assert low < difference < high
    assert low > 10
    difference, low, high = get_interval(one, same)
    assert low < 0 < high
    assert get_interval(one, one) == (0.0, 0.0, 0.0)
    # More documents, narrower.
    wide = get_interval(one[:, :50], better[:, :50])
    narrow = get_interval(one, better)
    assert narrow[2] - narrow[1] < wide[2] - wide[1]


def test_table(spec_path):
    spec = read_spec(spec_path)
    counts = {"dev": [[1, 1, 1]], "test": [[1, 2, 2], [1, 1, 1]]}
    worse = {"dev": [[0, 1, 1]], "test": [[1, 2, 2], [0, 1, 1]]}
    runs = [Run("greedy", seed, "", counts, 10.0, 1000.0) for seed in (1, 2)]
    runs += [Run("constrained", seed, "", worse, 20.0, 500.0) for seed in (1, 2)]
    first, second = summarize(spec, runs)
    assert first.difference is None
    assert first.test == pytest.approx(200 / 3)
    assert second.difference[0] == pytest.approx(-100 / 3)
    table = format_markdown([first, second])
    assert "| greedy | 2 | 100.00 | 66.67 | 0.00 |  | 10 s | 1000 |" in table
    assert "| constrained | 2 | 0.00 | 33.33 | 0.00 | -33.33 (" in table


def test_config_counts(spec_path, tmp_path):
    """Another config under the same name is another system."""
    spec = read_spec(spec_path)
    config = load_config(CONFIG)
    config["training"]["dropout"] = 0.2
    config.to_disk(tmp_path / "other.cfg")
    from spacy_bert_ner.compare import Cell, _make_key

    one, other = (Cell("a", str(path)) for path in (CONFIG, tmp_path / "other.cfg"))
    assert _make_key(spec, one, 1) != _make_key(spec, other, 1)
    assert _make_key(spec, one, 1) != _make_key(spec, one, 2)


def test_shown_specs_are_right(tmp_path):
    """That of the documentation, and those of the benchmarks, have settings that configs have."""
    text = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "shown.yml").write_text(shown, encoding="utf-8")
    specs = [read_spec(path) for path in (ROOT / "benchmarks").glob("*.yml")]
    for spec in [*specs, read_spec(tmp_path / "shown.yml")]:
        for cell in spec.cells:
            assert load_config(ROOT / cell.config, overrides=cell.overrides)
    assert "configs/crf.cfg" in {cell.config for spec in specs for cell in spec.cells}
