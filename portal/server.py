"""The portal as an aiohttp application: the composition of its parts and the table of its routes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from portal import api, languages, middleware
from portal.assets import Assets
from portal.captive import Visitors
from portal.context import CONTEXT, Context, of
from portal.drafts import Drafts
from portal.feed import Feed
from portal.guard import Attempts, Tokens
from portal.pages import (
    claim,
    country,
    help,
    language,
    phones,
    progress,
    setup,
    status,
    technician,
)
from portal.present import home
from portal.render import environment
from portal.settings import PortalSettings
from portal.view import Station

LOG = logging.getLogger(__name__)


def create_app(
    station: Station,
    *,
    settings: PortalSettings | None = None,
    now: Callable[[], float] = time.monotonic,
) -> web.Application:
    """The portal in front of `station`. `now` is monotonic seconds."""
    settings = settings or PortalSettings()
    app = web.Application(
        middlewares=[middleware.errors, middleware.captive], client_max_size=settings.max_body
    )
    app[CONTEXT] = _context(station, settings, now)
    app[help.CHECKUP] = help.Checkup(station, now)
    app.on_response_prepare.append(middleware.add_headers)
    app.cleanup_ctx.append(_follow_station)
    app.on_shutdown.append(_end_streams)
    app.add_routes(_routes(app[CONTEXT].assets))
    return app


def _context(station: Station, settings: PortalSettings, now: Callable[[], float]) -> Context:
    secret = secrets.token_bytes(32)
    return Context(
        station=station,
        settings=settings,
        languages=languages.load(pseudo_locales=settings.pseudo_locales),
        templates=environment(),
        assets=Assets(),
        tokens=Tokens(secret, settings.token_lifetime),
        technicians=Tokens(secret, settings.technician_lifetime, "technician"),
        attempts=Attempts(settings.attempts_burst, settings.attempts_interval),
        visitors=Visitors(),
        drafts=Drafts(),
        feed=Feed(station),
        streams=asyncio.Semaphore(settings.max_streams),
        secret=secret,
        now=now,
    )


def _routes(assets: Assets) -> list[web.RouteDef]:
    return [
        web.get("/", _start),
        web.get("/setup", setup.show),
        web.post("/setup/scan", setup.scan),
        web.post("/setup/join", setup.join),
        web.post("/setup/cancel", setup.cancel),
        web.get("/progress", progress.show),
        web.get("/claim", claim.show),
        web.post("/claim/code", claim.use_code),
        web.get("/status", status.show),
        web.post("/status/locate", status.locate),
        web.get("/technician", technician.show),
        web.post("/technician", technician.enter),
        *(web.post(path, technician.behind_pin(action)) for path, action in technician.ACTIONS.items()),
        web.get("/phones", phones.show),
        web.get("/api/phones", phones.as_json),
        web.get("/help", help.show),
        web.post("/help/again", help.again),
        web.get("/help/{code}", help.explain),
        web.post("/language", language.choose),
        web.get("/country", country.show),
        web.post("/country", country.save),
        web.get("/events", api.events, allow_head=False),
        web.get("/api/status", api.status),
        web.get("/health", api.health),
        web.get("/metrics", api.metrics),
        web.get("/static/{name}", assets.serve),
    ]


async def _start(request: web.Request) -> web.StreamResponse:
    """`GET /`: on to the page that matters now."""
    raise web.HTTPFound(home(of(request).station.snapshot()))


async def _follow_station(app: web.Application) -> AsyncIterator[None]:
    feed = app[CONTEXT].feed
    task = asyncio.create_task(_follow(feed), name="portal feed")
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _follow(feed: Feed) -> None:
    try:
        await feed.run()
    except Exception:
        # Pages still show the truth when loaded; only their live updates fall back to polling.
        LOG.exception("the stream of station changes broke; pages poll from now on")


async def _end_streams(app: web.Application) -> None:
    app[CONTEXT].feed.close()


@contextlib.asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Serve `app` while the block runs; gives the address. Port 0 takes a free one.

    No access log: addresses in it would say which networks a person looked at. Raises OSError if the
    port is taken.
    """
    # What is packed is not unpacked: a form needs no packing, and a small body can be packed a thousandfold.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0, auto_decompress=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        real = runner.addresses[0][1]
        yield f"http://{f'[{host}]' if ':' in host else host}:{real}"
    finally:
        await runner.cleanup()
