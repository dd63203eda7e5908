"""The fleet page and the page of one station. What a heartbeat means in words is in `station_view`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from cloud.dashboard import station_view, words
from cloud.dashboard.forms import FormError, from_refusal
from cloud.dashboard.people import ROLES
from cloud.dashboard.rendering import page
from cloud.dashboard.replacing import questions
from cloud.fleet.models import DeviceDetail, DeviceSummary, EventSummary, MediaItem
from cloud.keys import CLAIMS, COMMANDS, FLEET
from cloud.security.access import Role
from cloud.security.sessions import Person, read_form, require_person
from cloud.security.sharing import SHARING
from cloud.speaking import language_of
from protocol.errors import Refusal

EVENTS_PER_PAGE = 24
LOG_LINES = 12
ORDER_LINES = 5
PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "image/avif"})
FILMS = frozenset({"video/mp4", "video/webm"})

_ORDER = (
    (words.FAILED, words.N_("In trouble")),
    (words.UNKNOWN, words.N_("Offline")),
    (words.WORKING, words.N_("Busy")),
    (words.WAITING, words.N_("Waiting for you")),
    (words.RUNNING, words.N_("Running")),
)


@dataclass(frozen=True)
class Tile:
    """One station on the fleet page."""

    id: str
    name: str
    tone: str
    label: str
    last_seen_ms: int | None
    waiting: int
    picture: str | None
    role: str = "owner"


@dataclass(frozen=True)
class EventTile:
    """One event in a list."""

    id: str
    name: str
    at_ms: int
    confidence: float | None
    status: str
    picture: str | None
    missing: int


async def fleet(request: web.Request) -> web.StreamResponse:
    """GET /: every station of the person, and how they are."""
    person = await require_person(request)
    tiles = [tile(summary) for summary in await request.app[FLEET].list(person.account_id)]
    arriving = await request.app[CLAIMS].open_of(person.account_id)
    live = {"poll": "/v1/devices", "device": None, "source": None}
    former = bool(await request.app[FLEET].former(person.account_id))
    return page(
        request,
        "fleet.html",
        stations=tiles,
        arriving=arriving,
        invitations=await request.app[SHARING].invitations(person),
        roles=ROLES,
        counts=counts(tiles),
        former=former,
        live=live,
    )


def tile(summary: DeviceSummary) -> Tile:
    """A station as a tile."""
    last = summary.last_event
    return Tile(
        id=summary.id,
        name=summary.name,
        tone=summary.tone,
        label=words.station_label(_state(summary), online=summary.online),
        last_seen_ms=summary.last_seen_ms,
        waiting=summary.backlog_count,
        picture=picture(summary.id, last.media) if last else None,
        role=summary.role or "owner",
    )


def _state(station: DeviceSummary) -> str | None:
    """What it said last, unless it is the person's no more."""
    return "released" if station.status == "released" else station.state


def counts(tiles: Sequence[Tile]) -> list[tuple[str, str, int]]:
    """(tone, words, number) for each tone that occurs, worst first."""
    found = [(tone, label, sum(one.tone == tone for one in tiles)) for tone, label in _ORDER]
    return [entry for entry in found if entry[2]]


def media_address(device_id: str, item: MediaItem) -> str:
    """Where the browser gets a stored file."""
    return f"/v1/devices/{device_id}/media/{item.sha256}"


def picture(device_id: str, media: Sequence[MediaItem]) -> str | None:
    """The picture that stands for an event: a thumbnail if the station made one, else the smallest image."""
    images = [item for item in media if item.stored and item.mime in PICTURES]
    images.sort(key=lambda item: (item.role != "thumbnail", item.size))
    return media_address(device_id, images[0]) if images else None


def event_tile(device_id: str, event: EventSummary) -> EventTile:
    """An event as a tile. A time that the cloud knows better, or that cannot be read, gives way."""
    at_ms = words.text_to_ms(event.timestamp) if event.restated_ms is None else event.restated_ms
    return EventTile(
        id=event.event_id,
        name=words.event_name(event.event_type),
        at_ms=event.received_ms if at_ms is None else at_ms,
        confidence=event.confidence,
        status=event.status,
        picture=picture(device_id, event.media),
        missing=sum(not item.stored for item in event.media),
    )


async def station(request: web.Request) -> web.StreamResponse:
    """GET /stations/{id}, with `?before=` for older events."""
    person = await require_person(request)
    return await _station(request, person)


async def rename(request: web.Request) -> web.StreamResponse:
    """POST /stations/{id}/name."""
    person = await require_person(request)
    device_id = request.match_info["id"]
    wanted = (await read_form(request)).get("name", "")[:200]
    try:
        await request.app[FLEET].rename(person.account_id, device_id, wanted)
    except Refusal as refusal:
        if refusal.status in (403, 404):
            raise
        return await _station(request, person, error=from_refusal(refusal), typed=wanted)
    raise web.HTTPSeeOther(f"/stations/{device_id}")


async def _station(
    request: web.Request, person: Person, *, error: FormError | None = None, typed: str | None = None
) -> web.Response:
    device_id, parts, language = request.match_info["id"], request.app[FLEET], language_of(request)
    device = await parts.get(person.account_id, device_id)
    before = _cursor(request)
    seen = await parts.event_page(person.account_id, device_id, before, EVENTS_PER_PAGE, lifecycle=False)
    orders = await request.app[COMMANDS].last(person.account_id, device_id, ORDER_LINES)
    log = await parts.events(person.account_id, device_id, None, LOG_LINES, lifecycle=True)
    return page(
        request,
        "station.html",
        status=400 if error else 200,
        station=device,
        roles=ROLES,
        label=words.station_label(_state(device), online=device.online),
        advice=words.station_advice(_state(device), online=device.online),
        facts=station_view.facts(device.reported, device.network, online=device.online, language=language),
        host=station_view.host_facts(device.reported, language),
        about=station_view.about_facts(
            device.info,
            device.location,
            _version(device),
            station_view.latest(device.reported, device.network),
            device.key_storage,
            language,
        ),
        backlog=station_view.backlog(device.reported, language),
        buffer=device.reported.buffer if device.reported else None,
        events=[event_tile(device_id, event) for event in seen.events],
        older=seen.next_before,
        before=before,
        log=[event_tile(device_id, event) for event in log],
        orders=station_view.orders(orders),
        questions=await questions(request, person.account_id, device_id)
        if device.role == Role.OWNER and device.status != "released"
        else [],
        error=error,
        typed=device.name if typed is None else typed,
        live={"poll": "/v1/devices", "device": device_id, "source": None},
    )


def _version(device: DeviceDetail) -> str | None:
    return device.reported.firmware_version if device.reported else None


def _cursor(request: web.Request) -> int | None:
    text = request.query.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
