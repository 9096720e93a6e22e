"""A file in the making, which outlives its process, and a journal of how far it has come."""

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterable, Iterator

from .report import FormatError, Report
from .writing import Writer

if sys.platform != "win32":
    import fcntl


class Part:
    """The file beside the target that is appended to, and its journal. What was committed is there
    after the process was killed, and after a power cut."""

    def __init__(self, target: Path, command: Dict[str, Any], report: Report):
        """Name the files. Nothing is opened yet.

        target (Path): The file to make.
        command (Dict[str, Any]): All that the output depends on, in plain types, by what it is
            called: another command can't go on with the file.
        report (Report): What was counted, restored from the journal.
        """
        self.target = target.resolve()  # a link stays one
        self.path = self.target.with_name(f"{self.target.name}.part")
        self.journal = self.target.with_name(f"{self.target.name}.journal")
        self.command = command
        self.report = report
        self.n_read = 0  # records that are committed
        self.file: IO[bytes]

    def open(self, *, restart: bool = False) -> None:
        """Go on behind what was committed, or start.

        restart (bool): Throw away what there is.
        RAISES (ValueError): If it is of another command, of another process, or damaged.
        """
        self.target.parent.mkdir(parents=True, exist_ok=True)
        was_there = self.path.exists()
        # Not "a": what wasn't committed is cut off, and written anew.
        self.file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            self._lock()
            n_bytes = 0 if restart else self._resume(was_there)
            self.file.truncate(n_bytes)
            self.file.seek(n_bytes)
            self.commit()
        except BaseException:
            self.file.close()
            if not was_there:
                self.path.unlink(missing_ok=True)
            raise

    def _lock(self) -> None:
        """Keep other processes from the file: the system lets go of it whatever ends this one."""
        if sys.platform == "win32":
            return
        busy = FormatError(
            f"Can't write {self.path}: another process is writing it. Wait for that one, or name "
            "another output."
        )
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise busy from error
        # Until then, the other may have put the file in place: it isn't in the making any more.
        if not (
            self.path.exists() and os.path.samestat(self.path.stat(), os.fstat(self.file.fileno()))
        ):
            raise busy

    def _resume(self, was_there: bool) -> int:
        """Restore the report.

        RETURNS (int): How many bytes of the file are good.
        """
        size = os.fstat(self.file.fileno()).st_size
        if not self.journal.exists():
            if size:
                raise FormatError(
                    f"Can't write {self.path}, where the output is made: there is a file of that "
                    "name, and no journal of it. Move it away, or take --restart to overwrite it."
                )
            return 0
        state = self._read_journal()
        if not was_there or not state["n_bytes"]:
            return 0
        self._check_fits(state)
        if size < state["n_bytes"]:
            raise FormatError(
                f"Can't go on with {self.path}: it has {size} bytes, and {self.journal} knows of "
                f"{state['n_bytes']}. Take --restart to start anew."
            )
        self.report.restore(state["report"])
        return state["n_bytes"]

    def _read_journal(self) -> Dict[str, Any]:
        try:
            state = json.loads(self.journal.read_text(encoding="utf-8"))
            return {key: state[key] for key in ("command", "n_bytes", "report")}
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(
                f"Can't read {self.journal}, which has to be the journal of {self.path}: "
                f"{type(error).__name__}, {error}. Take --restart to start anew."
            ) from error

    def _check_fits(self, state: Dict[str, Any]) -> None:
        before, now = state["command"], self.command
        changed = [
            f"{name} was {before.get(name)!r}, and is {now.get(name)!r}"
            for name in {**before, **now}
            if before.get(name) != now.get(name)
        ]
        if changed:
            raise FormatError(
                f"Can't go on with {self.path}, which has the first {state['report']['n_read']} "
                f"records of another command: {'; '.join(changed)}. Give that command again, name "
                "another output, or take --restart to throw away what there is."
            )

    def append(self, pieces: Iterable[bytes]) -> None:
        """Write what belongs together, and commit it."""
        self.file.writelines(pieces)
        self.commit()

    def commit(self) -> None:
        """Note that all there is is good. The journal is never ahead of the file."""
        self.file.flush()
        os.fsync(self.file.fileno())
        state = {
            "command": self.command,
            "n_bytes": self.file.tell(),
            "report": self.report.to_dict(),
        }
        new = self.journal.with_name(f"{self.journal.name}.new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.journal)
        self.n_read = self.report.n_read

    def finish(self, writer: Writer) -> None:
        """Put the file in place, and remove the journal."""
        self.file.write(writer.end(is_empty=not self.report.n_docs))
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        writer.place(self.path, self.target)
        self.journal.unlink()

    def discard(self) -> None:
        """Remove the files."""
        self.file.close()
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

    notify (Callable[[str], None]): Is told where it goes on, and what stays.
    """
    part = Part(target, command, report)
    part.open(restart=restart)
    if part.n_read:
        notify(f"Goes on behind record {part.n_read}, with what is in {part.path}.")
    try:
        yield part
    except BaseException:  # also Ctrl-C
        part.file.close()
        if part.n_read:
            notify(
                f"Stopped. The first {part.n_read} records are ready, in {part.path}: the same "
                "command goes on behind them."
            )
        else:
            part.discard()
        raise
