"""When all known networks are gone: open ones if that is allowed, then a modem, and no further."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.network import verdict
from appliance.network.maintain import Maintainer
from appliance.network.meter import QualityMeter
from appliance.network.networkmanager.backend import NetworkManagerNetwork
from appliance.network.port import JoinFailed, Link
from appliance.settings import NetworkSection, SettingsRefused, load
from tests.appliance.workshop import station, until
from tests.networkmanager.conftest import ScriptedProbe
from tests.networkmanager.fake import NOT_FOUND, UP, BusCommands, FakeNetworkManager, Point, Step

pytestmark = pytest.mark.usefixtures("quick")


def open_point(ssid: bytes, strength: int = 50) -> Point:
    return Point(ssid, strength, flags=0, rsn=0)


class Calls:
    """Writes down which networks were tried; only those in `works` do."""

    def __init__(self, nm: FakeNetworkManager) -> None:
        self.nm, self.works, self.tried = nm, set[bytes](), list[str]()
        for ssid in (b"Current", b"Second", b"Third", b"Cafe", b"Library"):
            nm.ends[ssid] = self._end(ssid)

    def _end(self, ssid: bytes) -> Callable[[dict[str, Any]], list[Step]]:
        def end(_settings: dict[str, Any]) -> list[Step]:
            self.tried.append(ssid.decode())
            return UP if ssid in self.works else NOT_FOUND

        return end

    def all(self) -> list[str]:
        """With the modem, which is last if it was asked at all."""
        return self.tried + ["modem"] * self.nm.dialled


@pytest.fixture
async def calls(nm: FakeNetworkManager) -> Calls:
    nm.store(b"Third", 1)
    nm.store(b"Second", 2)
    nm.store(b"Current", 3)
    nm.hear(open_point(b"Cafe", 60))
    nm.hear(open_point(b"Library", 40))
    return Calls(nm)


@pytest.fixture
async def bold(nm: FakeNetworkManager, probe: ScriptedProbe) -> AsyncIterator[NetworkManagerNetwork]:
    """A backend that may join open networks."""
    network = NetworkManagerNetwork(
        probe, bus_address=nm.address, commands=BusCommands(nm), hold_seconds=0.0, allow_open=True
    )
    await network.start()
    yield network
    await network.close()


KNOWN = ["Current", "Second", "Third"]


@pytest.mark.parametrize(
    ("works", "modem", "order"),
    [
        (b"Current", True, KNOWN[:1]),
        (b"Second", True, KNOWN[:2]),
        (b"Third", True, KNOWN),
        (b"Cafe", True, [*KNOWN, "Cafe"]),
        (b"Library", True, [*KNOWN, "Cafe", "Library"]),
        (None, True, [*KNOWN, "Cafe", "Library", "modem"]),
        (None, False, [*KNOWN, "Cafe", "Library", "modem"]),
    ],
)
async def test_the_order_is_known_open_modem_and_ends_with_the_first_that_works(
    nm: FakeNetworkManager,
    bold: NetworkManagerNetwork,
    calls: Calls,
    works: bytes | None,
    modem: bool,
    order: list[str],
) -> None:
    nm.store_modem()
    nm.modem_works = modem
    calls.works = {works} if works else set()
    if works is None and not modem:
        with pytest.raises(JoinFailed) as failed:
            await bold.reconnect()
        assert failed.value.code == verdict.ALL_FAILED
        assert len(failed.value.causes) == len(order)
    else:
        link = await bold.reconnect()
        await until(lambda: bold.link().online)
        assert link.kind == ("wifi" if works else "cellular")
        assert link.borrowed == (works in (b"Cafe", b"Library"))
    assert calls.all() == order


async def test_by_default_no_open_network_is_ever_joined(
    nm: FakeNetworkManager, port: NetworkManagerNetwork, calls: Calls
) -> None:
    calls.works = {b"Cafe", b"Library"}
    assert not NetworkSection().allow_open_networks
    for _ in range(3):
        with pytest.raises(JoinFailed):
            await port.reconnect()
    assert set(calls.tried) == set(KNOWN)
    assert len(nm.profiles) == 3


async def test_without_a_modem_all_methods_have_failed(port: NetworkManagerNetwork, calls: Calls) -> None:
    with pytest.raises(JoinFailed, match=verdict.ALL_FAILED):
        await port.reconnect()
    assert calls.all() == KNOWN


async def test_an_open_network_is_warned_of_never_stored_and_left_when_a_known_one_is_back(
    nm: FakeNetworkManager, bold: NetworkManagerNetwork, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    calls.works = {b"Cafe"}
    with caplog.at_level(logging.WARNING):
        await bold.reconnect()
    await until(lambda: bold.link().online)
    assert "on the open network b'Cafe'" in caplog.text
    assert len(nm.on_disk) == 3
    assert b"Cafe" not in await bold.stored()
    maintainer = Maintainer(bold, QualityMeter(lambda: 0.0), lambda: 0.0)
    calls.tried.clear()
    await maintainer.step()
    assert calls.tried == [], "nothing known is in the air, so the link is left alone"
    nm.hear(Point(b"Second"))
    calls.works = {b"Second", b"Cafe"}
    await maintainer.step()
    await until(lambda: bold.link().online)
    assert (bold.link().ssid, bold.link().borrowed) == (b"Second", False)
    assert calls.tried == ["Second"]
    assert len(nm.profiles) == 3, "nothing is left of the open one"


async def test_a_known_network_that_does_not_work_after_all_leads_back_to_the_open_one(
    nm: FakeNetworkManager, bold: NetworkManagerNetwork, calls: Calls
) -> None:
    calls.works = {b"Cafe"}
    await bold.reconnect()
    await until(lambda: bold.link().online)
    nm.hear(Point(b"Second"))
    calls.tried.clear()
    assert (await bold.reconnect()).borrowed
    assert calls.tried == ["Second", "Cafe"]
    assert len(nm.profiles) == 4


async def test_an_open_twin_of_a_known_or_of_a_protected_network_is_never_used(
    nm: FakeNetworkManager, bold: NetworkManagerNetwork, calls: Calls
) -> None:
    calls.works = {b"Cafe", b"Library", b"Current"}
    calls.works.discard(b"Current")
    nm.hear(open_point(b"Current", 99))
    nm.hear(Point(b"Cafe", 30))
    await bold.reconnect()
    assert calls.tried == [*KNOWN, "Library"]


@pytest.mark.parametrize("url", ["http://cloud.example.org", "http://localhost:3000"])
def test_open_networks_need_a_cloud_with_https(url: str) -> None:
    flags = {"network.allow_open_networks": True, "cloud.url": url, "cloud.allow_plain_http": True}
    with pytest.raises(SettingsRefused, match=r"cloud\.url must be https"):
        load(None, {}, flags)
    assert load(None, {}, flags | {"cloud.url": "https://cloud.example.org"}).network.allow_open_networks


async def test_the_status_page_says_on_whose_network_the_station_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with station(tmp_path) as made:
        assert [notice.code for notice in made.board.snapshot().warnings] == []
        link = Link("wifi", b"Cafe", online=True, borrowed=True)
        monkeypatch.setattr(made.device.network, "link", lambda: link)
        notice = made.board.snapshot().warnings[0]
        assert notice.code == "NET-018"
        assert "Cafe" in str(notice.sentence)


async def test_a_modem_that_hangs_up_at_once_is_not_waited_for(
    nm: FakeNetworkManager, port: NetworkManagerNetwork
) -> None:
    nm.store_modem()
    dial = nm._dial

    def hangs_up(profile: str) -> str:
        active = dial(profile)
        nm._remove(active)
        return active

    nm._dial = hangs_up  # type: ignore[method-assign]
    with pytest.raises(JoinFailed) as failure:
        async with asyncio.timeout(60):
            await port.reconnect()
    assert [cause.code for cause in failure.value.causes] == [verdict.NO_ADDRESS]
