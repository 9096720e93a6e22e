"""Predict in several processes, in the order of the documents. A process that is killed, as by a
system that is short of memory, is replaced, and its documents are read again."""

import os
import signal
import sys
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import cycle
from multiprocessing import current_process, get_context, parent_process
from multiprocessing.queues import SimpleQueue
from threading import Thread
from typing import Any, Callable, Deque, Iterable, Iterator, List, NamedTuple, Optional, Tuple

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from ..errors import UserError
from ..formats import Report
from ..zones import Zone
from .checks import require_gpu
from .pipelines import load_pipeline
from .transport import PackedDoc, pack, unpack

# Batches that are read ahead for each process.
N_AHEAD = 2
MOST_DEATHS = 3
GUARD = (
    'In a script, call it under `if __name__ == "__main__":`, since processes import the script.'
)

Packed = List[PackedDoc]
# Of a process of its own.
_WORKER: "Worker"


class JobSettings(NamedTuple):
    """How to predict.

    pipeline (str): Name or path of a trained pipeline.
    gpus (List[int]): Numbers of the GPUs that the processes are spread over, -1 for the CPU.
    n_threads (int): Threads of torch in each process.
    batch_size, keep_ents: See `annotate.predict`.
    """

    pipeline: str
    gpus: List[int]
    n_threads: int
    batch_size: int
    keep_ents: bool


class Worker:
    """The pipeline of a process, and the zone in which it predicts.

    settings (JobSettings): How to predict.
    gpu (int): Number of its GPU, -1 for the CPU.
    """

    def __init__(self, settings: JobSettings, gpu: int):
        self.settings = settings
        self.nlp = load_in_worker(settings.pipeline, gpu, settings.n_threads)
        self.zone = Zone([self.nlp])

    def predict(self, data: Packed) -> Packed:
        """RETURNS (Packed): Documents with entities.

        data (Packed): The documents.
        """
        from .annotate import predict

        self.zone.renew()
        size, keep_ents = self.settings.batch_size, self.settings.keep_ents
        docs = unpack(self.nlp.vocab, data)
        return pack(predict(self.nlp, docs, batch_size=size, keep_ents=keep_ents))


def load_in_worker(pipeline: str, use_gpu: int, n_threads: int) -> Language:
    """Load a pipeline in a process that only predicts.

    pipeline (str): Its name or path.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    n_threads (int): Threads of torch.
    RETURNS (Language): The pipeline.
    RAISES (UserError): For a GPU that can't be used and a pipeline that can't be loaded.
    """
    require_gpu(use_gpu)
    nlp = load_pipeline(pipeline)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n_threads)
    return nlp


class Pool:
    """Processes that predict. They end with this one, however it ends.

    make_executor (Callable[[], Executor]): Starts the processes, also after one was killed.
    n_ahead (int): Batches that are read before the first of them is done.
    notify (Callable[[str], None]): Gets a message if processes are started again.
    """

    def __init__(
        self, make_executor: Callable[[], Any], n_ahead: int, notify: Callable[[str], None]
    ):
        self.make_executor, self.n_ahead, self.notify = make_executor, n_ahead, notify
        self.executor = make_executor()
        self.pending: Deque[Tuple[Packed, Any, Optional[Future[Packed]]]] = deque()

    def map(self, batches: Iterable[Tuple[Packed, Any]]) -> Iterator[Tuple[Packed, Any]]:
        """Predict batches. If the next one can't be read, those before it are yielded before the
        error is raised.

        batches (Iterable[Tuple[Packed, Any]]): Documents, and anything that goes with them.
        YIELDS (Tuple[Packed, Any]): The documents with entities, and what goes with them.
        RAISES (UserError): If processes are killed again and again.
        """
        error: Optional[Exception] = None
        batches = iter(batches)
        while error is None:
            try:
                data, extra = next(batches)
            except StopIteration:
                break
            except Exception as reason:
                error = reason
                break
            self.pending.append((data, extra, self._submit(data)))
            if len(self.pending) >= self.n_ahead:
                yield self._finish()
        while self.pending:
            yield self._finish()
        if error is not None:
            raise error

    def wait_for_start(self) -> None:
        """Wait until a process has loaded the pipeline.

        RAISES (UserError): If it ends before.
        """
        try:
            self.executor.submit(_predict, []).result()
        except BrokenProcessPool as error:
            raise UserError(
                f"A process ended before it had loaded the pipeline. {GUARD} If the memory is "
                "full, use fewer --jobs."
            ) from error

    def close(self) -> None:
        """End the processes, after the batches that they predict now."""
        self.executor.shutdown(cancel_futures=True)

    def _submit(self, data: Packed) -> "Optional[Future[Packed]]":
        try:
            future: Future[Packed] = self.executor.submit(_predict, data)
        except BrokenProcessPool:
            return None
        return future

    def _finish(self) -> Tuple[Packed, Any]:
        """Wait for the first pending batch."""
        for n_deaths in range(1, MOST_DEATHS + 1):
            _, extra, future = self.pending[0]
            try:
                if future is not None:
                    result = future.result()
                    self.pending.popleft()
                    return result, extra
            except BrokenProcessPool:
                pass
            if n_deaths < MOST_DEATHS:
                self.notify("A process was killed. Starting the processes again.")
                self.close()
                self.executor = self.make_executor()
                self.pending = deque(
                    (data, more, self._submit(data)) for data, more, _ in self.pending
                )
        raise UserError(
            f"Processes were killed {MOST_DEATHS} times at the same documents. If the memory is "
            "full, use fewer --jobs or a smaller --batch-size."
        )


@contextmanager
def open_pool(
    settings: JobSettings, n_jobs: int, notify: Callable[[str], None]
) -> Iterator[Optional[Pool]]:
    """Start processes. They are spawned: a fork would copy locks of threads, and can't use a GPU.

    settings (JobSettings): How to predict.
    n_jobs (int): Number of processes.
    notify (Callable[[str], None]): See `Pool`.
    YIELDS (Optional[Pool]): The processes; None for one, which is this process.
    RAISES (UserError): If they can't start.
    """
    if n_jobs == 1:
        yield None
        return

    def make_executor() -> ProcessPoolExecutor:
        context = get_context("spawn")
        gpus: SimpleQueue[int] = context.SimpleQueue()  # each process takes one when it starts
        for _, gpu in zip(range(n_jobs), cycle(settings.gpus)):
            gpus.put(gpu)
        return ProcessPoolExecutor(n_jobs, context, initializer=_start, initargs=(settings, gpus))

    pool = Pool(make_executor, N_AHEAD * n_jobs, notify)
    try:
        pool.wait_for_start()
        yield pool
    finally:
        pool.close()


def predict_in_processes(
    nlp: Language,
    batches: Iterable[List[Doc]],
    reading: Report,
    report: Report,
    pool: Pool,
) -> Iterator[Iterator[Doc]]:
    """Predict batches of documents.

    nlp (Language): The pipeline that reads them.
    batches (Iterable[List[Doc]]): The documents.
    reading (Report): Counts what is read.
    report (Report): Gets these counts when the documents are yielded, so that it doesn't count what
        is only read.
    pool (Pool): The processes.
    YIELDS (Iterator[Doc]): New documents, of a vocabulary of their own. Don't use them after the
        next ones.
    """
    blank = spacy.blank(nlp.lang or "xx")
    with Zone([blank]) as zone:
        for data, counted in pool.map((pack(batch), reading.take()) for batch in batches):
            zone.renew()
            report.merge(counted)
            yield unpack(blank.vocab, data)
    report.merge(reading.take())  # of records behind the last document


def check_jobs(n_jobs: int) -> None:
    """Check that this isn't a process that only imports the script that started it. It would start
    processes that do the same.

    n_jobs (int): Number of processes.
    RAISES (UserError): If it is, and is to start processes.
    """
    # Without this private attribute, Python's own error comes later, after files were opened.
    if n_jobs > 1 and getattr(current_process(), "_inheriting", False):
        raise UserError(f"Can't predict in {n_jobs} processes in one that was started. {GUARD}")


def get_n_threads(n_jobs: int) -> int:
    """RETURNS (int): Threads for each of some processes, so that there are no more than cores.

    n_jobs (int): Number of processes.
    """
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max((n_cores or 1) // n_jobs, 1)


def _start(settings: JobSettings, gpus: "SimpleQueue[int]") -> None:
    """Begin a process. The parent stops it after Ctrl-C, which reaches all processes."""
    global _WORKER
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    _WORKER = Worker(settings, gpus.get())
    _WORKER.zone.__enter__()  # it ends with the process


def _end_with_parent() -> None:
    """A process would wait forever for a parent that was killed."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _predict(data: Packed) -> Packed:
    return _WORKER.predict(data)
