"""The HTTP door for camera programs on this machine: routes, parts and answers; listening is not done here.

`POST /ingest/v1/events` takes JSON, or multipart with one part named `event` (JSON) and the files beside it.
The answer 202 comes only after the commit. It works without any network.
"""

from __future__ import annotations

import http
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from appliance.sources.accept import Accepted, Delivery, Intake
from appliance.sources.errors import MEDIA_MISSING, NOT_AN_EVENT, TOO_LARGE, WRONG_FIELD, SourceRefused
from appliance.sources.schema import Observation, SourceMedia, decode, json_schema, wanted_media
from appliance.sources.take import shown_name
from buffer.errors import BufferFull, DiskFull, InvalidDraft, MediaTooLarge, MessageTooLarge, StoreError
from buffer.message import MediaRef
from protocol.limits import MAX_JSON_BYTES, MAX_MEDIA_PER_EVENT

log = logging.getLogger(__name__)

ADAPTER = "ingest"
PROBLEM_TYPE = "application/problem+json"
_PIECE = 1 << 18

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Files = list[tuple[str, MediaRef]]


def create_ingest_app(intake: Intake) -> web.Application:
    """The application; bind it to a Unix socket that only camera programs may open."""
    doors = _Doors(intake)
    app = web.Application(middlewares=[_problems])
    for prefix in ("/ingest/v1", "/ingest"):
        app.router.add_post(f"{prefix}/events", doors.take)
        app.router.add_get(f"{prefix}/schema", doors.schema)
    return app


class _Doors:
    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def schema(self, _: web.Request) -> web.Response:
        body = msgspec.json.encode(json_schema())  # not at every start: hardly anyone asks
        return web.Response(body=body, content_type="application/schema+json")

    async def take(self, request: web.Request) -> web.Response:
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise SourceRefused(WRONG_FIELD, "The body is packed.", "Send it as it is, as curl does.")
        async with self._intake.delivery() as delivery:
            if request.content_type.startswith("multipart/"):
                observation, files = await _read_multipart(request, delivery)
            else:
                observation, files = decode(await _read_json(request.content.iter_chunked(_PIECE))), []
            accepted = await delivery.accept(observation, _matched(observation, files), ADAPTER)
        return _yes(accepted)


async def _read_json(chunks: AsyncIterator[bytes]) -> bytes:
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > MAX_JSON_BYTES:
            sentence = f"The event has more than {MAX_JSON_BYTES} bytes."
            raise SourceRefused(TOO_LARGE, sentence, "Send large data as files.")
    return bytes(data)


async def _read_multipart(request: web.Request, delivery: Delivery) -> tuple[Observation, _Files]:
    try:
        return await _read_parts(await request.multipart(), delivery)
    except (ValueError, AssertionError, HttpProcessingError) as error:
        # aiohttp's reader says in these ways that the body is not the multipart it claims to be
        log.info("a body is not valid multipart: %s", error)
        sentence = "The body is not complete, valid multipart."
        raise SourceRefused(WRONG_FIELD, sentence, "Send it as curl -F does.") from None


async def _read_parts(reader: MultipartReader, delivery: Delivery) -> tuple[Observation, _Files]:
    """The event and its files, in any order; the files go to the disk as they come."""
    observation: Observation | None = None
    files: _Files = []
    async for part in reader:
        if not isinstance(part, BodyPartReader):
            raise SourceRefused(WRONG_FIELD, "A part is multipart itself.", "Send the parts flat.")
        if part.name == "event" and observation is None:
            observation = decode(await _read_json(_chunks(part)))
            continue
        name = _file_name(part)
        if name in dict(files):
            raise SourceRefused(WRONG_FIELD, f"Two files are named {name!r}.", "Give each its own name.")
        if len(files) == MAX_MEDIA_PER_EVENT:
            sentence = f"There are more than {MAX_MEDIA_PER_EVENT} files."
            raise SourceRefused(WRONG_FIELD, sentence, "Split the event, or pack the files.")
        files.append((name, await delivery.add(name, _chunks(part))))
    if observation is None:
        sentence = "There is no part named event."
        raise SourceRefused(
            NOT_AN_EVENT, sentence, "Add it: curl -F 'event=@event.json' -F file=@photo.jpg …"
        )
    return observation, files


def _file_name(part: BodyPartReader) -> str:
    if part.headers.get("Content-Transfer-Encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
        raise SourceRefused(WRONG_FIELD, "A part is encoded.", "Send files as they are, as curl -F does.")
    name = (part.filename or "").replace("\\", "/").rpartition("/")[2]
    if not name:
        sentence = f"The part {(part.name or '')[:60]!r} has no file name."
        raise SourceRefused(WRONG_FIELD, sentence, "Name the JSON part event, and give files a filename.")
    return shown_name(name)


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(_PIECE):
        yield chunk


def _matched(observation: Observation, files: _Files) -> list[tuple[SourceMedia, MediaRef]]:
    """Each file with what the event says of it; one that is sent along without being named is taken too."""
    sent = dict(files)
    matched = []
    for wanted in wanted_media(observation):
        ref = sent.pop(wanted.location, None) or sent.pop(wanted.media.name, None)
        if ref is None:
            raise SourceRefused(
                MEDIA_MISSING,
                f"The file {wanted.location!r} was not sent along.",
                "Add it as a part of multipart/form-data, or use the spool.",
                field=wanted.field,
            )
        matched.append((wanted.media, ref))
    return matched + [(SourceMedia(name=name), ref) for name, ref in files if name in sent]


def _yes(accepted: Accepted) -> web.Response:
    body = {
        "event_id": accepted.event_id,
        "client_event_id": accepted.client_event_id,
        "revision": accepted.revision,
        "duplicate": accepted.duplicate,
    }
    return web.Response(status=202, body=msgspec.json.encode(body), content_type="application/json")


# --- refusals -----------------------------------------------------------------------------------------------


@web.middleware
async def _problems(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Every refusal as a problem document (RFC 9457) with `code`, `field` and `remedy`."""
    try:
        return await handler(request)
    except SourceRefused as refusal:
        status = 413 if refusal.code == TOO_LARGE else 400
        return _problem(status, refusal.sentence, refusal.code, refusal.remedy, refusal.field)
    except StoreError as error:
        return _problem(_status_of(error), error.sentence, error.code, error.action)
    except web.HTTPException as error:
        remedy = "POST events to /ingest/v1/events; GET /ingest/v1/schema describes them."
        return _problem(error.status, error.reason, f"HTTP-{error.status}", remedy)


def _status_of(error: StoreError) -> int:
    if isinstance(error, BufferFull | DiskFull):
        return 507
    if isinstance(error, MediaTooLarge | MessageTooLarge):
        return 413
    return 400 if isinstance(error, InvalidDraft) else 503


def _problem(status: int, detail: str, code: str, remedy: str, field: str | None = None) -> web.Response:
    body: dict[str, Any] = {
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "remedy": remedy,
    }
    if field is not None:
        body["field"] = field
    return web.Response(status=status, body=msgspec.json.encode(body), content_type=PROBLEM_TYPE)
