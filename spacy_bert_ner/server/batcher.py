"""Batches across requests: whatever waits when the pipeline is free is read together."""

import asyncio
import contextlib
from collections import deque
from typing import Deque, List, Optional, Sequence, Tuple, Union

from .metrics import Metrics
from .predictor import Asked, Predictor

# The most characters in a batch of several texts, so that short texts don't wait for long ones.
MAX_CHARS = 20_000


class Job:
    """The texts of a request.

    asked (Sequence[Asked]): The texts.
    """

    def __init__(self, asked: Sequence[Asked]):
        loop = asyncio.get_running_loop()
        self.asked = asked
        self.results: List[str] = [""] * len(asked)
        self.n_taken = self.n_read = 0
        self.start = loop.time()
        # Its results, once all texts are read. Cancel it if they aren't needed any more.
        self.future: asyncio.Future[List[str]] = loop.create_future()

    def add(self, place: int, result: Union[str, Exception]) -> None:
        """Add the result of a text.

        place (int): The number of the text, from 0.
        result (Union[str, Exception]): Its JSON, or the error that it caused.
        """
        if self.future.done():
            return
        if isinstance(result, Exception):
            self.future.set_exception(result)
            return
        self.results[place] = result
        self.n_read += 1
        if self.n_read == len(self.asked):
            self.future.set_result(self.results)


class Batcher:
    """A queue of requests.

    predictor (Predictor): Reads the batches.
    max_wait (float): Milliseconds that a text waits for others, if the pipeline is free.
    metrics (Metrics): Gets the size and the time of each batch.
    """

    def __init__(self, predictor: Predictor, max_wait: float, metrics: Metrics):
        self.predictor, self.max_wait, self.metrics = predictor, max_wait, metrics
        self.jobs: Deque[Job] = deque()
        self.arrived = asyncio.Event()
        self.task: Optional[asyncio.Task[None]] = None

    def submit(self, asked: Sequence[Asked]) -> "asyncio.Future[List[str]]":
        """Add the texts of a request to the queue.

        asked (Sequence[Asked]): The texts, at least one.
        RETURNS (Future[List[str]]): Their JSON. If it is cancelled, texts that aren't read yet are
            left out.
        """
        job = Job(asked)
        self.jobs.append(job)
        self.arrived.set()
        return job.future

    def start(self) -> None:
        """Begin to read."""
        self.task = asyncio.get_running_loop().create_task(self._run())

    @property
    def is_running(self) -> bool:
        """RETURNS (bool): Whether texts are read."""
        return self.task is not None and not self.task.done()

    async def stop(self) -> None:
        """Stop reading. Call it when all requests are answered."""
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task

    async def _run(self) -> None:
        while True:
            if not self.jobs:
                self.arrived.clear()
                await self.arrived.wait()
            await self._wait_for_others()
            batch = self._take()
            if batch:
                await self._read(batch)

    async def _wait_for_others(self) -> None:
        """Wait until a batch is full, or the first text has waited long enough."""
        loop = asyncio.get_running_loop()
        end = self.jobs[0].start + self.max_wait / 1000
        while self._count() < self.predictor.batch_size and loop.time() < end:
            self.arrived.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.arrived.wait(), end - loop.time())

    def _count(self) -> int:
        return sum(len(job.asked) - job.n_taken for job in self.jobs)

    def _take(self) -> List[Tuple[Job, int]]:
        """RETURNS (List[Tuple[Job, int]]): The next texts, as requests and numbers of texts. The
        requests take turns, so that one with many texts doesn't delay the others."""
        batch: List[Tuple[Job, int]] = []
        n_chars = 0
        while self.jobs and len(batch) < self.predictor.batch_size:
            job = self.jobs[0]
            if job.future.done():
                self.jobs.popleft()
                continue
            n_chars += len(job.asked[job.n_taken].text)
            if batch and n_chars > MAX_CHARS:
                break
            batch.append((job, job.n_taken))
            job.n_taken += 1
            self.jobs.popleft()
            if job.n_taken < len(job.asked):
                self.jobs.append(job)
        return batch

    async def _read(self, batch: List[Tuple[Job, int]]) -> None:
        asked = [job.asked[place] for job, place in batch]
        with self.metrics.time_batch(asked):
            results = await self.predictor.predict(asked)
        for (job, place), result in zip(batch, results):
            job.add(place, result)
