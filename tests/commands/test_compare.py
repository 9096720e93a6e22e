import errno
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import spacy
import srsly
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from spacy.tokens import DocBin
from spacy.util import load_config, load_model_from_config

from spacy_bert_ner.commands import compare as compare_module
from spacy_bert_ner.commands import train_process
from spacy_bert_ner.commands.compare import compare
from spacy_bert_ner.commands.runs import Run
from spacy_bert_ner.commands.spec import check_spec, read_spec
from spacy_bert_ner.commands.summary import (
    SystemScores,
    format_markdown,
    format_table,
    format_time,
    get_f1,
    get_interval,
    summarize,
)
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats.output import open_locked

from ..util import CONFIGS, ROOT, plain, run_cli, run_command

(CONFIG,) = [path for path in CONFIGS if path.stem == "bert_ner"]
RESULT = {
    "cell": "a",
    "seed": 1,
    "key": "k",
    "counts": {"dev": [[1, 2, 3]], "test": [[1, 2, 3]]},
    "train_seconds": 1.0,
    "words_per_second": 1.0,
}


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


@pytest.fixture
def in_process(monkeypatch):
    """Trainings in this process. Other tests here start one for each, as users do."""
    monkeypatch.setattr(train_process, "subprocess", SimpleNamespace(run=run_command))


def test_trains_once_and_goes_on(spec_path, tmp_path, in_process):
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
    # What was being written when a process was killed is taken away.
    (output / "results.jsonl").write_text(lines + '{"cell": "gre', encoding="utf-8")
    result = run_cli("compare", spec_path, output, "--markdown", tmp_path / "table.md")
    assert (output / "results.jsonl").read_text(encoding="utf-8") == lines
    assert result.exit_code == 0, result.output
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert table.count("\n") == 4
    lines_of = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line}
    assert lines_of["greedy"][1] == lines_of["constrained"][1] == "2"
    assert max(map(len, result.stdout.splitlines())) <= 80
    renamed = srsly.read_yaml(spec_path)
    renamed["seeds"], renamed["cells"] = [1], {"../a name": renamed["cells"]["greedy"]}
    srsly.write_yaml(spec_path, renamed)
    (again,) = compare(read_spec(spec_path), output)
    assert again == first._replace(cell="../a name")
    # To be kept, it is trained once more.
    (again,) = compare(read_spec(spec_path), output, keep=True)
    assert again.counts == first.counts
    assert (output / "a-name-1" / "model-last").exists()
    assert len((output / "results.jsonl").read_text(encoding="utf-8").splitlines()) == 5


def write_spec(spec_path, **changes):
    srsly.write_yaml(spec_path, {**srsly.read_yaml(spec_path), **changes})
    return read_spec(spec_path)


def test_folders_of_others_stay(spec_path, tmp_path):
    """A pipeline is trained in a folder of its own; one to keep takes no other's place."""
    spec = write_spec(spec_path, seeds=[1], cells={"a": {}})
    (tmp_path / "out" / "a-1").mkdir(parents=True)
    (tmp_path / "out" / "a-1" / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(UserError, match="a-1 already exists and wasn't created by this comp"):
        list(compare(spec, tmp_path / "out", keep=True))
    assert len(list(compare(spec, tmp_path / "out"))) == 1
    assert (tmp_path / "out" / "a-1" / "thesis.txt").read_text(encoding="utf-8") == "years"


def test_other_data_are_another_result(spec_path, tmp_path, corpus, in_process):
    """Whatever the path: scores on other documents can't be compared."""
    copy = tmp_path / "test.spacy"
    copy.write_bytes((corpus / "dev.spacy").read_bytes())
    paths = {**srsly.read_yaml(spec_path)["paths"], "test": str(copy)}
    spec = write_spec(spec_path, seeds=[1], cells={"a": {}}, paths=paths)
    trained = []
    (first,) = compare(spec, tmp_path / "out", notify=trained.append)
    (same,) = compare(read_spec(spec_path), tmp_path / "out", notify=trained.append)
    assert same == first
    vocab = spacy.blank("en").vocab
    docs = list(DocBin().from_disk(copy).get_docs(vocab))
    DocBin(docs=docs[:2]).to_disk(copy)
    (other,) = compare(spec, tmp_path / "out", notify=trained.append)
    assert trained == [
        "Training a, seed 1: training 1 of 1",
        f"Training a, seed 1: training 1 of 1, about {first.train_seconds:.0f} s left",
    ]
    assert (len(first.counts["test"]), len(other.counts["test"])) == (4, 2)


def test_failed_training(spec_path, tmp_path):
    write_spec(spec_path, cells={"a": {"training.max_steps": "many"}})
    result = run_cli("compare", spec_path, tmp_path / "out")
    assert result.exit_code == 1
    assert "' with seed 1 failed. " in result.output
    assert "'total_steps': 'many'" in plain(result.output)


@pytest.mark.parametrize(
    "change,message",
    [
        (
            {"paths": {"train": "a", "dev": "b", "test": "c"}},
            "no file a. Set train in `paths`",
        ),
        ({"cells": {"a": {}, "b": {"config": "gone.cfg"}}}, "gone.cfg"),
        (
            {"cells": {"a": {"training.max_step": 2}}},
            r"'a' sets training.max_step, which .* doesn't have. \[training\] has accumulate_gradi",
        ),
        ({"cells": {"a": {"trainig.max_steps": 2}}}, "It has the sections components, corpora"),
        (
            {"overrides": {"components.bert_ner.los.weight": 1}},
            r"\[components.bert_ner\] has align",
        ),
    ],
)
def test_checked_before_training(spec_path, tmp_path, change, message):
    spec = write_spec(spec_path, **change)
    with pytest.raises((ValueError, OSError), match=message):
        next(compare(spec, tmp_path / "out"))


def test_settings_of_a_block_that_is_set(spec_path):
    loss = {"@losses": "spacy-bert-ner.RDrop.v1"}
    settings = {"components.bert_ner.loss": loss, "components.bert_ner.loss.weight": 2.0}
    check_spec(write_spec(spec_path, cells={"a": settings}))


def test_table_that_cant_be_written(spec_path, tmp_path):
    result = run_cli("compare", spec_path, tmp_path / "out", "--markdown", spec_path / "table.md")
    assert result.exit_code == 1
    assert "spec.yml" in result.output
    assert not (tmp_path / "out").exists()


def test_no_such_gpu(spec_path, tmp_path):
    result = run_cli("compare", spec_path, tmp_path / "out", "--use-gpu", 99)
    assert result.exit_code == 1
    assert "Can't use GPU 99" in result.output


@pytest.mark.parametrize(
    "line",
    [
        {"cell": "a"},
        [],
        {**RESULT, "counts": {}},
        {**RESULT, "counts": {"dev": [[1, 2]], "test": [[1, 2, 3]]}},
        {**RESULT, "counts": {"dev": [["1", 2, 3]], "test": [[1, 2, 3]]}},
        {**RESULT, "train_seconds": "1"},
        {**RESULT, "key": []},
    ],
)
def test_broken_journal(spec_path, tmp_path, line):
    path = tmp_path / "results.jsonl"
    path.write_text(f"{json.dumps(line)}\n{{}}\n", encoding="utf-8")
    with pytest.raises(UserError, match="Line 1 of .*results.jsonl isn't a result"):
        next(compare(read_spec(spec_path), tmp_path))
    path.write_bytes(b"\xff\n")
    with pytest.raises(UserError, match="Line 1 of .*results.jsonl isn't a result"):
        next(compare(read_spec(spec_path), tmp_path))


def test_two_comparisons(spec_path, tmp_path):
    """In one folder, they would train the same, and remove each other's."""
    match = r"results.jsonl: another process is writing it"
    with open_locked(tmp_path / "results.jsonl"), pytest.raises(UserError, match=match):
        next(compare(read_spec(spec_path), tmp_path))


def test_what_a_killed_comparison_left(spec_path, tmp_path, monkeypatch):
    """It is gone with the next one, and nothing is left of that."""
    (tmp_path / "out" / ".training" / "pipeline").mkdir(parents=True)
    monkeypatch.setattr(compare_module, "_run", lambda *args: Run(**RESULT))
    next(compare(read_spec(spec_path), tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.jsonl"]


def test_names_in_markdown():
    row = SystemScores("a|b", 1, 1.0, 1.0, None, None, True, 1.0, 1.0)
    assert format_markdown([row]).splitlines()[-1].startswith("| a\\|b | 1 |")


@pytest.mark.parametrize(
    "change,message",
    [
        ({"cell": {}}, "'cell' is unknown"),
        ({"cells": None}, "'cells' is missing"),
        ({"paths": {"train": "a"}}, "`paths` must have a file for each of train, dev, test"),
        ({"config": None}, "'greedy' has no config"),
        (
            {"paths": {"train": 1, "dev": "b", "test": "c"}},
            "`paths` must have a file for each",
        ),
        (
            {"paths": {"train": "", "dev": "b", "test": "c"}},
            "`paths` must have a file for each",
        ),
        ({"cells": ["a", "b"]}, "`cells` must be a mapping: one `NAME: {}` per system"),
        ({"cells": {}}, "`cells` is empty"),
        ({"cells": {"a": "b"}}, "'a' must be a mapping"),
        ({"cells": {"a b": {}, "a-b": {}}}, "'a b' and 'a-b' would have the same name"),
        ({"overrides": [1]}, "`overrides` must be a mapping"),
        ({"seeds": 1}, "seeds = 1. Set a list"),
        ({"seeds": []}, r"seeds = \[\]"),
        ({"seeds": ["x"]}, r"seeds = \['x'\]"),
        ({"seeds": [1, 1]}, r"seeds = \[1, 1\]"),
        ({"model": "model-lst"}, "model is 'model-lst'. Set it to model-last or model-best"),
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
    assert "| constrained | 2 | 0.00 | 33.33 | 0.00 | -33.33 (too little data) | 20 s |" in table
    (alone,) = summarize(spec, runs[:1])
    assert "| greedy | 1 | 100.00 | 66.67 |  |  | 10 s |" in format_markdown([alone])


def test_table_of_a_terminal(spec_path):
    """It fits, whatever the names are."""
    spec = write_spec(spec_path, cells={"a": {}, "another system with shapes of words": {}})
    counts = {"dev": [[1, 1, 1]], "test": [[1, 2, 2], [1, 1, 1]] * 10}
    names = [cell.name for cell in spec.cells]
    runs = [Run(name, seed, "", counts, 500.0, 12345.0) for name in names for seed in (1, 2)]
    table = format_table(summarize(spec, runs))
    assert max(map(len, table.splitlines())) <= 80
    assert "+0.00 (+0.00 to +0.00)   500 s   12345\n" in table
    assert "\nanother         2 100.00" in table
    assert "\nsystem with\nshapes of\nwords\n" in table
    (row, *_) = summarize(spec, runs)
    table = format_table([row._replace(difference=(-20.25, -30.5, -13.06))])
    assert max(map(len, table.splitlines())) <= 80
    few = format_table(summarize(spec, [run for run in runs if run.seed == 1]))
    assert "+0.00 (too little data)" in few


def test_time_for_people():
    assert [format_time(n) for n in (4.2, 99, 100, 5900, 7200)] == [
        "4 s",
        "99 s",
        "2 min",
        "98 min",
        "2.0 h",
    ]


def test_full_disk(spec_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", refuse)
    result = run_cli("compare", spec_path, spec_path.parent / "out")
    assert result.exit_code == 1
    assert "out: No space left on device. Choose another folder" in result.output
    assert result.output.count("\n") == 1


def test_shown_specs_are_right(tmp_path, monkeypatch):
    """That of the documentation, and those of the benchmarks, have settings that configs have."""
    text = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    shown, _ = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "shown.yml").write_text(shown, encoding="utf-8")
    specs = [read_spec(path) for path in (ROOT / "benchmarks").glob("*.yml")]
    monkeypatch.chdir(ROOT)
    specs = [spec for spec in specs if spec.train]  # of workflows, see test_compare_workflows.py
    for spec in [*specs, read_spec(tmp_path / "shown.yml")]:
        paths = {"train": __file__, "dev": __file__, "test": __file__}
        check_spec(replace(spec, **paths))
        for cell in spec.cells:
            config = load_config(cell.config, overrides=cell.overrides)
            assert load_model_from_config(config, auto_fill=True)
    assert "configs/crf.cfg" in {cell.config for spec in specs for cell in spec.cells}


def test_output_of_a_training_that_fails():
    """Readable, without codes of colors, which spaCy's printer writes to files, too."""
    command = [sys.executable, "-c", "import wasabi; wasabi.msg.fail('No data', exits=1)"]
    with pytest.raises(UserError) as caught:
        train_process.call(command, "Training 'a'")
    assert str(caught.value).startswith("Training 'a' failed.")
    assert "No data" in str(caught.value) and "\\x1b" not in str(caught.value)
