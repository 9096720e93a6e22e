"""uvicorn, which says when it listens, and closes connections on which no request arrives."""

import asyncio
import math
import socket
from typing import Callable, List, Optional

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """A connection that is closed if the header of a request doesn't arrive in time. uvicorn itself
    only closes one on which nothing arrives after an answer. h11 also limits the size of headers,
    to 64 kB.

    timeout (float): Seconds, from the start of the connection or from the last answer. It is an
        attribute of the class, since uvicorn makes connections.
    """

    timeout: float
    timer: Optional[asyncio.TimerHandle] = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait.

        transport (asyncio.Transport): The connection.
        """
        super().connection_made(transport)
        self._wait_for_request()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """Stop waiting.

        exc (Optional[Exception]): The error that ended the connection, if any.
        """
        super().connection_lost(exc)
        self._stop_waiting()

    def handle_events(self) -> None:
        """Handle what has arrived. After the header of a request, the application waits for the
        rest."""
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next request, which may have arrived already."""
        self._wait_for_request()
        super().on_response_complete()

    def _wait_for_request(self) -> None:
        self._stop_waiting()
        self.timer = self.loop.call_later(self.timeout, self.transport.close)

    def _stop_waiting(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


class Listener(uvicorn.Server):
    """A server that ends within two timeouts: a request must arrive within one, and is answered
    within another.

    app (ASGIApp): The application.
    timeout (float): Seconds.
    notify (Callable[[], None]): Called when clients can connect.
    """

    def __init__(self, app: ASGIApp, timeout: float, notify: Callable[[], None]):
        config = uvicorn.Config(
            app,
            http=type("Connection", (Connection,), {"timeout": timeout}),
            # A log of requests would have their paths, which may contain texts.
            access_log=False,
            log_config=None,
            log_level="error",
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=math.ceil(2 * timeout),
        )
        super().__init__(config)
        self.notify = notify

    async def startup(self, sockets: Optional[List[socket.socket]] = None) -> None:
        """Begin to listen.

        sockets (Optional[List[socket.socket]]): Where.
        """
        await super().startup(sockets)
        self.notify()
