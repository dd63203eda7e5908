"""What every page needs, in one immutable bundle, and how a request finds it; no pages here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from jinja2 import Environment

from language.languages import Language, Languages
from portal.assets import Assets
from portal.captive import Visitors
from portal.drafts import Drafts
from portal.feed import Feed
from portal.guard import Attempts, Tokens
from portal.settings import PortalSettings
from portal.view import Station


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The parts of one portal."""

    station: Station
    settings: PortalSettings
    languages: Languages
    templates: Environment
    assets: Assets
    tokens: Tokens
    technicians: Tokens
    attempts: Attempts
    visitors: Visitors
    drafts: Drafts
    feed: Feed
    streams: asyncio.Semaphore
    secret: bytes
    now: Callable[[], float] = time.monotonic


CONTEXT = web.AppKey("context", Context)

LANGUAGE_COOKIE = "language"


def of(request: web.Request) -> Context:
    """The context of this request's application."""
    return request.app[CONTEXT]


def client(request: web.Request) -> str:
    """The address of whoever asks, as far as it is known."""
    return request.remote or "unknown"


def language(request: web.Request) -> Language:
    """The language this person chose before, else the one their browser asks for, else the country's."""
    ctx = of(request)
    chosen = ctx.languages.get(request.cookies.get(LANGUAGE_COOKIE, ""))
    if chosen is not None:
        return chosen
    wanted = request.headers.get("Accept-Language", "")
    if ctx.settings.language:
        return ctx.languages.choose(wanted, system=ctx.settings.language)
    return ctx.languages.choose(wanted, ctx.station.snapshot().country, ctx.settings.locale)
