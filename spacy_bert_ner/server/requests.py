"""Receive a request: its body, within limits, and the texts in it."""

import asyncio
from codecs import BOM_UTF8
from typing import Any, List, Literal, Mapping, Sequence, Union

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .limits import Limits
from .predictor import Asked
from .problems import RETRY, Problem

EXAMPLE = '{"text": "Anna Berg lives in Oslo."}'


class Query(BaseModel):
    """What a client asks."""

    model_config = ConfigDict(extra="forbid", title="Query")

    text: Union[str, List[str]] = Field(
        description="One text or several. The answer has the same form.", union_mode="smart"
    )
    format: Literal["spacy", "huggingface"] = Field(
        "spacy",
        description="The shape of the answer: that of spaCy's `Doc.to_json`, or that of Hugging "
        "Face's pipeline for token classification.",
    )


async def receive(request: Request, limits: Limits) -> bytes:
    """Receive the body of a request. One that is too long is received to its end, and not kept:
    a client that still sends doesn't read the answer.

    request (Request): The request.
    limits (Limits): The most bytes, and the seconds in which they must arrive.
    RETURNS (bytes): The body.
    RAISES (Problem): If it isn't plain JSON by its headers, is too long, or arrives too slowly.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # Also keeps pages of other sites from sending requests, which a browser sends unasked only
        # in the formats of forms.
        raise Problem(
            415, "The request isn't JSON. Send the header Content-Type: application/json."
        )
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise Problem(415, "The request is compressed. Send it without Content-Encoding.")
    try:
        return await asyncio.wait_for(_receive(request, limits.max_body), limits.timeout)
    except asyncio.TimeoutError:
        raise Problem(
            408,
            f"The request didn't arrive within {limits.timeout:g} seconds. Send it faster, or in "
            "parts, or start the server with a higher --timeout.",
            limit=limits.timeout,
        ) from None


async def _receive(request: Request, max_body: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= max_body:
            chunks.append(chunk)
    if size > max_body:
        raise Problem(
            413,
            f"The request has {size:,} bytes, the limit is {max_body:,}. Send fewer or shorter "
            "texts, or start the server with a higher --max-body.",
            value=size,
            limit=max_body,
        )
    return b"".join(chunks)


def read_texts(body: bytes, limits: Limits) -> "tuple[List[Asked], bool]":
    """Read the texts of a request.

    body (bytes): Its body.
    limits (Limits): The most texts, and the most characters of a text.
    RETURNS (Tuple[List[Asked], bool]): The texts, and whether the request is a list of texts.
    RAISES (Problem): If the body isn't a query, or has too many or too long texts.
    """
    try:
        query = Query.model_validate_json(body.removeprefix(BOM_UTF8))
    except ValidationError as error:
        raise _explain(error) from None
    is_list = isinstance(query.text, list)
    texts: List[str] = query.text if isinstance(query.text, list) else [query.text]
    if len(texts) > limits.max_queue:
        raise Problem(
            413,
            f"The request has {len(texts):,} texts, the limit is {limits.max_queue:,}. Send fewer "
            "texts at once, or start the server with a higher --max-queue.",
            value=len(texts),
            limit=limits.max_queue,
        )
    for number, text in enumerate(texts, start=1):
        if len(text) > limits.max_text:
            raise Problem(
                413,
                f"Text {number} has {len(text):,} characters, the limit is {limits.max_text:,}. "
                "Divide it, or start the server with a higher --max-text.",
                value=len(text),
                limit=limits.max_text,
            )
    return [Asked(text, query.format) for text in texts], is_list


def _explain(error: ValidationError) -> Problem:
    """What is wrong, without the values of the request."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    kinds = {found["type"]: found for found in errors}
    if "json_invalid" in kinds:
        message = kinds["json_invalid"]["msg"]
        return Problem(400, f'{message}. Send an object such as {{"text": "…"}}, in UTF-8.')
    if "extra_forbidden" in kinds:
        found = f"The key '{kinds['extra_forbidden']['loc'][0]:.40}' is unknown"
    else:
        found = _describe(errors)
    return Problem(
        422,
        f"{found}. Send an object with 'text', a string or a list of strings, and optionally "
        "'format', 'spacy' or 'huggingface'.",
    )


def _describe(errors: Sequence[Mapping[str, Any]]) -> str:
    """For a text that is neither a string nor a list of strings, there is an error for each."""
    for error in errors:
        place = error["loc"][-1] if error["loc"] else None
        if isinstance(place, int):
            return f"Text {place + 1}: {error['msg']}"
    place = errors[0]["loc"][0] if errors[0]["loc"] else "the request"
    return f"{place}: {errors[0]['msg']}"


class Places:
    """The places in the queue: one for each text that isn't answered yet, and one for each request
    that is being received.

    limits (Limits): Their number.
    """

    def __init__(self, limits: Limits):
        self.limit = limits.max_queue
        self.n_taken = 0

    def take(self, n: int) -> None:
        """Take places.

        n (int): Their number.
        RAISES (Problem): If there are fewer.
        """
        if self.n_taken + n > self.limit:
            raise Problem(
                503,
                f"The queue is full: {self.n_taken:,} texts wait, the limit is {self.limit:,}. Try "
                "again, or start the server with a higher --max-queue.",
                value=self.n_taken + n,
                limit=self.limit,
                headers=RETRY,
            )
        self.n_taken += n

    def free(self, n: int) -> None:
        """Free places.

        n (int): Their number.
        """
        self.n_taken -= n
