"""The console logger of training: spaCy's table, and a progress line."""

import io
from pathlib import Path
from time import perf_counter
from typing import IO, Any, Callable, Dict, Optional, Tuple, Union

from spacy.language import Language
from spacy.training.loggers import console_logger_v3
from tqdm import tqdm

InfoT = Optional[Dict[str, Any]]
# A function that logs a step of training, with its results if it was evaluated, and one that ends.
LoggerT = Tuple[Callable[[InfoT], None], Callable[[], None]]


def make_console_logger(
    progress_bar: bool = True, output_file: Optional[Union[str, Path]] = None
) -> Callable[[Language, IO[str], IO[str]], LoggerT]:
    """Construct `spacy-bert-ner.ConsoleLogger.v1`: a logger that prints the table of
    `spacy.ConsoleLogger.v3` and, in a terminal, a progress line below it with the steps, words per
    second and remaining time. The head of the table is printed together with its first row, so that
    warnings of the first evaluation are above it.

    progress_bar (bool): Whether to print the progress line.
    output_file (Optional[Union[str, Path]]): A JSONL file to which the numbers of the table are
        written; null for none.
    RETURNS (Callable[[Language, IO[str], IO[str]], LoggerT]): Sets up the logger for a pipeline, an
        output stream and an error stream.
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
    """A progress line in a terminal: steps, words per second, remaining time. Prints nothing
    outside of a terminal.

    max_steps (int): The most steps, 0 for no limit.
    stream (IO[str]): Where to print it.
    hide (bool): Print nothing.
    """

    def __init__(self, max_steps: int, stream: IO[str], *, hide: bool = False):
        line = "{n_fmt} of {total_fmt} steps |{bar}|{postfix}, {remaining} left"
        self.settings: Dict[str, Any] = {
            "total": max_steps or None,
            "bar_format": line if max_steps else "{n_fmt} steps in {elapsed}{postfix}",
            "smoothing": 0.0,  # evaluations are part of the remaining time
            "dynamic_ncols": True,
            "leave": False,
            "file": stream,
            "disable": True if hide else None,  # None: outside of a terminal
        }
        self.bar: Any = None
        self.words_per_step = 0.0
        self.n_steps = 0  # steps without evaluation, and their time
        self.seconds = 0.0
        self.last = perf_counter()

    def add(self, info: InfoT = None) -> None:
        """Count a step.

        info (InfoT): Its results, None if it wasn't evaluated.
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
        """Clear the line, to print something else."""
        if self.bar is not None:
            self.bar.clear()

    def close(self) -> None:
        """Remove the line."""
        if self.bar is not None:
            self.bar.close()
