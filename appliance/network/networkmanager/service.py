"""NetworkManager as a partner: its objects, its signals, and whether it is there at all; no decision here.

It may be restarted, or start later than the station. Then everything is read again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dbus_fast import Message

from appliance.network.networkmanager import names
from appliance.network.networkmanager.bus import NO_OWNER, Bus, CallFailed, ServiceGone
from appliance.network.networkmanager.mirror import Mirror

log = logging.getLogger(__name__)

FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 30.0

Listener = Callable[[Message], None]


class Service:
    """Between `start` and `close` the mirror follows NetworkManager. `present` says whether it is there.

    `generation` counts how often it was read anew, because it or the bus had been away.
    """

    def __init__(self, address: str | None = None) -> None:
        self.mirror = Mirror()
        self._bus = Bus(address)
        self._bus.listen(self._take)
        self._bus.when_lost(self._bus_lost)
        self.generation = 0
        self._owner: str | None = None
        self._held: list[Message] | None = None
        self._observers: list[Callable[[], None]] = []
        self._listeners: list[Listener] = []
        self._changed = asyncio.Event()
        self._reload = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def present(self) -> bool:
        """Whether NetworkManager is there and was read."""
        return self._owner is not None and self._held is None

    def observe(self, observer: Callable[[], None]) -> None:
        """Calls `observer` after every change of an object, and when the service comes or goes."""
        self._observers.append(observer)

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Hands every signal, also the supplicant's, to `listener` while the block runs."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def start(self) -> None:
        """Connects and reads, as far as anything is there; goes on trying otherwise."""
        try:
            await self._connect()
        except CallFailed as error:
            log.warning("NetworkManager cannot be asked yet: %s", error)
        self._keeper = asyncio.create_task(self._keep(), name="networkmanager")
        self._keeper.add_done_callback(_report_death)

    async def close(self) -> None:
        """Forgets everything and leaves NetworkManager as it is."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None
        self._bus.disconnect()
        self._lose()

    async def call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Sequence[Any] = (),
        *,
        secret: bool = False,
    ) -> list[Any]:
        """One call of NetworkManager; see `Bus.call`."""
        return await self._bus.call(path, interface, member, signature, body, secret=secret)

    async def next_change(self) -> None:
        """Waits for the next change of an object, or of the service's presence."""
        await self._changed.wait()

    async def until(self, true: Callable[[], bool], seconds: float) -> bool:
        """Waits for the mirror to make something true; False when it was not after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not true():
                    await self._changed.wait()
        except TimeoutError:
            return true()
        return True

    # --- coming and going -----------------------------------------------------------------------------------

    async def _connect(self) -> None:
        await self._bus.connect()
        await self._bus.match(sender=names.SERVICE)
        await self._bus.match(
            sender=names.SUPPLICANT, interface=names.PROPERTIES, arg0=names.SUPPLICANT_INTERFACE
        )
        await self._bus.match(sender=names.DBUS, member="NameOwnerChanged", arg0=names.SERVICE)
        await self._read()

    async def _read(self) -> None:
        """Reads all objects. Signals that come meanwhile are applied afterwards, so that none is lost."""
        self._held = []
        try:
            self._owner = await owner_of(self._bus)
            if self._owner is None:
                log.info("NetworkManager is not there yet")
                return
            objects = await self._bus.call(names.ROOT, names.OBJECT_MANAGER, "GetManagedObjects")
            self.mirror.replace(objects[0])
            for message in self._held:
                if message.sender == self._owner:
                    self.mirror.take(message)
        except CallFailed:
            self._lose()
            raise
        finally:
            self._held = None
        self.generation += 1
        self._tell()

    async def _keep(self) -> None:
        """Reads again when NetworkManager came back, and connects again when the bus did."""
        delay = FIRST_RETRY_S
        while True:
            if self._bus.connected:
                await self._reload.wait()
            self._reload.clear()
            try:
                await (self._read() if self._bus.connected else self._again())
                delay = FIRST_RETRY_S
            except CallFailed as error:
                log.warning("NetworkManager cannot be asked: %s", error)
                self._reload.set()
                await asyncio.sleep(delay)
                delay = min(LONGEST_RETRY_S, delay * 2)

    async def _again(self) -> None:
        self._bus.disconnect()
        self._lose()
        try:
            await self._connect()
        except CallFailed:
            self._bus.disconnect()
            raise

    def _take(self, message: Message) -> None:
        if message.member == "NameOwnerChanged" and message.interface == names.DBUS:
            if message.body[0] == names.SERVICE:
                self._owner_changed(message.body[2])
            return
        if message.sender == self._owner or _of_supplicant(message):
            for listener in list(self._listeners):
                listener(message)
        if self._held is not None:
            self._held.append(message)
        elif message.sender == self._owner and self.mirror.take(message):
            self._tell()

    def _owner_changed(self, owner: str) -> None:
        if owner and owner == self._owner:
            return  # it was read already
        self._lose()
        if owner:
            log.info("NetworkManager is there; reading it again")
            self._reload.set()
        else:
            log.warning("NetworkManager is gone")

    def _bus_lost(self) -> None:
        log.warning("the system bus is gone")
        self._lose()
        self._reload.set()

    def _lose(self) -> None:
        self._owner = None
        self.mirror.clear()
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        for observer in self._observers:
            observer()


async def owner_of(bus: Bus) -> str | None:
    """NetworkManager's own name on the bus; None when it is not there. Raises `CallFailed`."""
    try:
        answer = await bus.call(
            names.DBUS_PATH, names.DBUS, "GetNameOwner", "s", [names.SERVICE], destination=names.DBUS
        )
    except ServiceGone as error:
        if error.name == NO_OWNER:
            return None
        raise
    return str(answer[0])


async def has_networkmanager(address: str | None = None) -> bool:
    """Whether NetworkManager is on the bus now."""
    bus = Bus(address)
    try:
        await bus.connect()
        return await owner_of(bus) is not None
    except CallFailed:
        return False
    finally:
        bus.disconnect()


def _of_supplicant(message: Message) -> bool:
    """The bus hands these on from the supplicant alone; evidence is all that is made of them."""
    return message.interface == names.PROPERTIES and message.body[0] == names.SUPPLICANT_INTERFACE


def _report_death(keeper: asyncio.Task[None]) -> None:
    if not keeper.cancelled() and (error := keeper.exception()):
        log.critical("NetworkManager is no longer followed", exc_info=error)
