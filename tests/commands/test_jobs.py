"""Prediction in several processes, some of which are killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import pytest
import spacy

from spacy_bert_ner.commands import checks, jobs
from spacy_bert_ner.commands.annotate import annotate
from spacy_bert_ner.commands.jobs import MOST_DEATHS, JobSettings, Pool, get_n_threads
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.findings import N_SHOWN
from spacy_bert_ner.formats import FormatError, Report

from ..util import plain, run_cli


class Executor:
    """Answers at once. Those whose number is in `broken` die at the batch that it names."""

    def __init__(self, made, broken):
        self.dies_at = broken.get(len(made))
        self.is_dead = self.is_closed = False
        self.submitted = []
        made.append(self)

    def submit(self, function, data):
        if self.is_dead:
            raise BrokenProcessPool
        self.submitted.append(data)
        future = Future()
        self.is_dead = data == self.dies_at
        if self.is_dead:
            future.set_exception(BrokenProcessPool())
        else:
            future.set_result([b"done " + data[0]])
        return future

    def shutdown(self, cancel_futures):
        self.is_closed = True


def batches(n):
    return [([str(i).encode()], i) for i in range(n)]


def make_pool(broken, told=None):
    made = []
    pool = Pool(lambda: Executor(made, broken), 3, [].append if told is None else told.append)
    return pool, made


DONE = [([f"done {i}".encode()], i) for i in range(7)]


def test_order_and_reading_ahead():
    read = []

    def reading():
        for batch in batches(7):
            read.append(batch)
            yield batch

    pool, (executor,) = make_pool({})
    done = pool.map(reading())
    assert next(done) == DONE[0]
    assert len(read) == 3
    assert [next(done), *done] == DONE[1:]
    assert len(executor.submitted) == 7
    pool.close()
    assert executor.is_closed


@pytest.mark.parametrize("dies_at", range(7))
def test_processes_are_replaced(dies_at):
    told = []
    pool, made = make_pool({0: [str(dies_at).encode()]}, told)
    assert list(pool.map(batches(7))) == DONE
    assert told == ["A process was killed. Starting the processes again."]
    assert [executor.is_closed for executor in made] == [True, False]


def test_processes_that_are_killed_again_and_again():
    told = []
    pool, made = make_pool(dict.fromkeys(range(9), [b"4"]), told)
    done = pool.map(batches(7))
    assert [next(done) for _ in range(4)] == DONE[:4]
    with pytest.raises(UserError, match="killed 3 times at the same documents. If the memory"):
        next(done)
    assert len(made) == MOST_DEATHS
    assert len(told) == MOST_DEATHS - 1


def test_batch_that_cant_be_read():
    """Those before it are predicted first."""

    def reading():
        yield from batches(2)
        raise FormatError("broken")

    pool, _ = make_pool({})
    done = pool.map(reading())
    assert [next(done), next(done)] == DONE[:2]
    with pytest.raises(FormatError, match="broken"):
        next(done)


@pytest.mark.parametrize(("n_cores", "n_jobs", "expected"), [(8, 2, 4), (8, 3, 2), (2, 4, 1)])
def test_threads(n_cores, n_jobs, expected, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(n_cores))
    assert get_n_threads(n_jobs) == expected


def test_reports_are_merged():
    expected, parts = Report(), Report()
    total = Report()
    for i in range(3 * N_SHOWN):
        for report in (expected, parts):
            report.n_read += 1
            report.add("odd" if i % 2 else "even", str(i))
            report.add_broken(FormatError(str(i)))
        if i % 4 == 3:
            total.merge(parts.take())
            assert parts == Report()
    total.merge(parts.take())
    assert total == expected


def test_annotate(tiny_pipeline, tmp_path, monkeypatch):
    """The same output and counts as of one process, although a process is killed: with ids, with
    records that can't be read, and with others behind the last document."""
    lines = [f'{{"text": "Karl {i} Oslo .", "meta": {{"id": {i}}}}}' for i in range(20)]
    lines[5] = "{broken"
    lines.append("{broken")
    source = tmp_path / "in.jsonl"
    source.write_text("\n".join(lines), encoding="utf-8")
    how = {"batch_size": 2, "skip_broken": True}
    _, expected = annotate(str(tiny_pipeline), source, tmp_path / "one.jsonl", **how)
    told, unpack = [], jobs.unpack

    def kill_one(*args):
        if not told:
            told.append("killed")
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        return unpack(*args)

    monkeypatch.setattr(jobs, "unpack", kill_one)
    _, report = annotate(
        str(tiny_pipeline), source, tmp_path / "two.jsonl", **how, n_jobs=2, notify=told.append
    )
    assert told == ["killed", "A process was killed. Starting the processes again."]
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert report == expected
    assert (report.n_read, report.n_broken, report.n_docs) == (21, 2, 19)
    assert not multiprocessing.active_children()


def test_script_without_guard(tiny_pipeline, tmp_path):
    """The processes would run the script again, and never predict."""
    source, script = tmp_path / "in.jsonl", tmp_path / "script.py"
    source.write_text('{"text": "Karl"}', encoding="utf-8")
    names = tuple(map(str, (tiny_pipeline, source, tmp_path / "out.jsonl")))
    script.write_text(
        "from pathlib import Path\n"
        "from spacy_bert_ner.commands.annotate import annotate\n"
        f"pipeline, source, out = {names}\n"
        "annotate(pipeline, Path(source), Path(out), n_jobs=2)\n"
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert run.returncode == 1
    lines = run.stderr.splitlines()
    assert "A process ended before it had loaded the pipeline. In a script, call" in lines[-1]
    assert any("Can't predict in 2 processes in one that was started" in line for line in lines)
    assert "killed" not in run.stderr
    assert not list(tmp_path.glob("out.jsonl*"))


@pytest.fixture
def gpus(monkeypatch):
    """GPUs that are there. RETURNS (List[int]): Those that were chosen."""
    chosen = []
    for module in (jobs, checks):
        monkeypatch.setattr(module, "require_gpu", chosen.append)
    return chosen


@pytest.mark.parametrize(
    ("use_gpu", "n_jobs", "expected"),
    [
        (-1, None, ([-1], 1)),
        (-1, 3, ([-1], 3)),
        (1, 2, ([1], 2)),
        ([0, 2], None, ([0, 2], 2)),
        ([0, 2], 5, ([0, 2], 5)),
    ],
)
def test_plan(use_gpu, n_jobs, expected, gpus):
    assert checks.plan_jobs(use_gpu, n_jobs) == expected
    assert gpus == expected[0][::-1], "this process is to use the first"


def test_fewer_processes_than_gpus(gpus):
    with pytest.raises(UserError, match=r"2 GPUs in 1 process: set --jobs to at least 2, or leave"):
        checks.plan_jobs([0, 1], 1)
    assert gpus == []


def test_processes_are_spread_over_gpus(gpus, monkeypatch):
    """Each takes one when it starts, and those that replace them, too."""
    started = []

    class Starting(Executor):
        def __init__(self, n_jobs, context, initializer, initargs):
            super().__init__(started, {0: [b"2"]})
            for _ in range(n_jobs):
                initializer(*initargs)

        def submit(self, function, data):
            return super().submit(function, data or [b"start"])

    monkeypatch.setattr(jobs, "ProcessPoolExecutor", Starting)
    monkeypatch.setattr(jobs, "load_pipeline", lambda name: spacy.blank("en"))
    monkeypatch.setattr(jobs, "_end_with_parent", lambda: None)
    monkeypatch.setattr(jobs.signal, "signal", lambda *args: None)
    settings = JobSettings("pipeline", [0, 3], 1, 2, False)
    with jobs.open_pool(settings, 5, lambda message: None) as pool:
        assert gpus == [0, 3, 0, 3, 0]
        assert list(pool.map(batches(7))) == DONE
    assert gpus == [0, 3, 0, 3, 0] * 2


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ("0,x", "--use-gpu 0,x: name numbers of GPUs, such as 0,1."),
        ("", "--use-gpu : name numbers of GPUs"),
        ("0,-1", "--use-gpu 0,-1: GPUs are numbered from 0, and -1 is the CPU."),
        ("-2", "--use-gpu -2: GPUs are numbered from 0"),
        ("0,1,0", "--use-gpu 0,1,0: name each GPU once."),
    ],
)
def test_numbers_of_gpus(numbers, message, tmp_path):
    (tmp_path / "texts.txt").write_text("Karl", encoding="utf-8")
    result = run_cli("annotate", "pipeline", tmp_path / "texts.txt", "--use-gpu", numbers)
    assert result.exit_code == 2
    assert message in plain(result)


def test_command(tmp_path):
    (tmp_path / "texts.txt").write_text("Karl", encoding="utf-8")
    result = run_cli("annotate", "pipeline", tmp_path / "texts.txt", "--jobs", 0)
    assert result.exit_code == 2
    assert "greater than or equal to 1" in plain(result.output)
