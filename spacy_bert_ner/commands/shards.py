"""Divide the work of `annotate` among processes that don't communicate: files by their position in
the sorted list of their names, or the records of one file by their position in it."""

import re
from collections import Counter
from glob import glob, has_magic
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from ..errors import MissingFileError, UserError
from ..findings import number
from ..formats import FORMATS, check_format
from ..formats.folders import list_files
from ..formats.part import remove_part
from ..formats.source import WHOLE, Shard

# Of the format "lines", which has no suffix of its own.
LINES_SUFFIX = ".txt"


class Share(NamedTuple):
    """An output, and what it is made from.

    path (Path): An input file.
    output (Path): The output, which no other share has.
    shard (Shard): The records of the file.
    """

    path: Path
    output: Path
    shard: Shard


def parse_shard(text: str) -> Shard:
    """RETURNS (Shard): The shard.
    RAISES (UserError): If it is anything else.

    text (str): Its number, from 1, and the number of shards, such as "3/16".
    """
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if match is None:
        raise UserError(
            f"Can't use --shard {text!r}: it must be a number and the number of shards, such as "
            "3/16 for the third of 16."
        )
    shard = Shard(int(match[1]), int(match[2]))
    if not 1 <= shard.number <= shard.total:
        raise UserError(
            f"Can't use --shard {text!r}: the number must be from 1 to the number of shards, such "
            "as 1/4, 2/4, 3/4 and 4/4."
        )
    return shard


def is_divided(input_path: Path, output_path: Optional[Path], shard: Optional[str]) -> bool:
    """RETURNS (bool): Whether the output is a folder with a file for each share.

    input_path (Path): A file, a folder or a pattern of names.
    output_path (Optional[Path]): The output.
    shard (Optional[str]): The shard, None if none is named.
    """
    if shard is not None or is_pattern(input_path):
        return True
    return input_path.is_dir() and output_path is not None and output_path.is_dir()


def is_pattern(path: Path) -> bool:
    """RETURNS (bool): Whether a path is a pattern of names, such as data/*.jsonl, not a file.

    path (Path): The path.
    """
    return has_magic(str(path)) and not path.exists()


def plan_shares(
    input_path: Path,
    folder: Optional[Path],
    source: Optional[str],
    target: Optional[str],
    n_shards: int,
) -> List[Share]:
    """List the outputs of all shards. It is always the same list as long as there are the same
    input files.

    input_path (Path): A file, a folder or a pattern of names.
    folder (Optional[Path]): The folder of the outputs.
    source (Optional[str]): The format of the inputs, None to guess it from their names.
    target (Optional[str]): The format of the outputs.
    n_shards (int): Number of shards. The records of a single file are divided among them.
    RETURNS (List[Share]): The outputs. Those of a shard are `shard.pick(shares)`.
    RAISES (UserError): For a missing folder or format, and for files whose outputs would have the
        same name.
    """
    suffix = check_outputs(folder, target)
    assert folder is not None
    if not is_pattern(input_path) and not input_path.is_dir():
        shards = [Shard(i, n_shards) for i in range(1, n_shards + 1)]
        return [Share(input_path, folder / name_output(input_path, s, suffix), s) for s in shards]
    base, paths = _find_inputs(input_path, source)
    _check_apart(input_path, base, folder)
    outputs: Dict[Path, Path] = {}
    for path in paths:
        output = folder / path.relative_to(base).with_suffix(suffix)
        if output in outputs:
            raise UserError(
                f"Can't write {output}: it would be the output of both {outputs[output]} and "
                f"{path}. Rename one of them, or use two output folders."
            )
        outputs[output] = path
    return [Share(path, output, WHOLE) for output, path in outputs.items()]


def check_outputs(folder: Optional[Path], target: Optional[str]) -> str:
    """RETURNS (str): The suffix of the outputs.
    RAISES (UserError): If the folder or its format isn't named, or can't be used.

    folder (Optional[Path]): The folder of the outputs.
    target (Optional[str]): Their format.
    """
    if folder is None:
        raise UserError("Shards and patterns of names need an output folder. Add OUTPUT_PATH.")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"Can't write to {folder}: it is a file. Name a folder for the outputs.")
    if target is None:
        raise UserError(
            f"The outputs go to the folder {folder}: name their format with --to, such as --to "
            "jsonl."
        )
    suffixes = FORMATS[check_format(folder, target, for_writing=True)].suffixes
    return suffixes[0] if suffixes else LINES_SUFFIX


def name_output(path: Path, shard: Shard, suffix: str) -> str:
    """RETURNS (str): The name of the output of a shard of a file.

    path (Path): The file.
    shard (Shard): The shard.
    suffix (str): The suffix of the output.
    """
    return f"{path.stem}-{shard.number:05d}-of-{shard.total:05d}{suffix}"


def find_n_shards(path: Path, folder: Path, suffix: str) -> Tuple[int, List[Path]]:
    """Find out into how many shards a file was divided.

    path (Path): The file.
    folder (Path): The folder of the outputs.
    suffix (str): Their suffix.
    RETURNS (Tuple[int, List[Path]]): The number of shards that most of the outputs name, and all
        outputs of the file.
    RAISES (UserError): If there is no output.
    """
    name = re.compile(rf"{re.escape(path.stem)}-[0-9]{{5,}}-of-([0-9]{{5,}}){re.escape(suffix)}")
    found = {file: name.fullmatch(file.name) for file in list_files(folder, [suffix])}
    totals = {file: int(match[1]) for file, match in found.items() if match is not None}
    if not totals:
        raise UserError(
            f"There is no output of {path} in {folder}, such as "
            f"{name_output(path, WHOLE, suffix)}. Check both names, and --to."
        )
    return Counter(totals.values()).most_common(1)[0][0], list(totals)


def find_unfinished(shares: List[Share], notify: Callable[[str], None]) -> List[Share]:
    """Skip outputs that exist: they are complete, because they were written under another name.

    shares (List[Share]): The outputs of a shard.
    notify (Callable[[str], None]): Gets a message if there are any.
    RETURNS (List[Share]): The others.
    """
    finished = [share for share in shares if share.output.exists()]
    for share in finished:
        remove_part(share.output)
    if finished:
        notify(f"{number(len(finished), 'finished output')} skipped.")
    return [share for share in shares if share not in finished]


def _find_inputs(path: Path, source: Optional[str]) -> Tuple[Path, List[Path]]:
    """RETURNS (Tuple[Path, List[Path]]): The folder to which names are relative, and the files.
    RAISES (UserError): If there are none.
    """
    if is_pattern(path):
        parts = path.parts
        first = next(i for i, part in enumerate(parts) if has_magic(part))
        found = sorted(Path(name) for name in glob(str(path), recursive=True))
        paths = [file for file in found if file.is_file()]
        if not paths:
            raise MissingFileError(f"No file has a name like {path}. Check the pattern.")
        return Path(*parts[:first]), paths
    readable = [name for name, entry in FORMATS.items() if entry.reader is not None]
    if source is not None:
        readable = [check_format(path, source)]
    ends = [end for name in readable for end in FORMATS[name].suffixes or (LINES_SUFFIX,)]
    suffixes = list(dict.fromkeys(ends))
    paths = list_files(path, suffixes)
    if not paths:
        raise MissingFileError(
            f"There is no file to read in {path}: no file name ends in {', '.join(suffixes)}."
        )
    return path, paths


def _check_apart(path: Path, base: Path, folder: Path) -> None:
    """RAISES (UserError): If outputs would be read as inputs."""
    inside, outside = folder.resolve(), base.resolve()
    is_deep = path == base or has_magic(str(path.parent))
    if inside == outside or (is_deep and outside in inside.parents):
        raise UserError(
            f"Can't write to {folder}: it is in the input {path}, so outputs would be read as "
            "inputs. Name another folder."
        )
