"""Uploads of files over HTTP in the shape of tus 1.0: creation, checksum, expiration."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec
from aiohttp import web

from cloud.api.routing import Guard, Parameter, Route
from cloud.fleet.media import UploadState
from cloud.keys import MEDIA, SETTINGS
from cloud.security.device_auth import DevicePrincipal
from protocol.errors import INVALID, Refusal
from protocol.event import EventId, Mime, Sha256
from protocol.limits import MAX_CHUNK_BYTES, MAX_MEDIA_BYTES

VERSION = "1.0.0"
OFFSET_TYPE = "application/offset+octet-stream"
_PLACE = r"/v1/devices/{device_id:dev_[0-9A-Z]{26}}/uploads"
_ONE = _PLACE + r"/{upload_id:upl_[0-9A-Z]{26}}"


class Metadata(msgspec.Struct, forbid_unknown_fields=True):
    """`Upload-Metadata`: which file this is, and which event it belongs to."""

    sha256: Sha256
    event_id: EventId | None = None
    mime: Mime | None = None


async def options(_request: web.Request) -> web.Response:
    """What this server can do."""
    headers = {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": "creation,checksum,expiration",
        "Tus-Checksum-Algorithm": "sha256,sha1",
        "Tus-Max-Size": str(MAX_MEDIA_BYTES),
    }
    return web.Response(status=204, headers=headers)


async def create(request: web.Request, device: DevicePrincipal, _body: bytes) -> web.Response:
    """A place for a file; the same one for the same file."""
    _check_version(request)
    size = _number(request, "Upload-Length", MAX_MEDIA_BYTES)
    metadata = _metadata(request.headers.get("Upload-Metadata", ""))
    state = await request.app[MEDIA].create(device, metadata.sha256, size)
    location = f"/v1/devices/{device.device_id}/uploads/{state.id}"
    return web.Response(status=201, headers={"Location": location, **_headers(state)})


async def head(request: web.Request, device: DevicePrincipal, _body: bytes) -> web.Response:
    """How far an upload came."""
    _check_version(request)
    state = await request.app[MEDIA].state(device, request.match_info["upload_id"])
    return web.Response(headers=_headers(state) | {"Upload-Length": str(state.size)})


async def append(request: web.Request, device: DevicePrincipal, body: bytes) -> web.Response:
    """The next piece."""
    _check_version(request)
    if request.content_type != OFFSET_TYPE:
        raise Refusal(None, INVALID, f"Send {OFFSET_TYPE}.", status=415)
    if len(body) > request.app[SETTINGS].max_chunk:
        raise Refusal(None, "too_large", "Send smaller pieces.", status=413)
    state = await request.app[MEDIA].append(
        device,
        request.match_info["upload_id"],
        _number(request, "Upload-Offset", MAX_MEDIA_BYTES),
        body,
        request.headers.get("Upload-Checksum"),
    )
    return web.Response(status=204, headers=_headers(state))


def _headers(state: UploadState) -> dict[str, str]:
    expires = datetime.fromtimestamp(state.expires_ms / 1000, UTC)
    return {
        "Tus-Resumable": VERSION,
        "Upload-Offset": str(state.offset),
        "Upload-Expires": format_datetime(expires, usegmt=True),
        "Cache-Control": "no-store",
    }


def _check_version(request: web.Request) -> None:
    if request.headers.get("Tus-Resumable", VERSION) != VERSION:
        raise Refusal(None, INVALID, f"This server speaks tus {VERSION}.", status=412)


def _number(request: web.Request, header: str, most: int) -> int:
    text = request.headers.get(header, "")
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise Refusal(None, INVALID, f"{header} must be a number of bytes.", status=400)
    if int(text) > most:
        raise Refusal(None, "too_large", f"{header} may be at most {most}.", status=413)
    return int(text)


def _metadata(header: str) -> Metadata:
    values: dict[str, str] = {}
    try:
        for pair in filter(None, (part.strip() for part in header.split(","))):
            name, _, encoded = pair.partition(" ")
            values[name] = base64.b64decode(encoded, validate=True).decode("utf-8")
        return msgspec.convert(values, Metadata)
    except ValueError as error:  # no base64, no UTF-8, or not what the file is
        detail = f"Upload-Metadata cannot be used: {error}."
        raise Refusal("REG-007", INVALID, detail, field="$.upload_metadata") from None


_TEXT = {"type": "string"}
_TUS = Parameter("Tus-Resumable", "header", "1.0.0", _TEXT)

ROUTES = (
    Route("OPTIONS", _PLACE, options, Guard.PUBLIC, "What the upload server can do", answers={204: None}),
    Route(
        "POST",
        _PLACE,
        create,
        Guard.DEVICE,
        "Get the place of a file; the answer says how much of it is there",
        answers={201: None},
        max_body=0,
        parameters=[
            _TUS,
            Parameter(
                "Upload-Length", "header", "Bytes of the whole file", {"type": "integer"}, required=True
            ),
            Parameter("Upload-Metadata", "header", "sha256, event_id, mime in base64", _TEXT, required=True),
        ],
    ),
    Route("HEAD", _ONE, head, Guard.DEVICE, "How far an upload came", max_body=0, parameters=[_TUS]),
    Route(
        "PATCH",
        _ONE,
        append,
        Guard.DEVICE,
        "Add the next piece",
        body=bytes,
        content=OFFSET_TYPE,
        answers={204: None},
        max_body=MAX_CHUNK_BYTES,
        parameters=[
            _TUS,
            Parameter(
                "Upload-Offset", "header", "First byte of the piece", {"type": "integer"}, required=True
            ),
            Parameter("Upload-Checksum", "header", "sha256 and base64 of the piece", _TEXT),
        ],
    ),
)
