"""Starts and ends what the hotspot needs beside the radio: the packet filter first, then addresses and names.

Needs the rights of root (packet filter, ports 53 and 67). The radio itself is the network backend's.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Sequence
from ipaddress import IPv4Interface
from pathlib import Path

from appliance.files import private_folder, to_the_end
from appliance.network.hotspot import dnsmasq, selftest
from appliance.network.hotspot.child import Child, ChildFailed, end_left_over
from appliance.network.hotspot.phones import Phones
from appliance.network.hotspot.rules import REMOVE, ruleset
from appliance.network.hotspot.witness import Witness
from appliance.network.port import HotspotFailed
from appliance.network.verdict import NO_HOTSPOT

log = logging.getLogger(__name__)

NFT_S = 20.0
_SEARCH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""A user's PATH on Debian lacks sbin."""


class CannotServe(HotspotFailed):
    """Which program or rule it was; the code is that of a hotspot that could not be opened."""

    def __init__(self, reason: str) -> None:
        super().__init__(NO_HOTSPOT)
        self.reason = reason

    def __str__(self) -> str:
        return f"{super().__str__()} ({self.reason})"


class HotspotServer:
    """The services of one hotspot at a time."""

    def __init__(self, folder: Path, portal_port: int, phones: Phones) -> None:
        """`folder` keeps the leases, so that a phone that comes back finds its address."""
        self._leases = folder / "hotspot.leases"
        self._portal_port = portal_port
        self._phones = phones
        self._child: Child | None = None
        self._own = ""
        self._observers: list[Callable[[bool], None]] = []
        self._witness = Witness(self._tell, phones)

    def observe(self, observer: Callable[[bool], None]) -> None:
        """Tells `observer` of each phone whether it got in, until the first one has."""
        self._observers.append(observer)

    def _tell(self, inside: bool) -> None:
        for observer in self._observers:
            observer(inside)

    async def guard(self, interface: str, addresses: Sequence[str]) -> None:
        """Closes the door before the radio opens. Raises `CannotServe`."""
        try:
            rules = ruleset(interface, addresses, self._portal_port)
        except ValueError as error:
            raise CannotServe(str(error)) from None
        await _nft(rules)

    async def start(self, interface: str, addresses: Sequence[str]) -> None:
        """`addresses` come with prefix, the hotspot's network first, the portal's last. Raises `CannotServe`;
        then nothing is left."""
        await self._end_programs()
        await self.guard(interface, addresses)
        try:
            await self._serve(interface, IPv4Interface(addresses[0]), addresses[-1].partition("/")[0])
        except BaseException:
            await self.stop()
            raise

    async def _serve(self, interface: str, own: IPv4Interface, answer: str) -> None:
        program = shutil.which("dnsmasq", path=_SEARCH)
        if program is None:
            raise CannotServe("dnsmasq is not installed. Install the package dnsmasq-base.")
        await to_the_end(private_folder, self._leases.parent)
        self._own = str(own.ip)
        child = Child(
            dnsmasq.command(program, interface, own, answer, self._leases), dnsmasq.READY, self._heard
        )
        try:
            await child.start()
        except ChildFailed as error:
            raise CannotServe(str(error)) from None
        self._child = child
        if silent := await selftest.trouble(own.ip, answer, self._portal_port):
            raise CannotServe(silent)
        self._phones.opened()
        self._witness.start(interface)
        log.info("the hotspot's phones get addresses from %s on %s", own.network, interface)

    async def stop(self) -> None:
        """Ends all of it, also what an earlier life of the station has left. Says in the log what stays."""
        await self._end_programs()
        try:
            await _nft(REMOVE)
        except CannotServe as failure:
            log.warning("the hotspot's packet filter cannot be taken away: %s", failure.reason)

    async def _end_programs(self) -> None:
        await self._witness.stop()
        child, self._child = self._child, None
        if child is not None:
            await child.stop()
        await to_the_end(end_left_over, f"--dhcp-leasefile={self._leases}")

    @property
    def pid(self) -> int | None:
        """Of dnsmasq, while it runs."""
        return self._child.pid if self._child else None

    def _heard(self, line: str) -> None:
        seen = dnsmasq.trace(line)
        if seen is not None and seen.address != self._own:  # not the self-test's question
            if seen.hardware:
                self._phones.leased(seen.hardware, seen.address)
                self._witness.leased()
            else:
                self._phones.tell(seen.address, seen.step)


async def _nft(rules: str) -> None:
    """One transaction: all of it, or nothing. Raises `CannotServe`."""
    program = shutil.which("nft", path=_SEARCH)
    if program is None:
        raise CannotServe("nft is not installed. Install the package nftables.")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        program, "-f", "-", stdin=pipe, stdout=asyncio.subprocess.DEVNULL, stderr=pipe
    )
    try:
        async with asyncio.timeout(NFT_S):
            _, said = await process.communicate(rules.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise CannotServe(f"nft did not end in {NFT_S:.0f} s") from None
    if process.returncode != 0:
        raise CannotServe(f"nft: {said.decode(errors='replace').strip()[-300:]}")
