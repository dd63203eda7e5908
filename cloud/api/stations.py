"""What stations report and fetch over HTTP: heartbeats, events, configuration, orders."""

from __future__ import annotations

import msgspec
from aiohttp import web

from cloud.api.bodies import answer
from cloud.api.routing import Guard, Parameter, Route
from cloud.fleet.commands import CommandList
from cloud.fleet.configuration import current
from cloud.fleet.events import Received
from cloud.keys import COMMANDS, DATABASE, EVENTS, HEARTBEATS, KEPT, UNIX_MS
from cloud.security.device_auth import DevicePrincipal
from cloud.validation import decode
from protocol.clock import from_unix
from protocol.errors import INVALID, Refusal
from protocol.event import BatchAnswer, Event, EventAnswer, EventBatch, KeptAnswer, KeptRequest
from protocol.limits import MAX_BATCH_EVENTS, MAX_EVENT_BYTES
from protocol.messages import ConfigAnswer, HeartbeatAnswer, HeartbeatRequest

MAX_BATCH_BYTES = MAX_BATCH_EVENTS * MAX_EVENT_BYTES
_ID = r"{device_id:dev_[0-9A-Z]{26}}"


async def heartbeat(request: web.Request, device: DevicePrincipal, body: bytes) -> web.Response:
    """The station says how it is."""
    message = decode(body, HeartbeatRequest)
    return answer(await request.app[HEARTBEATS].receive(device, message))


class _Shape(msgspec.Struct):
    """Tells a batch from a single event."""

    events: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


async def events(request: web.Request, device: DevicePrincipal, body: bytes) -> web.Response:
    """One event, or a batch of up to a hundred."""
    if decode(body, _Shape).events is not msgspec.UNSET:
        batch = decode(body, EventBatch)
        received = await request.app[EVENTS].receive(device, [bytes(each) for each in batch.events])
        return answer(BatchAnswer(results=[each.answer for each in received]))
    (single,) = await request.app[EVENTS].receive(device, [body])
    _check_idempotency_key(request, single)
    if single.refusal:
        raise single.refusal
    return answer(single.answer, single.status)


def _check_idempotency_key(request: web.Request, single: Received) -> None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and key.strip('"') != single.answer.event_id:
        raise Refusal("REG-007", INVALID, "Idempotency-Key is not the event's id.", field="$.event_id")


async def kept(request: web.Request, device: DevicePrincipal, body: bytes) -> web.Response:
    """Which of the events and files that got a yes are not here."""
    return answer(await request.app[KEPT].missing(device, decode(body, KeptRequest)))


async def configuration(request: web.Request, device: DevicePrincipal, _body: bytes) -> web.Response:
    """The newest configuration; 304 when the station has it."""
    desired = await request.app[DATABASE].read(lambda c: current(c, device.device_id))
    tag = f'"{desired.version}"'
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers={"ETag": tag})
    message = ConfigAnswer(
        version=desired.version,
        config=desired.values,
        config_envelope=desired.envelope,
        server_time=from_unix(request.app[UNIX_MS]() / 1000),
    )
    return answer(message, headers={"ETag": tag})


async def commands(request: web.Request, device: DevicePrincipal, _body: bytes) -> web.Response:
    """The orders that wait for this station."""
    return answer(await request.app[COMMANDS].waiting(device.device_id))


def _heartbeat(path: str, summary: str) -> Route:
    return Route(
        "POST",
        path,
        heartbeat,
        Guard.DEVICE,
        summary,
        body=HeartbeatRequest,
        answers={200: HeartbeatAnswer},
    )


def _events(path: str, summary: str) -> Route:
    return Route(
        "POST",
        path,
        events,
        Guard.DEVICE,
        summary,
        body=Event | EventBatch,
        answers={200: EventAnswer | BatchAnswer, 201: EventAnswer},
        max_body=MAX_BATCH_BYTES,
        parameters=[
            Parameter("Idempotency-Key", "header", "The event's id, for a single event", {"type": "string"}),
            Parameter("Content-Encoding", "header", "gzip, or nothing", {"type": "string", "enum": ["gzip"]}),
        ],
        packed=True,
    )


def _configuration(path: str, summary: str) -> Route:
    return Route(
        "GET",
        path,
        configuration,
        Guard.DEVICE,
        summary,
        answers={200: ConfigAnswer, 304: None},
        parameters=[Parameter("If-None-Match", "header", "The version in force", {"type": "string"})],
    )


ROUTES = (
    _heartbeat("/v1/devices/heartbeat", "Say how the signing station is"),
    _heartbeat(f"/v1/devices/{_ID}/heartbeat", "Say how the station is"),
    _heartbeat(f"/v1/devices/{_ID}/telemetry", "The same as a heartbeat: it carries the telemetry"),
    _events("/v1/devices/events", "Hand in events of the signing station"),
    _events(f"/v1/devices/{_ID}/events", "Hand in one event, or a batch"),
    Route(
        "POST",
        f"/v1/devices/{_ID}/events/kept",
        kept,
        Guard.DEVICE,
        "Ask what is not kept of the events and files that got a yes",
        body=KeptRequest,
        answers={200: KeptAnswer},
    ),
    _configuration(f"/v1/devices/config/{_ID}", "The newest signed configuration"),
    _configuration(f"/v1/devices/{_ID}/config", "The newest signed configuration"),
    Route(
        "GET",
        f"/v1/devices/{_ID}/commands",
        commands,
        Guard.DEVICE,
        "The orders that wait for the station",
        answers={200: CommandList},
    ),
)
