"""Train the cells of a small grid, and say which is better by how much."""

import hashlib
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy
import spacy
import srsly
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import load_config

from .annotate import predict
from .formats import read_docs
from .types import Floats1d, Ints2d

N_RESAMPLES = 2000
DEFAULT_SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Cell:
    """One system to compare.

    Attributes
    ----------
    name (str): Its name.
    config (str): Path of its config.
    overrides (Dict[str, Any]): Settings that take the place of the config's.
    seeds (Tuple[int, …]): Each trains it once.
    """

    name: str
    config: str
    overrides: Dict[str, Any] = field(default_factory=dict)
    seeds: Tuple[int, ...] = DEFAULT_SEEDS


@dataclass(frozen=True)
class Spec:
    """What to compare.

    Attributes
    ----------
    train, dev, test (str): Paths of the data, in any of the formats.
    cells (Tuple[Cell, …]): The systems. The others are compared with the first.
    model (str): "model-last" or "model-best".
    """

    train: str
    dev: str
    test: str
    cells: Tuple[Cell, ...]
    model: str = "model-last"


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
    deviation (float): Standard deviation of `test` over the seeds.
    difference (Optional[Tuple[float, float, float]]): Of `test` from the first system, over the
        seeds that both have, and the ends of its 95 % interval.
    """

    cell: str
    n_seeds: int
    dev: float
    test: float
    deviation: float
    difference: Optional[Tuple[float, float, float]]
    train_seconds: float
    words_per_second: float


def read_spec(path: Path) -> Spec:
    """Read a comparison from YAML:

        paths: {train: train.spacy, dev: dev.spacy, test: test.spacy}
        config: configs/bert_ner.cfg
        seeds: [1, 2, 3]
        overrides: {training.max_steps: 428}
        cells:
          first piece: {}
          smoothed: {components.bert_ner.loss.label_smoothing: 0.1}
          crf: {config: configs/crf.cfg, seeds: [1, 2]}

    `config`, `seeds` and `overrides` are those of all cells; a cell's own are put over them.

    RAISES (ValueError): For what is missing or unknown.
    """
    data = srsly.read_yaml(path)
    if not isinstance(data, dict):
        raise ValueError(f"Can't compare by {path}: it holds no settings. Name paths and cells.")
    known = {"paths", "config", "seeds", "overrides", "cells", "model"}
    unknown, missing = set(data) - known, {"paths", "cells"} - set(data)
    if unknown or missing:
        raise ValueError(
            f"Can't compare by {path}: {sorted(unknown)} unknown, {sorted(missing)} missing. It "
            f"takes {', '.join(sorted(known))}."
        )
    paths = data["paths"]
    if not isinstance(paths, dict) or set(paths) != {"train", "dev", "test"}:
        raise ValueError(f"Can't compare by {path}: set paths to train, dev and test.")
    cells = [
        _read_cell(path, data, name, settings or {}) for name, settings in data["cells"].items()
    ]
    return Spec(
        **paths,
        cells=tuple(cells),
        model=data.get("model", "model-last"),
    )


def _read_cell(path: Path, data: Dict[str, Any], name: str, settings: Dict[str, Any]) -> Cell:
    overrides = {**data.get("overrides", {}), **settings}
    config = overrides.pop("config", data.get("config"))
    seeds = overrides.pop("seeds", data.get("seeds", DEFAULT_SEEDS))
    if config is None:
        raise ValueError(f"Can't compare by {path}: '{name}' has no config. Set one for all.")
    return Cell(str(name), str(config), overrides, tuple(seeds))


def compare(spec: Spec, output: Path, *, keep: bool = False) -> Iterator[Run]:
    """Train what hasn't been trained yet, each in a process of its own, and predict. Results are
    added to `results.jsonl` in the output folder, one a line, as soon as they are there; those
    that are there are not made again.

    output (Path): A folder.
    keep (bool): Whether to keep the trained pipelines.
    YIELDS (Run): All runs, in the order of cells and seeds.
    RAISES (ValueError): For a training that fails, with what it printed.
    """
    results = output / "results.jsonl"
    output.mkdir(parents=True, exist_ok=True)
    lines = srsly.read_jsonl(results) if results.exists() else []
    done = {run.key: run for run in (Run(**line) for line in lines)}
    for cell in spec.cells:
        for seed in cell.seeds:
            key = _make_key(spec, cell, seed)
            if key not in done:
                folder = output / f"{cell.name.replace(' ', '-')}-{seed}"
                done[key] = _run(spec, cell, seed, key, folder)
                line = [done[key]._asdict()]
                srsly.write_jsonl(results, line, append=True, append_new_line=False)
                if not keep:
                    rmtree(folder)
            yield done[key]


def _make_key(spec: Spec, cell: Cell, seed: int) -> str:
    """Of all that a result depends on but the data and the code."""
    settings = {**asdict(cell), "seeds": [seed], "data": [spec.train, spec.dev, spec.test]}
    config = load_config(cell.config, interpolate=False).to_str()
    text = srsly.json_dumps([settings, spec.model, config], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def _run(spec: Spec, cell: Cell, seed: int, key: str, folder: Path) -> Run:
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
    start = time.perf_counter()
    result = subprocess.run([*command, *options], capture_output=True, text=True)
    if result.returncode:
        raise ValueError(
            f"Training '{cell.name}' with seed {seed} has failed. What is done stays; mend this, "
            f"and run it again.\n{' '.join([*command, *options])}\n{result.stdout}{result.stderr}"
        )
    seconds = time.perf_counter() - start
    nlp = spacy.load(folder / spec.model)
    counts, speed = {}, 0.0
    for split, path in (("dev", spec.dev), ("test", spec.test)):
        counts[split], speed = count(nlp, Path(path))
    return Run(cell.name, seed, key, counts, round(seconds, 1), round(speed, 1))


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
                deviation=float(scores.std(ddof=1)) if len(own) > 1 else 0.0,
                difference=difference,
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
    for row in rows:
        difference = ""
        if row.difference is not None:
            difference = "{:+.2f} ({:+.2f} to {:+.2f})".format(*row.difference)
        lines.append(
            f"| {row.cell} | {row.n_seeds} | {row.dev:.2f} | {row.test:.2f} | {row.deviation:.2f} "
            f"| {difference} | {row.train_seconds:.0f} s | {row.words_per_second:.0f} |"
        )
    return "\n".join(lines) + "\n"
