"""The files of a pipeline on the Hugging Face hub, as spacy-huggingface-hub uploads them: those of
its folder, a model card, and a wheel for pip."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, Dict

import srsly
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version
from spacy.cli.package import package
from spacy.language import Language
from spacy.schemas import ModelMetaSchema, validate

from ..errors import UserError
from .card_parts import get_title
from .pipeline_card import make_pipeline_card

# What people add to the files of spaCy, and `spacy package` copies.
LICENCES = ("LICENSE", "LICENSES_SOURCES")
# Names of Python packages that are also names of modules. `__` would be changed by pip.
NAME = re.compile(r"[a-zA-Z0-9]+(_[a-zA-Z0-9]+)*")
MAX_NAME = 100  # names of files have at most 255 characters
SUFFIX = "-py3-none-any.whl"
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def name_wheel(nlp: Language) -> str:
    """RETURNS (str): The file name of the wheel of a pipeline.

    nlp (Language): The pipeline.
    RAISES (UserError): If its meta has no valid name or version, or another language.
    """
    path = nlp.path / "meta.json"
    if nlp.meta["lang"] != nlp.lang:
        raise UserError(
            f"Can't use {path}: its language is {nlp.meta['lang']!r}, but '{nlp.lang}' in "
            "config.cfg. Correct it."
        )
    name, version = get_title(nlp.meta), str(nlp.meta.get("version") or "0.0.0")
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise UserError(
            f"Can't make a package named {name!r}: a name has ASCII letters, digits and single "
            f'underscores, at most {MAX_NAME}. Change "name" in {path}.'
        )
    try:
        return f"{name}-{Version(version)}{SUFFIX}"
    except InvalidVersion as error:
        raise UserError(
            f"Can't make a package of version {version!r}: a version is like 1.0.0. Change "
            f'"version" in {path}.'
        ) from error


def write_repo(nlp: Language, folder: Path, url: str) -> None:
    """Write the files of a pipeline: its own, a model card, and the wheel under two names, with its
    version and with "any" instead, which the page of the hub shows.

    nlp (Language): The pipeline, loaded from a folder or package.
    folder (Path): Where to write, an empty folder.
    url (str): Address that the wheel will have.
    RAISES (UserError): For a meta that no package can have, for links out of the pipeline, and if
        the wheel can't be built.
    """
    wheel = name_wheel(nlp)
    name, version, *_ = wheel.split("-")
    meta = {**nlp.meta, "name": name.removeprefix(f"{nlp.lang}_"), "version": version}
    _check_meta(meta, nlp.path / "meta.json")
    _write_files(nlp, folder)
    srsly.write_json(folder / "meta.json", meta)
    card = make_pipeline_card(nlp, name, url)
    (folder / "README.md").write_text(card, encoding="utf-8")
    _build_wheel(folder, f"{name}-{version}", folder / wheel)
    shutil.copyfile(folder / wheel, folder / f"{name}-any{SUFFIX}")


def _check_meta(meta: Dict[str, Any], path: Path) -> None:
    """RAISES (UserError): For values that a package can't have."""
    problems = validate(ModelMetaSchema, meta)
    for key, value in meta.items():
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            problems.append(f"[{key}] has a character that isn't valid Unicode")
    if not problems:
        for requirement in meta.get("requirements") or []:
            try:
                Requirement(requirement)
            except InvalidRequirement:
                problems.append(f"[requirements] {requirement!r} isn't like spacy>=3.8")
    if problems:
        raise UserError(f"Can't use {path}: {'; '.join(problems)}. Correct it.")


def _write_files(nlp: Language, folder: Path) -> None:
    """Write what spaCy writes, and the licences. Other files in the folder of the pipeline, which
    may be private, aren't read.

    RAISES (UserError): For links out of the pipeline, so that no other file is uploaded.
    """
    for name in nlp.component_names:
        if Path(name).name != name or name in LICENCES:
            raise UserError(f"Can't upload '{nlp.path / name}'. Rename the component '{name}'.")
    nlp.to_disk(folder)
    written = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    for part in [*written, *LICENCES]:
        path = nlp.path / part
        if not path.resolve().is_relative_to(nlp.path.resolve()):
            raise UserError(
                f"Can't upload {path}: it leads to {path.resolve()}, out of the pipeline. Replace "
                "the link with a copy."
            )
    for name in LICENCES:
        if (nlp.path / name).is_file():
            shutil.copyfile(nlp.path / name, folder / name)


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
