"""How fast, how steady and how robust is `spacy bert-ner serve`?

    OMP_NUM_THREADS=1 python benchmarks/serve.py PIPELINE TEXTS --name NAME [--parts latency memory
        hostile end] [--limit N] [--repeats 3] [--connections 64] [--seconds 60]
        [--requests 200000]

TEXTS is a .spacy file; each text is a request. The clients are in a process of their own. First,
the words per second at saturation (as many requests at once as --connections), next to nlp.pipe,
and to FastAPI applications that call nlp(text) for each request. Then the parts:

latency  requests at random times (Poisson), at 80 % of the rate at saturation
memory   resident memory over --requests requests, each with a word that never occurred before
hostile  20 hostile requests, while others are answered at half of the rate at saturation
end      SIGTERM at saturation: requests that were sent 50 ms before it must be answered

Writes results/serve_NAME.md, .json and .png. Everything runs on this machine (127.0.0.1).
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from select import select

import numpy
import psutil

TOKEN = "a-token-of-this-benchmark"
PARTS = ("latency", "memory", "hostile", "end")
# What one writes first. `def` runs in FastAPI's threads, `async def` in the loop of the server.
PLAIN = """
import sys, spacy, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

nlp = spacy.load(sys.argv[1])
app = FastAPI()

class Query(BaseModel):
    text: str

@app.post("/entities")
{kind} find_entities(query: Query):
    ents = nlp(query.text).ents
    return [{{"start": e.start_char, "end": e.end_char, "label": e.label_}} for e in ents]

print("Serving on port 127.0.0.1:" + sys.argv[2] + ".", flush=True)
uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
"""


# The clients.


class Connection:
    """A connection that is kept for many requests."""

    def __init__(self, port):
        self.port = port
        self.reader = self.writer = None

    async def ask(self, request):
        """RETURNS (int): The status of the answer."""
        # Servers close connections that were idle for seconds.
        if self.writer is None or self.reader.at_eof():
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1])
        await self.reader.readexactly(length)
        return int(head[9:12])


def make_request(text):
    """RETURNS (bytes): A request for one text."""
    body = json.dumps({"text": text}, ensure_ascii=False).encode()
    lines = ("POST /entities HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json",
             f"Authorization: Bearer {TOKEN}", f"Content-Length: {len(body)}", "", "")  # fmt: skip
    return "\r\n".join(lines).encode() + body


def saturate(port, texts, n_connections):
    """RETURNS (int): The number of right answers, with a request on each connection at any time."""
    left = map(make_request, texts)

    async def work():
        connection = Connection(port)
        return sum([await connection.ask(request) == 200 for request in left])

    async def run():
        return sum(await asyncio.gather(*(work() for _ in range(n_connections))))

    return asyncio.run(run())


def offer(port, texts, rate, seconds):
    """Send requests at random times, whether the ones before are answered or not.

    RETURNS (list): Seconds from the time of each request to its answer; infinite without one.
    """
    rng = random.Random(0)
    requests = itertools.cycle(map(make_request, texts))
    idle, times = [], []

    async def ask(due, request):
        connection = idle.pop() if idle else Connection(port)
        status = await connection.ask(request)
        idle.append(connection)
        times.append(time.perf_counter() - due if status == 200 else float("inf"))

    async def run():
        due = time.perf_counter()
        end = due + seconds
        tasks = []
        while due < end:
            await asyncio.sleep(due - time.perf_counter())
            tasks.append(asyncio.ensure_future(ask(due, next(requests))))
            due += rng.expovariate(rate)
        await asyncio.gather(*tasks)

    asyncio.run(run())
    return times


def stop(port, texts, n_connections, pid):
    """Send SIGTERM to a server that is saturated.

    RETURNS (dict): Requests that were sent 50 ms before it, and how many of these were answered;
        and the same of all later ones.
    """
    requests = itertools.cycle(map(make_request, texts))
    counts = {"before": 0, "before_answered": 0, "later": 0, "later_answered": 0}
    stopped = None

    async def work():
        connection = Connection(port)
        while True:
            sent = time.perf_counter()
            try:
                is_answered = await connection.ask(next(requests)) == 200
            except (OSError, asyncio.IncompleteReadError):
                is_answered = False
            if stopped is not None and time.perf_counter() > stopped:
                name = "before" if sent < stopped - 0.05 else "later"
                counts[name] += 1
                counts[f"{name}_answered"] += is_answered
            if not is_answered:
                return

    async def kill():
        nonlocal stopped
        await asyncio.sleep(3)
        stopped = time.perf_counter()
        os.kill(pid, signal.SIGTERM)

    async def run():
        await asyncio.gather(kill(), *(work() for _ in range(n_connections)))

    asyncio.run(run())
    return counts


# The servers.


def get_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@contextmanager
def running(command):
    """A server. Yields its port and its process."""
    port = get_port()
    command = [sys.executable, "-W", "ignore", *command]
    env = {**os.environ, "SPACY_BERT_NER_TOKEN": TOKEN}
    process = subprocess.Popen(
        [word.replace("PORT", str(port)) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env,
    )
    try:
        for line in process.stdout:
            if "Serving" in line:
                break
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port, process
    finally:
        process.terminate()
        process.wait()


def serving(pipeline, *options):
    words = ["-m", "spacy", "bert-ner", "serve", str(pipeline), "--port", "PORT"]
    return running([*words, "--max-queue", "1024", *options])


def serving_plainly(pipeline, kind):
    return running(["-c", PLAIN.format(kind=kind), str(pipeline), "PORT"])


# The parts.


def get_work(process):
    """RETURNS (float): Seconds of processor time that a process has used."""
    times = psutil.Process(process.pid).cpu_times()
    return times.user + times.system


def measure_speed(args, texts, n_words, clients):
    """RETURNS (list): Words per second of each system."""
    import spacy
    from harness import measure, to_rows

    nlp = spacy.load(args.pipeline)

    work = {}

    def ask(name, port, process):
        start = get_work(process)
        n_right = clients.submit(saturate, port, texts, args.connections).result()
        assert n_right == len(texts), f"{n_right} of {len(texts)} requests answered"
        work[name] = get_work(process) - start

    def pipe():
        start = time.process_time()
        assert sum(1 for _ in nlp.pipe(texts)) == len(texts)
        work["nlp.pipe"] = time.process_time() - start

    with (
        serving(args.pipeline) as ours,
        serving_plainly(args.pipeline, "def") as plain,
        serving_plainly(args.pipeline, "async def") as plain_async,
    ):
        servers = {"serve": ours, "FastAPI, def": plain, "FastAPI, async def": plain_async}
        systems = {"nlp.pipe": pipe}
        systems |= {name: partial(ask, name, *server) for name, server in servers.items()}
        measure(systems, 1)
        seconds = measure(systems, args.repeats)
    rows = to_rows(seconds, n_words, "nlp.pipe")
    for row in rows:
        row["texts_per_second"] = round(len(texts) / row["median_s"], 1)
        row["processor_ms_per_text"] = round(1000 * work[row["system"]] / len(texts), 2)
    return rows


def measure_latency(args, texts, rate, clients):
    """RETURNS (str): Percentiles of the times of answers at a rate."""
    with serving(args.pipeline) as (port, _):
        clients.submit(offer, port, texts, rate, 5).result()
        times = clients.submit(offer, port, texts, rate, args.seconds).result()
    p50, p90, p99 = (numpy.percentile(times, share) * 1000 for share in (50, 90, 99))
    return (
        f"Latency at {rate:.0f} requests per second for {args.seconds} s: p50 {p50:.1f} ms, p90 "
        f"{p90:.1f} ms, p99 {p99:.1f} ms ({p99 / p50:.1f} times p50), {len(times):,} requests."
    )


def measure_memory(args, texts, clients):
    """RETURNS (str): Resident memory of the server after parts of the requests."""
    words = itertools.count()
    size = max(1, args.requests // 100)
    memory = []
    with serving(args.pipeline) as (port, process):
        for _ in range(100):
            part = [f"{random.choice(texts)} w{next(words)}x" for _ in range(size)]
            n_right = clients.submit(saturate, port, part, args.connections).result()
            assert n_right == size
            memory.append(psutil.Process(process.pid).memory_info().rss / 1e6)
    tenth, rest = max(memory[:10]), memory[10:]
    return (
        f"Resident memory over {100 * size:,} requests: {memory[0]:.0f} MB after 1 %, at most "
        f"{tenth:.0f} MB in the first tenth, at most {max(rest):.0f} MB after it "
        f"({max(rest) / tenth - 1:+.1%}), {rest[-1]:.0f} MB at the end."
    )


def make_head(length, token=TOKEN, kind="application/json", path="/entities", more=()):
    lines = (f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}",
             f"Authorization: Bearer {token}", f"Content-Length: {length}", *more,
             "Connection: close", "", "")  # fmt: skip
    return "\r\n".join(lines).encode()


def send(port, parts, pause):
    """RETURNS (int): The status of an answer to bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for part in parts:
            connection.sendall(part)
            if select([connection], [], [], pause)[0]:
                break  # it is answered before it is complete
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return int(answer.split()[1])


def make_hostile():
    """RETURNS (list): Names, bytes in parts, seconds between them, and the right status."""

    def whole(name, body, status, **head):
        return (name, [make_head(len(body), **head), body], 0, status)

    text = b'{"text": "%s"}'
    chunked = make_head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    endless = b"%x\r\n%s\r\n" % (100_000, b"a" * 100_000)
    return [
        whole("10 MB", text % (b"a" * 10_000_000), 413),
        whole("100 MB", text % (b"a" * 100_000_000), 413),
        ("30 MB in chunks", [chunked, endless * 300, b"0\r\n\r\n"], 0, 413),
        whole("a long text", text % (b"a" * 200_000), 413),
        whole("a long word", text % (b"a" * 90_000), 200),
        whole("many texts", json.dumps({"text": ["a"] * 5000}).encode(), 413),
        whole("an array of 300,000 texts", b'{"text": [' + b'"",' * 299_999 + b'""]}', 413),
        ("a body that stops", [make_head(100), b'{"text"'], 0, 408),
        ("a slow body", [make_head(100), *[b"a"] * 40], 0.5, 408),
        ("a slow body in chunks", [chunked, *[b"1\r\na\r\n"] * 40], 0.5, 408),
        whole("broken UTF-8", text % b"\xff\xfe\xc0", 400),
        whole("half a surrogate pair", text % b"\\ud800", 400),
        whole("deep arrays", b"[" * 500_000, 400),
        whole("deep objects", b'{"a":' * 100_000, 400),
        whole("no JSON", b"<script>alert(1)</script>", 400),
        whole("a large number", b'{"text": ' + b"9" * 100_000 + b"}", 400),
        whole("a wrong token", text % b"a", 401, token="x" * 32),
        whole("a long token", text % b"a", 401, token="x" * 20_000),
        whole("a form", b"text=a", 415, kind="application/x-www-form-urlencoded"),
        whole("no HTTP path", text % b"a", 404, path="/../../etc/passwd"),
    ]


def check_hostile(args, texts, rate, clients):
    """RETURNS (str): How many hostile requests were answered as they should be."""
    cases = make_hostile()
    with (
        serving(args.pipeline, "--timeout", "10") as (port, process),
        ThreadPoolExecutor(20) as pool,
    ):
        others = clients.submit(offer, port, texts, rate, 20)
        time.sleep(1)
        before = psutil.Process(process.pid).memory_info().rss / 1e6
        futures = [pool.submit(send, port, parts, pause) for _, parts, pause, _ in cases]
        found = [future.result() for future in futures]
        after = psutil.Process(process.pid).memory_info().rss / 1e6
        times = others.result()
    wrong = [
        f"{name} got {status} instead of {expected}"
        for (name, _, _, expected), status in zip(cases, found)
        if status != expected
    ]
    n_right = sum(numpy.isfinite(times))
    return (
        f"{len(cases) - len(wrong)} of {len(cases)} hostile requests got the right status"
        f"{': ' * bool(wrong)}{'; '.join(wrong)}. Meanwhile, {n_right:,} of {len(times):,} other "
        f"requests were answered with entities; resident memory {before:.0f} MB, then {after:.0f}."
    )


def check_end(args, texts, clients):
    """RETURNS (str): What became of the requests around a SIGTERM."""
    with serving(args.pipeline) as (port, process):
        counts = clients.submit(stop, port, texts, args.connections, process.pid).result()
        code = process.wait(60)
    return (
        f"SIGTERM at saturation: {counts['before_answered']} of {counts['before']} requests that "
        f"were sent 50 ms before it were answered after it, and {counts['later_answered']} of "
        f"{counts['later']} later ones; the others were not accepted. Exit code {code}."
    )


def read_texts(path, limit):
    import spacy
    from spacy.tokens import DocBin

    docs = list(DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab))[:limit]
    return [doc.text for doc in docs], sum(map(len, docs))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--limit", type=int, help="of texts")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--requests", type=int, default=200_000)
    args = parser.parse_args()
    texts, n_words = read_texts(args.texts, args.limit)
    notes = []
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as clients:
        rows = measure_speed(args, texts, n_words, clients)
        rate = next(row["texts_per_second"] for row in rows if row["system"] == "serve")
        if "latency" in args.parts:
            notes.append(measure_latency(args, texts, 0.8 * rate, clients))
        if "memory" in args.parts:
            notes.append(measure_memory(args, texts, clients))
        if "hostile" in args.parts:
            notes.append(check_hostile(args, texts, 0.5 * rate, clients))
        if "end" in args.parts:
            notes.append(check_end(args, texts, clients))
    write(args, rows, notes)


def write(args, rows, notes):
    from harness import name_corpus, report

    title = f"{args.connections} requests at once, {name_corpus(args.texts)}"
    report(f"serve_{args.name}", title, rows, notes=[line for note in notes for line in (note, "")])


if __name__ == "__main__":
    main()
