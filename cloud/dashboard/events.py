"""The page of one event: its pictures and films, what the station said about it, its files."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from cloud.dashboard import words
from cloud.dashboard.measures import exact, share
from cloud.dashboard.rendering import page
from cloud.dashboard.station_view import Fact, flat
from cloud.dashboard.stations import FILMS, PICTURES, event_tile, media_address
from cloud.fleet.models import EventDetail
from cloud.keys import FLEET
from cloud.security.sessions import require_person
from cloud.speaking import language_of
from language.languages import Language

MOST_LINES = 80
"""Lines of the event's own data on the page; the rest is in the API."""

_STATUS = {
    "preliminary": words.N_("Preliminary"),
    "confirmed": words.N_("Confirmed"),
    "withdrawn": words.N_("Withdrawn"),
}


async def show(request: web.Request) -> web.StreamResponse:
    """GET /stations/{id}/events/{event_id}."""
    person = await require_person(request)
    device_id = request.match_info["id"]
    station = await request.app[FLEET].get(person.account_id, device_id)
    event = await request.app[FLEET].event(person.account_id, device_id, request.match_info["event_id"])
    stored = [item for item in event.media if item.stored and item.role != "thumbnail"]
    return page(
        request,
        "event.html",
        station=station,
        event=event_tile(device_id, event),
        images=[(media_address(device_id, item), item) for item in stored if item.mime in PICTURES],
        films=[(media_address(device_id, item), item) for item in stored if item.mime in FILMS],
        files=[(media_address(device_id, item) if item.stored else None, item) for item in event.media],
        facts=_facts(event, language_of(request)),
        data=list(flat(_metadata(event.body)))[:MOST_LINES],
        live={"poll": "/v1/devices", "device": device_id, "source": None},
    )


def _metadata(body: dict[str, Any]) -> dict[str, object]:
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _facts(event: EventDetail, language: Language) -> list[Fact]:
    body = event.body
    source = body.get("source") or {}
    clock = body.get("clock") or {}
    seconds = body.get("duration_ms")
    found = [
        Fact(words.N_("Began"), event.timestamp) if words.text_to_ms(event.timestamp) is None else None,
        Fact(words.N_("Lasted"), exact(seconds / 1000, "s", language, 2)) if seconds is not None else None,
        Fact(words.N_("Confidence"), share(event.confidence, language))
        if event.confidence is not None
        else None,
        Fact(words.N_("Status"), _STATUS.get(event.status, event.status)),
        Fact(words.N_("Seen by"), source["adapter"], detail=source.get("version") or "")
        if source.get("adapter")
        else None,
        Fact(words.N_("Camera"), source["station"]) if source.get("station") else None,
        Fact(words.N_("Clock"), words.N_("Not synchronised at that time"), words.WORKING)
        if clock.get("synced") is False
        else None,
        Fact(words.N_("Arrived here"), at_ms=event.received_ms),
    ]
    return [fact for fact in found if fact]
