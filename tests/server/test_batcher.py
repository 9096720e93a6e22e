"""Which texts are read together, with a stand-in for the pipeline."""

import asyncio

import pytest

from spacy_bert_ner.server import batcher
from spacy_bert_ner.server.batcher import Batcher
from spacy_bert_ner.server.metrics import Metrics
from spacy_bert_ner.server.predictor import Asked


class StandIn:
    """Returns the texts, and keeps the batches. While `is_open` isn't set, it doesn't return."""

    def __init__(self, batch_size=4):
        self.batch_size = batch_size
        self.batches = []
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def predict(self, asked):
        self.batches.append([one.text for one in asked])
        await self.is_open.wait()
        return [ValueError("secret") if one.text == "bad" else one.text for one in asked]


def ask(*texts):
    return [Asked(text, "spacy") for text in texts]


def run(scenario, max_wait=0.0, **settings):
    """RETURNS (List[List[str]]): The batches of a scenario."""

    async def run_in_loop():
        predictor = StandIn(**settings)
        queue = Batcher(predictor, max_wait, Metrics())
        queue.start()
        await scenario(queue, predictor)
        await queue.stop()
        assert queue.task.done() and not queue.jobs
        return predictor.batches

    return asyncio.run(run_in_loop())


def test_what_waits_is_read_together():
    async def scenario(queue, predictor):
        predictor.is_open.clear()
        first = queue.submit(ask("a"))
        await asyncio.sleep(0.01)
        others = [queue.submit(ask(text)) for text in "bcdefg"]
        predictor.is_open.set()
        assert [await future for future in (first, *others)] == [[text] for text in "abcdefg"]

    assert run(scenario) == [["a"], ["b", "c", "d", "e"], ["f", "g"]]


@pytest.mark.parametrize("max_wait,expected", [(0.0, [["a"], ["b"]]), (200.0, [["a", "b"]])])
def test_texts_wait_for_others(max_wait, expected):
    async def scenario(queue, predictor):
        first = queue.submit(ask("a"))
        await asyncio.sleep(0.02)
        assert await queue.submit(ask("b")) == ["b"]
        assert await first == ["a"]

    assert run(scenario, max_wait) == expected


def test_a_full_batch_does_not_wait():
    async def scenario(queue, predictor):
        futures = [queue.submit(ask(text)) for text in "abcd"]
        await asyncio.wait_for(asyncio.gather(*futures), 10)
        assert await asyncio.wait_for(queue.submit(ask(*"efgh")), 10) == [*"efgh"]
        first = queue.submit(ask("i"))
        await asyncio.sleep(0.01)
        await asyncio.wait_for(asyncio.gather(first, queue.submit(ask(*"jkl"))), 10)

    assert run(scenario, max_wait=60_000.0) == [[*"abcd"], [*"efgh"], [*"ijkl"]]


def test_requests_take_turns():
    async def scenario(queue, predictor):
        many = queue.submit(ask(*"abcdefgh"))
        one = queue.submit(ask("x"))
        assert await one == ["x"]
        assert await many == [*"abcdefgh"]

    assert run(scenario) == [["a", "x", "b", "c"], ["d", "e", "f", "g"], ["h"]]


def test_long_texts_are_read_alone(monkeypatch):
    monkeypatch.setattr(batcher, "MAX_CHARS", 5)

    async def scenario(queue, predictor):
        await asyncio.gather(*(queue.submit(ask(text)) for text in ("ab", "cde", "f" * 9, "g")))

    assert run(scenario) == [["ab", "cde"], ["f" * 9], ["g"]]


def test_texts_that_nobody_waits_for_are_left_out():
    async def scenario(queue, predictor):
        predictor.is_open.clear()
        first = queue.submit(ask("a"))
        gone = queue.submit(ask("b", "c"))
        await asyncio.sleep(0.01)
        first.cancel()
        gone.cancel()
        predictor.is_open.set()
        assert await queue.submit(ask("d")) == ["d"]

    assert run(scenario, batch_size=1) == [["a"], ["d"]]


def test_an_error_is_that_of_its_request():
    async def scenario(queue, predictor):
        futures = [queue.submit(texts) for texts in (ask("a"), ask("b", "bad", "bad"), ask("c"))]
        results = await asyncio.gather(*futures, return_exceptions=True)
        assert results[0::2] == [["a"], ["c"]]
        assert isinstance(results[1], ValueError)

    run(scenario)
