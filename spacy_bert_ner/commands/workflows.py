"""Workflows of spaCy projects as systems of a comparison: read, and checked before they run."""

import os
from configparser import InterpolationError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, List, Sequence, Set

import srsly
from weasel.schemas import ProjectConfigSchema, validate
from weasel.util import substitute_project_variables

from ..errors import MissingFileError, UserError, describe_error
from .checks import iter_settings
from .runs import digest

PROJECT_FILE = "project.yml"
# Lists of a command: its scripts, inputs and outputs.
OUTPUTS = ("outputs", "outputs_no_cache")
LISTS = ("script", "deps", *OUTPUTS)


@dataclass(frozen=True)
class Workflow:
    """A workflow that makes a pipeline.

    Attributes
    ----------
    name (str): Its name in the project's file.
    project (str): Path of the project's folder.
    pipeline (str): Path of the pipeline in the project's folder; may contain vars.
    vars (Dict[str, Any]): Values that override the project's, by their dotted names.
    """

    name: str
    project: str
    pipeline: str
    vars: Dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """RETURNS (Path): The project's file."""
        return Path(self.project) / PROJECT_FILE


def flatten(block: Dict[str, Any]) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): Values by dotted names.

    block (Dict[str, Any]): Values, and blocks of values, by names that may be dotted.
    """
    return {name: value for name, value in iter_settings(block) if not isinstance(value, dict)}


def check_workflow(cell: str, workflow: Workflow, seeds: Sequence[int], use_gpu: int = -1) -> None:
    """Check a workflow before it runs.

    cell (str): Its name in the comparison.
    workflow (Workflow): The workflow.
    seeds (Sequence[int]): It runs once with each seed.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    RAISES (UserError): For a project, workflow or values that don't exist, for steps that need
        files that nothing makes, and for a pipeline that no step makes.
    """
    file, project = workflow.file, _read_project(workflow)
    known = {name for name, _ in iter_settings(project.get("vars", {}))}
    if "seed" not in known:
        raise UserError(
            f"{file} has no var 'seed', which a comparison needs to train several times. Add "
            "`seed: 1` to its vars, and ${vars.seed} to the commands that train."
        )
    if use_gpu >= 0 and "gpu" not in known:
        raise UserError(
            f"Can't run '{cell}' on GPU {use_gpu}: {file} has no var 'gpu'. Add `gpu: -1` to its "
            "vars, and `--gpu-id ${vars.gpu}` to the commands that train, or leave out --use-gpu."
        )
    for name in workflow.vars:
        if name not in known:
            raise UserError(
                f"'{cell}' sets the var {name}, which {file} doesn't have. Its vars are "
                f"{', '.join(sorted(known))}."
            )
        for parent in workflow.vars:
            if name.startswith(f"{parent}."):
                raise UserError(f"'{cell}' sets both {parent} and {name}. Leave one out.")
    names = project.get("workflows", {})
    if workflow.name not in names:
        raise UserError(
            f"'{cell}' names the workflow {workflow.name!r}, which {file} doesn't have. Its "
            f"workflows are {', '.join(names) or 'none'}."
        )
    commands = {command["name"] for command in project.get("commands", [])}
    for name, steps in names.items():
        for step in steps:
            if step not in commands:
                raise UserError(
                    f"The workflow '{name}' of {file} names {step!r}, which isn't among the "
                    "commands. Add this command."
                )
    _check_steps(cell, workflow, seeds)


def _check_steps(cell: str, workflow: Workflow, seeds: Sequence[int]) -> None:
    steps = _read_steps(workflow, seeds[0])
    outputs, pipeline = get_outputs(steps), get_pipeline(workflow, seeds[0])
    if not _is_within(Path(os.path.normpath(pipeline)), outputs):
        raise UserError(
            f"'{cell}' has the pipeline {pipeline}, which isn't among the outputs of the "
            f"workflow '{workflow.name}'. They are {', '.join(sorted(map(str, outputs)))}."
        )
    for path in sorted(outputs):
        if path.is_absolute() or ".." in path.parts:
            raise UserError(
                f"The workflow '{workflow.name}' of {workflow.file} makes {path}, outside of the "
                "project's folder, where several runs would overwrite it. Use a path in the folder."
            )
    made = get_outputs(interpolate(workflow, seeds[0]).get("commands", []))
    for path in get_sources(steps, outputs):
        needs = f"The workflow '{workflow.name}' of {workflow.file} needs {path}, which"
        if ".." in path.parts:
            raise UserError(
                f"{needs} is outside of the project's folder, but each run has its own folder. Use "
                "a path in the folder, or an absolute one."
            )
        if _is_within(path, made):
            raise UserError(f"{needs} another command makes. Add that command to the workflow.")
        if not (Path(workflow.project) / path).exists():
            raise MissingFileError(
                f"{needs} doesn't exist. Run `python -m spacy project assets {workflow.project}` "
                "if it is an asset."
            )
    if len(seeds) > 1 and steps == _read_steps(workflow, seeds[1]):
        raise UserError(
            f"'{cell}' would be trained {len(seeds)} times with the same result: no step of the "
            f"workflow '{workflow.name}' has ${{vars.seed}}. Add it to the commands that train."
        )


def get_facts(workflow: Workflow, seed: int) -> List[Any]:
    """RETURNS (List[Any]): Everything that the result of a workflow depends on: the scripts, inputs
        and outputs of its steps, and the content of the inputs that none of them makes.

    workflow (Workflow): The workflow, checked.
    seed (int): The seed.
    """
    steps = _read_steps(workflow, seed)
    sources = get_sources(steps, get_outputs(steps))
    digests = [digest(Path(workflow.project) / path) for path in sources]
    lists = [[step.get(name, []) for name in LISTS] for step in steps]
    return [lists, digests, get_pipeline(workflow, seed)]


def _read_project(workflow: Workflow) -> Dict[str, Any]:
    file = workflow.file
    if not file.is_file():
        raise MissingFileError(f"There is no file {file}. Set project to the folder of a project.")
    try:
        data = srsly.read_yaml(file)
    except ValueError as error:
        raise UserError(f"Can't read {file}: {describe_error(error)}") from error
    problems = validate(ProjectConfigSchema, data) if isinstance(data, dict) else ["no block"]
    if problems:
        raise UserError(f"{file} isn't a project: {', '.join(problems)}.")
    return data


def put_vars(workflow: Workflow, seed: int, use_gpu: int = -1) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The project's file, with the values of the workflow.

    workflow (Workflow): The workflow, checked.
    seed (int): The seed.
    use_gpu (int): Number of the GPU, -1 for the value in the file.
    """
    data = _read_project(workflow)
    values = {**workflow.vars, "seed": seed}
    if use_gpu >= 0:
        values["gpu"] = use_gpu
    for name, value in values.items():
        *parents, last = name.split(".")
        node = data["vars"]
        for parent in parents:
            node = node[parent]
        node[last] = value
    return data


def interpolate(workflow: Workflow, seed: int) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The project's file, with the values of its vars filled in.

    workflow (Workflow): The workflow, checked.
    seed (int): The seed.
    RAISES (UserError): For an unknown name.
    """
    try:
        data = {**put_vars(workflow, seed), "pipeline": workflow.pipeline}
        return substitute_project_variables(data)
    except (ValueError, InterpolationError) as error:
        raise UserError(f"Can't read {workflow.file}: {describe_error(error)}") from error


def get_pipeline(workflow: Workflow, seed: int) -> str:
    """RETURNS (str): Path of the pipeline that a workflow makes, with the values of vars filled in.

    workflow (Workflow): The workflow, checked.
    seed (int): The seed.
    """
    return str(interpolate(workflow, seed)["pipeline"])


def get_outputs(commands: Iterable[Dict[str, Any]]) -> Set[Path]:
    """RETURNS (Set[Path]): The outputs of commands.

    commands (Iterable[Dict[str, Any]]): Commands of a project.
    """
    return {Path(path) for step in commands for name in OUTPUTS for path in step.get(name, [])}


def get_sources(commands: Iterable[Dict[str, Any]], outputs: Set[Path]) -> List[Path]:
    """RETURNS (List[Path]): Inputs of commands that none of them makes, not even in part.

    commands (Iterable[Dict[str, Any]]): Commands of a project.
    outputs (Set[Path]): Their outputs.
    """
    needed = {Path(path) for step in commands for path in step.get("deps", [])}
    return sorted(
        path
        for path in needed
        if not _is_within(path, outputs) and not any(path in other.parents for other in outputs)
    )


def _read_steps(workflow: Workflow, seed: int) -> List[Dict[str, Any]]:
    data = interpolate(workflow, seed)
    commands = {command["name"]: command for command in data["commands"]}
    return [commands[name] for name in data["workflows"][workflow.name]]


def _is_within(path: Path, others: Set[Path]) -> bool:
    return path in others or not others.isdisjoint(path.parents)
