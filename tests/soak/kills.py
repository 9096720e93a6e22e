"""`annotate` killed again and again, and resumed: what comes out is that of a run left alone.

    python tests/soak/kills.py [--kills 30] [--records 400] [--seed 1] [--formats spacy jsonl]
        [--shard 2/3]

For each format that is written, runs are killed (SIGKILL) until there were so many kills, and given
the same command again each time: every other one at a random moment, and every other one at a
random operation on the files of the output, such as before it is renamed. When a run comes to its
end, the output must have the bytes of a run that nothing has killed, and nothing must be left next
to it. A run is a fork of this process: a new one would mostly be killed before it has begun.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, Optional

import numpy
import spacy
from spacy.language import Language

from spacy_bert_ner.commands.annotate import annotate
from spacy_bert_ner.commands.shards import check_outputs, name_output, parse_shard
from spacy_bert_ner.formats import FORMATS
from spacy_bert_ner.tagging.entity_scores import make_span_group

WRITTEN = [name for name, entry in FORMATS.items() if entry.writer]
# What the system is asked for before it changes or opens a file.
EVENTS = ("open", "os.rename", "os.remove", "os.truncate")
WORDS = ["Anna", "Oslo", "Berg", "met", "in", "Bergen", "and", "Karl", "<b>", "Zürich"]


class Counts(NamedTuple):
    """Of a format: kills, runs that came to their end, and kills that left something to resume."""

    kills: int
    ends: int
    resumed: int


@Language.component("soak_scores")
def add_scores(doc):
    """Scores that tell one document from another."""
    scores = numpy.linspace(0.1, 0.9, len(doc.ents), dtype="float32") + len(doc) / 1000
    doc.spans["bert_ner"] = make_span_group(doc, "bert_ner", list(doc.ents), scores, [])
    return doc


def make_pipeline(folder):
    nlp = spacy.blank("xx")
    patterns = [{"label": "LOC", "pattern": name} for name in ("Oslo", "Bergen", "Zürich")]
    nlp.add_pipe("entity_ruler").add_patterns([*patterns, {"label": "PER", "pattern": "Anna"}])
    nlp.add_pipe("soak_scores")
    nlp.to_disk(folder)


def run(folder, name, target, shard=None, events=None):
    """Annotate in a fork.

    shard (Optional[str]): The shard to annotate.
    events (Optional[int]): How many operations on files of the output it may do before it kills
        itself, None for all.
    RETURNS (int): The number of the process.
    """
    process = os.fork()
    if process:
        return process
    try:
        if events is not None:
            _kill_at(events, target.parent)
        path = get_input(folder, name)
        settings = {"source": "text" if name == "text" else "lines", "target": name}
        if shard is not None:
            target = target.parent
        annotate(str(folder / "pipeline"), path, target, shard=shard, batch_size=16, **settings)
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(1)
    os._exit(0)


def get_input(folder, name):
    """A file of the format "text" is one document."""
    return folder / ("one" if name == "text" else "many")


def get_output(folder, name, shard):
    """RETURNS (str): The name of an output."""
    if shard is None:
        return "out"
    suffix = check_outputs(folder, name)
    return name_output(get_input(folder, name), parse_shard(shard), suffix)


def _kill_at(events, folder):
    left = events

    def hook(event, args):
        nonlocal left
        if event not in EVENTS or not str(args[0]).startswith(str(folder)):
            return
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def wait(process, seconds=None):
    """RETURNS (bool): Whether a process has come to its end; it is killed after some seconds.
    RAISES (AssertionError): If it ends otherwise.
    """
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        done, status = os.waitpid(process, 0 if end is None else os.WNOHANG)
        if done:
            break
        time.sleep(0.0005)
    else:
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0, "the run has failed"
    return True


def soak(folder, name, n_kills, rng, shard=None):
    """Kill runs of a format.

    RETURNS (Counts): What happened.
    RAISES (AssertionError): For an output that isn't that of a run left alone, and for files that
        are left next to it.
    """
    (folder / name).mkdir()
    out = get_output(folder, name, shard)
    whole, target = folder / name / "whole" / out, folder / name / "made" / out
    begin = time.monotonic()
    assert wait(run(folder, name, whole, shard))
    duration = time.monotonic() - begin
    n_events = 4 * (len((folder / "many").read_text("utf-8").splitlines()) // 16) + 8
    counts = Counts(0, 0, 0)
    while counts.kills < n_kills or target.parent.exists():
        target.parent.mkdir(exist_ok=True)
        if counts.kills >= n_kills:
            is_done = wait(run(folder, name, target, shard))
        elif counts.kills % 2:
            is_done = wait(run(folder, name, target, shard, rng.randrange(n_events)))
        else:
            is_done = wait(run(folder, name, target, shard), duration * rng.random())
        left = sorted(path.name for path in target.parent.iterdir())
        if not is_done:
            counts = counts._replace(
                kills=counts.kills + 1, resumed=counts.resumed + (f"{out}.part" in left)
            )
            continue
        assert left == [out], f"{name}: {left} are left"
        assert target.read_bytes() == whole.read_bytes(), f"{name}: the output is another one"
        target.unlink()
        target.parent.rmdir()
        counts = counts._replace(ends=counts.ends + 1)
    return counts


def main(args: Optional[list] = None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30, help="of each format")
    parser.add_argument("--records", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--formats", nargs="+", choices=WRITTEN, default=WRITTEN)
    parser.add_argument("--shard", help="such as 2/3; by default, all records are annotated")
    settings = parser.parse_args(args)
    rng = random.Random(settings.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pipeline(folder / "pipeline")
        lines = [" ".join(rng.choices(WORDS, k=20)) for _ in range(settings.records)]
        (folder / "many").write_text("\n".join(lines), encoding="utf-8")
        (folder / "one").write_text("\n".join(lines), encoding="utf-8")
        for target in settings.formats:
            counts = soak(folder, target, settings.kills, rng, settings.shard)
            sys.stdout.write(
                f"{target}: {counts.kills} kills, {counts.resumed} with something to resume, "
                f"{counts.ends} outputs, all identical\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
