"""Output files: checked before the work begins, locked, and moved to their target when they are
complete."""

import errno
import os
import re
import sys
from contextlib import contextmanager, suppress
from io import BufferedRandom, BufferedWriter, FileIO
from pathlib import Path
from typing import IO, Any, Iterable, Iterator, NoReturn, Optional

from .report import FormatError
from .text import list_texts

if sys.platform != "win32":
    import fcntl

# Paths of open streams. They aren't replaced: a file that they are redirected to may have other
# content.
STREAM = re.compile(r"/dev/(stdout|stderr|fd/(\d+))|/proc/self/fd/(\d+)")
STREAM_NUMBERS = {"stdout": 1, "stderr": 2}
# Errors of file systems without locks, such as some network file systems.
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
# What to do about errors of the operating system.
WAYS_OUT = {
    errno.ENOSPC: "Free some space, or choose another output.",
    errno.EDQUOT: "Free some space, or choose another output.",
    errno.EFBIG: "Raise the limit (ulimit -f), or choose another output.",
    errno.EROFS: "Name an output in a folder that can be written.",
    errno.EACCES: "Name an output in a folder that you can write to.",
    errno.EPERM: "Name an output in a folder that you can write to.",
    errno.ENAMETOOLONG: "Use a shorter name.",
}


def get_stream(path: Path) -> Optional[int]:
    """RETURNS (Optional[int]): The file descriptor of a path such as /dev/stdout, None for other
        paths.

    path (Path): A path.
    """
    match = STREAM.fullmatch(path.as_posix())
    if match is None:
        return None
    name, *numbers = match.groups()
    return STREAM_NUMBERS.get(name) or int(numbers[0] or numbers[1])


def resolve(path: Path) -> Path:
    """RETURNS (Path): The file that is replaced: the target of a link, so that the link is kept.

    path (Path): Where to write.
    """
    return Path(os.path.realpath(path))


def get_part(target: Path) -> Path:
    """RETURNS (Path): Path of the partial output, which is kept if its process ends, see `part`.

    target (Path): Path of the output.
    """
    return target.with_name(f"{target.name}.part")


def get_journal(target: Path) -> Path:
    """RETURNS (Path): Path of the journal, which records how much of the partial output is valid.

    target (Path): Path of the output.
    """
    return target.with_name(f"{target.name}.journal")


def get_new(target: Path) -> Path:
    """RETURNS (Path): Path of the temporary file of an output that is written at once. The name is
        always the same, so that the file of a killed process is overwritten by the next one.

    target (Path): Path of the output.
    """
    return target.with_name(f".{target.name}.new")


def check_target(path: Path, inputs: Iterable[Path] = ()) -> None:
    """Check an output before there is anything to write. Nothing is created.

    path (Path): Where to write.
    inputs (Iterable[Path]): Input files, and folders of .txt files.
    RAISES (ValueError): For an output that can't be written, or that would replace an input, also
        under another name.
    """
    if get_stream(path) is None and path.is_dir():
        raise FormatError(f"Can't write {path}: it is a folder. Name a file.")
    target = resolve(path)
    files = [file for other in inputs for file in [other, *list_texts(other)]]
    for mine in (target, get_part(target), get_journal(target), get_new(target)):
        for other in files:
            if _is_same(mine, other):
                where = "" if mine == target else f" (through the temporary file {mine})"
                raise FormatError(
                    f"Can't write {path}{where}: that is the input. Choose another output."
                )
    if target.exists() and not target.is_file():
        if not os.access(target, os.W_OK):
            _refuse(path, errno.EACCES)
        return
    folder = next(folder for folder in target.parents if folder.exists())
    if not folder.is_dir():
        raise FormatError(f"Can't write {path}: {folder} is a file, not a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        is_read_only = hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY
        _refuse(path, errno.EROFS if is_read_only else errno.EACCES)


def _is_same(path: Path, other: Path) -> bool:
    """Whether both are the same file, also under two names. Terminals and pipes aren't files."""
    if not (path.is_file() and other.exists()):
        return False
    return os.path.samefile(path, other)


def _refuse(path: Any, number: int, cause: Optional[BaseException] = None) -> NoReturn:
    message = f"Can't write {path}: {os.strerror(number)}."
    raise FormatError(f"{message} {WAYS_OUT.get(number, 'Choose another output.')}") from cause


@contextmanager
def explain(path: Path) -> Iterator[None]:
    """Report which file can't be written, and what to do: the error of the system doesn't say it.

    path (Path): The file, as named in the message.
    RAISES (ValueError): For any error of the system, except for a pipe that is no longer read.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        _refuse(path, error.errno or errno.EIO, error)


class _Raw(FileIO):
    """A file that is named in its write errors, whenever its buffer is written.

    path (Path): The file, as named in messages.
    file (Any): The path or the file descriptor to open.
    """

    def __init__(self, path: Path, file: Any, mode: str, opener: Any = None):
        super().__init__(file, mode, opener=opener)
        self.path = path

    def write(self, data: Any) -> Optional[int]:  # type: ignore[override]
        with explain(self.path):
            return super().write(data)


def open_locked(path: Path) -> BufferedRandom:
    """Open a file to write, create it if necessary, and lock it for other processes. The system
    releases the lock when this process ends. Links aren't followed.

    path (Path): The file.
    RETURNS (BufferedRandom): The file, to read and write, at its beginning.
    RAISES (ValueError): If it can't be opened, or another process has locked it.
    """
    with explain(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = _Raw(path, path, "r+", opener=_create)
    try:
        _lock(raw, path)
    except BaseException:
        raw.close()
        raise
    return BufferedRandom(raw)


def _create(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _lock(file: FileIO, path: Path) -> None:
    if sys.platform == "win32":
        return
    busy = FormatError(
        f"Can't write {path}: another process is writing it. Wait until it ends, or name another "
        "output."
    )
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise busy from error
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
    # Before that, the other process may have moved the file to its target.
    if not (path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))):
        raise busy


def sync(file: IO[bytes], path: Path) -> None:
    """Flush a file to the disk.

    file (IO[bytes]): The file, open.
    path (Path): The file, as named in messages.
    """
    file.flush()
    with explain(path):
        os.fsync(file.fileno())


def put(file: IO[bytes], path: Path, target: Path) -> None:
    """Move a complete file to its target. It is locked until then.

    file (IO[bytes]): The file, open and locked.
    path (Path): Its present path.
    target (Path): Its target.
    """
    sync(file, path)
    if sys.platform == "win32":  # where an open file can't be moved
        file.close()
    with explain(target):
        os.replace(path, target)
    file.close()


def abandon(file: IO[bytes]) -> None:
    """Close an incomplete file after an error. The rest of its buffer isn't needed and may not fit
    on the disk: this must not hide the first error.

    file (IO[bytes]): The file, open.
    """
    with suppress(FormatError):
        file.close()


@contextmanager
def replace_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a temporary file in the folder of the target, and replace the target once it is
    complete. After an error, the target is unchanged. Pipes, devices and open streams such as
    /dev/stdout are written directly.

    path (Path): Where to write.
    YIELDS (IO[bytes]): The file.
    RAISES (ValueError): If it can't be written, or another process is writing it.
    """
    number = get_stream(path)
    if number is not None or (path.exists() and not path.is_file()):
        with _open_stream(path, number) as file:
            yield file
        return
    target = resolve(path)
    new = get_new(target)
    file = open_locked(new)
    try:
        file.truncate(0)
        yield file
        put(file, new, target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    finally:
        abandon(file)


@contextmanager
def _open_stream(path: Path, number: Optional[int]) -> Iterator[IO[bytes]]:
    with explain(path):
        raw = _Raw(path, path if number is None else os.dup(number), "w")
    with BufferedWriter(raw) as file:
        yield file
