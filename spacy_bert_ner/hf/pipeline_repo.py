"""The files of a pipeline on the Hugging Face hub, as spacy-huggingface-hub uploads them: those of
its folder, a model card, and a wheel for pip."""

import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import srsly
from packaging.version import InvalidVersion, Version
from spacy.cli.package import package
from spacy.language import Language
from spacy.schemas import ModelMetaSchema, validate

from ..errors import UserError
from .card_parts import get_title
from .pipeline_card import make_pipeline_card

# What spaCy writes besides a folder or file for each component, and what people add to it.
FILES = ("config.cfg", "meta.json", "tokenizer", "vocab", "LICENSE", "LICENSES_SOURCES")
# Names of Python packages that are also names of modules. `__` would be changed by pip.
NAME = re.compile(r"[a-zA-Z0-9]+(_[a-zA-Z0-9]+)*")
SUFFIX = "-py3-none-any.whl"
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def name_wheel(nlp: Language) -> str:
    """RETURNS (str): The file name of the wheel of a pipeline.

    nlp (Language): The pipeline.
    RAISES (UserError): If its meta has no valid name or version.
    """
    name, version = get_title(nlp.meta), str(nlp.meta.get("version") or "0.0.0")
    if not NAME.fullmatch(name):
        raise UserError(
            f"Can't make a package named '{name}': a name has ASCII letters, digits and single "
            f'underscores. Change "name" in {nlp.path / "meta.json"}.'
        )
    try:
        return f"{name}-{Version(version)}{SUFFIX}"
    except InvalidVersion as error:
        raise UserError(
            f"Can't make a package of version '{version}': a version is like 1.0.0. Change "
            f'"version" in {nlp.path / "meta.json"}.'
        ) from error


def write_repo(nlp: Language, folder: Path, url: str) -> None:
    """Write the files of a pipeline: its own, a model card, and the wheel under two names, with its
    version and with "any" instead, which the page of the hub shows.

    nlp (Language): The pipeline, loaded from a folder or package.
    folder (Path): Where to write, an empty folder.
    url (str): Address that the wheel will have.
    RAISES (UserError): For a name or version that no package can have, for links to folders or out
        of the pipeline, and if the wheel can't be built.
    """
    wheel = name_wheel(nlp)
    name, version, *_ = wheel.split("-")
    for part in [*FILES, *nlp.component_names]:
        for suffix in ("", ".json"):  # such as sentencizer.json
            _copy(nlp.path, f"{part}{suffix}", folder)
    meta = {**nlp.meta, "name": name.removeprefix(f"{nlp.lang}_"), "version": version}
    problems = validate(ModelMetaSchema, meta)
    if problems:
        raise UserError(f"Can't use {nlp.path / 'meta.json'}: {'; '.join(problems)}. Correct it.")
    srsly.write_json(folder / "meta.json", meta)
    card = make_pipeline_card(nlp, name, url)
    (folder / "README.md").write_text(card, encoding="utf-8")
    _build_wheel(folder, f"{name}-{version}", folder / wheel)
    shutil.copyfile(folder / wheel, folder / f"{name}-any{SUFFIX}")


def _copy(source: Path, name: str, target: Path) -> None:
    """Copy a file or a folder, without hidden files.

    RAISES (UserError): For links to folders and out of the pipeline, so that no other file is
        uploaded.
    """
    path = source / name
    if not path.exists():
        return
    if path.parent != source:
        raise UserError(f"Can't upload {path}: it isn't in {source}. Rename the component.")
    for one in [path, *path.rglob("*")]:
        is_inside = one.resolve().is_relative_to(source.resolve())
        if one.is_symlink() and not (one.is_file() and is_inside):
            raise UserError(
                f"Can't upload {one}: it is a link to {one.resolve()}. Replace it with a copy."
            )
    if path.is_dir():
        shutil.copytree(path, target / name, ignore=shutil.ignore_patterns(".*"))
    else:
        shutil.copyfile(path, target / name)


def _build_wheel(folder: Path, project: str, wheel: Path) -> None:
    """Build it in this environment, without a network, from the project that spaCy makes, which
    adds the required packages to the meta."""
    with tempfile.TemporaryDirectory() as work:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # of files that spaCy doesn't close
            package(folder, Path(work), create_sdist=False)
        command = [sys.executable, "-c", BUILD, work]
        done = subprocess.run(command, cwd=Path(work, project), capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise UserError(
                f"Can't build {wheel.name}: {reason}. Install a new setuptools: python -m pip "
                "install --upgrade setuptools."
            )
        (built,) = Path(work).glob("*.whl")
        shutil.move(built, wheel)
        shutil.copyfile(Path(work, project, "meta.json"), folder / "meta.json")
