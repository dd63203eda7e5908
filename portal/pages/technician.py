"""The technician's page: the PIN, and behind it what may be asked of a station.

Whoever typed the PIN gets a page whose forms carry a token: good for this client, this purpose and a quarter
of an hour, renewed with each answer. No link carries it and no cookie: each answer is the page itself.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from portal import context
from portal.pages.forms import posted, require_token
from portal.pages.refused import status_of
from portal.render import page
from portal.sentences import refusal
from portal.view import Refusal, Snapshot

PATH = "/technician"
BACK_AFTER = 30  # seconds that a restart may take before a page without script looks again

Fields = dict[str, str]
Action = Callable[[web.Request, Fields], Awaitable[web.StreamResponse]]


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /technician`: asks for the PIN, always."""
    return _pin_page(request)


async def enter(request: web.Request) -> web.StreamResponse:
    """`POST /technician`: the page behind a right PIN."""
    fields = await posted(request)
    try:
        require_token(request, fields)
        pin = digits(fields.get("pin", ""))
        await context.of(request).station.check_pin(pin, context.client(request))
    except Refusal as refused:
        return _pin_page(request, refused)
    return _desk(request)


def digits(text: str) -> str:
    """Six ASCII digits from whatever digits a keyboard has. Raises `Refusal` (WEB-009), which is no try."""
    typed = "".join(text.split()).replace("-", "")
    if len(typed) != 6 or not typed.isdecimal():
        raise refusal("WEB-009", field="pin")
    return "".join(str(unicodedata.decimal(digit)) for digit in typed)


def behind_pin(action: Action) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """`action` for those who hold the token; everybody else is asked for the PIN."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        fields = await posted(request, limited=False)
        ctx = context.of(request)
        if not ctx.technicians.accept(fields.get("technician", ""), context.client(request), ctx.now()):
            return _pin_page(request, refusal("WEB-011"))
        try:
            return await action(request, fields)
        except Refusal as refused:
            return _desk(request, refused)

    return guarded


async def locate(request: web.Request, _fields: Fields) -> web.StreamResponse:
    """`POST /technician/locate`: blink the light."""
    await context.of(request).station.locate()
    return _desk(request, done="locate")


async def retry(request: web.Request, _fields: Fields) -> web.StreamResponse:
    """`POST /technician/retry`: try to send what waits."""
    await context.of(request).station.retry()
    return _desk(request, done="retry")


async def test(request: web.Request, _fields: Fields) -> web.StreamResponse:
    """`POST /technician/test`: try the connection and say what came of it."""
    return _desk(request, checks=await context.of(request).station.test_connection())


async def restart(request: web.Request, _fields: Fields) -> web.StreamResponse:
    """`POST /technician/restart`: a page that waits for the station to come back."""
    await context.of(request).station.restart()
    return _again(request, "/status")


async def reset(request: web.Request, fields: Fields) -> web.StreamResponse:
    """`POST /technician/reset`: the networks alone, or all; only with the short id typed by hand."""
    station = context.of(request).station
    if not _same_id(fields.get("short_id", ""), station.snapshot()):
        raise refusal("WEB-012", field="short_id")
    if networks := "networks" in fields:
        await station.forget_networks()
    else:
        await station.reset(purge=fields.get("events") == "remove")
    return _again(request, "/", reset=True, networks=networks)


async def picture(request: web.Request, _fields: Fields) -> web.StreamResponse:
    """`POST /technician/picture`: the last picture that came with an event, for nobody's cache."""
    shown = await context.of(request).station.picture()
    response = web.Response(body=shown.content, content_type=shown.content_type)
    response.headers["Cache-Control"] = "no-store"
    return response


async def bundle(request: web.Request, _fields: Fields) -> web.StreamResponse:
    """`POST /support-bundle`: a file to send to whoever helps."""
    station = context.of(request).station
    name = f"meteor-{station.snapshot().short_id}-support.tar.gz"
    response = web.Response(body=await station.support_bundle(), content_type="application/gzip")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    return response


ACTIONS: dict[str, Action] = {
    "/technician/locate": locate,
    "/technician/retry": retry,
    "/technician/test": test,
    "/technician/picture": picture,
    "/technician/restart": restart,
    "/technician/reset": reset,
    "/support-bundle": bundle,
}


def _again(
    request: web.Request, to: str, *, reset: bool = False, networks: bool = False
) -> web.StreamResponse:
    refresh = f"{BACK_AFTER};url={to}"
    return page(request, "again.html", refresh=refresh, reset=reset, networks=networks, here=PATH)


def _same_id(typed: str, snapshot: Snapshot) -> bool:
    return bool(snapshot.short_id) and typed.strip().upper() == snapshot.short_id.upper()


def _pin_page(request: web.Request, refused: Refusal | None = None) -> web.Response:
    return page(request, "pin.html", status=status_of(refused), refused=refused, here=PATH)


def _desk(request: web.Request, refused: Refusal | None = None, **values: Any) -> web.Response:
    ctx = context.of(request)
    return page(
        request,
        "technician.html",
        status=status_of(refused),
        technician=ctx.technicians.issue(context.client(request), ctx.now()),
        refused=refused,
        here=PATH,
        **{"done": "", "checks": ()} | values,
    )
