"""Folders in which the workflows of a comparison run: each has its own outputs, and links to the
rest of the project."""

import os
import re
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, NamedTuple, Tuple

import srsly

from ..errors import MissingFileError
from ..formats.output import open_locked
from ..hf.folders import report_unwritable
from .runs import make_key
from .workflows import (
    PROJECT_FILE,
    Workflow,
    get_outputs,
    get_pipeline,
    get_sources,
    interpolate,
    put_vars,
)

# Files of the project's folder that aren't linked.
PROJECT_LOCK, RUN_LOCK = "project.lock", ".lock"


class WorkflowRun(NamedTuple):
    """A run of a workflow.

    workflow (Workflow): The workflow, checked.
    seed (int): The seed.
    folder (Path): The folder in which it runs.
    """

    workflow: Workflow
    seed: int
    folder: Path

    @contextmanager
    def lock(self) -> Iterator[Tuple[int, ...]]:
        """Lock the folder. The lock is kept while the process of the workflow runs, even if the
        comparison that started it was killed.

        YIELDS (Tuple[int, ...]): File descriptors that this process inherits, to keep the lock.
        RAISES (UserError): If another process has the lock.
        """
        with open_locked(self.folder / RUN_LOCK) as file:
            yield () if sys.platform == "win32" else (file.fileno(),)

    def prepare(self, use_gpu: int = -1) -> List[str]:
        """Update the folder to the present state of the project, and keep the outputs of its steps.
        The folder must be locked.

        use_gpu (int): Number of the GPU, -1 for the CPU.
        RETURNS (List[str]): The command that runs the workflow.
        RAISES (UserError): If the folder can't be written.
        """
        workflow, seed, folder = self
        with report_unwritable(folder):
            _unlink(Path(workflow.project), folder)
            for path in _list_links(workflow, folder, seed):
                _link(Path(workflow.project), folder, path)
            srsly.write_yaml(folder / PROJECT_FILE, put_vars(workflow, seed, use_gpu))
        return [sys.executable, "-m", "spacy", "project", "run", workflow.name, str(folder)]

    def find_pipeline(self) -> Path:
        """RETURNS (Path): The pipeline that the workflow made.

        RAISES (UserError): If there is none.
        """
        workflow, seed, folder = self
        path = folder / get_pipeline(workflow, seed)
        if not path.is_dir():
            raise MissingFileError(
                f"The workflow '{workflow.name}' of {workflow.file} has ended without making the "
                f"pipeline {path}. Correct the outputs of its commands, or the cell's pipeline."
            )
        return path


def plan_run(workflow: Workflow, seed: int, output: Path) -> WorkflowRun:
    """RETURNS (WorkflowRun): A run of a workflow, in one folder for all workflows of the project
        with the same values and seed: steps that they share are run once.

    workflow (Workflow): The workflow, checked.
    seed (int): The seed.
    output (Path): The folder of the comparison.
    """
    project = os.path.realpath(workflow.project)
    key = make_key([project, workflow.vars])[:8]
    name = f"{make_slug(os.path.basename(project))}-{key}-{seed}"
    return WorkflowRun(workflow, seed, output / "projects" / name)


def make_slug(name: str) -> str:
    """RETURNS (str): A name for a folder: letters, digits, dots and hyphens.

    name (str): Any name.
    """
    return re.sub(r"[^0-9A-Za-z._]+", "-", name).strip("-.")


def _list_links(workflow: Workflow, folder: Path, seed: int) -> List[Path]:
    """Paths that the project doesn't make. In a folder that commands write to, these are files that
    they need and none of them makes. Other folders are linked as a whole, except those in
    `directories` that nothing needs: commands may write to them without declaring it."""
    data = interpolate(workflow, seed)
    commands = data.get("commands", [])
    outputs = get_outputs(commands)
    sources = get_sources(commands, outputs)
    sources += [Path(asset["dest"]) for asset in data.get("assets", []) if "dest" in asset]
    # Other paths are used in place. They may belong to other workflows, which aren't checked.
    sources = [path for path in sorted(sources) if _is_inside(path)]
    needed = {path.parts[0] for path in sources}
    made = {path.parts[0] for path in outputs if _is_inside(path)}
    own = {PROJECT_FILE, PROJECT_LOCK, RUN_LOCK, *made}
    own |= set(data.get("directories") or []) - needed
    inside = {path.resolve() for path in folder.resolve().parents}
    project = Path(workflow.project)
    links = [
        Path(path.name)
        for path in sorted(project.iterdir())
        if path.name not in own and path.resolve() not in inside
    ]
    for path in sources:
        is_linked = not set(links).isdisjoint([path, *path.parents])
        if path.parts[0] in made and (project / path).exists() and not is_linked:
            links.append(path)
    return links


def _is_inside(path: Path) -> bool:
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _unlink(project: Path, folder: Path) -> None:
    """Remove the links of an earlier run, so that no step writes through them."""
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path.is_symlink():
                source = project / path.relative_to(folder)
                if path.parent == folder or path.resolve() == source.resolve():
                    path.unlink()


def _link(project: Path, folder: Path, path: Path) -> None:
    """Link to a file or folder of a project, or copy it if links can't be made, as on Windows
    without this permission. An output of a step at the same path is removed, but never the target
    of a link."""
    source, target = project / path, folder / path
    for parent in list(path.parents)[:-1]:
        if (folder / parent).is_symlink():
            (folder / parent).unlink()
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(source.resolve(), target_is_directory=source.is_dir())
    except (OSError, NotImplementedError):
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
