"""The backend against a NetworkManager (python-dbusmock's) that stands still for a while and then goes on.

What was asked meanwhile is carried out late, although nobody waits for it any more. And against one that is
quicker than its own answer: an activation of the hotspot is over before it is said to have begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from appliance.network import verdict
from appliance.network.networkmanager.backend import NetworkManagerNetwork
from appliance.network.networkmanager.bus import Bus
from appliance.network.port import HotspotFailed, HotspotInfo, JoinFailed
from tests.appliance.workshop import until
from tests.networkmanager.mocked import MockedNetworkManager
from tests.networkmanager.test_dbusmock import DENIED, GUARD_S, HOME, STEPS, join, refused


@pytest.fixture
def port(mocked_port: NetworkManagerNetwork) -> NetworkManagerNetwork:
    """The backend, started on the mock."""
    return mocked_port


@pytest.fixture
def impatient_from(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """From the call of a method on nothing is waited for long; None ends that."""
    patient = Bus.call
    first: list[str | None] = [None]
    begun: list[bool] = [False]

    async def call(self: Bus, path: str, interface: str, member: str, *rest: Any, **more: Any) -> list[Any]:
        begun[0] |= member == first[0]
        if begun[0]:
            more["timeout"] = 0.2
        return await patient(self, path, interface, member, *rest, **more)

    def begin(member: str | None) -> None:
        first[0], begun[0] = member, False

    monkeypatch.setattr(Bus, "call", call)
    return begin


@pytest.mark.parametrize("member", STEPS)
async def test_what_is_carried_out_late_leaves_nothing_and_the_next_attempt_works(
    mock: MockedNetworkManager,
    port: NetworkManagerNetwork,
    impatient_from: Callable[[str | None], None],
    member: str,
) -> None:
    barn = await mock.in_the_barn()
    await until(lambda: port.link().online)
    await mock.hear("Home")
    await mock.freeze_in(member)
    impatient_from(member)
    assert await refused(port) == verdict.BROKEN_OFF
    impatient_from(None)
    await mock.thaw(member)
    assert (await join(port)).online
    assert await mock.checkpoints() == []
    home = await mock.connected_profile()
    assert await mock.profiles() == [barn, home]
    assert port.link().ssid == b"Home"


async def test_a_scan_that_is_never_answered_ends(
    mock: MockedNetworkManager, port: NetworkManagerNetwork, impatient_from: Callable[[str | None], None]
) -> None:
    await mock.freeze_in("RequestScan")
    impatient_from("RequestScan")
    assert await port.scan(rescan=True) == []
    impatient_from(None)
    await mock.thaw("RequestScan")
    assert (await join(port, replace(HOME, hidden=True))).online


async def test_a_stored_network_that_may_not_be_activated_tells_why(
    mock: MockedNetworkManager, port: NetworkManagerNetwork
) -> None:
    await mock.in_the_barn()
    await until(lambda: port.link().online)
    await mock.end_activation()
    await until(lambda: not port.link().online)
    await mock.refuse("ActivateConnection", DENIED)
    with pytest.raises(JoinFailed) as failure:
        await port.reconnect()
    assert failure.value.code == verdict.ALL_FAILED
    assert [cause.code for cause in failure.value.causes] == [verdict.NOT_ALLOWED]


GONE_AT_ONCE = "self.deactivate_connection(self, ret)"
INFO = HotspotInfo("Meteor-ABCD", "a key for phones", "192.0.2.1")


async def test_a_hotspot_that_is_gone_at_once_is_not_waited_for(
    mock: MockedNetworkManager, mocked_port: NetworkManagerNetwork
) -> None:
    await mock.before_activation(GONE_AT_ONCE)
    with pytest.raises(HotspotFailed) as failure:
        async with asyncio.timeout(GUARD_S):
            await mocked_port.start_hotspot(INFO)
    assert failure.value.code == verdict.NO_HOTSPOT
    assert await mock.profiles() == []


@pytest.mark.parametrize("member", ["AddConnection2", "ActivateConnection"])
async def test_networkmanager_dies_while_the_hotspot_opens_and_the_next_time_it_does(
    mock: MockedNetworkManager, mocked_port: NetworkManagerNetwork, member: str
) -> None:
    await mock.die_in(member)
    with pytest.raises(HotspotFailed) as failure:
        async with asyncio.timeout(GUARD_S):
            await mocked_port.start_hotspot(INFO)
    assert failure.value.code == verdict.NO_HOTSPOT
    await mock.gone()
    await mock.start()
    await until(lambda: mocked_port._service.present and mocked_port._radio.device is not None)
    async with asyncio.timeout(GUARD_S):
        await mocked_port.start_hotspot(INFO)
    assert mocked_port.hotspot() is not None
