"""What a server counts, for Prometheus."""

from contextlib import contextmanager
from typing import Callable, Iterator, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from .predictor import Asked

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counts and times of one server."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # memory, processor time, open files
        self.requests = Counter(
            "bert_ner_requests",
            "Answers, by path and status",
            ["path", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "bert_ner_request_seconds",
            "Seconds from a request for entities to its answer",
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "bert_ner_batch_seconds", "Seconds of a batch", buckets=SECONDS, registry=registry
        )
        self.batch_texts = Histogram(
            "bert_ner_batch_texts", "Texts in a batch", buckets=TEXTS, registry=registry
        )
        self.characters = Counter(
            "bert_ner_characters", "Characters of the texts that were read", registry=registry
        )
        self.queue = Gauge(
            "bert_ner_queue_texts", "Texts that aren't answered yet", registry=registry
        )

    @contextmanager
    def time_batch(self, asked: Sequence[Asked]) -> Iterator[None]:
        """A context to read a batch in.

        asked (Sequence[Asked]): Its texts.
        """
        with self.batch_seconds.time():
            yield
        self.batch_texts.observe(len(asked))
        self.characters.inc(sum(len(one.text) for one in asked))

    def follow_queue(self, get_size: Callable[[], float]) -> None:
        """Show the size of the queue.

        get_size (Callable[[], float]): Returns the number of texts in it.
        """
        self.queue.set_function(get_size)

    def render(self) -> bytes:
        """RETURNS (bytes): All values, in the text format of Prometheus."""
        return generate_latest(self.registry)
