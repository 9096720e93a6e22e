"""uvicorn, which says when it listens."""

import math
import socket
from typing import Callable, List, Optional

import uvicorn
from starlette.types import ASGIApp


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
