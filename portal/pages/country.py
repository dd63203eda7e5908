"""The country: how pages show it, and the page on which a person says it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from portal import context
from portal.countries import CODES, names
from portal.pages.forms import posted, require_token, see_other
from portal.pages.refused import status_of
from portal.render import page
from portal.sentences import refusal
from portal.view import Refusal, Snapshot

_BACK = ("/setup", "/status")


@dataclass(frozen=True, slots=True)
class Place:
    """The country as a page names it; `name` is empty where nobody knows it."""

    code: str
    name: str
    by: str


async def place(request: web.Request) -> Place:
    """The country in the reader's language."""
    snapshot = context.of(request).station.snapshot()
    named = await _names(request) if snapshot.country else {}
    return Place(snapshot.country, named.get(snapshot.country, snapshot.country), snapshot.country_by)


async def to_ask(request: web.Request, bands: tuple[str, ...]) -> Mapping[str, str]:
    """What a form offers where the country matters and nobody has said it; else nothing."""
    wanted = bands == ("5",) and not is_said(context.of(request).station.snapshot())
    return await _names(request) if wanted else {}


def is_said(snapshot: Snapshot) -> bool:
    """Whether somebody said the country, who knows it better than a guess."""
    return snapshot.country_by in ("person", "settings")


def checked(code: str) -> str:
    """The code of a country. Raises `Refusal` (NET-122)."""
    if code not in CODES:
        raise refusal("NET-122", field="country")
    return code


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /country`: all countries, the present or the guessed one chosen."""
    return await _form(request, request.query.get("back", ""))


async def save(request: web.Request) -> web.StreamResponse:
    """`POST /country`: a person says where the station is."""
    fields = await posted(request)
    code, back = fields.get("country", ""), _back(fields.get("back", ""))
    try:
        require_token(request, fields)
        await context.of(request).station.use_country(checked(code))
    except Refusal as refused:
        return await _form(request, back, code, refused)
    return see_other(back)


async def _form(
    request: web.Request, back: str, typed: str = "", refused: Refusal | None = None
) -> web.Response:
    snapshot = context.of(request).station.snapshot()
    named = await _names(request)
    return page(
        request,
        "country.html",
        status=status_of(refused),
        countries=named,
        selected=typed or snapshot.country,
        guess=named.get(snapshot.country_guess, ""),
        refused=refused,
        back=_back(back),
    )


def _back(path: str) -> str:
    return path if path in _BACK else "/"


async def _names(request: web.Request) -> Mapping[str, str]:
    return await asyncio.to_thread(names, context.language(request).tag)
