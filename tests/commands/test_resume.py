"""Runs of `annotate` that end before their time, and go on."""

import fcntl
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_bert_ner.commands import annotate as module
from spacy_bert_ner.commands.annotate import annotate
from spacy_bert_ner.formats import FORMATS, FormatError, Report, read_docs

from ..formats.util import NLP
from ..util import plain, run_cli

run = partial(run_cli, "annotate")
WRITTEN = [name for name, entry in FORMATS.items() if entry.writer and name != "text"]
N_LINES = 23


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("".join(f"new{i} Oslo\n" for i in range(N_LINES)), encoding="utf-8")
    return path


class Stop:
    """Ends a run in the middle of a batch, once."""

    def __init__(self, monkeypatch, after, error):
        self.monkeypatch, self.after, self.error = monkeypatch, after, error
        self.predict = module.predict

    def __call__(self, nlp, docs, **settings):
        for doc in self.predict(nlp, docs, **settings):
            if self.after == 0:
                self.monkeypatch.setattr(module, "predict", self.predict)
                raise self.error
            self.after -= 1
            yield doc


def files_of(folder):
    return sorted(path.name for path in folder.iterdir())


def interrupt(monkeypatch, *args, after=10, **settings):
    """RETURNS (List[str]): What is told of a run that is stopped behind so many documents."""
    told = []
    monkeypatch.setattr(module, "predict", Stop(monkeypatch, after, KeyboardInterrupt("mine")))
    with pytest.raises(KeyboardInterrupt, match="mine"):
        annotate(*args, notify=told.append, **settings)
    return told


@pytest.mark.parametrize("target", WRITTEN)
def test_goes_on(ruler_path, source, tmp_path, monkeypatch, target):
    """What isn't in the journal, such as half a batch, is written anew."""
    (tmp_path / "made").mkdir()
    out = tmp_path / "made" / "out"
    settings = {"source": "lines", "target": target, "batch_size": 4}
    _, expected = annotate(str(ruler_path), source, tmp_path / "whole", **settings)
    told = interrupt(monkeypatch, str(ruler_path), source, out, **settings)
    assert told == [
        f"Stopped. The first 8 records are saved in {out}.part. Run the same command to resume."
    ]
    assert files_of(out.parent) == ["out.journal", "out.part"]
    with (out.parent / "out.part").open("ab") as file:
        file.write(b"half a rec")
    told = interrupt(monkeypatch, str(ruler_path), source, out, **settings)
    assert told[0] == f"Resuming after record 8 (partial output: {out}.part)."
    assert "The first 16 records are saved" in told[1]
    told = []
    _, report = annotate(str(ruler_path), source, out, notify=told.append, **settings)
    assert told == [f"Resuming after record 16 (partial output: {out}.part)."]
    assert out.read_bytes() == (tmp_path / "whole").read_bytes()
    assert files_of(out.parent) == ["out"]
    assert report == expected
    assert report.summary() == f"{N_LINES} documents, {2 * N_LINES} tokens, {N_LINES} entities"


def start(pipeline, source, target):
    command = ["annotate", pipeline, source, target, "--from", "lines", "--batch-size", "20"]
    return subprocess.Popen(
        [sys.executable, "-m", "spacy", "bert-ner", *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_journal(target):
    path = Path(f"{target}.journal")
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def kill_at(process, target, n_read):
    """Kill a process as soon as its journal says that so many records are saved."""
    end = time.monotonic() + 900
    while True:
        assert process.poll() is None and time.monotonic() < end, process.communicate()[1]
        state = read_journal(target)
        if state is not None and state["report"]["n_read"] >= n_read:
            break
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    _, told = process.communicate()
    assert process.returncode == -signal.SIGKILL
    return read_journal(target)["report"]["n_read"], told


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no system to kill with it")
def test_killed_twice(tiny_pipeline, tmp_path):
    """No record is lost, none is there twice, and scores are the same to their last digit: batches
    are those of a run that nothing interrupts."""
    source, target = tmp_path / "in.txt", tmp_path / "out.jsonl"
    words = ["Anna", "Berg", "lives", "in", "Oslo", "She", "met", "Karl", "York", "."]
    with source.open("w", encoding="utf-8") as file:
        for i in range(3000):
            file.write(" ".join(words[(i * k) % 10] for k in range(1, 4 + i % 9)) + f" x{i}\n")
    first, _ = kill_at(start(tiny_pipeline, source, target), target, 200)
    second, told = kill_at(start(tiny_pipeline, source, target), target, first + 400)
    assert 200 <= first < second < 3000
    assert f"Resuming after record {first} " in told
    assert not target.exists()
    result = run(tiny_pipeline, source, target, "--from", "lines", "--batch-size", "20")
    assert result.exit_code == 0, result.output
    assert f"Resuming after record {second} " in result.stderr
    whole = tmp_path / "whole.jsonl"
    annotate(str(tiny_pipeline), source, whole, source="lines", batch_size=20)
    assert target.read_bytes() == whole.read_bytes()
    texts = [json.loads(line)["text"] for line in target.read_text("utf-8").splitlines()]
    assert texts == source.read_text("utf-8").splitlines()
    assert files_of(tmp_path) == ["in.txt", "out.jsonl", "whole.jsonl"]


def test_broken_records(ruler_path, tmp_path):
    """After an error, one can go on without the record that it was about."""
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [json.dumps({"text": f"a{i} Oslo"}) for i in range(9)]
    lines[1:1] = ["{}}"]
    lines[7] = '{"text": 3}'
    source.write_text("\n".join(lines), encoding="utf-8")
    skip = ["--on-error", "skip", "-n", "2"]
    result = run(ruler_path, source, target)
    assert result.exit_code == 1 and "Can't read line 2 of" in plain(result.output)
    assert "Stopped" not in result.output
    assert files_of(tmp_path) == ["in.jsonl"]
    lines[1] = ""
    source.write_text("\n".join(lines), encoding="utf-8")
    result = run(ruler_path, source, target, "-n", "2")
    assert result.exit_code == 1
    assert "Stopped. The first 6 records are saved" in plain(result.stderr)
    assert "Can't read the record at line 8 of" in plain(result.stderr)
    assert "Traceback" not in result.output
    result = run(ruler_path, source, target, *skip)
    assert result.exit_code == 0
    counts = "8 documents, 16 tokens, 8 entities, 1 broken record left out"
    assert result.stdout == ""
    assert f"{target}: {counts}" in result.stderr.splitlines()
    assert "the record at line 8 of" in result.stderr.splitlines()[-1]
    result = run(ruler_path, source, tmp_path / "whole.jsonl", *skip)
    assert (tmp_path / "whole.jsonl").read_bytes() == target.read_bytes()


def test_counts_go_on(ruler_path, tmp_path, monkeypatch):
    """What didn't fit before is told in the end, and records left out are not read twice."""
    source, target = tmp_path / "in.jsonl", tmp_path / "out.conll"
    records = [
        {"text": "Oslo", "spans": [{"start": 0, "end": 3, "label": "X"}]},
        {"text": "a", "answer": "ignore"},
        {"text": " "},
    ]
    lines = [json.dumps(record) for record in records] + ["broken"]
    source.write_text("\n".join(lines * 4), encoding="utf-8")
    settings = {"skip_broken": True, "batch_size": 3}
    _, expected = annotate(str(ruler_path), source, tmp_path / "whole.conll", **settings)
    told = interrupt(monkeypatch, str(ruler_path), source, target, after=4, **settings)
    assert "The first 5 records are saved" in told[0]
    _, report = annotate(str(ruler_path), source, target, **settings)
    assert report == expected
    assert (report.n_read, report.n_broken, report.n_docs) == (16, 4, 8)
    assert target.read_bytes() == (tmp_path / "whole.conll").read_bytes()


@pytest.mark.parametrize("change", ["input", "pipeline", "--to", "--keep-ents", "nothing"])
def test_another_command(ruler_path, tmp_path, monkeypatch, source, change):
    pipeline = tmp_path / "pipeline"
    spacy.load(ruler_path).to_disk(pipeline)
    target = tmp_path / "out"
    interrupt(
        monkeypatch, str(pipeline), source, target, source="lines", target="jsonl", batch_size=4
    )
    args = [pipeline, source, target, "--from", "lines", "--to", "jsonl"]
    match = change
    if change == "input":
        source.write_text("Oslo", encoding="utf-8")
        match = f"its size was {N_LINES * 10 + 13}, and is now 4"
    elif change == "pipeline":
        os.utime(pipeline / "meta.json", (1, 1))
        match = "the digest of its files was"
    elif change == "--to":
        args[-1] = "doccano"
        match = "--to was 'jsonl', and is now 'doccano'"
    elif change == "--keep-ents":
        args.append("--keep-ents")
        match = "--keep-ents was False, and is now True"
    result = run(*args)
    if change == "nothing":
        # Batches may be others: somebody may have run out of memory.
        assert result.exit_code == 0 and "Resuming after record 8 " in result.stderr
        return
    assert result.exit_code == 1
    assert "the first 8 records of a different command" in plain(result.output)
    assert match in plain(result.output)
    assert "--restart" in result.output and "Traceback" not in result.output
    assert files_of(tmp_path) == ["in.txt", "out.journal", "out.part", "pipeline"]
    result = run(*args, "--restart")
    assert result.exit_code == 0 and "Resuming" not in result.output
    assert files_of(tmp_path) == ["in.txt", "out", "pipeline"]
    n_docs = 1 if change == "input" else N_LINES
    assert len(list(read_docs(target, NLP, args[6]))) == n_docs


@pytest.mark.parametrize(
    "journal,part,match",
    [
        (None, b"mine", "already exists, and has no journal. Move it"),
        (b"", b"mine", "the journal of .*JSONDecodeError"),
        (b"[]", b"mine", "the journal of .*TypeError"),
        (b'{"command": {}}', b"mine", "the journal of .*KeyError, 'n_bytes'"),
        (b"[" * 100_000, b"mine", "the journal of .*RecursionError"),
        ({"command": []}, b"mine", "TypeError, 'command' is .., not an object"),
        ({"n_bytes": -1}, b"mine", "TypeError, 'n_bytes' is -1, not a number of bytes"),
        ({"n_bytes": "4"}, b"mine", "TypeError, 'n_bytes' is '4'"),
        ({"report": []}, b"mine", "the journal of .*TypeError"),
        ({"n_read": "8"}, b"mine", "TypeError, 'n_read' is '8', not of type int"),
        ({"n_docs": True}, b"mine", "TypeError, 'n_docs' is True, not of type int"),
        ({"n_read": -8}, b"mine", "TypeError, 'n_read' is -8, not a count"),
        ({"n_read": 1 << 70}, b"mine", "TypeError, 'n_read' is .*, not a count"),
        ({"broken": [3]}, b"mine", "TypeError, 'broken' doesn't contain only strings"),
        ({"findings": [3]}, b"mine", "the journal of .*TypeError"),
        ({"findings": [{"what": 3}]}, b"mine", "TypeError, 'what' is 3, not of type str"),
        (
            {"findings": [{"what": "", "shown": [3]}]},
            b"mine",
            "'shown' doesn't contain only",
        ),
        ("shorter", b"[", "it has 1 byte, but .*out.jsonl.journal records"),
    ],
)
def test_damaged(ruler_path, source, tmp_path, monkeypatch, journal, part, match):
    target = tmp_path / "out.jsonl"
    settings = {"source": "lines", "batch_size": 4}
    if journal == "shorter":
        interrupt(monkeypatch, str(ruler_path), source, target, **settings)
    elif isinstance(journal, dict):
        state = {"command": {}, "n_bytes": 4, "report": Report().to_dict()}
        for name, value in journal.items():
            (state if name in state else state["report"])[name] = value
        (tmp_path / "out.jsonl.journal").write_text(json.dumps(state), encoding="utf-8")
    elif journal is not None:
        (tmp_path / "out.jsonl.journal").write_bytes(journal)
    (tmp_path / "out.jsonl.part").write_bytes(part)
    before = files_of(tmp_path)
    with pytest.raises(FormatError, match=f"(?s){match}.*--restart"):
        annotate(str(ruler_path), source, target, **settings)
    assert files_of(tmp_path) == before
    assert (tmp_path / "out.jsonl.part").read_bytes() == part
    annotate(str(ruler_path), source, target, restart=True, **settings)
    assert files_of(tmp_path) == ["in.txt", "out.jsonl"]
    assert len(target.read_text("utf-8").splitlines()) == N_LINES


def test_part_that_is_gone(ruler_path, source, tmp_path, monkeypatch):
    """As after a power cut at the very end, when it was put in place already."""
    target = tmp_path / "out.jsonl"
    settings = {"source": "lines", "batch_size": 4}
    interrupt(monkeypatch, str(ruler_path), source, target, **settings)
    (tmp_path / "out.jsonl.part").unlink()
    _, report = annotate(str(ruler_path), source, target, **settings)
    assert report.n_docs == N_LINES
    assert files_of(tmp_path) == ["in.txt", "out.jsonl"]


@pytest.mark.parametrize("target", WRITTEN)
def test_full_disk(ruler_path, tmp_path, target):
    """It stops, says why and what to do, leaves nothing half written, and resumes."""
    source = tmp_path / "in.txt"
    source.write_text("".join(f"new{i} Oslo\n" for i in range(300)), encoding="utf-8")
    settings = {"source": "lines", "target": target, "batch_size": 20}
    out, told = tmp_path / "made" / "out", []
    _, expected = annotate(str(ruler_path), source, tmp_path / "whole", **settings)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As a disk that has room for the journal, and for a part of the output.
    size = (tmp_path / "whole").stat().st_size
    most = size if target == "parquet" else size // 2  # that part isn't compressed
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        for _ in range(2):  # the second time, it is still full
            match = "Can't write .*out.part: File too large. Raise the limit"
            with pytest.raises(FormatError, match=match):
                annotate(str(ruler_path), source, out, notify=told.append, **settings)
            assert files_of(out.parent) == ["out.journal", "out.part"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    first, resumed, last = told
    assert re.fullmatch(r"Stopped. The first \d+ records are saved in .*\.", first)
    assert first.endswith(f"{out}.part. Run the same command to resume.") and first == last
    assert resumed.startswith("Resuming after record ")
    _, report = annotate(str(ruler_path), source, out, **settings)
    assert report == expected
    assert out.read_bytes() == (tmp_path / "whole").read_bytes()
    assert files_of(out.parent) == ["out"]


def test_full_disk_in_the_last_step(ruler_path, source, tmp_path, monkeypatch):
    """A .spacy is written once more when it is complete, which needs as much room again."""
    settings = {"source": "lines", "batch_size": 4}
    annotate(str(ruler_path), source, tmp_path / "whole.spacy", **settings)
    (tmp_path / "made").mkdir()
    out, told = tmp_path / "made" / "out.spacy", []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    to_bytes = DocBin.to_bytes

    def limit(packed):
        if len(packed) == N_LINES:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        return to_bytes(packed)

    monkeypatch.setattr(DocBin, "to_bytes", limit)
    try:
        with pytest.raises(FormatError, match=r"Can't write .*\.out\.spacy\.new: File too large"):
            annotate(str(ruler_path), source, out, notify=told.append, **settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        monkeypatch.undo()
    assert told[0].startswith(f"Stopped. The first {N_LINES} records are saved in")
    assert files_of(out.parent) == ["out.spacy.journal", "out.spacy.part"]
    # What a process that was killed in this step has left is gone, too.
    (out.parent / ".out.spacy.new").write_bytes(b"half")
    (out.parent / "out.spacy.journal.new").write_bytes(b"half")
    annotate(str(ruler_path), source, out, **settings)
    assert files_of(out.parent) == ["out.spacy"]
    assert out.read_bytes() == (tmp_path / "whole.spacy").read_bytes()


@pytest.mark.parametrize("at", [0, 20, 60])
def test_changed_before_the_last_step(ruler_path, source, tmp_path, monkeypatch, at):
    """A byte of a .spacy in the making, or of the length of a piece: its size is as it was."""
    target, settings = tmp_path / "out.spacy", {"source": "lines", "batch_size": 4}
    interrupt(monkeypatch, str(ruler_path), source, target, **settings)
    part = tmp_path / "out.spacy.part"
    data = bytearray(part.read_bytes())
    data[at] ^= 0x7F
    part.write_bytes(data)
    with pytest.raises(
        FormatError, match=r"Can't finish .*out\.spacy\.part was changed.*--restart"
    ):
        annotate(str(ruler_path), source, target, **settings)
    annotate(str(ruler_path), source, target, restart=True, **settings)
    assert files_of(tmp_path) == ["in.txt", "out.spacy"]


@pytest.mark.parametrize("args", [[], ["--restart"]])
def test_input_that_is_the_output(ruler_path, source, tmp_path, args):
    """It is refused before it is replaced, also where the output is made."""
    content = source.read_bytes()
    for target in (source, tmp_path / "out.txt"):
        if target != source:
            source = source.rename(tmp_path / "out.txt.part")
        options = ["--from", "lines", "--to", "lines", *args]
        result = run("no-pipeline", source, target, *options)
        assert result.exit_code == 1 and "that is the input. Choose another" in plain(result.stderr)
        assert source.read_bytes() == content and files_of(tmp_path) == [source.name]


def test_two_processes(ruler_path, source, tmp_path):
    target, part = tmp_path / "out.jsonl", tmp_path / "out.jsonl.part"
    with part.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = run(ruler_path, source, target, "--restart")
    assert result.exit_code == 1
    assert "another process is writing it. Wait until it ends" in plain(result.output)
    assert files_of(tmp_path) == ["in.txt", "out.jsonl.part"]


def test_nothing_to_go_on_with(ruler_path, source, tmp_path, monkeypatch):
    told = interrupt(
        monkeypatch, str(ruler_path), source, tmp_path / "out.jsonl", source="lines", after=3
    )
    assert told == []
    assert files_of(tmp_path) == ["in.txt"]


def test_what_was_there_stays_until_the_end(ruler_path, source, tmp_path, monkeypatch):
    target = tmp_path / "out.jsonl"
    target.write_text("before", encoding="utf-8")
    interrupt(monkeypatch, str(ruler_path), source, target, source="lines", batch_size=4)
    assert target.read_text("utf-8") == "before"
    assert run(ruler_path, source, target, "--from", "lines").exit_code == 0
    assert len(target.read_text("utf-8").splitlines()) == N_LINES


def test_pipes(ruler_path, source, tmp_path):
    """They can't be gone on with, and are read and written as they are."""
    for name in ("a.jsonl", "b.jsonl"):
        os.mkfifo(tmp_path / name)
    text = "\n".join(json.dumps({"text": f"a{i} Oslo"}) for i in range(9))
    read = []
    threads = [
        threading.Thread(target=(tmp_path / "a.jsonl").write_text, args=(text,)),
        threading.Thread(target=lambda: read.append((tmp_path / "b.jsonl").read_text("utf-8"))),
    ]
    for thread in threads:
        thread.start()
    settings = {"source": "jsonl", "batch_size": 2}
    _, report = annotate(str(ruler_path), tmp_path / "a.jsonl", tmp_path / "b.jsonl", **settings)
    for thread in threads:
        thread.join()
    assert report.n_docs == len(read[0].splitlines()) == 9
    assert files_of(tmp_path) == ["a.jsonl", "b.jsonl", "in.txt"]
    assert report.summary() == Report(n_docs=9, n_tokens=18, n_ents=9).summary()
