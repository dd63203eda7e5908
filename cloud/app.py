"""The composition root: builds every part of the cloud from its settings and hands them to each other."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version

import msgspec
from aiohttp import web

from cloud import keys, upkeep
from cloud.api import middleware
from cloud.api.openapi import document
from cloud.api.routing import install
from cloud.api.table import ROUTES
from cloud.dashboard.setup import setup_dashboard
from cloud.errors import StoreError
from cloud.fleet.commands import Commands
from cloud.fleet.configuration import Configurations
from cloud.fleet.devices import Fleet
from cloud.fleet.events import Events
from cloud.fleet.files import MediaFiles
from cloud.fleet.heartbeats import Heartbeats
from cloud.fleet.kept import Kept
from cloud.fleet.media import MediaStore
from cloud.fleet.presence import Presence
from cloud.realtime.bus import Bus
from cloud.realtime.gateway import setup_realtime
from cloud.registry.batches import Batches
from cloud.registry.certificates import Certificates
from cloud.registry.claims import Claims
from cloud.registry.completion import Completion
from cloud.registry.crl import RevocationList
from cloud.registry.enrolment import Enrolment
from cloud.registry.legacy import Legacy
from cloud.registry.news import ClaimNews
from cloud.registry.ownership import Ownership
from cloud.registry.queue import RegistrationQueue
from cloud.registry.renewals import Renewals
from cloud.registry.replacement import Replacements
from cloud.registry.revocations import Revocations
from cloud.registry.tokens import DeviceTokens
from cloud.rights.archive import ARCHIVE, Archive
from cloud.rights.removal import REMOVAL, Removal
from cloud.security.accounts import ACCOUNTS
from cloud.security.cloud_keys import CloudKeys
from cloud.security.device_auth import DeviceAuth
from cloud.security.doorkeeper import Doorkeeper
from cloud.security.limit_store import LimitStore
from cloud.security.limits import Limits
from cloud.security.networks import NetworkRules
from cloud.security.resets import RESETS
from cloud.security.seal import Seal
from cloud.security.sessions import SESSIONS
from cloud.security.setup import setup_people
from cloud.security.sharing import SHARING
from cloud.security.token_standing import forget_ended
from cloud.security.trail import Trail
from cloud.security.vault import Secrets
from cloud.settings import Settings
from cloud.store.engine import Database
from protocol.limits import MAX_CHUNK_BYTES
from protocol.vouched import pin_of_pem

_LARGEST_BODY = 2 * MAX_CHUNK_BYTES
"""For the framework; every route has its own, lower limit."""


def unix_ms() -> int:
    """The server's wall clock, in ms since 1970."""
    return time.time_ns() // 1_000_000


def create_app(
    settings: Settings, database: Database, secrets: Secrets, clock: Callable[[], int] = unix_ms
) -> web.Application:
    """The whole cloud on a migrated database. The caller closes the database after the application."""
    app = web.Application(
        middlewares=[middleware.identify, middleware.admit, middleware.explain], client_max_size=_LARGEST_BODY
    )
    app.on_response_prepare.append(middleware.mark)
    bus, store = Bus(unix_ms=clock), LimitStore(database, clock)
    limits = Limits(store=store)
    app[keys.SETTINGS], app[keys.DATABASE], app[keys.UNIX_MS] = settings, database, clock
    app[keys.BUS], app[keys.LIMITS] = bus, limits
    rules = NetworkRules(settings.deny_networks, settings.allow_networks)
    app[keys.DOORKEEPER] = Doorkeeper(rules, database, limits, clock)
    app[keys.TRAIL] = Trail(database)
    app[keys.DEVICE_AUTH] = DeviceAuth(
        database, limits, clock, certificate_required="mtls" in settings.auth_require
    )
    _add_fleet(app, secrets)
    _add_registry(app, secrets)
    app[keys.OPENAPI] = msgspec.json.encode(document(ROUTES, _version(), settings.base))
    install(app, ROUTES)
    setup_people(app)
    app[ARCHIVE] = Archive(database, app[keys.MEDIA_FILES], clock)
    app[REMOVAL] = Removal(database, app[keys.MEDIA_FILES], bus, app[ACCOUNTS], clock)
    setup_dashboard(app)
    setup_realtime(app)
    app.cleanup_ctx.append(_upkeep)
    return app


def _add_fleet(app: web.Application, secrets: Secrets) -> None:
    settings, database, clock = app[keys.SETTINGS], app[keys.DATABASE], app[keys.UNIX_MS]
    bus, limits = app[keys.BUS], app[keys.LIMITS]
    files = MediaFiles(settings.media, settings.min_free_bytes)
    configurations = Configurations(
        secrets.config_key, settings.heartbeat_interval, secrets.previous_config_keys
    )
    fleet = Fleet(database, files, configurations, bus, settings.offline_after, clock)
    app[keys.MEDIA_FILES], app[keys.CONFIGURATIONS], app[keys.FLEET] = files, configurations, fleet
    app[keys.COMMANDS] = Commands(database, bus, clock)
    app[keys.HEARTBEATS] = Heartbeats(database, bus, limits, fleet, settings, clock)
    app[keys.EVENTS] = Events(
        database, bus, limits, lambda device_id: f"{settings.base}/v1/devices/{device_id}/uploads", clock
    )
    app[keys.MEDIA] = MediaStore(database, files, bus, limits, settings.upload_life, clock)
    app[keys.KEPT] = Kept(database, files, limits)


def _add_registry(app: web.Application, secrets: Secrets) -> None:
    settings, database, clock = app[keys.SETTINGS], app[keys.DATABASE], app[keys.UNIX_MS]
    limits, pepper = app[keys.LIMITS], secrets.pepper
    app[keys.TOKENS] = DeviceTokens(secrets.token_key, secrets.previous_token_keys)
    certificates = Certificates(secrets.authority, timedelta(days=settings.certificate_days))
    app[keys.CLOUD_KEYS] = CloudKeys(secrets)
    completion = Completion(
        settings,
        certificates,
        app[keys.TOKENS],
        app[keys.CONFIGURATIONS],
        app[keys.CLOUD_KEYS].time_keys,
        pepper,
    )
    app[keys.RENEWALS] = Renewals(database, certificates, app[keys.CONFIGURATIONS], limits, clock)
    app[keys.CERTIFICATES] = certificates
    app[keys.CRL] = RevocationList(database, secrets.authority, settings.crl, clock)
    app[keys.REVOCATIONS] = Revocations(database, app[keys.CRL], clock)
    news = ClaimNews(database, app[keys.BUS], settings.poll_interval, clock)
    pin = pin_of_pem(secrets.authority.root_pem)
    app[keys.QUEUE] = queue = RegistrationQueue(database, lambda claim_id: news.publish([claim_id]), clock)
    news.when_put(queue.wake)
    app[keys.CLAIMS] = Claims(database, news, limits, settings, pepper, pin, clock)
    app[keys.LEGACY] = Legacy(
        database,
        app[keys.CLAIMS],
        app[keys.CONFIGURATIONS],
        limits,
        secrets.token_key,
        pepper,
        clock,
    )
    app[keys.OWNERSHIP] = Ownership(database, news, app[keys.BUS], limits, settings.base, clock)
    app[keys.REPLACEMENTS] = Replacements(
        database, news, app[keys.BUS], limits, pepper, settings.offline_after, clock
    )
    app[keys.DEVICE_AUTH].when_revoked = app[keys.REPLACEMENTS].old_key_used
    app[keys.BATCHES] = Batches(database, limits, settings.base, pin, clock)
    app[keys.ENROLMENT] = Enrolment(database, news, limits, completion, settings, pepper, clock)


async def _upkeep(app: web.Application) -> AsyncIterator[None]:
    settings, database, clock = app[keys.SETTINGS], app[keys.DATABASE], app[keys.UNIX_MS]
    await database.write(app[keys.CONFIGURATIONS].sign_again)
    presence = Presence(database, app[keys.BUS], settings.offline_after, clock)
    duties = {
        "presence": presence.look,
        "claims": app[keys.CLAIMS].sweep,
        "registrations": app[keys.QUEUE].sweep,
        "clones": app[keys.REPLACEMENTS].watch,
        "fingerprints": app[keys.REPLACEMENTS].adopt,
        "sessions": app[SESSIONS].sweep,
        "invitations": app[SHARING].sweep,
        "key overlaps": app[keys.RENEWALS].end_overlaps,
        "denied tokens": lambda: forget_ended(database, clock()),
        "revocation list": app[keys.CRL].refresh,
        "password links": app[RESETS].sweep,
        "uploads": app[keys.MEDIA].sweep,
        "nonces": upkeep.strangers(database, clock),
        "removals": app[REMOVAL].finish,
        "limits": app[keys.LIMITS].keep,
        "full limits": LimitStore(database, clock).sweep,
        "audit seal": Seal(settings.data_dir, database).follow,
    }
    await app[keys.LIMITS].load()
    tasks = [
        asyncio.create_task(upkeep.run(duties, settings.sweep_interval), name="upkeep"),
        asyncio.create_task(app[keys.QUEUE].run(settings.sweep_interval), name="registrations"),
    ]
    yield
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    with contextlib.suppress(StoreError):  # open: a lost count gives somebody a few tries
        await app[keys.LIMITS].keep()


def _version() -> str:
    try:
        return version("meteor-appliance")
    except PackageNotFoundError:
        return "0"
