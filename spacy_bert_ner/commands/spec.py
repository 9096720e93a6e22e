"""What a comparison trains: read from YAML, and checked before hours of training."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Tuple

import srsly

from ..errors import MissingFileError, UserError
from .checks import iter_settings, load_blank

DEFAULT_SEEDS = (1, 2, 3)
MODELS = ("model-last", "model-best")
SPLITS = ("train", "dev", "test")


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

    def get_folder(self, seed: int) -> str:
        """RETURNS (str): A name for the folder of a pipeline that is kept.

        seed (int): That it was trained with.
        """
        return f"{re.sub(r'[^0-9A-Za-z._]+', '-', self.name).strip('-.')}-{seed}"


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

    @property
    def paths(self) -> Tuple[str, str, str]:
        """RETURNS (Tuple[str, str, str]): The data."""
        return self.train, self.dev, self.test


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

    path (Path): The file.
    RETURNS (Spec): What to compare.
    RAISES (UserError): For what is missing, unknown, or of another kind.
    """
    try:
        return _read_spec(srsly.read_yaml(path))
    except ValueError as error:
        raise UserError(f"Can't compare by {path}: {error}") from error


def _read_spec(data: Any) -> Spec:
    known = {"paths", "config", "seeds", "overrides", "cells", "model"}
    data = _check_block(data, f"the file holds no settings. They are {', '.join(sorted(known))}.")
    unknown, missing = set(data) - known, {"paths", "cells"} - set(data)
    if unknown or missing:
        problems = [f"{key!r} is unknown" for key in sorted(map(str, unknown))]
        problems += [f"{key!r} is missing" for key in sorted(missing)]
        raise UserError(f"{', '.join(problems)}. The settings are {', '.join(sorted(known))}.")
    paths = data["paths"]
    fits = isinstance(paths, dict) and set(paths) == set(SPLITS)
    if not fits or not all(isinstance(path, str) for path in paths.values()):
        raise UserError(f"set paths to {', '.join(SPLITS)}, a file each.")
    cells = _check_block(data["cells"], "cells must be a block with a line NAME: {} for each.")
    if not cells:
        raise UserError("cells is empty. Name at least one system: {}.")
    model = data.get("model", MODELS[0])
    if model not in MODELS:
        raise UserError(f"model is {model!r}. Set it to {' or '.join(MODELS)}.")
    spec = Spec(
        **paths,
        cells=tuple(_read_cell(data, str(name), settings) for name, settings in cells.items()),
        model=model,
    )
    folders: Dict[str, str] = {}
    for cell in spec.cells:
        other = folders.setdefault(cell.get_folder(0), cell.name)
        if other != cell.name:
            raise UserError(
                f"the folders of '{other}' and '{cell.name}' would have one name. Rename one."
            )
    return spec


def _read_cell(data: Dict[str, Any], name: str, settings: Any) -> Cell:
    common = _check_block(data.get("overrides") or {}, "overrides must be a block of settings.")
    own = _check_block(settings or {}, f"'{name}' must be a block of settings, such as {{}}.")
    overrides = {**common, **own}
    config = overrides.pop("config", data.get("config"))
    seeds = overrides.pop("seeds", data.get("seeds", list(DEFAULT_SEEDS)))
    if config is None:
        raise UserError(f"'{name}' has no config. Set one for all.")
    fits = isinstance(seeds, list) and all(type(seed) is int for seed in seeds)
    if not fits or not seeds or len(set(seeds)) < len(seeds):
        raise UserError(f"'{name}' has seeds = {seeds}. Set a list of whole numbers: [1, 2].")
    return Cell(name, str(config), overrides, tuple(seeds))


def _check_block(value: Any, message: str) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(message)
    return value


def check_spec(spec: Spec) -> None:
    """Check files, configs and overrides: spaCy ignores a setting of [training] that isn't there,
    and a comparison would be that of a system with itself.

    spec (Spec): What to compare.
    RAISES (UserError): For a file that isn't there (MissingFileError), for a config that is none,
        and for overrides of settings that it doesn't have.
    """
    for split, path in zip(SPLITS, spec.paths):
        if not Path(path).exists():
            raise MissingFileError(f"There is no file {path}, to which paths sets {split}.")
    for config in {cell.config for cell in spec.cells}:
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
