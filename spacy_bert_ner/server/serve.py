"""Start a server, and stop it when no request is left."""

import gc
import ipaddress
import os
import re
import signal
import socket
from contextlib import contextmanager, suppress
from typing import Callable, Iterator, Optional

from spacy.util import logger

from ..errors import UserError
from .limits import Limits

TOKEN_VARIABLE = "SPACY_BERT_NER_TOKEN"
PACKAGES = ("fastapi", "uvicorn", "prometheus_client")
# Printable ASCII, since it is sent in a header.
TOKEN = re.compile(r"[!-~]{16,}")
MAKE_TOKEN = 'python -c "import secrets; print(secrets.token_urlsafe())"'


def serve(
    pipeline: str,
    limits: Limits = Limits(),
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: Optional[str] = None,
    batch_size: Optional[int] = None,
    use_gpu: int = -1,
    notify: Callable[[str], None] = logger.info,
) -> None:
    """Answer requests until the process gets SIGTERM or SIGINT. Then accept no new ones, and return
    when those that were accepted are answered. Call it in the main thread, which gets signals.

    pipeline (str): Name or path of a trained pipeline.
    limits (Limits): What to accept.
    host (str): The address to listen on.
    port (int): The port; 0 for any free one.
    token (Optional[str]): What clients must send. Only a server on a loopback address can do
        without.
    batch_size (Optional[int]): The most texts to read at once; by default that of the pipeline.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    notify (Callable[[str], None]): Gets a message when clients can connect.
    RAISES (UserError): For a missing or weak token, an address that can't be used, packages that
        aren't installed, or a pipeline that can't be used.
    """
    host = host.strip("[]").lower()
    check_token(host, token)
    with needing_server():
        from .app import make_app
        from .listener import Listener
        from .predictor import Predictor

    with _bind(host, port) as listening:
        try:
            predictor = Predictor(pipeline, batch_size, use_gpu)
        except KeyboardInterrupt:
            # Its thread goes on, and Python waits for it: a second Ctrl+C ends the process.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            raise
        gc.collect()
        gc.freeze()  # the pipeline stays: searching it for garbage would delay requests
        address, chosen = listening.getsockname()[:2]
        name = f"[{address}]" if ":" in address else address
        server = Listener(
            make_app(predictor, limits, token, address=name),
            limits.timeout,
            lambda: notify(f"Serving {pipeline} on http://{name}:{chosen}. Stop with Ctrl+C."),
        )
        # uvicorn also raises the signal that ended it once more, when all requests are answered.
        signal.signal(signal.SIGTERM, server.handle_exit)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])


def check_token(host: str, token: Optional[str]) -> None:
    """Check that a server that others can reach has a token, and that it can't be guessed.

    host (str): The address to listen on.
    token (Optional[str]): The token.
    RAISES (UserError): If not.
    """
    if token is None:
        if _is_loopback(host):
            return
        raise UserError(
            f"Without a token, everybody who reaches {host} could use the pipeline. Set the "
            f"environment variable {TOKEN_VARIABLE}, for example to the output of: {MAKE_TOKEN}. "
            "Or leave out --host."
        )
    if not TOKEN.fullmatch(token):
        raise UserError(
            f"The token must have at least 16 characters from the printable ones of ASCII, without "
            f"spaces, not {len(token)} characters. Make one: {MAKE_TOKEN}"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, which may lead anywhere


@contextmanager
def needing_server() -> Iterator[None]:
    """A context to import the packages of the extra `serve` in: if one is missing, the error says
    how to install it. It doesn't name the extra, which would install torch where that is missing.

    RAISES (UserError): If one isn't installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        names = " ".join(PACKAGES).replace("_", "-")
        raise UserError(
            f"Can't serve: {error.name} isn't installed: python -m pip install {names}."
        ) from error


def _bind(host: str, port: int) -> socket.socket:
    """Before the pipeline is loaded, which takes seconds. Clients are accepted after that."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", "it isn't the name of a host")
        raise UserError(f"Can't listen on {host}: {reason}. Check --host.") from error
    try:
        if os.name == "posix":  # on Windows, another process could take the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        raise UserError(
            f"Can't listen on {host}, port {port}: {error.strerror}. Choose another --port, or "
            "check --host."
        ) from error
    return listening
