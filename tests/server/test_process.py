"""A server as users start it, in an environment without torch: hostile requests while others go on,
and its end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from ..util import EXPECTED, HIDE_TORCH, TEXT

TOKEN = "a-token-of-the-tests"
SECRET = "Wilhelmina"
PROGRAM = (
    HIDE_TORCH
    + """
from spacy_bert_ner.server.limits import Limits
from spacy_bert_ner.server.serve import serve

serve(sys.argv[1], Limits(max_body=100_000, max_wait=200.0, max_queue=64),
      token=sys.argv[2], port=0, batch_size=64, notify=lambda text: print(text, flush=True))
assert not hidden & set(sys.modules)
"""
)
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


class Server:
    """A server in a process of its own."""

    def __init__(self, pipeline):
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(pipeline), TOKEN]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        if "Serving" not in line:
            pytest.fail(self.process.communicate()[1])
        self.port = int(re.search(r":(\d+)\.", line)[1])
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=20,
            limits=httpx.Limits(max_connections=40),
        )

    def ask(self, text=TEXT):
        return self.client.post("/entities", json={"text": text})

    def send(self, request):
        """RETURNS (Tuple[int, dict]): The status and the problem for bytes of HTTP."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(request)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)


@pytest.fixture(scope="module")
def server(exported_paths):
    server = Server(exported_paths["fp32"])
    yield server
    server.client.close()
    server.process.kill()
    server.process.communicate()


def make_head(n_bytes, token=TOKEN):
    lines = (
        "POST /entities HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        "Connection: close",
        f"Authorization: Bearer {token}",
        f"Content-Length: {n_bytes}",
    )
    return "\r\n".join((*lines, "", "")).encode()


BIG = b'{"text": "' + SECRET.encode() * 500_000
HOSTILE = {
    "huge": (make_head(len(BIG)) + BIG, 413, "5,000,010 bytes"),
    "broken": (make_head(23) + b'{"text": "Wilhelmina\xff"}', 400, "UTF-8"),
    "deep": (make_head(80_000) + b"[" * 80_000, 400, "recursion"),
    "no token": (make_head(80_000, "x" * 20) + b"[" * 80_000, 401, "token"),
}


def test_hostile_requests_while_others_go_on(server):
    with ThreadPoolExecutor(16) as threads:
        hostile = {case: threads.submit(server.send, HOSTILE[case][0]) for case in HOSTILE}
        others = [threads.submit(server.ask) for _ in range(50)]
        for case, future in hostile.items():
            status, problem = future.result()
            _, expected, detail = HOSTILE[case]
            assert (status, detail in problem["detail"]) == (expected, True), (case, problem)
        for future in others:
            ents = future.result().json()["ents"]
            assert [(TEXT[ent["start"] : ent["end"]], ent["label"]) for ent in ents] == EXPECTED


def test_clients_that_have_gone(server):
    """Nobody gets status 499: it is in the metrics."""
    body = json.dumps({"text": TEXT}).encode()
    metrics = ""
    while 'path="/entities",status="499"' not in metrics:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(make_head(len(body)) + body)
        metrics = server.client.get("/metrics").text


def test_no_accepted_request_is_lost(server):
    """The last test of the module: it ends the server."""
    with ThreadPoolExecutor(32) as threads:
        waiting = [threads.submit(server.ask, f"{TEXT} {SECRET} {i}") for i in range(32)]
        metrics = ""
        while not re.search(r"^bert_ner_queue_texts (1\d|2\d|3\d)\.0$", metrics, re.MULTILINE):
            metrics = server.client.get("/metrics").text
        n_waiting = float(re.search(r"^bert_ner_queue_texts (\S+)$", metrics, re.MULTILINE)[1])
        server.process.send_signal(signal.SIGTERM)
        n_answered = 0
        for future in waiting:
            with suppress(httpx.TransportError):  # not accepted any more
                n_answered += future.result().status_code == 200
    assert n_answered >= n_waiting
    out, error = server.process.communicate(timeout=20)
    assert server.process.returncode == 0
    assert SECRET not in out + error
    assert "Traceback" not in error
