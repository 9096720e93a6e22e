from pathlib import Path
from typing import Optional

from typer import Argument, Context, Option

from ._util import read_overrides

# fmt: off


def train_cli(
    ctx: Context,
    config_path: Path = Argument(..., metavar="CONFIG", readable=False, help="Config, as for spacy train"),
    output_path: Optional[Path] = Option(None, "--output", "-o", readable=False, help="Folder for model-best and model-last"),
    code_path: Optional[Path] = Option(None, "--code", "-c", metavar="FILE", readable=False, help="Python file with registered functions"),
    n_gpu: int = Option(0, "--n-gpu", min=0, help="Train on this many GPUs, from number 0, with a process for each"),
    n_cpu: int = Option(0, "--n-cpu", min=0, help="Train on the CPU, in this many processes"),
) -> None:
    # fmt: on
    """
    Train as spacy train does, in several processes on one machine. Each learns
    from a part of every batch, and their gradients are summed.

    Override settings of the config as in spacy train: --training.max_steps 500.
    On several machines, start it with torchrun.
    """
    from ..commands.parallel_training import train

    train(
        config_path,
        output_path,
        overrides=read_overrides(ctx),
        code_path=code_path,
        n_gpu=n_gpu,
        n_cpu=n_cpu,
    )
