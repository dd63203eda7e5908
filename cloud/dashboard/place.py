"""Where a station stands: typed, or picked on a map by clicks that are forms, without any script."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiohttp import web

from cloud.dashboard.forms import FormError, from_refusal
from cloud.dashboard.rendering import page
from cloud.dashboard.words import N_
from cloud.dashboard.worldmap import SPANS, Window, svg
from cloud.keys import FLEET
from cloud.security.access import Need, refuse_small_role
from cloud.security.sessions import Person, read_form, require_person
from cloud.validation import decode
from protocol.errors import INVALID, Refusal
from protocol.messages import Location

FIELDS = ("latitude", "longitude", "altitude", "accuracy")


async def show(request: web.Request) -> web.StreamResponse:
    """GET /stations/{id}/place."""
    person = await require_person(request)
    device = await request.app[FLEET].get(person.account_id, request.match_info["id"])
    refuse_small_role(device.role, Need.COMMAND)
    known = device.location
    form = {name: _shown(getattr(known, name)) for name in FIELDS} if known else {}
    source = known.source if known else "manual"
    return await _page(request, person, form | {"source": source}, _around(known))


def _around(known: Location | None) -> Window:
    return Window() if known is None else Window(known.latitude, known.longitude, 2)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}".rstrip("0").rstrip(".")


async def change(request: web.Request) -> web.StreamResponse:
    """POST /stations/{id}/place: a click looks closer, the button saves."""
    person, form = await require_person(request), await read_form(request)
    if "spot.x" in form:
        return await _clicked(request, person, form)
    if form.get("step") == "out":
        return await _page(request, person, form, Window())
    device_id = request.match_info["id"]
    known = (await request.app[FLEET].get(person.account_id, device_id)).location
    try:
        typed = read(form)
        if known is None or (known.latitude, known.longitude) != (typed.latitude, typed.longitude):
            typed = msgspec.structs.replace(typed, source="manual")
        await request.app[FLEET].change(person.account_id, device_id, location=typed)
    except Refusal as refusal:
        if refusal.status in (403, 404):
            raise
        return await _page(request, person, form, _window(form), error=_told(refusal), status=422)
    raise web.HTTPSeeOther(f"/stations/{device_id}")


async def _clicked(request: web.Request, person: Person, form: Mapping[str, str]) -> web.Response:
    window = _window(form)
    latitude, longitude = window.at(_whole(form.get("spot.x")), _whole(form.get("spot.y")))
    picked = {
        "latitude": _shown(latitude),
        "longitude": _shown(longitude),
        "accuracy": _shown(window.accuracy),
        "source": "manual",
    }
    return await _page(request, person, dict(form) | picked, window.closer(latitude, longitude))


def read(form: Mapping[str, str]) -> Location:
    """The typed place; a comma is read as a point. Raises `Refusal` REG-007 that names the field."""
    values: dict[str, object] = {name: _number(form, name) for name in FIELDS if form.get(name, "").strip()}
    values["source"] = form.get("source") if form.get("source") in ("gps", "network") else "manual"
    return decode(msgspec.json.encode(values), Location)


def _number(form: Mapping[str, str], name: str) -> float:
    text = form[name].strip().replace(",", ".").replace("\u2212", "-")
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value or value in (float("inf"), float("-inf")):
        raise Refusal("REG-007", INVALID, N_("Type a number, like 47.0512."), field=f"$.{name}")
    return value


_RANGES = {
    "latitude": N_("The latitude is between −90 and 90 degrees; south is negative."),
    "longitude": N_("The longitude is between −180 and 180 degrees; west is negative."),
    "altitude": N_("The altitude is between −500 and 9000 metres."),
    "accuracy": N_("The accuracy is a number of metres, not less than 0."),
}


def _told(refusal: Refusal) -> FormError:
    field = (refusal.field or "").removeprefix("$.")
    named = next((name for name in _RANGES if name in field or f"`{name}`" in refusal.detail), "")
    if not named or refusal.detail.startswith("Type"):
        return from_refusal(refusal)
    return FormError(_RANGES[named], named, code=refusal.code or "")


def _window(form: Mapping[str, str]) -> Window:
    """The window that was clicked, from the form's hidden fields; nonsense is the whole world."""
    try:
        latitude, longitude = float(form.get("map_latitude", "0")), float(form.get("map_longitude", "0"))
    except ValueError:
        return Window()
    level = _whole(form.get("map_level"))
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180 and level < len(SPANS)):
        return Window()
    return Window(latitude, longitude, level)


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else 0


async def _page(
    request: web.Request,
    person: Person,
    form: Mapping[str, str],
    window: Window,
    *,
    error: FormError | None = None,
    status: int = 200,
) -> web.Response:
    device = await request.app[FLEET].get(person.account_id, request.match_info["id"])
    shown = {name: form.get(name, "")[:40] for name in (*FIELDS, "source")}
    spot = f"{shown['latitude']},{shown['longitude']}"
    return page(
        request,
        "place.html",
        status=status,
        station=device,
        form=shown,
        window=window,
        spot=spot,
        error=error,
    )


async def picture(request: web.Request) -> web.StreamResponse:
    """GET /map: the window as SVG; browsers keep it for an hour."""
    await require_person(request)
    window = _window(request.query)
    north, _, east = request.query.get("spot", "").partition(",")
    try:
        spot: tuple[float, float] | None = (float(north.replace(",", ".")), float(east.replace(",", ".")))
    except ValueError:
        spot = None
    if spot is not None and not (-90 <= spot[0] <= 90 and -180 <= spot[1] <= 180):
        spot = None
    headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
    answer = web.Response(text=svg(window, spot), content_type="image/svg+xml", headers=headers)
    answer.enable_compression()
    return answer


ROUTES = (
    web.get("/stations/{id}/place", show),
    web.post("/stations/{id}/place", change),
    web.get("/map", picture),
)
