"""The composition root: builds every part from the settings and runs them in one TaskGroup."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from enum import Enum
from pathlib import Path

from aiohttp import web

from appliance import footprint, hardware, reset
from appliance.chores import damage_alert
from appliance.configuration.apply import Configuration
from appliance.control import Control, serve
from appliance.errors import StartRefused
from appliance.files import private_folder
from appliance.logs import Tail
from appliance.media_folders import choose
from appliance.network.hotspot.phones import Phones
from appliance.network.port import NetworkPort
from appliance.paths import Paths
from appliance.settings import Settings
from appliance.sources.ingest import create_ingest_app
from appliance.station import Service, Station, build
from appliance.uplink.time import CloudTime
from buffer.capacity import Limits
from buffer.errors import StoreError
from buffer.folders import durable_folder
from buffer.media import MediaStore
from buffer.store import Store
from firmware.errors import ResetFailed
from firmware.watchdog import Watchdog, keep_alive
from portal.server import create_app
from portal.settings import PortalSettings
from statemachine.lifecycle import Transition, Trigger

log = logging.getLogger(__name__)


class Ending(Enum):
    """Why the daemon came back."""

    STOPPED = "stopped"
    RESET = "reset"
    RESTART = "restart"


class _End(Exception):
    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.value)
        self.ending = ending


async def run(settings: Settings, tail: Tail, watchdog: Watchdog) -> Ending:
    """Runs the station until a signal, a reset or a restart. Raises `StartRefused` with what to do."""
    paths = Paths(settings.data_dir)
    try:
        private_folder(paths.state)
    except PermissionError:
        raise
    except OSError as error:
        raise StartRefused(f"{paths.data}: {error.strerror}. Choose another device.data_dir.") from None
    phones = Phones(time.monotonic)
    network = await hardware.network(settings, paths, phones)
    try:
        await reset.finish_pending(paths, network, settings.spool)
    except ResetFailed as error:
        raise StartRefused(str(error)) from None
    async with AsyncExitStack() as stack:
        store = await _open_store(settings, paths, stack)
        media = await asyncio.to_thread(_media, settings, paths, store)
        await media.sweep()
        station = await _build(settings, paths, network, store, media, tail, phones)
        stack.push_async_callback(network.close)
        stack.push_async_callback(station.device.client.close)
        return await _work(station, settings, watchdog)


def _media(settings: Settings, paths: Paths, store: Store) -> MediaStore:
    """In a thread: it may look at another disk. What cannot be written down is left as it was."""
    wished = Configuration(paths.state).current.storage.base_path
    try:
        folder, *earlier = choose(paths, wished)
    except OSError as error:
        raise StartRefused(f"{paths.state}: {error.strerror}. Check the disk.") from None
    for each in (folder, paths.media):  # so that one that is missing later is known to be away
        with suppress(OSError):  # a full disk: it is made with its first file
            durable_folder(each)
    return MediaStore(
        folder, store, max_bytes=settings.buffer.max_file_bytes, keep_uploaded=True, also=earlier
    )


async def _build(
    settings: Settings,
    paths: Paths,
    network: NetworkPort,
    store: Store,
    media: MediaStore,
    tail: Tail,
    phones: Phones,
) -> Station:
    """In a thread, because it writes a few small files and, at the first start, makes a key."""
    try:
        return await asyncio.to_thread(build, settings, paths, network, store, media, tail, phones)
    except PermissionError:
        raise
    except OSError as error:
        raise StartRefused(f"{error.filename or paths.data}: {error.strerror}. Check the disk.") from None


async def _open_store(settings: Settings, paths: Paths, stack: AsyncExitStack) -> Store:
    limits = Limits(max_bytes=settings.buffer.max_bytes, max_count=settings.buffer.max_messages)
    alert = damage_alert(CloudTime(await asyncio.to_thread(hardware.clock, paths)))
    try:
        return await stack.enter_async_context(
            await Store.open(paths.buffer_file, limits=limits, alert=alert)
        )
    except StoreError as error:
        raise StartRefused(str(error)) from None


async def _work(station: Station, settings: Settings, watchdog: Watchdog) -> Ending:
    ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
    station.conductor.observe(lambda step: _on_step(step, ending))
    async with _signals(ending), _doors(station, settings):
        watchdog.ready("running")
        try:
            async with asyncio.TaskGroup() as group:
                for name, service in station.services:
                    group.create_task(_run(service), name=name)
                group.create_task(keep_alive(watchdog, lambda: True, asyncio.sleep), name="watchdog")
                group.create_task(footprint.settle(asyncio.sleep), name="footprint")
                group.create_task(_restart(station.technician.restart_wished, ending), name="restart")
                group.create_task(_finish(ending), name="ending")
        except* _End:
            watchdog.stopping()
            log.info("stopping: %s", ending.result().value)
    return ending.result()


def _on_step(step: Transition, ending: asyncio.Future[Ending]) -> None:
    if step.trigger is Trigger.RESET_REQUESTED and not ending.done():
        ending.set_result(Ending.RESET)


async def _run(service: Service) -> None:
    await service()


async def _restart(wished: asyncio.Event, ending: asyncio.Future[Ending]) -> None:
    await wished.wait()
    if not ending.done():
        ending.set_result(Ending.RESTART)


async def _finish(ending: asyncio.Future[Ending]) -> None:
    raise _End(await asyncio.shield(ending))


@asynccontextmanager
async def _signals(ending: asyncio.Future[Ending]) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if not ending.done():
            ending.set_result(Ending.STOPPED)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _doors(station: Station, settings: Settings) -> AsyncIterator[None]:
    """Portal, ingest and control. The pages come last, so that who sees them finds everything behind them."""
    runners: list[web.AppRunner] = []
    control = Control(station.front, station.device.client.url, station.start_over)
    try:
        runners.append(await _socket(control.app(), settings.control_socket, 0o600))
        runners.append(await _socket(create_ingest_app(station.intake), settings.ingest_socket, 0o660))
        runners.append(await _portal(station, settings))
        yield
    finally:
        for runner in reversed(runners):
            await runner.cleanup()


async def _socket(app: web.Application, path: Path, mode: int) -> web.AppRunner:
    try:
        return await serve(app, path, mode)
    except OSError as error:
        raise StartRefused(f"{path}: cannot listen there ({error}). Choose a shorter path.") from None


async def _portal(station: Station, settings: Settings) -> web.AppRunner:
    name = f"meteor-{station.device.key.short_id.lower()}.local"
    shown = PortalSettings(
        names=(name,), locale=os.environ.get("LANG", ""), language=station.device.boot.language
    )
    app = create_app(station.front, settings=shown)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.portal.host, settings.portal.port).start()
    except OSError as error:
        await runner.cleanup()
        place = f"{settings.portal.host}:{settings.portal.port}"
        raise StartRefused(f"portal: cannot listen on {place} ({error.strerror}). Set portal.port.") from None
    log.info("portal on http://%s:%d/", settings.portal.host, settings.portal.port)
    return runner
