"""Fixtures of the NetworkManager tests: a private bus, a NetworkManager in memory, an internet by script."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from blockbuster import BlockBuster

from appliance.network.internet import InternetEvidence, Met
from appliance.network.networkmanager import joining, stored
from appliance.network.networkmanager.backend import NetworkManagerNetwork
from appliance.network.networkmanager.bus import Bus
from appliance.network.probe import Probe
from tests.networkmanager.buses import private_bus, why_no_bus
from tests.networkmanager.fake import BusCommands, FakeNetworkManager
from tests.networkmanager.mocked import MockCommands, MockedNetworkManager, why_no_mock


class ScriptedProbe(Probe):
    """Meets what a test says, through every interface."""

    def __init__(self) -> None:
        super().__init__("https://cloud.example.org")
        self.meets = InternetEvidence(Met.OURS, Met.OURS)
        self.asked: list[str | None] = []
        self.before: Callable[[], Awaitable[None]] | None = None

    async def look(self, interface: str | None) -> InternetEvidence:
        """The evidence of the script."""
        self.asked.append(interface)
        if self.before is not None:
            await self.before()
        await asyncio.sleep(0)
        return self.meets


@pytest.fixture
def bus() -> Iterator[str]:
    """The address of a private bus."""
    if reason := why_no_bus():
        pytest.skip(reason)
    with private_bus() as address:
        yield address


@pytest.fixture
def no_blocking() -> Iterator[None]:
    """A call of the backend that may wait for a disk, a lock or a program is an error in the event loop."""
    watch = BlockBuster(["appliance"])
    for each in watch.functions.values():
        each.can_block_in("networkmanager/bus.py", "connect")
    watch.activate()
    try:
        yield
    finally:
        watch.deactivate()


@pytest.fixture
async def nm(bus: str) -> AsyncIterator[FakeNetworkManager]:
    """A NetworkManager in memory, with one radio and nothing in the air."""
    fake = FakeNetworkManager(bus)
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
def probe() -> ScriptedProbe:
    """An internet that is there."""
    return ScriptedProbe()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two looks at the internet, and no flush of the whole machine's disks."""
    monkeypatch.setattr(joining, "INTERNET_PAUSE_S", 0.0)
    monkeypatch.setattr(stored, "make_durable", functools.partial(asyncio.sleep, 0))


@pytest.fixture
def impatient(nm: FakeNetworkManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that hangs is given up at once; the others keep their time."""
    patient = Bus.call

    async def call(self: Bus, path: str, interface: str, member: str, *rest: Any, **more: Any) -> list[Any]:
        if member in nm.hang:
            more["timeout"] = 0.2
        return await patient(self, path, interface, member, *rest, **more)

    monkeypatch.setattr(Bus, "call", call)


@pytest.fixture
async def port(
    nm: FakeNetworkManager, probe: ScriptedProbe, quick: None, no_blocking: None
) -> AsyncIterator[NetworkManagerNetwork]:
    """The backend, started."""
    network = NetworkManagerNetwork(probe, bus_address=nm.address, commands=BusCommands(nm), hold_seconds=0.0)
    await network.start()
    yield network
    await network.close()


@pytest.fixture
async def mock(bus: str) -> AsyncIterator[MockedNetworkManager]:
    """dbusmock's NetworkManager with a free radio."""
    if reason := why_no_mock():
        pytest.skip(reason)
    mocked = MockedNetworkManager(bus)
    try:
        await mocked.start()
        yield mocked
    finally:
        await mocked.stop()


@pytest.fixture
async def mocked_port(
    mock: MockedNetworkManager, probe: ScriptedProbe, quick: None, no_blocking: None
) -> AsyncIterator[NetworkManagerNetwork]:
    """The backend, started on dbusmock's NetworkManager."""
    commands = MockCommands(mock)
    network = NetworkManagerNetwork(probe, bus_address=mock.address, commands=commands, hold_seconds=0.0)
    async with asyncio.timeout(60):
        await network.start()
    yield network
    async with asyncio.timeout(60):
        await network.close()
