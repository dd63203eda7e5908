"""Reading requests within their limits, and writing answers. Knows no resource."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from aiohttp import web

from cloud.validation import decode
from protocol import signature
from protocol.compression import CODING, Damaged, TooLarge, unpack
from protocol.errors import INVALID, PROBLEM_TYPE, Refusal
from protocol.limits import BODY_SILENCE_S, MAX_JSON_BYTES

log = logging.getLogger(__name__)

T = TypeVar("T")


async def read_limited(request: web.Request, limit: int) -> bytes:
    """The body. Raises `Refusal` 413: before reading when the length is announced, else while reading.

    Raises `Refusal` 400 when the connection ends in the middle of it, 408 when nothing more of it comes.
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        while piece := await asyncio.wait_for(request.content.readany(), BODY_SILENCE_S):
            body += piece
            if len(body) > limit:
                raise _too_large(limit)
    except TimeoutError:
        detail = f"The body paused for {BODY_SILENCE_S} seconds."
        raise Refusal(None, "too_slow", detail, status=408) from None
    except (ConnectionError, web.RequestPayloadError):  # nobody is there any more to read the answer
        log.info("%s %s ended after %d bytes of its body", request.method, request.path, len(body))
        raise Refusal(None, INVALID, "The body ended too early.", status=400) from None
    return bytes(body)


def _too_large(limit: int) -> Refusal:
    return Refusal(None, "too_large", f"The body may have {limit} bytes.", status=413)


async def read_json(request: web.Request, kind: type[T], limit: int = MAX_JSON_BYTES) -> T:
    """The message of a person's request. Raises `Refusal` 413, 415 or REG-007.

    JSON must say that it is JSON: a form of another site cannot, so that it cannot be sent by one.
    """
    if request.content_type != "application/json":
        raise Refusal(None, INVALID, "Send application/json.", status=415)
    return decode(await read_limited(request, limit), kind)


def require_readable(request: web.Request) -> None:
    """Raises `Refusal` 400 for a header that is no text: it could be neither stored nor told nor logged.

    For a NUL character in the address too: PostgreSQL cannot even look for it.
    """
    if "\0" in request.path or any("\0" in text for text in request.query.values()):
        raise Refusal(None, INVALID, "The address must not contain NUL characters.", status=400)
    for name, value in request.raw_headers:
        try:
            value.decode("utf-8")
        except UnicodeDecodeError:
            said = name.decode("ascii", "replace")[:60]
            raise Refusal(None, INVALID, f"The header {said} is not UTF-8.", status=400) from None


async def signed_request(request: web.Request, limit: int) -> signature.Request:
    """The request as its signature covers it."""
    body = await read_limited(request, limit)
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        lowered = name.lower()
        headers[lowered] = f"{headers[lowered]}, {value}" if lowered in headers else value
    return signature.Request(request.method, request.host, request.raw_path, headers, body)


async def unpacked(request: signature.Request, limit: int, *, packed_allowed: bool) -> bytes:
    """The body without its `Content-Encoding`. Raises `Refusal` 413, 415 or REG-007."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding == "identity":
        return request.body
    if coding != CODING or not packed_allowed:
        raise Refusal(None, INVALID, f"Content-Encoding {coding[:20]} is not accepted here.", status=415)
    try:
        return await asyncio.to_thread(unpack, request.body, limit)
    except TooLarge:
        raise _too_large(limit) from None
    except Damaged:
        raise Refusal("REG-007", INVALID, "The body is not gzip as we read it.", field="$") from None


def number(request: web.Request, name: str) -> int | None:
    """A query parameter that is a number, None when it is absent. Raises `Refusal` REG-007."""
    text = request.query.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise Refusal("REG-007", INVALID, f"{name} must be a number.", field=f"$.{name}")
    return int(text)


def answer(
    message: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON answer that no cache keeps."""
    return web.Response(
        body=msgspec.json.encode(message),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def problem(
    refusal: Refusal, server_time: str, request_id: str, say: Callable[[str], str] = str
) -> web.Response:
    """The one shape of every error (RFC 9457). What a person shall do is told in their language by `say`."""
    body = refusal.problem(server_time=server_time, correlation_id=request_id)
    if body.user_action:
        body.user_action = say(body.user_action)
    headers = {"Cache-Control": "no-store"}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    return web.Response(
        body=msgspec.json.encode(body), status=refusal.status, content_type=PROBLEM_TYPE, headers=headers
    )
