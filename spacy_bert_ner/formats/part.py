"""A partial output, which is kept if its process ends, and a journal of its progress."""

import json
import os
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator

from ..findings import number
from .output import (
    abandon,
    explain,
    get_journal,
    get_part,
    open_locked,
    resolve,
    sync,
)
from .report import FormatError, Report
from .writing import Writer


class Part:
    """A file in the folder of the target to which data is appended, and its journal. Committed data
    is kept if the process is killed, and after a power cut."""

    def __init__(self, target: Path, command: Dict[str, Any], report: Report):
        """Set the paths. Nothing is opened yet.

        target (Path): Path of the output.
        command (Dict[str, Any]): Everything that the output depends on, in plain types, by name: a
            different command can't resume with the file.
        report (Report): The counts, restored from the journal.
        """
        self.target = resolve(target)
        self.path = get_part(self.target)
        self.journal = get_journal(self.target)
        self.command = command
        self.report = report
        self.n_read = 0  # records that are committed
        self.file: BufferedRandom

    def open(self, *, restart: bool = False) -> None:
        """Resume after the committed data, or start.

        restart (bool): Discard an existing partial output.
        RAISES (ValueError): If the partial output was made by a different command, is written by
            another process, or is damaged.
        """
        was_there = self.path.exists()
        # Not mode "a": data that wasn't committed is cut off, and written again.
        self.file = open_locked(self.path)
        try:
            n_bytes = 0 if restart else self._resume(was_there)
            self.file.truncate(n_bytes)
            self.file.seek(n_bytes)
            self.commit()
        except BaseException:
            abandon(self.file)
            if not was_there:
                self.path.unlink(missing_ok=True)
            raise

    def _resume(self, was_there: bool) -> int:
        """Restore the report.

        RETURNS (int): Number of valid bytes in the file.
        """
        size = os.fstat(self.file.fileno()).st_size
        if not self.journal.exists():
            if size:
                raise FormatError(
                    f"Can't write the partial output {self.path}: this file already exists, and "
                    "has no journal. Move it, or use --restart to overwrite it."
                )
            return 0
        state = self._read_journal()
        if not was_there or not state["n_bytes"]:
            return 0
        self._check_fits(state)
        if size < state["n_bytes"]:
            raise FormatError(
                f"Can't resume with {self.path}: it has {number(size, 'byte')}, but {self.journal} "
                f"records {state['n_bytes']}. Use --restart to start from the beginning."
            )
        self.report.restore(state["report"])
        self.n_read = self.report.n_read
        return state["n_bytes"]

    def _read_journal(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): The state that `commit` wrote.
        RAISES (ValueError): If the journal contains anything else.
        """
        try:
            state = json.loads(self.journal.read_text(encoding="utf-8"))
            command, n_bytes, report = (state[key] for key in ("command", "n_bytes", "report"))
            if not isinstance(command, dict):
                raise TypeError(f"'command' is {command!r}, not an object")
            if type(n_bytes) is not int or n_bytes < 0:
                raise TypeError(f"'n_bytes' is {n_bytes!r}, not a number of bytes")
            Report().restore(report)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise FormatError(
                f"Can't read {self.journal}, the journal of {self.path}: "
                f"{type(error).__name__}, {error}. Use --restart to start from the beginning."
            ) from error
        return {"command": command, "n_bytes": n_bytes, "report": report}

    def _check_fits(self, state: Dict[str, Any]) -> None:
        before, now = state["command"], self.command
        changed = [
            f"{name} was {before.get(name)!r}, and is now {now.get(name)!r}"
            for name in {**before, **now}
            if before.get(name) != now.get(name)
        ]
        if changed:
            raise FormatError(
                f"Can't resume with {self.path}, which has the first {state['report']['n_read']} "
                f"records of a different command: {'; '.join(changed)}. Run that command, choose "
                "another output, or use --restart to discard these records."
            )

    def append(self, pieces: Iterable[bytes]) -> None:
        """Write a batch, and commit it.

        pieces (Iterable[bytes]): The data of the batch.
        """
        self.file.writelines(pieces)
        self.commit()

    def commit(self) -> None:
        """Record that all data written so far is valid. The journal is never ahead of the file."""
        sync(self.file, self.path)
        state = {
            "command": self.command,
            "n_bytes": self.file.tell(),
            "report": self.report.to_dict(),
        }
        new = self.journal.with_name(f"{self.journal.name}.new")
        try:
            with explain(self.journal):
                new.unlink(missing_ok=True)  # left by a killed process
                with new.open("x", encoding="utf-8") as file:
                    json.dump(state, file)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(new, self.journal)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        self.n_read = self.report.n_read

    def finish(self, writer: Writer) -> None:
        """Move the file to its target, and remove the journal.

        writer (Writer): The writer of the format.
        """
        self.file.write(writer.end(is_empty=not self.report.n_docs))
        sync(self.file, self.path)
        writer.place(self.file, self.path, self.target)
        self.file.close()
        self.journal.unlink()

    def discard(self) -> None:
        """Remove the files: nothing is saved any more."""
        self.path.unlink(missing_ok=True)
        self.journal.unlink(missing_ok=True)
        self.n_read = 0


def remove_part(target: Path) -> None:
    """Remove what is left of a process that was killed after it wrote its output.

    target (Path): Path of the output, which is complete.
    RAISES (ValueError): If another process is writing it again.
    """
    part = get_part(resolve(target))
    if part.exists():
        file = open_locked(part)
        part.unlink()
        abandon(file)
    get_journal(resolve(target)).unlink(missing_ok=True)


@contextmanager
def open_part(
    target: Path,
    command: Dict[str, Any],
    report: Report,
    notify: Callable[[str], None],
    *,
    restart: bool = False,
) -> Iterator[Part]:
    """Open a partial output, see `Part`. After an error, it is kept if anything was committed.

    target (Path): Path of the output.
    command (Dict[str, Any]): Everything that the output depends on, see `Part`.
    report (Report): The counts, restored from the journal.
    restart (bool): Discard an existing partial output.
    notify (Callable[[str], None]): Gets a message if it resumes, and if the file is kept.
    YIELDS (Part): The file, to append to.
    """
    part = Part(target, command, report)
    part.open(restart=restart)
    try:
        if part.n_read:
            notify(f"Resuming after record {part.n_read} (partial output: {part.path}).")
        yield part
    except BaseException:  # also Ctrl-C
        if not part.n_read:
            part.discard()
        abandon(part.file)
        if part.n_read:
            notify(
                f"Stopped. The first {part.n_read} records are saved in {part.path}. Run the same "
                "command to resume."
            )
        raise
