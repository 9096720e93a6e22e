"""A file in the making, which outlives its process, and a journal of how far it has come."""

import json
import os
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator

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
    """The file next to the target that is appended to, and its journal. What was committed is there
    after the process was killed, and after a power cut."""

    def __init__(self, target: Path, command: Dict[str, Any], report: Report):
        """Name the files. Nothing is opened yet.

        target (Path): The file to make.
        command (Dict[str, Any]): All that the output depends on, in plain types, by what it is
            called: another command can't go on with the file.
        report (Report): What was counted, restored from the journal.
        """
        self.target = resolve(target)
        self.path = get_part(self.target)
        self.journal = get_journal(self.target)
        self.command = command
        self.report = report
        self.n_read = 0  # records that are committed
        self.file: BufferedRandom

    def open(self, *, restart: bool = False) -> None:
        """Resume after what was committed, or start.

        restart (bool): Throw away what there is.
        RAISES (ValueError): If it is of another command, of another process, or damaged.
        """
        was_there = self.path.exists()
        # Not "a": what wasn't committed is cut off, and written again.
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

        RETURNS (int): How many bytes of the file are good.
        """
        size = os.fstat(self.file.fileno()).st_size
        if not self.journal.exists():
            if size:
                raise FormatError(
                    f"Can't write {self.path}, where the output is made: there is a file of that "
                    "name, and no journal of it. Move it away, or use --restart to overwrite it."
                )
            return 0
        state = self._read_journal()
        if not was_there or not state["n_bytes"]:
            return 0
        self._check_fits(state)
        if size < state["n_bytes"]:
            raise FormatError(
                f"Can't resume with {self.path}: it has {size} bytes, and {self.journal} knows of "
                f"{state['n_bytes']}. Use --restart to start again."
            )
        self.report.restore(state["report"])
        self.n_read = self.report.n_read
        return state["n_bytes"]

    def _read_journal(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): What `commit` has written.
        RAISES (ValueError): For anything else.
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
                f"Can't read {self.journal}, which has to be the journal of {self.path}: "
                f"{type(error).__name__}, {error}. Use --restart to start again."
            ) from error
        return {"command": command, "n_bytes": n_bytes, "report": report}

    def _check_fits(self, state: Dict[str, Any]) -> None:
        before, now = state["command"], self.command
        changed = [
            f"{name} was {before.get(name)!r}, and is {now.get(name)!r}"
            for name in {**before, **now}
            if before.get(name) != now.get(name)
        ]
        if changed:
            raise FormatError(
                f"Can't resume with {self.path}, which has the first {state['report']['n_read']} "
                f"records of another command: {'; '.join(changed)}. Give that command again, name "
                "another output, or use --restart to throw away what there is."
            )

    def append(self, pieces: Iterable[bytes]) -> None:
        """Write what belongs together, and commit it.

        pieces (Iterable[bytes]): What to write.
        """
        self.file.writelines(pieces)
        self.commit()

    def commit(self) -> None:
        """Note that all there is is good. The journal is never ahead of the file."""
        sync(self.file, self.path)
        state = {
            "command": self.command,
            "n_bytes": self.file.tell(),
            "report": self.report.to_dict(),
        }
        new = self.journal.with_name(f"{self.journal.name}.new")
        try:
            with explain(self.journal):
                new.unlink(missing_ok=True)  # a process that was killed has left it
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
        """Put the file in place, and remove the journal.

        writer (Writer): That of the format.
        """
        self.file.write(writer.end(is_empty=not self.report.n_docs))
        sync(self.file, self.path)
        writer.place(self.file, self.path, self.target)
        self.file.close()
        self.journal.unlink()

    def discard(self) -> None:
        """Remove the files."""
        self.path.unlink(missing_ok=True)
        self.journal.unlink(missing_ok=True)


@contextmanager
def open_part(
    target: Path,
    command: Dict[str, Any],
    report: Report,
    notify: Callable[[str], None],
    *,
    restart: bool = False,
) -> Iterator[Part]:
    """Open a file in the making, see `Part`. After an error it stays, if anything was committed.

    target (Path): Where the file belongs.
    command (Dict[str, Any]): All that the output depends on, see `Part`.
    report (Report): What was counted, restored from the journal.
    restart (bool): Throw away what there is.
    notify (Callable[[str], None]): Is told where it resumes, and what stays.
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
