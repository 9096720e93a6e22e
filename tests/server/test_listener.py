"""Beginning and end of a server, in a thread."""

import asyncio
import gc
import json
import logging
import signal
import socket
import threading
import warnings
from contextlib import contextmanager

import pytest

from spacy_bert_ner.server import predictor
from spacy_bert_ner.server.app import make_app
from spacy_bert_ner.server.limits import Limits
from spacy_bert_ner.server.listener import Listener
from spacy_bert_ner.server.serve import serve

HEAD = (
    b"POST /entities HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 99\r\n\r\n"
)


@contextmanager
def running(app, timeout):
    """RETURNS (Tuple[Listener, socket]): A server, and a connection to it. At the end, the server
    must have ended."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address, started = listening.getsockname(), threading.Event()
        server = Listener(app, timeout, started.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            assert started.wait(20)
            with socket.create_connection(address, timeout=20) as connection:
                yield server, connection
                thread.join(20)
                assert not thread.is_alive()
        finally:
            server.should_exit = server.force_exit = True
            thread.join()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # connections of clients that don't read are open
                gc.collect()


@pytest.fixture
def handlers():
    """Restores the handlers of signals."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_at_once_ends_it(ruler_path, handlers):
    shown = []

    def notify(text):
        shown.append(text)
        port = int(text.split(":")[2].partition(".")[0])
        socket.create_connection(("127.0.0.2", port), timeout=20).close()
        signal.raise_signal(signal.SIGTERM)

    serve(str(ruler_path), host="127.0.0.2", port=0, notify=notify)
    assert len(shown) == 1


def test_a_second_signal_while_loading_ends_the_process(handlers, monkeypatch):
    def load(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(predictor, "Predictor", load)
    with pytest.raises(KeyboardInterrupt):
        serve("none", port=0)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL


def test_the_end_does_not_wait_for_clients_that_do_not_read():
    is_called = threading.Event()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            is_called.set()
            while True:
                part = {"body": bytes(1_000_000), "more_body": True}
                await send({"type": "http.response.body", **part})

    with running(app, timeout=0.1) as (server, connection):
        connection.sendall(HEAD)
        assert is_called.wait(20)
        server.should_exit = True


def ask(connection):
    body = b'{"text": "Anna"}'
    connection.sendall(HEAD.replace(b"99", str(len(body)).encode()) + body)
    answer = b""
    while not answer.endswith(b"}"):
        answer += connection.recv(65536)
    assert b"200 OK" in answer


def send_until_closed(connection):
    """A byte at a time, for at most 20 seconds."""
    connection.settimeout(0.01)
    for _ in range(2000):
        try:
            connection.sendall(b"x")
            if connection.recv(65536) == b"":
                return
        except TimeoutError:
            continue
        except OSError:
            return
    pytest.fail("the connection stays")


@pytest.mark.parametrize("n_requests", [0, 2])
def test_headers_that_never_end(n_requests, ruler_path):
    """Also after other requests. Connections on which requests arrive stay."""
    app = make_app(predictor.Predictor(str(ruler_path)), Limits())
    with running(app, timeout=1.0) as (server, connection):
        for _ in range(n_requests):
            ask(connection)
        with socket.create_connection(connection.getpeername(), timeout=20) as other:
            connection.sendall(b"POST /entities HTTP/1.1\r\nX: ")
            send_until_closed(connection)
            assert other.recv(1) == b""  # nothing was sent
        assert not server.server_state.connections
        server.should_exit = True


def test_requests_that_take_longer_keep_their_connection():
    async def app(scope, receive, send):
        if scope["type"] == "http":
            await asyncio.sleep(0.6)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    with running(app, timeout=0.2) as (server, connection):
        connection.sendall(HEAD)
        assert b"200 OK" in connection.recv(65536)
        server.should_exit = True


def test_a_second_signal_ends_requests(ruler_path, caplog):
    app = make_app(predictor.Predictor(str(ruler_path)), Limits())
    with caplog.at_level(logging.ERROR), running(app, timeout=60.0) as (server, connection):
        connection.sendall(HEAD + b'{"text": ')
        while not server.server_state.tasks:
            pass
        for _ in range(2):
            server.handle_exit(signal.SIGINT, None)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        assert (head.split()[1], json.loads(body)["status"]) == (b"503", 503)
    assert not caplog.records, caplog.text
