"""What training prints: spaCy's table, and how far it is."""

import io
from pathlib import Path
from time import perf_counter
from typing import IO, Any, Callable, Dict, Optional, Tuple, Union

from spacy.language import Language
from spacy.training.loggers import console_logger_v3
from tqdm import tqdm

InfoT = Optional[Dict[str, Any]]
# Logs a step of training, with what is known if it was evaluated; ends.
LoggerT = Tuple[Callable[[InfoT], None], Callable[[], None]]


def make_console_logger(
    progress_bar: bool = True, output_file: Optional[Union[str, Path]] = None
) -> Callable[[Language, IO[str], IO[str]], LoggerT]:
    """A logger that prints the table of `spacy.ConsoleLogger.v3`, and below it, in a terminal, the
    steps that are done, the words a second and the time that is left. The table begins with its
    first row: what the first evaluation has to say of the data comes before it.

    progress_bar (bool): Whether to print what is below the table.
    output_file (Optional[Union[str, Path]]): A file to write the numbers of the table to, in JSONL.
    RETURNS (Callable[[Language, IO[str], IO[str]], LoggerT]): Sets the logger up for a pipeline, a
        stream for its output, and one for errors.
    """
    make_table = console_logger_v3(output_file=output_file)

    def setup(nlp: Language, stdout: IO[str], stderr: IO[str]) -> LoggerT:
        text = io.StringIO()
        log_row, close_table = make_table(nlp, text, stderr)
        progress = Progress(nlp.config["training"]["max_steps"], stderr, hide=not progress_bar)

        def log_step(info: InfoT) -> None:
            if info is None:
                progress.add()
                return
            log_row(info)
            progress.clear()
            stdout.write(text.getvalue())
            stdout.flush()
            text.seek(0)
            text.truncate()
            progress.add(info)

        def close() -> None:
            progress.close()
            close_table()

        return log_step, close

    return setup


class Progress:
    """A line at the end of a terminal: steps, words a second, time left. Nothing elsewhere.

    max_steps (int): The number of steps, 0 if there is no limit.
    stream (IO[str]): Where to print it.
    hide (bool): Print nothing.
    """

    def __init__(self, max_steps: int, stream: IO[str], *, hide: bool = False):
        line = "{n_fmt} of {total_fmt} steps |{bar}|{postfix}, {remaining} left"
        self.settings: Dict[str, Any] = {
            "total": max_steps or None,
            "bar_format": line if max_steps else "{n_fmt} steps in {elapsed}{postfix}",
            "smoothing": 0.0,  # evaluations take a part of the time that is left
            "dynamic_ncols": True,
            "leave": False,
            "file": stream,
            "disable": True if hide else None,  # None: if it is no terminal
        }
        self.bar: Any = None
        self.words_per_step = 0.0
        self.n_steps = 0  # those that weren't evaluated, and their time
        self.seconds = 0.0
        self.last = perf_counter()

    def add(self, info: InfoT = None) -> None:
        """Count a step.

        info (InfoT): What is known of it, if it was evaluated.
        """
        now = perf_counter()
        if info is None:
            self.n_steps += 1
            self.seconds += now - self.last
        else:
            self.words_per_step = info["words"] / (info["step"] + 1)
        self.last = now
        if self.bar is None:  # after the first step, which is number 0
            self.bar = tqdm(**self.settings)
            return
        if self.seconds:
            speed = self.words_per_step * self.n_steps / self.seconds
            self.bar.set_postfix_str(f"{speed:,.0f} words/s", refresh=False)
        self.bar.update()

    def clear(self) -> None:
        """Take the line away, to print something else."""
        if self.bar is not None:
            self.bar.clear()

    def close(self) -> None:
        """Take the line away for good."""
        if self.bar is not None:
            self.bar.close()
