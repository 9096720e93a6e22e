"""The application: a page, entities, health and metrics."""

import asyncio
import hashlib
import re
from base64 import b64encode
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any, AsyncIterator, Callable, List, Optional, Sequence, Set

from fastapi import FastAPI, Request, Response, Security
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from .. import __version__
from ..pages import HUES, render
from . import descriptions
from .batcher import Batcher
from .guard import ENTITIES, HEALTH, METRICS, PAGE, SCHEMA, Guard
from .limits import Limits
from .metrics import Metrics
from .predictor import Asked, Predictor
from .problems import RETRY, Problem, answer
from .requests import Places, read_texts, receive

# Bytes of an answer that are sent at once.
PART = 65_536


def make_app(
    predictor: Predictor, limits: Limits, token: Optional[str] = None, *, address: str = "localhost"
) -> ASGIApp:
    """Make the application.

    predictor (Predictor): The pipeline. It is closed when the application ends.
    limits (Limits): What to accept.
    token (Optional[str]): What clients must send; None if any program on this machine may ask.
    address (str): The address of the server, in brackets if it is one of IPv6.
    RETURNS (ASGIApp): The application.
    """
    metrics = Metrics()
    limits = limits._replace(max_text=min(limits.max_text, predictor.max_length))
    service = Service(predictor, limits, metrics, has_token=token is not None)
    app = FastAPI(
        title="spacy-bert-ner",
        version=__version__,
        lifespan=service.run,
        openapi_url=SCHEMA,
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    bearer = [] if token is None else [Security(HTTPBearer(auto_error=False))]  # see `Guard`
    app.add_api_route(
        ENTITIES,
        service.find_entities,
        methods=["POST"],
        dependencies=bearer,
        responses=descriptions.PROBLEMS,
        openapi_extra=descriptions.BODY,
        **descriptions.FIND,
    )
    app.add_api_route(PAGE, service.show_page, include_in_schema=False)
    app.add_api_route(HEALTH, service.show_health, **descriptions.HEALTH)
    for path, show in ((PAGE, service.show_page), (HEALTH, service.show_health)):
        app.add_api_route(path, show, methods=["HEAD"], include_in_schema=False)
    app.add_api_route(METRICS, service.show_metrics, dependencies=bearer, **descriptions.METRICS)
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(Exception, _answer)
    return Guard(app, token, address, limits.timeout, metrics)


class Answer(Response):
    """Entities, which are sent as fast as the client receives them.

    content (str): JSON.
    timeout (float): Seconds in which it must be received.
    free (Callable[[], None]): Called when it is sent, or can't be.
    """

    media_type = "application/json"

    def __init__(self, content: str, timeout: float, free: Callable[[], None]):
        super().__init__(content)
        self.timeout, self.free = timeout, free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it.

        scope (Scope): The request without its body.
        receive (Receive): Receives its body.
        send (Send): Sends a part, when most of those before it are received.
        RAISES (ClientDisconnect): If it isn't received in time.
        """
        try:
            await asyncio.wait_for(self._send(send), self.timeout)
        except asyncio.TimeoutError:
            raise ClientDisconnect from None
        finally:
            self.free()

    async def _send(self, send: Send) -> None:
        head = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **head})
        for start in range(0, len(self.body), PART):
            part = {"body": self.body[start : start + PART], "more_body": True}
            await send({"type": "http.response.body", **part})
        await send({"type": "http.response.body", "body": b""})


class Service:
    """The functions behind the paths.

    predictor (Predictor): The pipeline.
    limits (Limits): What to accept.
    metrics (Metrics): Counts batches and answers.
    has_token (bool): Whether the page must ask for a token.
    """

    def __init__(self, predictor: Predictor, limits: Limits, metrics: Metrics, *, has_token: bool):
        self.predictor, self.limits, self.metrics = predictor, limits, metrics
        self.batcher = Batcher(predictor, limits.max_wait, metrics)
        self.places = Places(limits)
        metrics.follow_queue(lambda: self.places.n_taken)
        self.page = render(
            "serve.html",
            title="Entities",
            lang="en",
            direction="ltr",
            hues=HUES,
            has_token=has_token,
        )
        self.policy = {"Content-Security-Policy": make_policy(self.page)}

    @asynccontextmanager
    async def run(self, app: FastAPI) -> AsyncIterator[None]:
        """The time from the start of the application to its end.

        app (FastAPI): The application.
        """
        self.batcher.start()
        with suppress(asyncio.CancelledError):  # a second Ctrl+C
            yield
        await self.batcher.stop()
        self.predictor.close()

    async def find_entities(self, request: Request) -> Response:
        """Find the entities in one text or in several.

        request (Request): The request.
        RETURNS (Response): The entities with their scores, as JSON.
        RAISES (Problem): If it is over a limit, isn't a query, or takes too long.
        """
        with ExitStack() as places:
            self.places.take(1)
            places.callback(self.places.free, 1)
            asked, is_list = read_texts(await receive(request, self.limits), self.limits)
            self.places.take(len(asked) - 1)
            places.callback(self.places.free, len(asked) - 1)
            results = await self._read(request, asked) if asked else []
            content = f"[{','.join(results)}]" if is_list else results[0]
            return Answer(content, self.limits.timeout, places.pop_all().close)

    async def _read(self, request: Request, asked: Sequence[Asked]) -> List[str]:
        """RAISES (ClientDisconnect): If the client has gone."""
        results = self.batcher.submit(asked)
        gone = asyncio.ensure_future(request.receive())  # the next message is that it has gone
        either: Set[asyncio.Future[Any]] = {results, gone}
        try:
            done, _ = await asyncio.wait(
                either, timeout=self.limits.timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if results in done:
                return results.result()
        finally:
            results.cancel()
            gone.cancel()
        if gone in done:
            raise ClientDisconnect
        raise Problem(
            503,
            f"The texts weren't read within {self.limits.timeout:g} seconds. Send fewer or shorter "
            "texts, try again, or start the server with a higher --timeout.",
            limit=self.limits.timeout,
            headers=RETRY,
        )

    async def show_page(self) -> Response:
        """RETURNS (Response): The page on which a person can try the pipeline."""
        return HTMLResponse(self.page, headers=self.policy)

    async def show_health(self) -> Response:
        """RETURNS (Response): That the server can answer.
        RAISES (Problem): If it can't.
        """
        if not self.batcher.is_running:
            raise Problem(503, "The server reads no texts any more. Start it again.")
        return JSONResponse({"status": "ok"})

    async def show_metrics(self) -> Response:
        """RETURNS (Response): Counts and times, for Prometheus."""
        return Response(self.metrics.render(), media_type=CONTENT_TYPE_LATEST)


def make_policy(page: str) -> str:
    """RETURNS (str): A Content-Security-Policy that allows what is in a page, and nothing else.

    page (str): HTML.
    """
    sources = {
        tag: " ".join(f"'sha256-{_digest(text)}'" for text in _find(tag, page))
        for tag in ("script", "style")
    }
    return (
        f"default-src 'none'; script-src {sources['script']}; style-src {sources['style']}; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _find(tag: str, page: str) -> List[str]:
    return re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)


def _digest(text: str) -> str:
    return b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


async def _answer(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        error = Problem(500, "The server made an error, which is in its log. The text isn't.")
    return answer(error)
