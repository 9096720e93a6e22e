"""Train the cells of a small grid, and compare their scores."""

import shutil
import time
from collections import defaultdict
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy
import spacy
import srsly
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import logger

from ..errors import UserError
from ..formats import read_docs
from ..formats.output import check_target, open_locked, replace_file, sync
from ..hf.folders import report_unwritable
from .annotate import predict
from .checks import check_input, read_config, require_gpu
from .pipelines import load_pipeline
from .runs import Run, digest, make_key, read_results
from .spec import Cell, Spec, check_spec, read_spec
from .summary import SystemScores, format_markdown, format_time, summarize
from .train_process import call, make_train_command, temporary_folder
from .workflow_folders import WorkflowRun, plan_run
from .workflows import get_facts


def compare_file(
    spec_path: Path,
    output: Path,
    *,
    markdown_path: Optional[Path] = None,
    keep: bool = False,
    use_gpu: int = -1,
    notify: Callable[[str], None] = logger.info,
) -> List[SystemScores]:
    """Run the comparison of a file, see `compare`.

    spec_path (Path): A file, see `read_spec`.
    output (Path): The folder of the results.
    markdown_path (Optional[Path]): Where to also write the table, in Markdown.
    keep (bool): Whether to keep the trained pipelines.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    notify (Callable[[str], None]): Gets a line when a training begins, and when it ends.
    RETURNS (List[SystemScores]): The systems.
    RAISES (UserError): For what can't be read, trained or written.
    """
    check_input(spec_path)
    if markdown_path is not None:
        check_target(markdown_path, [spec_path])
    spec = read_spec(spec_path)
    runs = []
    for run in compare(spec, output, keep=keep, use_gpu=use_gpu, notify=notify):
        runs.append(run)
        (scores,) = summarize(spec, [run])
        notify(
            f"{run.cell}, seed {run.seed}: dev F1 {scores.dev:.2f}, test F1 {scores.test:.2f}, "
            f"trained in {format_time(run.train_seconds)}"
        )
    rows = summarize(spec, runs)
    if markdown_path is not None:
        with replace_file(markdown_path) as file:
            file.write(format_markdown(rows).encode("utf-8"))
    return rows


def compare(
    spec: Spec,
    output: Path,
    *,
    keep: bool = False,
    use_gpu: int = -1,
    notify: Callable[[str], None] = logger.info,
) -> Iterator[Run]:
    """Train the systems that haven't been trained yet, each in its own process, and predict. Each
    result is immediately added as a line to `results.jsonl` in the output folder; existing results
    are kept.

    spec (Spec): The comparison.
    output (Path): A folder.
    keep (bool): Whether to keep the trained pipelines. Systems that were trained and not kept are
        then trained again.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    notify (Callable[[str], None]): Gets a line when a training begins, with the time left.
    YIELDS (Run): All runs, in the order of cells and seeds.
    RAISES (ValueError): For systems that can't be trained, see `check_spec`, and for a training
        that fails, with its output; with `keep`, for an existing folder with the name of a
        pipeline that this comparison didn't make. OSError: For files that don't exist.
    """
    check_spec(spec, use_gpu)
    require_gpu(use_gpu)
    with report_unwritable(output):
        output.mkdir(parents=True, exist_ok=True)
    results = output / "results.jsonl"
    with open_locked(results) as file:
        done = read_results(results, file)
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
                with temporary_folder(output / ".training") as temporary:
                    path = temporary / "pipeline"
                    run = _run(spec, plan, path, use_gpu)
                    if plan.key in done and plan.workflow_run is not None:  # steps were finished
                        seconds = max(run.train_seconds, done[plan.key].train_seconds)
                        run = run._replace(train_seconds=seconds)
                    done[plan.key] = run
                    file.write(f"{srsly.json_dumps(run._asdict())}\n".encode())
                    sync(file, results)
                    if keep:
                        _keep(plan, path)
            yield done[plan.key]._replace(cell=plan.cell.name)


class Planned(NamedTuple):
    """A training of a comparison.

    key (str): Identifies its result.
    folder (Path): Where the pipeline is kept, with `keep`.
    workflow_run (Optional[WorkflowRun]): The run of a workflow that makes it, if not a config.
    """

    cell: Cell
    seed: int
    key: str
    folder: Path
    workflow_run: Optional[WorkflowRun] = None


def _plan(spec: Spec, output: Path) -> List[Planned]:
    data = {split: digest(Path(path)) for split, path in spec.paths.items()}
    planned = []
    for cell in spec.cells:
        if cell.workflow is None:
            settings = read_config(cell.config, interpolate=False).to_str()
        for seed in cell.seeds:
            folder = output / cell.get_folder(seed)
            if cell.workflow is None:
                facts = [settings, cell.overrides, seed, spec.model, list(data.values())]
                planned.append(Planned(cell, seed, make_key(facts), folder))
            else:
                facts = [get_facts(cell.workflow, seed), seed, data["dev"], data["test"]]
                workflow_run = plan_run(cell.workflow, seed, output)
                planned.append(Planned(cell, seed, make_key(facts), folder, workflow_run))
    return planned


def _tell_left(todo: Sequence[Planned], done: Dict[str, Run]) -> str:
    """The estimated time of the remaining trainings, from those of the same system, or otherwise
    from all; empty if there are none."""
    times: Dict[str, List[float]] = defaultdict(list)
    for run in done.values():
        times[run.cell].append(run.train_seconds)
    if not times:
        return ""
    means = {name: numpy.mean(seconds) for name, seconds in times.items()}
    mean = numpy.mean(list(means.values()))
    return f", about {format_time(sum(means.get(plan.cell.name, mean) for plan in todo))} left"


def _run(spec: Spec, plan: Planned, folder: Path, use_gpu: int) -> Run:
    name = f"Training '{plan.cell.name}' with seed {plan.seed}"
    start = time.perf_counter()
    if plan.workflow_run is None:
        call(_make_command(spec, plan, folder, use_gpu), name)
    else:
        with plan.workflow_run.lock() as inherited:
            call(plan.workflow_run.prepare(use_gpu), name, inherited)
    seconds = time.perf_counter() - start
    if plan.workflow_run is None:
        nlp = spacy.load(folder / spec.model)
    else:
        nlp = load_pipeline(str(plan.workflow_run.find_pipeline()))
    counts, speed = {}, 0.0
    for split, path in (("dev", spec.dev), ("test", spec.test)):
        counts[split], speed = count(nlp, Path(path))
    return Run(plan.cell.name, plan.seed, plan.key, counts, round(seconds, 1), round(speed, 1))


def _make_command(spec: Spec, plan: Planned, folder: Path, use_gpu: int) -> List[str]:
    """The command that trains a config."""
    overrides = {
        "paths.train": spec.train,
        "paths.dev": spec.dev,
        "system.seed": plan.seed,
        **plan.cell.overrides,
    }
    return make_train_command(Path(plan.cell.config), folder, overrides, use_gpu)


def _keep(plan: Planned, path: Path) -> None:
    """Keep a pipeline. That of a workflow is copied, since other workflows may overwrite it."""
    if plan.workflow_run is not None:
        shutil.copytree(plan.workflow_run.find_pipeline(), path)
    path.rename(plan.folder)


def count(nlp: Language, path: Path) -> Tuple[List[List[int]], float]:
    """Predict the entities of documents from their words, and count them.

    nlp (Language): A trained pipeline.
    path (Path): A file of documents with entities.
    RETURNS (Tuple[List[List[int]], float]): For each document, the numbers of correct, predicted
        and gold entities; words per second.
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
    """RETURNS (set): Start, end and label of each entity.

    doc (Doc): The document.
    """
    return {(ent.start, ent.end, ent.label_) for ent in doc.ents}
