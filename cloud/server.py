"""Runs the cloud as a process: prepares secrets and database, listens, stops in order."""

from __future__ import annotations

import asyncio
import errno
import logging
import secrets as randomness
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from aiohttp import web

from cloud import keys
from cloud.api import certificates, middleware, trust
from cloud.app import create_app, unix_ms
from cloud.errors import StartError
from cloud.security.accounts import Accounts
from cloud.security.limits import Limits
from cloud.security.passwords import Passwords
from cloud.security.vault import Secrets, Vault, write_secret
from cloud.settings import Settings
from cloud.speaking import LANGUAGES
from cloud.store.engine import Database
from cloud.store.migrate import upgrade
from cloud.tls import server_context

log = logging.getLogger(__name__)

DEMO_EMAIL = "demo@meteor.test"
DEMO_FILE = "demo-account.txt"


def prepare(settings: Settings) -> Secrets:
    """Makes the data folder and, in development, what is missing in it. Raises `CloudError`."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings.data_dir.chmod(0o700)
    except OSError as error:
        raise StartError(f"{settings.data_dir} cannot be used: {error.strerror}.") from None
    vault = Vault(settings.secrets)
    if settings.development:
        if "root certificate" in vault.missing():
            vault.make_authority()
        vault.make_missing_keys()
    return vault.load()


def listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises `StartError` that says why the port cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror}"
        raise StartError(f"Port {settings.port} on {settings.host} {reason}.") from None
    return listener


def told_address(settings: Settings, listener: socket.socket) -> Settings:
    """The settings with the port that the system gave, when any port was wanted."""
    port = listener.getsockname()[1]
    if settings.port == port:
        return settings
    public = settings.public_url.replace(":0", f":{port}") if settings.port == 0 else settings.public_url
    return msgspec.structs.replace(settings, port=port, public_url=public)


async def serve(
    settings: Settings, secrets: Secrets, listener: socket.socket, ready: Callable[[str | None], None]
) -> None:
    """Serves until SIGTERM or SIGINT. `ready` is told the demo account's password, when one was just made."""
    stopped = _stop_signal()
    tls = server_context(settings, secrets.authority)
    database = Database(settings.database)
    try:
        await asyncio.to_thread(upgrade, database)
        password = await demo_account(database, settings) if settings.development else None
        app = create_app(settings, database, secrets)
        runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=settings.shutdown_timeout,
            auto_decompress=False,  # signatures cover the bytes as sent, and we limit what comes out of them
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener, ssl_context=tls).start()
            async with plain_door(app, settings):
                ready(password)
                await stopped.wait()
            log.info("stopping")
        finally:
            await runner.cleanup()
    finally:
        listener.close()
        await asyncio.to_thread(database.close)
    log.info("stopped")


@asynccontextmanager
async def plain_door(main: web.Application, settings: Settings) -> AsyncIterator[None]:
    """A port without TLS beside one with it, for the two things that prove themselves: the time, and the list
    of revoked certificates. Raises `StartError` when it cannot be had."""
    if settings.plain_port is None:
        yield
        return
    app = web.Application(middlewares=[middleware.identify, middleware.admit, middleware.explain])
    app[keys.CLOUD_KEYS], app[keys.CRL] = main[keys.CLOUD_KEYS], main[keys.CRL]
    app[keys.DOORKEEPER], app[LANGUAGES] = main[keys.DOORKEEPER], main[LANGUAGES]
    app[keys.UNIX_MS], app[keys.SETTINGS] = main[keys.UNIX_MS], main[keys.SETTINGS]
    app.router.add_get("/time", trust.time)
    app.router.add_get("/crl", certificates.crl)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.plain_port).start()
        yield
    except OSError as error:
        raise StartError(f"Port {settings.plain_port} cannot be had: {error.strerror}.") from None
    finally:
        await runner.cleanup()


def _stop_signal() -> asyncio.Event:
    """Set by SIGTERM or SIGINT. Made before anybody is told that the cloud is ready: none is missed."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped


async def demo_account(database: Database, settings: Settings) -> str | None:
    """Makes the account of a development server; its random password, which is also kept in a 0600 file."""
    accounts = Accounts(database, Passwords(), Limits(), unix_ms)
    if await accounts.any_exist():
        return None
    password = randomness.token_urlsafe(12)
    write_secret(demo_file(settings), f"{DEMO_EMAIL}\n{password}\n".encode("ascii"))
    await accounts.create(DEMO_EMAIL, password, "Demo")
    return password


def demo_file(settings: Settings) -> Path:
    """Where a development server keeps its account: address and password, a line each."""
    return settings.data_dir / DEMO_FILE
