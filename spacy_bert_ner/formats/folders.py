"""Input files in folders."""

from pathlib import Path
from typing import Iterable, List


def list_files(folder: Path, suffixes: Iterable[str]) -> List[Path]:
    """RETURNS (List[Path]): The files in a folder, at any depth, sorted by name, without hidden
        ones and those in hidden folders.

    folder (Path): The folder.
    suffixes (Iterable[str]): The suffixes that are listed, in lower case, with the dot.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    return [p for p in paths if p.is_file() and not _is_hidden(p.relative_to(folder))]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
