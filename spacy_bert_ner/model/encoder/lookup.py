"""Find an encoder by its name, check that there is one, and suggest similar names."""

import difflib
import importlib.util
import pkgutil
import re
from pathlib import Path
from typing import Any, List

from spacy.util import logger

from ...errors import UserError

# How long the hub may take to answer, in seconds.
PATIENCE = 10.0
ELSEWHERE = "no folder and no installed package has this name"


def find_pretrained(name: str) -> str:
    """Resolve the name of an encoder: a folder, an installed Python package that contains one (in
    itself or in its folder `model`), or else a name on the Hugging Face hub.

    name (str): The name.
    RETURNS (str): A path, or the name itself.
    """
    if not Path(name).exists() and name.isidentifier():
        spec = importlib.util.find_spec(name)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for path in (Path(folder), Path(folder) / "model"):
                if (path / "config.json").exists():
                    return str(path)
    return name


def check_pretrained(name: str, source: str, way_out: str = "") -> None:
    """Check that there is an encoder, before transformers tries to load it, which takes half a
    minute if the hub can't be reached.

    name (str): The name that was given.
    source (str): The result of `find_pretrained` for it: a path, or a name on the hub.
    way_out (str): How to name another one.
    RAISES (UserError): If there is none.
    """
    try:
        if not Path(source).is_dir():
            _ask_hub(source)
        elif not (Path(source) / "config.json").exists():
            raise OSError("the folder has no config.json")
    except OSError as error:
        message = f"There is no encoder '{name}': {error}. {_suggest(name)} {way_out}"
        raise UserError(message.strip()) from error


def _ask_hub(name: str) -> None:
    """RAISES (OSError): If there is no such model on the hub or in the cache, nor a folder or a
    package, which have been looked for before."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
    from huggingface_hub.utils import validate_repo_id

    from .pretrained import find_file

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise OSError(f"{ELSEWHERE}, and no model of the Hugging Face hub can have it") from error
    if find_file(name, "config.json", local_files_only=True) is not None:
        return
    if constants.HF_HUB_OFFLINE:
        raise OSError(f"{ELSEWHERE}, and HF_HUB_OFFLINE is set")
    # Errors of the library that huggingface_hub uses: requests, and httpx from version 1.0 on.
    unreachable: Any = tuple(set(HfHubHTTPError.__mro__) - {HfHubHTTPError, *OSError.__mro__})
    try:
        HfApi().model_info(name, timeout=PATIENCE)
    except RepositoryNotFoundError as error:
        raise OSError(f"{ELSEWHERE}, and no public model on the Hugging Face hub") from error
    except HfHubHTTPError as error:  # another problem of the hub, which transformers reports
        logger.debug("The hub was asked for '%s': %s", name, error)
    except unreachable as error:
        raise OSError(f"{ELSEWHERE}, and the Hugging Face hub can't be reached") from error


def _suggest(name: str) -> str:
    installed = find_packages()
    names = {_normalize(other): other for other in [*_find_folders(Path(name)), *installed]}
    close = difflib.get_close_matches(_normalize(name), names, n=1)
    if close:
        return f"Did you mean '{names[close[0]]}'?"
    if installed:
        return f"Installed: {', '.join(installed[:5])}."
    return "Use a folder with the files of one, or install one as a package."


def find_packages() -> List[str]:
    """RETURNS (List[str]): The names of the installed packages with an encoder."""
    found = set()
    for info in pkgutil.iter_modules():
        folder = Path(getattr(info.module_finder, "path", ""), info.name)
        if info.ispkg and any(_holds_model(path) for path in (folder, folder / "model")):
            found.add(info.name)
    return sorted(found)


def _find_folders(path: Path) -> List[str]:
    """The folders next to a path that contain an encoder."""
    if not path.parent.is_dir():
        return []
    return [str(other) for other in sorted(path.parent.iterdir()) if _holds_model(other)]


def _holds_model(folder: Path) -> bool:
    path = folder / "config.json"
    return path.is_file() and '"model_type"' in path.read_text(encoding="utf-8", errors="replace")


def _normalize(name: str) -> str:
    """A name without its folder or owner, in lower case and without punctuation."""
    last = name.rstrip("/").rpartition("/")[2]
    return re.sub("[^a-z0-9]+", "_", last.lower())
