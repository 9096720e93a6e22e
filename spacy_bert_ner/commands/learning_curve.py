"""Train on growing parts of a corpus, and tell what more data would give."""

import time
from pathlib import Path
from typing import IO, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy
import spacy
import srsly
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import SimpleFrozenDict, logger

from ..errors import UserError
from ..findings import number
from ..formats import check_format, read_docs, write_docs
from ..formats.output import check_target, open_locked, replace_file, sync
from ..hf.folders import report_unwritable
from ..types import Ints1d
from .checks import check_reread, load_blank, read_config, require_gpu
from .compare import count
from .curve_page import render_page
from .curve_result import Training, make_result
from .init_config import init_config
from .runs import digest, make_key, read_lines
from .summary import format_time, get_f1
from .train_process import call, make_train_command, temporary_folder

PARTS = (0.1, 0.2, 0.4, 0.7, 1.0)
N_SEEDS = 3
# Files in the output folder.
CONFIG, RESULTS = "config.cfg", "results.jsonl"
JSON, PAGE = "learning_curve.json", "learning_curve.html"


def learning_curve(
    corpus_path: Path,
    dev_path: Path,
    output_path: Path,
    *,
    config_path: Optional[Path] = None,
    overrides: Dict[str, Any] = SimpleFrozenDict(),
    parts: Sequence[float] = PARTS,
    n_seeds: int = N_SEEDS,
    use_gpu: int = -1,
    force: bool = False,
    notify: Callable[[str], None] = logger.info,
) -> Dict[str, Any]:
    """Train on growing parts of a corpus, each in a process of its own, and fit a curve to the
    scores. Each result is immediately added to `results.jsonl` in the output folder, so that the
    same call resumes an interrupted one; more parts and seeds can be added.

    corpus_path, dev_path (Path): The training data, of which parts are used, and the data to score
        on, in any of the formats.
    output_path (Path): A folder for the results, with `learning_curve.html` and `.json` at the end.
    config_path (Optional[Path]): The config to train; None for that of `init_config` for the
        corpus, which is kept in the folder.
    overrides (Dict[str, Any]): Settings that override those of the config.
    parts (Sequence[float]): Shares of the documents to train on, above 0, with 1 for all.
    n_seeds (int): Number of trainings with each part, with the seeds 1, 2, and so on. Each seed has
        its own order of documents, of which parts are the beginnings.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    force (bool): Replace the curve of other data or settings in the folder.
    notify (Callable[[str], None]): Gets a line when a training begins, and when it ends.
    RETURNS (Dict[str, Any]): The scores and the conclusion, see `make_result`.
    RAISES (UserError): For data and settings that can't be used, a folder that can't be written or
        has another curve, and a training that fails.
    """
    for path in (corpus_path, dev_path):
        check_reread(path)
        check_format(path)
    _check_parts(parts, n_seeds)
    require_gpu(use_gpu)
    config, nlp = _read_config(config_path, corpus_path, dict(overrides))
    data = make_key([config, dict(overrides), digest(corpus_path), digest(dev_path)])
    _check_output(output_path, data, force)
    for name in (CONFIG, RESULTS, JSON, PAGE):
        check_target(output_path / name, [corpus_path, dev_path])
    docs = [doc for doc in read_docs(corpus_path, nlp) if doc.has_annotation("ENT_IOB")]
    plan = _plan(docs, sorted(set(parts)), n_seeds, data)
    with report_unwritable(output_path):
        output_path.mkdir(parents=True, exist_ok=True)
    with open_locked(output_path / RESULTS) as file:
        if config_path is None:
            config_path = output_path / CONFIG
            _write(config_path, config)
        study = Study(docs, dev_path, output_path, config_path, dict(overrides), use_gpu)
        trainings = _run_all(study, plan, file, notify)
        names = {"corpus": str(corpus_path), "dev": str(dev_path), "data": data}
        result = {**names, "overrides": dict(overrides), **make_result(trainings)}
        _write(output_path / JSON, srsly.json_dumps(result, indent=2) + "\n")
        _write(output_path / PAGE, render_page(result))
    return result


def _check_parts(parts: Sequence[float], n_seeds: int) -> None:
    """RAISES (UserError): For parts that aren't shares, or don't end with all data."""
    wrong = [part for part in parts if not 0.0 < part <= 1.0]
    if wrong:
        raise UserError(
            f"--parts has {wrong[0]:g}: each part must be above 0 and at most 1, such as 0.1,0.4,1."
        )
    if max(parts, default=0.0) < 1.0:
        raise UserError("--parts must include 1, for all data: add it, as in 0.1,0.4,1.")
    if n_seeds < 1:
        raise UserError(f"--seeds is {n_seeds}: train at least once with each part.")


def _read_config(
    path: Optional[Path], corpus_path: Path, overrides: Dict[str, Any]
) -> Tuple[str, Language]:
    """RETURNS (Tuple[str, Language]): The config, as text with its variables, and a pipeline with
    its tokenizer.
    """
    if path is None:
        return init_config(train=corpus_path), spacy.blank("en")  # its default language
    nlp = load_blank(path, {**overrides, "paths.train": None, "paths.dev": None})
    return read_config(path, interpolate=False).to_str(), nlp


def _check_output(path: Path, data: str, force: bool) -> None:
    """RAISES (UserError): For a folder that has something else, or can't be written."""
    if path.exists() and not path.is_dir():
        raise UserError(f"Can't write to {path}: it is a file. Choose a folder.")
    if force or not path.exists() or not any(path.iterdir()):
        return
    way_out = "Choose another folder, or write to this one with --force (force=True in Python)."
    if not (path / RESULTS).exists():
        raise UserError(f"Can't write to {path}: the folder has other files. {way_out}")
    try:
        before = srsly.read_json(path / JSON)["data"] if (path / JSON).exists() else data
    except (KeyError, TypeError, ValueError):
        before = None
    if before != data:
        raise UserError(
            f"Can't write to {path}: it has the learning curve of other data or settings. {way_out}"
        )


def _write(path: Path, text: str) -> None:
    with replace_file(path) as file:
        file.write(text.encode("utf-8"))


class Planned(NamedTuple):
    """A training.

    part (float): The share of the documents.
    rows (Ints1d): These documents, int64, (n_docs_of_part,).
    key (str): Identifies its result.
    """

    part: float
    seed: int
    rows: Ints1d
    key: str


class Study(NamedTuple):
    """What all trainings have in common.

    docs (List[Doc]): The corpus.
    dev (Path): The data to score on.
    output (Path): The folder of the results.
    config (Path): The config.
    overrides (Dict[str, Any]): Settings that override those of the config.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    """

    docs: List[Doc]
    dev: Path
    output: Path
    config: Path
    overrides: Dict[str, Any]
    use_gpu: int


def _plan(docs: Sequence[Doc], parts: Sequence[float], n_seeds: int, data: str) -> List[Planned]:
    """RETURNS (List[Planned]): The trainings, by seed.
    RAISES (UserError): For parts that are the same documents, or have no entities.
    """
    sizes = [max(round(part * len(docs)), 1) for part in parts]
    for part, other, n, n_other in zip(parts, parts[1:], sizes, sizes[1:]):
        if n == n_other:
            raise UserError(
                f"The parts {part:g} and {other:g} both have {number(n, 'document')} of "
                f"{len(docs)}: use fewer --parts, or more documents."
            )
    planned = []
    for seed in range(1, n_seeds + 1):
        order = numpy.random.default_rng(seed).permutation(len(docs))
        for part, size in zip(parts, sizes):
            rows = numpy.sort(order[:size])
            if not any(docs[i].ents for i in rows):
                raise UserError(
                    f"The part {part:g} with seed {seed} ({number(size, 'document')}) has no "
                    "entities to learn. Use larger --parts, or more data."
                )
            planned.append(Planned(part, seed, rows, make_key([data, size, seed])))
    return planned


def _run_all(
    study: Study, plan: Sequence[Planned], file: IO[bytes], notify: Callable[[str], None]
) -> List[Training]:
    """RETURNS (List[Training]): The results, in the order of the plan."""
    results = study.output / RESULTS
    done = {one.key: one for one in read_lines(results, file, Training.parse)}
    todo = [planned for planned in plan if planned.key not in done]
    for i, planned in enumerate(todo):
        what = f"{planned.part:.0%} of the data with seed {planned.seed}"
        left = _tell_left(todo[i:], list(done.values()))
        notify(f"Training on {what}: training {i + 1} of {len(todo)}{left}")
        training = _train(study, planned, what)
        f1 = float(get_f1(numpy.array(training.counts).sum(axis=0)))
        notify(f"F1 {f1:.1f}, trained in {format_time(training.seconds)}")
        file.write(f"{srsly.json_dumps(training._asdict())}\n".encode())
        sync(file, results)
        done[planned.key] = training
    return [done[planned.key] for planned in plan]


def _tell_left(todo: Sequence[Planned], done: Sequence[Training]) -> str:
    """The estimated time of the remaining trainings: most configs have a number of steps, so that
    the size of the part makes little difference."""
    if not done:
        return ""
    mean = float(numpy.mean([training.seconds for training in done]))
    return f", about {format_time(mean * len(todo))} left"


def _train(study: Study, planned: Planned, what: str) -> Training:
    docs = [study.docs[i] for i in planned.rows]
    start = time.perf_counter()
    with temporary_folder(study.output / ".training") as folder:
        write_docs(folder / "train.spacy", docs)
        overrides = {
            **study.overrides,
            "paths.train": str(folder / "train.spacy"),
            "paths.dev": str(study.dev),
            "system.seed": planned.seed,
        }
        command = make_train_command(study.config, folder / "out", overrides, study.use_gpu)
        call(command, f"Training on {what}")
        # Not model-best, which was chosen on the data to score on.
        counts, _ = count(spacy.load(folder / "out" / "model-last"), study.dev)
    return Training(
        key=planned.key,
        part=planned.part,
        seed=planned.seed,
        documents=len(docs),
        tokens=sum(map(len, docs)),
        entities=sum(len(doc.ents) for doc in docs),
        counts=counts,
        seconds=round(time.perf_counter() - start, 1),
    )
