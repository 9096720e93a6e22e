"""Requests that can't be answered, and errors in the log. Neither has anything of a text."""

import traceback
from types import MappingProxyType
from typing import Any, Mapping, Optional

from fastapi.responses import JSONResponse
from spacy.util import logger
from starlette.exceptions import HTTPException

# Seconds after which a client may ask again.
RETRY = MappingProxyType({"Retry-After": "1"})


class Problem(HTTPException):
    """A request that can't be answered. The answer has the format of RFC 9457
    (https://www.rfc-editor.org/rfc/rfc9457).

    status (int): The status of HTTP.
    detail (str): The value, the limit and the way out, in sentences.
    value, limit (Optional[float]): Two of them as numbers, for programs.
    headers (Mapping[str, str]): Headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        value: Optional[float] = None,
        limit: Optional[float] = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ):
        super().__init__(status, detail, dict(headers))
        self.value, self.limit = value, limit


def answer(error: HTTPException) -> JSONResponse:
    """RETURNS (JSONResponse): The answer to a request that has a problem.

    error (HTTPException): A Problem, or an error of FastAPI's, such as an unknown path.
    """
    content = {"status": error.status_code, "detail": error.detail}
    for name in ("value", "limit"):
        number = getattr(error, name, None)
        if number is not None:
            content[name] = number
    return JSONResponse(
        content, error.status_code, headers=error.headers, media_type="application/problem+json"
    )


def log_error(error: BaseException) -> None:
    """Log an unexpected error: its type and its traceback. Its message is left out, since it may
    quote a text.

    error (BaseException): The error.
    """
    lines: Any = traceback.format_tb(error.__traceback__)
    logger.error("%s%s (message left out)", "".join(lines), type(error).__name__)
