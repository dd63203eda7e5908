"""Typed keys under which the composition root puts its parts into the application. No behaviour."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from cloud.fleet.commands import Commands
    from cloud.fleet.configuration import Configurations
    from cloud.fleet.devices import Fleet
    from cloud.fleet.events import Events
    from cloud.fleet.files import MediaFiles
    from cloud.fleet.heartbeats import Heartbeats
    from cloud.fleet.kept import Kept
    from cloud.fleet.media import MediaStore
    from cloud.realtime.bus import Bus
    from cloud.registry.batches import Batches
    from cloud.registry.certificates import Certificates
    from cloud.registry.claims import Claims
    from cloud.registry.crl import RevocationList
    from cloud.registry.enrolment import Enrolment
    from cloud.registry.legacy import Legacy
    from cloud.registry.ownership import Ownership
    from cloud.registry.queue import RegistrationQueue
    from cloud.registry.renewals import Renewals
    from cloud.registry.replacement import Replacements
    from cloud.registry.revocations import Revocations
    from cloud.registry.tokens import DeviceTokens
    from cloud.security.cloud_keys import CloudKeys
    from cloud.security.device_auth import DeviceAuth
    from cloud.security.doorkeeper import Doorkeeper
    from cloud.security.limits import Limits
    from cloud.security.trail import Trail
    from cloud.settings import Settings
    from cloud.store.engine import Database

_RequestKey: Any = getattr(web, "RequestKey", web.AppKey)
"""Newer aiohttp has a kind of its own for what belongs to one request."""
REQUEST_ID: Any = _RequestKey("request_id", str)
"""`request[REQUEST_ID]`: the name of this request in answers and log."""

SETTINGS: web.AppKey[Settings] = web.AppKey("settings")
DATABASE: web.AppKey[Database] = web.AppKey("database")
BUS: web.AppKey[Bus] = web.AppKey("bus")
DOORKEEPER: web.AppKey[Doorkeeper] = web.AppKey("doorkeeper")
LIMITS: web.AppKey[Limits] = web.AppKey("limits")
CLOUD_KEYS: web.AppKey[CloudKeys] = web.AppKey("cloud_keys")
TOKENS: web.AppKey[DeviceTokens] = web.AppKey("tokens")
DEVICE_AUTH: web.AppKey[DeviceAuth] = web.AppKey("device_auth")
ENROLMENT: web.AppKey[Enrolment] = web.AppKey("enrolment")
OWNERSHIP: web.AppKey[Ownership] = web.AppKey("ownership")
REPLACEMENTS: web.AppKey[Replacements] = web.AppKey("replacements")
BATCHES: web.AppKey[Batches] = web.AppKey("batches")
QUEUE: web.AppKey[RegistrationQueue] = web.AppKey("registration_queue")
LEGACY: web.AppKey[Legacy] = web.AppKey("legacy")
CLAIMS: web.AppKey[Claims] = web.AppKey("claims")
CERTIFICATES: web.AppKey[Certificates] = web.AppKey("certificates")
CRL: web.AppKey[RevocationList] = web.AppKey("crl")
REVOCATIONS: web.AppKey[Revocations] = web.AppKey("revocations")
RENEWALS: web.AppKey[Renewals] = web.AppKey("renewals")
FLEET: web.AppKey[Fleet] = web.AppKey("fleet")
HEARTBEATS: web.AppKey[Heartbeats] = web.AppKey("heartbeats")
EVENTS: web.AppKey[Events] = web.AppKey("events")
KEPT: web.AppKey[Kept] = web.AppKey("kept")
MEDIA: web.AppKey[MediaStore] = web.AppKey("media")
MEDIA_FILES: web.AppKey[MediaFiles] = web.AppKey("media_files")
COMMANDS: web.AppKey[Commands] = web.AppKey("commands")
TRAIL: web.AppKey[Trail] = web.AppKey("trail")
OPENAPI: web.AppKey[bytes] = web.AppKey("openapi", bytes)
CONFIGURATIONS: web.AppKey[Configurations] = web.AppKey("configurations")
UNIX_MS: web.AppKey[Callable[[], int]] = web.AppKey("unix_ms")
"""Milliseconds since 1970. The one wall clock of the application; tests move it."""
