"""What holds for all requests: who may ask, headers of answers, counts, and unexpected errors."""

import asyncio
import hmac
from contextlib import suppress
from time import perf_counter
from types import MappingProxyType
from typing import Optional, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import Metrics
from .problems import Problem, answer, log_error

ENTITIES, PAGE, HEALTH, METRICS = "/entities", "/", "/health", "/metrics"
SCHEMA = "/openapi.json"
PATHS = frozenset((ENTITIES, PAGE, HEALTH, METRICS, SCHEMA))
# These show nothing of the pipeline or of texts.
OPEN = frozenset((PAGE, HEALTH))
HEADERS = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
)
# Names by which programs on the same machine reach a server.
LOCAL = ("localhost", "127.0.0.1", "[::1]")
TOO_SLOW = 408
ENDED = Problem(503, "The server was stopped. Send the request again when it runs.")
CLIENT_GONE = 499  # as nginx counts it: nobody gets this answer


class Body:
    """Receives a request.

    receive (Receive): Receives the next part of it.
    """

    def __init__(self, receive: Receive):
        self.receive = receive
        self.is_complete = False

    async def __call__(self) -> Message:
        """RETURNS (Message): The next part of the body, or that the client has gone."""
        message = await self.receive()
        self.is_complete = not message.get("more_body", False)
        return message

    async def discard(self, timeout: float) -> None:
        """Receive the rest: a client that still sends would lose the answer.

        timeout (float): Seconds after which to give up.
        """
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._discard(), timeout)

    async def _discard(self) -> None:
        while not self.is_complete:
            await self()


class Guard:
    """An application around another.

    app (ASGIApp): The application.
    token (Optional[str]): What clients must send; None if any program on this machine may ask.
    address (str): The address of the server, which the header Host may name.
    timeout (float): Seconds in which a request must arrive.
    metrics (Metrics): Counts the answers.
    """

    def __init__(
        self, app: ASGIApp, token: Optional[str], address: str, timeout: float, metrics: Metrics
    ):
        self.app, self.timeout, self.metrics = app, timeout, metrics
        self.names = tuple(dict.fromkeys((*LOCAL, address)))
        self.token = None if token is None else token.encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, see https://asgi.readthedocs.io.

        scope (Scope): The request without its body.
        receive (Receive): Receives its body.
        send (Send): Sends the answer.
        """
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status, body = perf_counter(), 0, Body(receive)

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not body.is_complete and status != TOO_SLOW:
                    await body.discard(self.timeout)
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            self._check(scope)
            await self.app(scope, body, send_counted)
        except Problem as problem:
            await answer(problem)(scope, body, send_counted)
        except ClientDisconnect:
            status = CLIENT_GONE
        except asyncio.CancelledError:  # the server ends without waiting any longer
            if not status:
                status = ENDED.status_code
                await answer(ENDED)(scope, receive, send)
        except Exception as error:
            # FastAPI has answered it, see `app`.
            log_error(error)
        path = scope["path"] if scope["path"] in PATHS else "other"
        self.metrics.requests.labels(path, status).inc()
        if path == ENTITIES:
            self.metrics.seconds.observe(perf_counter() - start)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self.token is None:
            if scope["path"] != HEALTH:  # programs that ask for it may send no Host
                _check_host(headers.get("host", ""), self.names)
        elif scope["path"] not in OPEN:
            _check_token(headers.get("authorization", ""), self.token)


def _check_host(host: str, names: Sequence[str]) -> None:
    """Refuse pages of other sites, which could ask in their visitors' names, under a host name that
    leads here (DNS rebinding)."""
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.lower() not in names:
        raise Problem(
            421,
            f"The header Host must be one of {', '.join(names)}. To allow others, start the server "
            "with a --token.",
        )


def _check_token(header: str, token: bytes) -> None:
    scheme, _, value = header.partition(" ")
    is_right = hmac.compare_digest(value.strip().encode("latin-1"), token)
    if scheme.lower() != "bearer" or not is_right:
        raise Problem(
            401,
            "The token is missing or wrong. Send the header Authorization: Bearer TOKEN with the "
            "token of the server.",
            headers={"WWW-Authenticate": "Bearer"},
        )
