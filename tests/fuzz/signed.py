"""Every message that a station signs, in a good form. A signed route without one makes a test fail."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.api.openapi import plain_path
from cloud.api.routing import Guard, Route
from cloud.api.table import ROUTES
from protocol.certificate_messages import RenewRequest
from protocol.event import EventBatch, EventSource, KeptRequest
from protocol.messages import (
    Backlog,
    BufferState,
    CameraInfo,
    CameraStatus,
    Clock,
    CommandAck,
    CpuUsage,
    DeviceInfo,
    HeartbeatRequest,
    Location,
    MemoryUsage,
    NetworkInfo,
    ValidateAnswer,
    ValidateRequest,
)
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.station_client import Station

SIGNED = (Guard.DEVICE, Guard.RENEWAL, Guard.KEY, Guard.PERSON_OR_KEY)
PIECE = "application/offset+octet-stream"
_CLOCK = Clock(synced=False, source="none", utc="2026-01-01T00:00:00Z", mono_ms=60_000, est_error_ms=1.5)
_PLACE = Location(latitude=48.2, longitude=16.4, altitude=180.0, accuracy=5.0, source="gps")


@dataclass(frozen=True)
class Good:
    """One request that the cloud takes."""

    station: Station
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass
class Bench:
    """Stations with all that their messages speak of."""

    cloud: Cloud
    owner: Person
    claimed: Station
    waiting: Station
    challenged: Station
    challenge: ValidateAnswer
    claim_id: str
    command_id: str
    upload: str
    file: bytes


async def bench(cloud: Cloud) -> Bench:
    """A claimed station with a file on its way and an order, one that waits, and one that was asked."""
    owner = await cloud.person()
    claimed, waiting, challenged = await cloud.claimed(owner), cloud.station(), cloud.station()
    claim_id, other = await waiting.wait_on_card(), await challenged.wait_on_card()
    await owner.named(short_id=challenged.short_id, pin=challenged.pin)
    challenge = (await challenged.validate(other)).read(ValidateAnswer)
    order = await owner.send("POST", f"{claimed.place}/commands", {"type": "restart"})
    file = b"a file in pieces" * 1000
    await claimed.reported(claimed.event(file))
    place = await claimed.create_upload(file)
    return Bench(
        cloud,
        owner,
        claimed,
        waiting,
        challenged,
        challenge,
        claim_id,
        str(order.read(dict[str, str | int | None])["id"]),
        place.headers["Location"],
        file,
    )


def routes() -> list[Route]:
    """Every route that a signature opens."""
    return [route for route in ROUTES if route.guard in SIGNED]


def name_of(route: Route) -> str:
    return f"{route.method} {plain_path(route.path)}"


def _beat(at: Bench, path: str) -> Good:
    at.claimed.beats += 1
    message = HeartbeatRequest(
        uptime=1.0,
        boot_id="boot-1",
        seq=at.claimed.beats,
        state="operational",
        memory_usage=MemoryUsage(total=1, used=1),
        cpu_usage=CpuUsage(user=1.5, load_average=[0.1, 0.2, 0.3]),
        camera_status=CameraStatus(connected=True, last_frame_time="2026-01-01T00:00:00Z"),
        location=_PLACE,
        buffer=BufferState(
            normal=Backlog(count=3, bytes=4, oldest_s=5.0), last_upload="2026-01-01T00:00:00Z"
        ),
        network_info=NetworkInfo(local_ip="192.0.2.1", connection_type="wifi", signal_strength=-50.0),
        clock=_CLOCK,
        config_version=1,
        config_error="bad_signature",
        certificate_alert="ending",
        command_acks=[CommandAck(id=at.command_id, state="IN_PROGRESS", detail="half way")],
    )
    return Good(at.claimed, path, msgspec.json.encode(message))


def _event(at: Bench, path: str, *, batch: bool = False) -> Good:
    def made() -> bytes:
        event = at.claimed.event(
            at.file,
            source=EventSource(adapter="tests", station="north"),
            metadata={"fps": 25.0, "stars": [1, 2], "sky": {"clear": True}},
            media_files=[f"sha256:{hashlib.sha256(at.file).hexdigest()}:{len(at.file)}:image/jpeg"],
            clock=_CLOCK,
            boot_id="boot-1",
            mono_ns=60_000_000_000,
            device_seq=1,
            device_id=at.claimed.device_id,
            confidence=0.5,
        )
        return msgspec.json.encode(event)

    if not batch:
        return Good(at.claimed, path, made())
    return Good(
        at.claimed, path, msgspec.json.encode(EventBatch(events=[msgspec.Raw(made()), msgspec.Raw(made())]))
    )


def _claim(at: Bench) -> Good:
    message = at.waiting.card_request(
        device_info=DeviceInfo(
            model="Test board",
            firmware_version="1.0",
            capabilities=["meteor"],
            total_memory=1,
            camera_info=CameraInfo(model="eye", resolution="1x1", frame_rate=25.0),
        ),
        network_info=NetworkInfo(local_ip="192.0.2.1", mac_address="00:00:5e:00:53:01"),
        location=_PLACE,
        clock=_CLOCK,
    )
    return Good(at.waiting, "/v1/devices/claim", msgspec.json.encode(message))


def _create(at: Bench) -> Good:
    named = ("sha256", hashlib.sha256(at.file).hexdigest()), ("mime", "image/jpeg")
    metadata = ",".join(f"{name} {b64encode(text.encode()).decode()}" for name, text in named)
    headers = {"tus-resumable": "1.0.0", "upload-length": str(len(at.file)), "upload-metadata": metadata}
    return Good(at.claimed, f"{at.claimed.place}/uploads", headers=headers)


def _append(at: Bench) -> Good:
    checksum = b64encode(hashlib.sha256(b"a").digest()).decode()
    headers = {"tus-resumable": "1.0.0", "upload-offset": "0", "upload-checksum": f"sha256 {checksum}"}
    return Good(at.claimed, at.upload, b"a", headers, PIECE)


def _get(path: str) -> Callable[[Bench], Good]:
    return lambda at: Good(at.claimed, path.format(place=at.claimed.place, id=at.claimed.device_id))


def _post(path: str, message: Callable[[Bench], msgspec.Struct]) -> Callable[[Bench], Good]:
    return lambda at: Good(at.claimed, path.format(place=at.claimed.place), msgspec.json.encode(message(at)))


_ID = "/v1/devices/{device_id}"
GOOD: Mapping[str, tuple[Callable[[Bench], Good], ...]] = {
    "POST /v1/devices/claim": (_claim,),
    "POST /v1/devices/register/validate": (
        lambda at: Good(
            at.waiting,
            "/v1/devices/register/validate",
            msgspec.json.encode(ValidateRequest(claim_id=at.claim_id)),
        ),
    ),
    "POST /v1/devices/register/confirm": (
        lambda at: Good(
            at.challenged,
            "/v1/devices/register/confirm",
            msgspec.json.encode(at.challenged.answer_to(at.challenge, nonce="x")),
        ),
    ),
    "GET /v1/devices/claim-status/{claim_id}": (
        lambda at: Good(at.waiting, f"/v1/devices/claim-status/{at.claim_id}"),
    ),
    "POST /v1/devices/heartbeat": (lambda at: _beat(at, "/v1/devices/heartbeat"),),
    f"POST {_ID}/heartbeat": (lambda at: _beat(at, f"{at.claimed.place}/heartbeat"),),
    f"POST {_ID}/telemetry": (lambda at: _beat(at, f"{at.claimed.place}/telemetry"),),
    "POST /v1/devices/events": (
        lambda at: _event(at, "/v1/devices/events"),
        lambda at: _event(at, "/v1/devices/events", batch=True),
    ),
    f"POST {_ID}/events": (
        lambda at: _event(at, f"{at.claimed.place}/events"),
        lambda at: _event(at, f"{at.claimed.place}/events", batch=True),
    ),
    f"POST {_ID}/events/kept": (
        _post(
            "{place}/events/kept",
            lambda at: KeptRequest(
                events=[at.claimed.event().event_id], media=[hashlib.sha256(at.file).hexdigest()]
            ),
        ),
    ),
    f"GET {_ID}/config": (_get("{place}/config"),),
    "GET /v1/devices/config/{device_id}": (_get("/v1/devices/config/{id}"),),
    f"GET {_ID}/commands": (_get("{place}/commands"),),
    f"POST {_ID}/token": (_get("{place}/token"),),
    f"POST {_ID}/certificates/renew": (
        _post(
            "{place}/certificates/renew",
            lambda at: RenewRequest(csr=at.claimed.csr(ec.generate_private_key(ec.SECP256R1()))),
        ),
    ),
    f"POST {_ID}/uploads": (_create,),
    f"HEAD {_ID}/uploads/{{upload_id}}": (
        lambda at: Good(at.claimed, at.upload, headers={"tus-resumable": "1.0.0"}),
    ),
    f"PATCH {_ID}/uploads/{{upload_id}}": (_append,),
}

Maker = Callable[[Cloud], Awaitable[Bench]]
