"""Data-parallel training: several processes, each with a copy of the pipeline, learn from a part of
every batch. Before each step, their gradients are summed by torch.distributed, so that all copies
stay the same, as if one process had learned from all parts (`accumulate_gradient`)."""

import os
import sys
import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional

from spacy.language import Language
from spacy.training import Example

from ..errors import UserError, explain, needing_torch
from .checks import check_input, read_config, require_gpu

# For the others, while the first process evaluates.
TIMEOUT = timedelta(hours=12)
# It tells in environment variables where the other processes are.
TORCHRUN = "env://"


class TrainSettings(NamedTuple):
    """What to train.

    config_path (Path): The config.
    output_path (Optional[Path]): Folder for `model-best` and `model-last`; None for none.
    overrides (Dict[str, Any]): Settings that override those of the config, by names with dots.
    code_path (Optional[Path]): Python file with registered functions; None for none.
    n_processes (int): Number of processes on this machine.
    on_gpu (bool): Whether each has a GPU of its own.
    """

    config_path: Path
    output_path: Optional[Path]
    overrides: Dict[str, Any]
    code_path: Optional[Path]
    n_processes: int
    on_gpu: bool


def train(
    config_path: Path,
    output_path: Optional[Path] = None,
    *,
    overrides: Optional[Dict[str, Any]] = None,
    code_path: Optional[Path] = None,
    n_gpu: int = 0,
    n_cpu: int = 0,
) -> None:
    """Train a pipeline as `spacy train` does, in several processes. In a process that torchrun has
    started, train in this one, together with the others, on the CPU or on its GPU.

    config_path (Path): The config.
    output_path (Optional[Path]): Folder for `model-best` and `model-last`; None for none.
    overrides (Optional[Dict[str, Any]]): Settings that override those of the config, by names with
        dots.
    code_path (Optional[Path]): Python file with registered functions; None for none.
    n_gpu (int): Number of GPUs to train on, from number 0, with a process for each; 0 for none.
    n_cpu (int): Number of processes on the CPU, 0 for none.
    RAISES (UserError): Without a number of processes, or with both; for a GPU that doesn't exist;
        and if a process fails for a reason that can be fixed.
    """
    if bool(n_gpu) == bool(n_cpu):
        raise UserError(
            f"Can't train on {n_gpu} GPUs and in {n_cpu} processes on the CPU: set either --n-gpu "
            "or --n-cpu, for example --n-gpu 2."
        )
    for path in (config_path, code_path):
        if path is not None:
            check_input(path)
    settings = TrainSettings(
        config_path, output_path, overrides or {}, code_path, n_gpu or n_cpu, n_gpu > 0
    )
    if "LOCAL_RANK" in os.environ:
        _train_rank(int(os.environ["LOCAL_RANK"]), settings, TORCHRUN)
        return
    with needing_torch():
        from torch.multiprocessing.spawn import ProcessExitedException, spawn
    if n_gpu:
        require_gpu(n_gpu - 1)
    with tempfile.TemporaryDirectory() as folder:
        try:
            spawn(_run_rank, args=(settings, folder), nprocs=settings.n_processes)
        except ProcessExitedException as error:
            messages = sorted(Path(folder).glob("error-*"))
            if not messages:
                raise UserError(
                    f"Process {error.error_index} of {settings.n_processes} ended with exit code "
                    f"{error.exit_code}, maybe for lack of memory: train in fewer processes, or on "
                    "smaller batches."
                ) from error
            raise UserError(messages[0].read_text(encoding="utf-8")) from error


def _run_rank(rank: int, settings: TrainSettings, folder: str) -> None:
    """Train in one of the processes. An error that can be fixed is written to a file, without
    traceback."""
    try:
        _train_rank(rank, settings, f"file://{folder}/store")
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        Path(folder, f"error-{rank}").write_text(message, encoding="utf-8")
        sys.exit(1)


def _train_rank(local_rank: int, settings: TrainSettings, init_method: str) -> None:
    import torch.distributed
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as train_nlp
    from spacy.util import import_file

    gpu = local_rank if settings.on_gpu else -1
    require_gpu(gpu)
    if settings.code_path is not None:
        import_file("python_code", settings.code_path)
    # Where torchrun has started the processes, it says how many there are on all machines.
    sizes: Any = {"rank": local_rank, "world_size": settings.n_processes}
    torch.distributed.init_process_group(
        "nccl" if settings.on_gpu else "gloo",
        init_method,
        TIMEOUT,
        **({} if init_method == TORCHRUN else sizes),
    )
    try:
        config = read_config(settings.config_path, settings.overrides, interpolate=False)
        nlp = init_nlp(config, use_gpu=gpu)
        rank = torch.distributed.get_rank()
        share(nlp, rank, torch.distributed.get_world_size())
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            streams = (sys.stdout, sys.stderr) if rank == 0 else (nowhere, nowhere)
            output = settings.output_path if rank == 0 else None
            if output is not None:
                output.mkdir(parents=True, exist_ok=True)
            train_nlp(nlp, output, use_gpu=gpu, stdout=streams[0], stderr=streams[1])
    finally:
        torch.distributed.destroy_process_group()


def share(nlp: Language, rank: int, n_processes: int) -> None:
    """Have a pipeline learn together with its copies in other processes, from a part of each batch,
    and use the scores of the first process.

    nlp (Language): The pipeline. Changed.
    rank (int): Number of this process, from 0.
    n_processes (int): Number of all processes.
    """
    from ..model.encoder.copies import send, send_weights, sum_gradients, sum_numbers

    pipes: List[Any] = [pipe for _, pipe in nlp.pipeline if getattr(pipe, "is_trainable", False)]
    if not pipes:
        raise UserError(
            f"The pipeline has nothing to train: its components are {nlp.pipe_names}. Add one with "
            "a model, such as bert_ner."
        )
    update, evaluate = nlp.update, nlp.evaluate

    def finish(pipe: Any, finish_update: Callable[[Any], None], sgd: Any) -> None:
        sum_gradients(pipe.model)
        finish_update(sgd)

    for pipe in pipes:
        send_weights(pipe.model)
        pipe.finish_update = partial(finish, pipe, pipe.finish_update)

    def update_part(examples: Iterable[Example], losses: Any = None, **settings: Any) -> Any:
        # Neighbors by length in different processes, so that all have about as much to do, but by
        # twos: batches for R-Drop have each document twice.
        ordered = sorted(examples, key=lambda example: len(example.predicted))
        part = [example for i, example in enumerate(ordered) if i // 2 % n_processes == rank]
        own: Dict[str, float] = {}
        if part:
            update(part, losses=own, **settings)
        losses = {} if losses is None else losses
        numbers = [own.get(pipe.name, 0.0) for pipe in pipes]
        for pipe, value in zip(pipes, sum_numbers(numbers, pipes[0].model).tolist()):
            losses[pipe.name] = losses.get(pipe.name, 0.0) + value
        return losses

    def evaluate_once(*args: Any, **settings: Any) -> Any:
        return send(evaluate(*args, **settings) if rank == 0 else None)

    vars(nlp).update(update=update_part, evaluate=evaluate_once)
