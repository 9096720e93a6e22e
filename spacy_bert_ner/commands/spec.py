"""The specification of a comparison: read from YAML, and checked before hours of training."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import srsly

from ..errors import MissingFileError, UserError
from .checks import iter_settings, load_blank
from .workflow_folders import make_slug
from .workflows import Workflow, check_workflow, flatten

DEFAULT_SEEDS = (1, 2, 3)
MODELS = ("model-last", "model-best")
SPLITS = ("train", "dev", "test")
SETTINGS = ("cells", "config", "model", "overrides", "paths", "project", "seeds", "vars")
# Settings of a workflow: the first three are required.
WORKFLOW_SETTINGS = ("workflow", "project", "pipeline", "vars")
EXAMPLES = {
    "workflow": "the name of a workflow",
    "project": "the folder of a project.yml",
    "pipeline": "the path at which the workflow makes it, such as training/model-last",
}


@dataclass(frozen=True)
class Cell:
    """One system to compare.

    Attributes
    ----------
    name (str): Its name.
    config (str): Path of its config; "" for a workflow.
    overrides (Dict[str, Any]): Settings that override those of the config.
    seeds (Tuple[int, …]): It is trained once with each seed.
    workflow (Optional[Workflow]): The workflow that makes it, if not a config.
    """

    name: str
    config: str
    overrides: Dict[str, Any] = field(default_factory=dict)
    seeds: Tuple[int, ...] = DEFAULT_SEEDS
    workflow: Optional[Workflow] = None

    def get_folder(self, seed: int) -> str:
        """RETURNS (str): Name of the folder of a pipeline that is kept.

        seed (int): The seed of its training.
        """
        return f"{make_slug(self.name)}-{seed}"


@dataclass(frozen=True)
class Spec:
    """A comparison.

    Attributes
    ----------
    train, dev, test (str): Paths of the data, in any of the formats. `train` is "" if it isn't set,
        and all cells are workflows.
    cells (Tuple[Cell, …]): The systems. The others are compared with the first one.
    model (str): "model-last" or "model-best".
    """

    train: str
    dev: str
    test: str
    cells: Tuple[Cell, ...]
    model: str = "model-last"

    @property
    def paths(self) -> Dict[str, str]:
        """RETURNS (Dict[str, str]): The paths that are set, by split."""
        return {split: path for split in SPLITS if (path := getattr(self, split))}


def read_spec(path: Path) -> Spec:
    """Read a comparison from YAML:

        paths: {train: train.spacy, dev: dev.spacy, test: test.spacy}
        config: configs/bert_ner.cfg
        project: projects/crosslingual
        seeds: [1, 2, 3]
        overrides: {training.max_steps: 428}
        vars: {target: da}
        cells:
          first piece: {}
          smoothed: {components.bert_ner.loss.label_smoothing: 0.1}
          crf: {config: configs/crf.cfg, seeds: [1, 2]}
          zero-shot: {workflow: zero-shot, pipeline: training/zero_shot/da, vars: {steps: 1600}}

    `config`, `seeds` and `overrides` apply to all cells; the settings of a cell override them. A
    cell with `workflow` has no config: `project` and `vars` apply to all such cells, likewise.

    path (Path): The file.
    RETURNS (Spec): The comparison.
    RAISES (UserError): For settings that are missing, unknown, or of the wrong type.
    """
    try:
        return _read_spec(srsly.read_yaml(path))
    except ValueError as error:
        raise UserError(f"Can't read the comparison {path}: {error}") from error


def _read_spec(data: Any) -> Spec:
    data = _check_block(data, f"the file has no settings. They are {', '.join(SETTINGS)}.")
    unknown, missing = set(data) - set(SETTINGS), {"paths", "cells"} - set(data)
    if unknown or missing:
        problems = [f"{key!r} is unknown" for key in sorted(map(str, unknown))]
        problems += [f"{key!r} is missing" for key in sorted(missing)]
        raise UserError(f"{', '.join(problems)}. The settings are {', '.join(SETTINGS)}.")
    cells = _check_block(data["cells"], "`cells` must be a mapping: one `NAME: {}` per system.")
    if not cells:
        raise UserError("`cells` is empty. Add at least one system: `NAME: {}`.")
    model = data.get("model", MODELS[0])
    if model not in MODELS:
        raise UserError(f"model is {model!r}. Set it to {' or '.join(MODELS)}.")
    systems = tuple(_read_cell(data, str(name), settings) for name, settings in cells.items())
    spec = Spec(**_read_paths(data["paths"], systems), cells=systems, model=model)
    folders: Dict[str, str] = {}
    for cell in spec.cells:
        other = folders.setdefault(cell.get_folder(0), cell.name)
        if other != cell.name:
            raise UserError(
                f"the folders of '{other}' and '{cell.name}' would have the same name. Rename one "
                "of the cells."
            )
    return spec


def _read_paths(paths: Any, cells: Tuple[Cell, ...]) -> Dict[str, str]:
    needed = SPLITS if any(cell.config for cell in cells) else SPLITS[1:]
    if isinstance(paths, dict) and "train" not in needed:
        paths = {"train": "", **paths}
    fits = isinstance(paths, dict) and set(paths) == set(SPLITS)
    fits = fits and all(isinstance(path, str) for path in paths.values())
    if not fits or not all(paths[split] for split in needed):
        raise UserError(
            f"`paths` must have a file for each of {', '.join(SPLITS)} (train only if a cell has a "
            "config)."
        )
    return paths


def _read_cell(data: Dict[str, Any], name: str, settings: Any) -> Cell:
    own = dict(_check_block(settings or {}, f"'{name}' must be a mapping, such as {{}}."))
    seeds = own.pop("seeds", data.get("seeds", list(DEFAULT_SEEDS)))
    fits = isinstance(seeds, list) and all(type(seed) is int for seed in seeds)
    if not fits or not seeds or len(set(seeds)) < len(seeds):
        raise UserError(f"'{name}' has seeds = {seeds}. Set a list of whole numbers: [1, 2].")
    if "workflow" in own:
        workflow = _read_workflow(data, name, own)
        return Cell(name, "", seeds=tuple(seeds), workflow=workflow)
    common = _check_block(data.get("overrides") or {}, "`overrides` must be a mapping.")
    overrides = {**common, **own}
    config = overrides.pop("config", data.get("config"))
    if config is None:
        raise UserError(f"'{name}' has no config. Set `config` for it, or for all cells.")
    return Cell(name, str(config), overrides, tuple(seeds))


def _read_workflow(data: Dict[str, Any], name: str, own: Dict[str, Any]) -> Workflow:
    own = {"project": data.get("project"), **own}
    unknown = set(own) - set(WORKFLOW_SETTINGS)
    if unknown:
        raise UserError(
            f"'{name}' sets {min(map(str, unknown))}, which isn't a setting of workflows. They are "
            f"{', '.join(WORKFLOW_SETTINGS)}, seeds."
        )
    values: Dict[str, Any] = {}
    for block in (data.get("vars"), own.pop("vars", None)):
        values.update(flatten(_check_block(block or {}, "`vars` must be a mapping.")))
    if "seed" in values:
        raise UserError(
            f"`vars` of '{name}' set the seed. Use `seeds: [{values['seed']}]` instead."
        )
    for key in WORKFLOW_SETTINGS[:3]:
        if not isinstance(own.get(key), str):
            raise UserError(f"'{name}' has {key} = {own.get(key)}. Set it to {EXAMPLES[key]}.")
    return Workflow(own["workflow"], own["project"], own["pipeline"], values)


def _check_block(value: Any, message: str) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(message)
    return value


def check_spec(spec: Spec, use_gpu: int = -1) -> None:
    """Check files, configs, overrides, and projects (see `check_workflow`): spaCy ignores unknown
    settings of [training], and a system would be compared with itself.

    spec (Spec): The comparison.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    RAISES (UserError): For a file that doesn't exist (MissingFileError), for an invalid config, and
        for overrides of settings that it doesn't have.
    """
    for split, path in spec.paths.items():
        if not Path(path).exists():
            raise MissingFileError(
                f"There is no file {path}. Set {split} in `paths` to an existing file."
            )
    for cell in spec.cells:
        if cell.workflow is not None:
            check_workflow(cell.name, cell.workflow, cell.seeds, use_gpu)
    for config in sorted({cell.config for cell in spec.cells if cell.config}):
        nlp = load_blank(config)
        names = {name for name, _ in iter_settings(nlp.config)}
        for cell in spec.cells:
            if cell.config == config:
                _check_overrides(cell, names)


def _check_overrides(cell: Cell, names: set) -> None:
    for name in cell.overrides:
        parents = _get_parents(name)
        if name not in names and not set(parents) & set(cell.overrides):
            known = next((parent for parent in reversed(parents) if parent in names), None)
            siblings = [other for other in names if other.rpartition(".")[0] == (known or "")]
            where = f"[{known}] has" if known else "It has the sections"
            last = sorted(other.rpartition(".")[2] for other in siblings)
            raise UserError(
                f"'{cell.name}' sets {name}, which {cell.config} doesn't have. {where} "
                f"{', '.join(last)}."
            )


def _get_parents(name: str) -> List[str]:
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]
