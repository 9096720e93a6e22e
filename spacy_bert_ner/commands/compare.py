"""Train the cells of a small grid, and tell which is better by how much."""

import hashlib
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy
import spacy
import srsly
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import load_config, logger

from ..errors import UserError
from ..formats import read_docs
from ..formats.output import open_locked, sync
from ..hf.folders import report_unwritable
from ..pages.markdown import escape
from ..types import Floats1d, Ints2d
from .annotate import predict
from .spec import Cell, Spec, check_spec

N_RESAMPLES = 2000
# With fewer seeds or test documents, an interval would say more than is known.
MIN_SEEDS, MIN_DOCS = 2, 10
# Of a table of 80 columns: the names of systems, and what it has of them.
NAME_WIDTH, WIDTHS = 12, (5, 6, 7, 5, 24, 7, 7)
LEGEND = f"""\
F1 from 0 to 100, mean over the seeds; dev.: standard deviation of test F1 over
the seeds; difference: of test F1 from the first system, with its 95 % interval
(too little data: fewer than {MIN_SEEDS} common seeds or {MIN_DOCS} test documents); train: time
of one training; words/s: words read a second."""


class Run(NamedTuple):
    """A system, trained once.

    cell (str): Its name.
    seed (int): The seed.
    key (str): Tells whether the settings are still those that it was trained with.
    counts (Dict[str, List[List[int]]]): For "dev" and "test", of each document the entities that
        are right, the predicted, and the gold ones.
    train_seconds, words_per_second (float): Time of training; speed of prediction on "test".
    """

    cell: str
    seed: int
    key: str
    counts: Dict[str, List[List[int]]]
    train_seconds: float
    words_per_second: float


class Row(NamedTuple):
    """A line of the comparison: means over the seeds.

    dev, test (float): Strict entity F1, 0 to 100.
    deviation (Optional[float]): Standard deviation of `test` over the seeds, None for one.
    difference (Optional[Tuple[float, float, float]]): Of `test` from the first system, over the
        seeds that both have, and the ends of its 95 % interval.
    is_enough (bool): Whether there are seeds and documents enough for the interval to mean
        something.
    """

    cell: str
    n_seeds: int
    dev: float
    test: float
    deviation: Optional[float]
    difference: Optional[Tuple[float, float, float]]
    is_enough: bool
    train_seconds: float
    words_per_second: float


def compare(
    spec: Spec,
    output: Path,
    *,
    keep: bool = False,
    use_gpu: int = -1,
    notify: Callable[[str], None] = logger.info,
) -> Iterator[Run]:
    """Train what hasn't been trained yet, each in a process of its own, and predict. Each result is
    added as a line to `results.jsonl` in the output folder at once; existing ones are kept.

    output (Path): A folder.
    keep (bool): Whether to keep the trained pipelines. What was trained and not kept is then
        trained again.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    notify (Callable[[str], None]): Gets a line for each training that begins, with the time left.
    YIELDS (Run): All runs, in the order of cells and seeds.
    RAISES (ValueError): For what can't be trained, see `check_spec`, and for a training that fails,
        with what it printed; with `keep`, for an existing folder of a pipeline's name that isn't
        one of this comparison. OSError: For files that don't exist.
    """
    check_spec(spec)
    with report_unwritable(output):
        output.mkdir(parents=True, exist_ok=True)
    results = output / "results.jsonl"
    with open_locked(results) as file:
        done = _read_results(results, file)
        planned = _plan(spec, output)
        for plan in planned if keep else ():
            if plan.folder.exists() and plan.key not in done:
                raise UserError(
                    f"{plan.folder} already exists and wasn't created by this comparison. Move or "
                    "delete it."
                )
        todo = [p for p in planned if p.key not in done or (keep and not p.folder.exists())]
        n_trainings = len(todo)
        for plan in planned:
            if plan in todo:
                count = f"training {n_trainings - len(todo) + 1} of {n_trainings}"
                left = _tell_left(todo, done)
                notify(f"Training {plan.cell.name}, seed {plan.seed}: {count}{left}")
                todo = [other for other in todo if other.key != plan.key]
                with _make_folder(output / ".training") as temporary:
                    path = temporary / "pipeline"
                    run = done[plan.key] = _run(spec, plan, path, use_gpu)
                    file.write(f"{srsly.json_dumps(run._asdict())}\n".encode())
                    sync(file, results)
                    if keep:
                        path.rename(plan.folder)
            yield done[plan.key]._replace(cell=plan.cell.name)


@contextmanager
def _make_folder(path: Path) -> Iterator[Path]:
    """A folder that is gone in the end. It has one name, so that what a killed process has left is
    gone with the next."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Planned(NamedTuple):
    """A training of a comparison.

    key (str): Tells whether a result is that of it.
    folder (Path): Where the pipeline is kept, if it is.
    """

    cell: Cell
    seed: int
    key: str
    folder: Path


def _plan(spec: Spec, output: Path) -> List[Planned]:
    data = [_digest(Path(path)) for path in spec.paths]
    planned = []
    for cell in spec.cells:
        settings = load_config(cell.config, interpolate=False).to_str()
        for seed in cell.seeds:
            key = _make_key([settings, cell.overrides, seed, spec.model, data])
            planned.append(Planned(cell, seed, key, output / cell.get_folder(seed)))
    return planned


def _tell_left(todo: Sequence[Planned], done: Dict[str, Run]) -> str:
    """About how long trainings will take, by those of the same system, else by all; nothing if
    there are none."""
    times: Dict[str, List[float]] = defaultdict(list)
    for run in done.values():
        times[run.cell].append(run.train_seconds)
    if not times:
        return ""
    means = {name: numpy.mean(seconds) for name, seconds in times.items()}
    mean = numpy.mean(list(means.values()))
    return f", about {format_time(sum(means.get(plan.cell.name, mean) for plan in todo))} left"


def format_time(seconds: float) -> str:
    """RETURNS (str): A time for people: "40 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _read_results(path: Path, file: IO[bytes]) -> Dict[str, Run]:
    """RETURNS (Dict[str, Run]): The existing results, by their keys. A line that was cut off when a
    process ended is taken away, so that the next one can be added.
    RAISES (ValueError): For a line that is no result.
    """
    data = file.read()
    n_good = data.rfind(b"\n") + 1
    if n_good < len(data):
        file.truncate(n_good)
    file.seek(n_good)
    done = {}
    for number, line in enumerate(data[:n_good].splitlines(), start=1):
        try:
            run = _check_run(Run(**srsly.json_loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"Line {number} of {path} is no result ({error}). Delete the line; its training "
                "is then repeated."
            ) from error
        done[run.key] = run
    return done


def _check_run(run: Run) -> Run:
    """RAISES (KeyError, TypeError, ValueError): For values that a result doesn't have."""
    for split in ("dev", "test"):
        counts = numpy.asarray(run.counts[split])
        if counts.ndim != 2 or counts.shape[1] != 3 or counts.dtype.kind != "i":
            raise UserError(f"its counts of {split} aren't three numbers a document")
    if not all(isinstance(value, str) for value in (run.cell, run.key)):
        raise TypeError("its names aren't strings")
    if not all(type(value) in (int, float) for value in (run.train_seconds, run.words_per_second)):
        raise TypeError("its times aren't numbers")
    return run


def _digest(path: Path) -> str:
    """Of a file, or of all files of a folder."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _make_key(facts: List[Any]) -> str:
    """Of all that a result depends on, but the code."""
    text = srsly.json_dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def _run(spec: Spec, plan: Planned, folder: Path, use_gpu: int) -> Run:
    cell, seed = plan.cell, plan.seed
    overrides = {
        "paths.train": spec.train,
        "paths.dev": spec.dev,
        "system.seed": seed,
        **cell.overrides,
    }
    options = [
        word
        for name, value in overrides.items()
        for word in (f"--{name}", value if isinstance(value, str) else srsly.json_dumps(value))
    ]
    command = [sys.executable, "-m", "spacy", "train", cell.config, "--output", str(folder)]
    command += ["--gpu-id", str(use_gpu), *options]
    start = time.perf_counter()
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise UserError(
            f"Training '{cell.name}' with seed {seed} has failed. Finished trainings are kept: fix "
            "this, and run the same command again.\n"
            f"{shlex.join(command)}\n{result.stdout}{result.stderr}"
        )
    seconds = time.perf_counter() - start
    nlp = spacy.load(folder / spec.model)
    counts, speed = {}, 0.0
    for split, path in (("dev", spec.dev), ("test", spec.test)):
        counts[split], speed = count(nlp, Path(path))
    return Run(cell.name, seed, plan.key, counts, round(seconds, 1), round(speed, 1))


def count(nlp: Language, path: Path) -> Tuple[List[List[int]], float]:
    """Predict documents on their words.

    RETURNS (Tuple[List[List[int]], float]): For each, the entities that are right, the predicted
        and the gold ones; words per second.
    """
    gold = list(read_docs(path, nlp))
    start = time.perf_counter()
    predicted = [get_ents(doc) for doc in predict(nlp, gold)]
    seconds = time.perf_counter() - start
    rows = [
        [len(one & other), len(one), len(other)]
        for one, other in zip(predicted, map(get_ents, gold))
    ]
    return rows, sum(map(len, gold)) / seconds


def get_ents(doc: Doc) -> set:
    """RETURNS (set): Start, end and label of each entity."""
    return {(ent.start, ent.end, ent.label_) for ent in doc.ents}


def summarize(spec: Spec, runs: Sequence[Run]) -> List[Row]:
    """RETURNS (List[Row]): A row for each system that has runs."""
    rows: List[Row] = []
    first: Dict[int, List[List[int]]] = {}
    for cell in spec.cells:
        own = {run.seed: run for run in runs if run.cell == cell.name}
        if not own:
            continue
        dev, test = (
            numpy.array([run.counts[split] for run in own.values()]) for split in ("dev", "test")
        )
        scores = get_f1(test.sum(axis=1))
        difference = None
        common = [seed for seed in own if seed in first]
        if common:
            difference = get_interval(
                numpy.array([first[seed] for seed in common]),
                numpy.array([own[seed].counts["test"] for seed in common]),
            )
        rows.append(
            Row(
                cell=cell.name,
                n_seeds=len(own),
                dev=float(get_f1(dev.sum(axis=1)).mean()),
                test=float(scores.mean()),
                deviation=float(scores.std(ddof=1)) if len(own) > 1 else None,
                difference=difference,
                is_enough=len(common) >= MIN_SEEDS and test.shape[1] >= MIN_DOCS,
                train_seconds=float(numpy.mean([run.train_seconds for run in own.values()])),
                words_per_second=float(numpy.mean([run.words_per_second for run in own.values()])),
            )
        )
        first = first or {seed: run.counts["test"] for seed, run in own.items()}
    return rows


def get_f1(counts: Ints2d) -> Floats1d:
    """RETURNS (Floats1d): F1, 0 to 100, of right, predicted and gold entities, (…, 3)."""
    return 200.0 * counts[..., 0] / numpy.maximum(counts[..., 1] + counts[..., 2], 1)


def get_interval(first: Ints2d, second: Ints2d, seed: int = 0) -> Tuple[float, float, float]:
    """The mean difference of F1 over seeds, and its 95 % interval by the paired bootstrap (Efron
    1979; Berg-Kirkpatrick et al. 2012): seeds and documents are drawn again, with replacement, the
    same ones for both systems.

    first, second (Ints2d): Counts by seed and document, (n_seeds, n_docs, 3).
    RETURNS (Tuple[float, float, float]): The difference of the second from the first, and the ends.
    """
    rng = numpy.random.default_rng(seed)
    n_seeds, n_docs, _ = first.shape
    differences = numpy.zeros(N_RESAMPLES)
    for i in range(N_RESAMPLES):
        seeds = rng.integers(n_seeds, size=n_seeds)
        weights = numpy.bincount(rng.integers(n_docs, size=n_docs), minlength=n_docs)
        one, other = (numpy.einsum("d,sdc->sc", weights, X[seeds]) for X in (first, second))
        differences[i] = (get_f1(other) - get_f1(one)).mean()
    low, high = numpy.quantile(differences, [0.025, 0.975])
    whole = (get_f1(second.sum(axis=1)) - get_f1(first.sum(axis=1))).mean()
    return float(whole), float(low), float(high)


def format_markdown(rows: Sequence[Row]) -> str:
    """RETURNS (str): A table in markdown."""
    lines = [
        "| system | seeds | dev F1 | test F1 | deviation | difference (95 %) | training | words/s |"
    ]
    lines.append("| --- " * 8 + "|")
    lines += [f"| {escape(row.cell)} | {' | '.join(_cells(row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def format_table(rows: Sequence[Row]) -> str:
    """RETURNS (str): A table of at most 80 columns, with what it shows below it."""
    header = ("seeds", "dev F1", "test F1", "dev.", "difference (95 %)", "train", "words/s")
    lines = []
    for name, cells in [("system", header), *((row.cell, _cells(row)) for row in rows)]:
        first, *more = textwrap.wrap(name, NAME_WIDTH)
        columns = " ".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS))
        lines += [f"{first:{NAME_WIDTH}} {columns}", *more]
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:], rule, LEGEND]) + "\n"


def _cells(row: Row) -> Tuple[str, ...]:
    """What a table has of a system, without its name."""
    difference = ""
    if row.difference is not None:
        mean, low, high = row.difference
        interval = f"{low:+.2f} to {high:+.2f}" if row.is_enough else "too little data"
        difference = f"{mean:+.2f} ({interval})"
    return (
        str(row.n_seeds),
        f"{row.dev:.2f}",
        f"{row.test:.2f}",
        "" if row.deviation is None else f"{row.deviation:.2f}",
        difference,
        f"{row.train_seconds:.0f} s",
        f"{row.words_per_second:.0f}",
    )
