"""Builds the agent from the settings, and holds the lock that lets one work at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from appliance import hardware
from appliance.paths import Paths
from appliance.settings import Settings
from appliance.updates.look import look
from appliance.updates.web import WebSource
from buffer.folders import durable_folder
from firmware.board import read_board
from firmware.fingerprint import hardware_id
from firmware.update.agent import Agent
from firmware.update.backends.folders import Folders
from firmware.update.backends.services import SystemdService
from firmware.update.book import Shelf
from firmware.update.check import Finder, Station
from firmware.update.port import FolderSource, Source


class Busy(Exception):
    """Another process works on an update."""


class NotSetUp(Exception):
    """This machine is not updated by this program; the text says why."""


@contextmanager
def held(shelf: Shelf) -> Iterator[None]:
    """The right to work. It ends with the process, however that ends. Raises `Busy`."""
    durable_folder(shelf.folder)
    handle = os.open(shelf.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy from None
        yield
    finally:
        os.close(handle)


def folders(settings: Settings) -> Folders:
    """The versions on this machine. Raises `NotSetUp`."""
    if settings.update.backend == "none":
        raise NotSetUp("This station is not updated by itself: update.backend is none.")
    service = SystemdService(settings.update.unit)
    return Folders(Path(settings.update.root), service)


def build(settings: Settings) -> Agent:
    """The agent, with its book read. Raises `NotSetUp`, and `Refused` for a root key that is none."""
    paths = Paths(settings.data_dir)
    backend = folders(settings)
    try:
        shipped = Path(settings.update.trust).read_bytes()
    except OSError as error:
        raise NotSetUp(f"update.trust: {settings.update.trust}: {error.strerror}.") from None
    shelf = Shelf(paths.updates)
    clock = hardware.clock(paths)
    station = Station(device_id=str(hardware_id(read_board())), channel=settings.update.channel)
    host = "127.0.0.1" if settings.portal.host in ("0.0.0.0", "::") else settings.portal.host  # noqa: S104
    see = partial(look, settings.control_socket, (host, settings.portal.port))
    return Agent(
        backend=backend,
        shelf=shelf,
        finder=Finder(shelf, shipped, station, clock),
        sources=partial(source, settings.update.source),
        look=lambda: see(alive=backend.running() is not None),
        time=clock,
        pause=time.sleep,
    )


def source(usual: str, origin: str) -> Source:
    """Where releases come from: a folder that was named, or else what the settings say."""
    place = origin or usual
    return WebSource(place) if place.startswith(("http://", "https://")) else FolderSource(Path(place))
