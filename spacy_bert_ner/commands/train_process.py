"""Trainings in processes of their own."""

import os
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any, Dict, Iterator, List, Sequence

import srsly

from ..errors import UserError


def make_train_command(
    config: Path, output: Path, overrides: Dict[str, Any], use_gpu: int = -1
) -> List[str]:
    """RETURNS (List[str]): The command that trains a config with `spacy train`.

    config (Path): The config.
    output (Path): The folder to create, with `model-best` and `model-last`.
    overrides (Dict[str, Any]): Settings to override, by their names with dots.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    """
    options = [
        word
        for name, value in overrides.items()
        for word in (f"--{name}", value if isinstance(value, str) else srsly.json_dumps(value))
    ]
    command = [sys.executable, "-m", "spacy", "train", str(config), "--output", str(output)]
    return [*command, "--gpu-id", str(use_gpu), *options]


def call(command: List[str], name: str, inherited: Sequence[int] = ()) -> None:
    """Run a command that trains, and wait for it. On a terminal, its progress line is shown, and
    what else it writes to standard error.

    command (List[str]): The command.
    name (str): What it does, for the message, such as "Training 'accurate' with seed 1".
    inherited (Sequence[int]): File descriptors that the process keeps open.
    RAISES (UserError): If the command fails, with its output.
    """
    # Messages show its output, where codes of colors would be escaped.
    env = {**os.environ, "ANSI_COLORS_DISABLED": "1"}
    stderr = None if sys.stderr.isatty() else PIPE
    result = subprocess.run(
        command, stdout=PIPE, stderr=stderr, text=True, pass_fds=inherited, env=env
    )
    if result.returncode:
        output = result.stdout + (result.stderr or "")
        raise UserError(
            f"{name} failed. Finished trainings are kept: fix the error, and run the same command "
            f"to resume.\n{shlex.join(command)}\n{output}"
        )


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Make a folder, and delete it afterwards. Its name is always the same, so that the folder of a
    killed process is deleted by the next one.

    path (Path): The folder.
    YIELDS (Path): The folder, empty.
    """
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
