"""Follows the link by signals, and finds out for each link whether the internet is behind it.

Nothing is polled while all is well. A link without internet is asked again with growing pauses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace

from appliance.network.internet import internet_code, is_online
from appliance.network.latest import Latest
from appliance.network.networkmanager import names
from appliance.network.networkmanager.names import Connectivity
from appliance.network.networkmanager.service import Service
from appliance.network.networkmanager.ways import Way, best_way, link_of, was_taken_away, ways
from appliance.network.port import NO_LINK, Link
from appliance.network.probe import Probe

log = logging.getLogger(__name__)

FIRST_RECHECK_S, LONGEST_RECHECK_S = 5.0, 60.0
HOLD_S = 15.0
"""A restart of NetworkManager takes less: until then the link counts as what it was."""


class LinkWatch:
    """One task between `start` and `close`."""

    def __init__(self, service: Service, probe: Probe, hold_seconds: float = HOLD_S) -> None:
        self._service = service
        self._probe = probe
        self._hold_s = hold_seconds
        self._link = Latest(NO_LINK)
        self._way: Way | None = None
        self._proved: set[tuple[str, str]] = set()
        self._judged: tuple[str, str] | None = None
        self._spoken = asyncio.Event()
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._busy = 0
        self._hold_until = 0.0
        self._hold: asyncio.TimerHandle | None = None
        self._checker: asyncio.Task[None] | None = None
        service.observe(self.refresh)

    def start(self) -> None:
        """Begins to follow."""
        self.refresh()
        self._checker = asyncio.create_task(self._check(), name="internet")
        self._checker.add_done_callback(_report_death)

    async def settle(self, seconds: float) -> None:
        """Waits for NetworkManager to have come up and for the first word about the internet, not longer."""
        try:
            async with asyncio.timeout(seconds):
                await self._service.until(self._has_come_up, seconds)
                while self._way is not None and self._way.identity != self._judged:
                    await self._spoken.wait()
        except TimeoutError:
            log.info("the network has not settled yet")

    def _has_come_up(self) -> bool:
        return not self._service.mirror.get(names.MANAGER_PATH, names.MANAGER).get("Startup")

    async def close(self) -> None:
        """Stops following; the last link stays readable."""
        checker, self._checker = self._checker, None
        self._let_go()
        if checker is not None:
            checker.cancel()
            await asyncio.wait([checker])

    def link(self) -> Link:
        """The link now."""
        return self._link.get()

    def changes(self) -> AsyncIterator[Link]:
        """The link now, then each new one."""
        return self._link.changes()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While an attempt has the radio, it asks for the internet itself."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self.refresh()

    def prove(self, way: Way) -> None:
        """The internet was reached over this way."""
        self._proved.add(way.identity)
        self.refresh()

    async def code(self, way: Way) -> str | None:
        """What is wrong with the internet behind a way; None when nothing is."""
        seen = await self._probe.look(way.interface)
        if best_way(self._service.mirror) != way:
            return internet_code(seen)  # NetworkManager's own opinion is about the default route alone
        manager = self._service.mirror.get(names.MANAGER_PATH, names.MANAGER)
        if not manager.get("ConnectivityCheckEnabled"):
            return internet_code(seen)  # it calls everything FULL then
        opinion = manager.get("Connectivity")
        portal, full = opinion == Connectivity.PORTAL, opinion == Connectivity.FULL
        return internet_code(replace(seen, portal=portal, full=full))

    async def look_again(self) -> Link:
        """Asks for the internet behind the present link anew, whatever was known."""
        way = self._way
        if way is not None and not self._busy:
            if is_online(await self.code(way)):
                self._proved.add(way.identity)
            else:
                self._proved.discard(way.identity)
        self.refresh()
        return self.link()

    # --- following ------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Derives the link from the mirror."""
        up = ways(self._service.mirror)
        if not up and self._is_held():
            return
        self._let_go()
        way, was = (up[0] if up else None), self._way
        self._way = way
        self._proved &= {each.identity for each in up}
        if (way and way.identity) != (was and was.identity):
            self._moved.set()
            self._speak()
        self._wake.set()
        self._link.set(link_of(way, online=way is not None and way.identity in self._proved))

    def _is_held(self) -> bool:
        """Whether a restart of NetworkManager may be going on: the link counts as it was for a while."""
        loop = asyncio.get_running_loop()
        if self._hold is None:
            if self._way is None or not was_taken_away(self._service.mirror, self._way):
                return False
            self._hold_until = loop.time() + self._hold_s
            self._hold = loop.call_at(self._hold_until + 0.01, self.refresh)
        return loop.time() < self._hold_until

    def _let_go(self) -> None:
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None

    async def _check(self) -> None:
        delay = FIRST_RECHECK_S
        while True:
            self._wake.clear()
            self._moved.clear()
            way = self._way
            if way is None or self._busy or way.identity in self._proved:
                await self._wake.wait()
                delay = FIRST_RECHECK_S
                continue
            code = await self.code(way)
            self._judged = way.identity
            if self._busy or self._way is None or self._way.identity != way.identity:
                continue
            if is_online(code):
                self.prove(way)
                self._speak()
                continue
            self._speak()
            log.info("%s is up, and the internet is not behind it: %s", way.interface, code)
            moved = await self._moved_within(delay)
            delay = FIRST_RECHECK_S if moved else min(LONGEST_RECHECK_S, delay * 2)

    def _speak(self) -> None:
        self._spoken.set()
        self._spoken = asyncio.Event()

    async def _moved_within(self, seconds: float) -> bool:
        """Waits; True when there is another link meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._moved.wait()
        except TimeoutError:
            return False
        return True


def _report_death(checker: asyncio.Task[None]) -> None:
    if not checker.cancelled() and (error := checker.exception()):
        log.critical("the link is no longer watched", exc_info=error)
