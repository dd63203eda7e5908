"""The simulated radio against real files, real connections and a scenario edited while it runs."""

from __future__ import annotations

import asyncio
import logging
import stat
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from appliance.network import verdict
from appliance.network.port import (
    NO_LINK,
    Credentials,
    HotspotFailed,
    HotspotInfo,
    JoinFailed,
    Link,
    NetworkPort,
    Security,
)
from appliance.network.simulated import SimulatedNetwork

SCENARIO = """
join_seconds = 0.02
scan_seconds = 0.0

[[networks]]
name = "House"
signal = 40
password = "right password"

[[networks]]
name = "House"
signal = 80
band = "5"
password = "right password"

[[networks]]
name = "Bärn 🌠"
signal = 64
security = "wpa3"
password = "kurz"

[[networks]]
name = "Cellar"
signal = 90
password = "right password"
hidden = true

[[networks]]
name = "No address"
password = "right password"
fault = "no_dhcp"

[[networks]]
name = "Dead end"
password = "right password"
fault = "no_internet"

[[networks]]
name = "Hotel"
security = "open"
fault = "captive"

[[networks]]
name = "Picky"
password = "right password"
fault = "refuses"

[[networks]]
name = "Campus"
security = "enterprise"

[[networks]]
name = "Ancient"
security = "wep"

[[networks]]
name = "Away"
password = "right password"
in_range = false

[[networks]]
name_hex = "ff00"
signal = 10
security = "open"
"""

HOUSE = Credentials(b"House", "right password", Security.WPA2, False)
BARN = Credentials("Bärn 🌠".encode(), "kurz", Security.WPA3, False)
HOTSPOT = HotspotInfo("Meteor-TEST", "hotspot secret", "192.0.2.1")


@asynccontextmanager
async def radio(
    folder: Path, scenario: str = SCENARIO, monotonic: Callable[[], float] = time.monotonic
) -> AsyncIterator[SimulatedNetwork]:
    path = folder / "world.toml"
    path.write_text(scenario)
    network = SimulatedNetwork(folder, path, check_seconds=0.02, monotonic=monotonic)
    await network.start()
    try:
        yield network
    finally:
        await network.close()


async def link_that(network: SimulatedNetwork, *, online: bool) -> Link:
    async with asyncio.timeout(10):
        async for link in network.changes():
            if link.online is online:
                return link
    raise AssertionError("unreachable")


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await asyncio.sleep(60)
        return response

    app = web.Application()
    app.router.add_get("/", hello)
    app.router.add_get("/endless", endless)
    test_server = TestServer(app)
    await test_server.start_server()
    yield test_server
    await test_server.close()


def test_the_simulated_radio_is_a_network_port(tmp_path: Path) -> None:
    port: NetworkPort = SimulatedNetwork(tmp_path)
    assert port.hotspot() is None


async def test_a_scan_shows_each_name_once_with_its_strongest_signal_first(tmp_path: Path) -> None:
    async with radio(tmp_path) as network:
        found = await network.scan()
        assert [(n.ssid, n.signal, n.bands) for n in found[:2]] == [
            (b"House", 80, ("2.4", "5")),
            ("Bärn 🌠".encode(), 64, ("2.4",)),
        ]
        assert found == sorted(found, key=lambda n: -n.signal)
        assert len({n.ssid for n in found}) == len(found)


async def test_a_scan_keeps_names_that_are_no_text_and_leaves_out_hidden_and_absent_ones(
    tmp_path: Path,
) -> None:
    async with radio(tmp_path) as network:
        names = [n.ssid for n in await network.scan()]
        assert names[-1] == b"\xff\x00"
        assert b"Cellar" not in names
        assert b"Away" not in names


async def test_a_scan_is_remembered_until_a_new_one_is_asked_for(tmp_path: Path) -> None:
    async with radio(tmp_path) as network:
        before = await network.scan()
        newer = SCENARIO.replace('name = "Picky"', 'name = "Newcomer"')
        (tmp_path / "world.toml").write_text("ethernet = true\n" + newer)
        await link_that(network, online=True)
        assert await network.scan() == before
        assert b"Newcomer" in [n.ssid for n in await network.scan(rescan=True)]


async def wait_for_reread(network: SimulatedNetwork, name: bytes) -> None:
    for _ in range(1000):
        if name in [found.ssid for found in await network.scan(rescan=True)]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{name!r} did not appear")


async def test_the_right_password_makes_a_link_that_stays_known(tmp_path: Path) -> None:
    async with radio(tmp_path) as network:
        link = await network.join(HOUSE)
        assert (link.kind, link.ssid, link.signal, link.signal_dbm, link.online) == (
            "wifi",
            b"House",
            80,
            -60,
            True,
        )
        assert network.link() == link
        assert await network.stored() == [b"House"]
        assert [n.known for n in await network.scan() if n.ssid == b"House"] == [True]


REFUSALS = [
    (b"House", "wrong password", Security.WPA2, False, verdict.WRONG_PASSWORD),
    (b"House", None, Security.OPEN, False, verdict.WRONG_PASSWORD),
    (b"House", "seven77", Security.WPA2, False, verdict.IMPOSSIBLE_PASSWORD),
    (b"House", "x" * 64, Security.WPA2, False, verdict.IMPOSSIBLE_PASSWORD),
    (b"Away", "right password", Security.WPA2, False, verdict.NOT_FOUND),
    (b"Nowhere", "right password", Security.WPA2, True, verdict.NOT_FOUND),
    (b"Cellar", "right password", Security.WPA2, False, verdict.NOT_FOUND),
    (b"No address", "right password", Security.WPA2, False, verdict.NO_ADDRESS),
    (b"No address", "wrong password", Security.WPA2, False, verdict.WRONG_PASSWORD),
    (b"Dead end", "right password", Security.WPA2, False, verdict.NO_INTERNET),
    (b"Hotel", None, Security.OPEN, False, verdict.LOGIN_PAGE),
    (b"Hotel", "right password", Security.WPA2, False, verdict.NOT_FOUND),
    (b"Picky", "right password", Security.WPA2, False, verdict.REFUSED),
    (b"Campus", "right password", Security.ENTERPRISE, False, verdict.UNSUPPORTED),
    (b"Campus", "right password", Security.WPA2, False, verdict.UNSUPPORTED),
    (b"Ancient", "right password", Security.WEP, False, verdict.UNSUPPORTED),
]


@pytest.mark.parametrize(("ssid", "password", "security", "hidden", "code"), REFUSALS)
async def test_a_failed_attempt_names_its_reason_and_brings_the_old_network_back(
    tmp_path: Path, ssid: bytes, password: str | None, security: Security, hidden: bool, code: str
) -> None:
    async with radio(tmp_path) as network:
        await network.join(BARN)
        with pytest.raises(JoinFailed) as failure:
            await network.join(Credentials(ssid, password, security, hidden))
        assert failure.value.code == code
        assert network.link().ssid == BARN.ssid
        assert network.link().online
        assert await network.stored() == [BARN.ssid]


async def test_every_verdict_has_one_sentence_and_one_action_that_can_be_filled_in() -> None:
    for code in verdict.VERDICTS:
        failure = JoinFailed(code, b"My \xff net")
        assert failure.sentence.endswith(".")
        assert failure.action.endswith(".")
        assert "%" not in failure.sentence + failure.action


async def test_a_wrong_password_for_a_known_network_does_not_replace_the_right_one(tmp_path: Path) -> None:
    async with radio(tmp_path) as network:
        await network.join(HOUSE)
        with pytest.raises(JoinFailed):
            await network.join(Credentials(b"House", "wrong password", Security.WPA2, False))
    async with radio(tmp_path) as network:
        assert (await network.reconnect()).ssid == b"House"


async def test_a_hidden_network_joins_when_its_name_is_typed(tmp_path: Path) -> None:
    async with radio(tmp_path) as network:
        link = await network.join(Credentials(b"Cellar", "right password", Security.WPA2, True))
        assert link.online


async def test_a_cancelled_attempt_leaves_the_old_network_and_nothing_new(tmp_path: Path) -> None:
    async with radio(tmp_path, SCENARIO.replace("join_seconds = 0.02", "join_seconds = 30")) as network:
        attempt = asyncio.create_task(network.join(HOUSE))
        await asyncio.sleep(0.01)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert network.link() == NO_LINK
        assert await network.stored() == []


async def test_passwords_are_on_the_disk_for_the_owner_only_and_nowhere_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with radio(tmp_path) as network:
        await network.join(HOUSE)
        with pytest.raises(JoinFailed) as failure:
            await network.join(Credentials(b"Picky", "right password", Security.WPA2, False))
        await network.reconnect()
    file = tmp_path / "networks.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "right password" in file.read_text()
    assert "right password" not in caplog.text + repr(HOUSE) + repr(failure.value)
    assert "hotspot secret" not in repr(HOTSPOT)


async def test_stored_networks_survive_a_kill(tmp_path: Path) -> None:
    async with radio(tmp_path) as network:
        await network.join(HOUSE)
        await network.join(BARN)
        # No close of this one: a second radio on the same folder sees what a restart after a kill sees.
        after = SimulatedNetwork(tmp_path, tmp_path / "world.toml", check_seconds=0.02)
        await after.start()
        assert await after.stored() == [BARN.ssid, b"House"]
        assert after.link() == NO_LINK
        assert (await after.reconnect()).ssid == BARN.ssid
        await after.close()


async def test_a_damaged_file_of_networks_is_set_aside_and_the_radio_still_works(tmp_path: Path) -> None:
    (tmp_path / "networks.json").write_bytes(b'[{"ssid": "zz')
    async with radio(tmp_path) as network:
        assert await network.stored() == []
        assert (tmp_path / "networks.json.damaged").exists()
        assert (await network.join(HOUSE)).online


async def test_forgetting_deletes_the_passwords_and_ends_the_link(tmp_path: Path) -> None:
    async with radio(tmp_path) as network:
        await network.join(HOUSE)
        await network.forget_all()
        assert network.link() == NO_LINK
        assert await network.stored() == []
        assert "right password" not in (tmp_path / "networks.json").read_text()
        with pytest.raises(JoinFailed):
            await network.reconnect()


async def test_when_the_first_network_dies_the_next_stored_one_is_used_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with radio(tmp_path) as network:
        await network.join(BARN)
        await network.join(HOUSE)
        (tmp_path / "world.toml").write_text(SCENARIO.replace('name = "House"', 'name = "Burnt down"'))
        await link_that(network, online=False)
        link = await network.reconnect()
        assert link.ssid == BARN.ssid
        assert f"connected to {BARN.ssid!r}" in caplog.text


async def test_reconnecting_fails_with_the_reason_of_each_network_and_joins_no_open_one(
    tmp_path: Path,
) -> None:
    async with radio(tmp_path) as network:
        await network.join(BARN)
        await network.join(HOUSE)
        broken = SCENARIO.replace('name = "House"', 'name = "Burnt down"').replace(
            'password = "kurz"', 'password = "kurz"\nfault = "no_internet"'
        )
        (tmp_path / "world.toml").write_text(broken)
        await link_that(network, online=False)
        with pytest.raises(JoinFailed) as failure:
            await network.reconnect()
        assert failure.value.code == verdict.ALL_FAILED
        assert [(cause.ssid, cause.code) for cause in failure.value.causes] == [
            (b"House", verdict.NOT_FOUND),
            (BARN.ssid, verdict.NO_INTERNET),
        ]
        assert not network.link().online


async def test_a_lost_link_is_seen_and_a_returning_network_is_joined_again(tmp_path: Path) -> None:
    world = tmp_path / "world.toml"
    async with radio(tmp_path) as network:
        await network.join(HOUSE)
        world.write_text('link = "lost"\n' + SCENARIO)
        assert await link_that(network, online=False) == NO_LINK
        world.write_text('link = "back"\n' + SCENARIO)
        assert (await link_that(network, online=True)).ssid == b"House"


async def test_a_returning_network_is_left_alone_while_the_hotspot_holds_the_radio(tmp_path: Path) -> None:
    world = tmp_path / "world.toml"
    async with radio(tmp_path) as network:
        await network.join(HOUSE)
        world.write_text('link = "lost"\n' + SCENARIO)
        await link_that(network, online=False)
        await network.start_hotspot(HOTSPOT)
        assert network.hotspot() == HOTSPOT
        world.write_text('link = "back"\n' + SCENARIO)
        await wait_for_reread(network, b"House")
        await asyncio.sleep(0.1)
        assert network.link() == NO_LINK
        assert (await network.reconnect()).ssid == b"House"
        await network.stop_hotspot()
        assert network.hotspot() is None


async def test_timed_events_happen_by_themselves(tmp_path: Path) -> None:
    events = "\n[[events]]\nat = 10\nethernet = true\n[[events]]\nat = 20\nethernet = false\n"
    now = 500.0
    async with radio(tmp_path, SCENARIO + events, lambda: now) as network:
        assert network.link() == NO_LINK
        now += 10
        assert (await link_that(network, online=True)).kind == "ethernet"
        now += 10
        assert await link_that(network, online=False) == NO_LINK


async def test_a_scenario_that_was_broken_by_an_edit_changes_nothing_and_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = tmp_path / "world.toml"
    async with radio(tmp_path) as network:
        await network.join(HOUSE)
        world.write_text("link = ")
        for _ in range(1000):
            if "SIM-001" in caplog.text:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert network.link().online
        assert caplog.text.count("SIM-001") == 1
        world.write_text('link = "lost"\n' + SCENARIO)
        assert await link_that(network, online=False) == NO_LINK


async def test_without_a_scenario_a_default_one_is_put_where_it_can_be_edited(tmp_path: Path) -> None:
    network = SimulatedNetwork(tmp_path, check_seconds=0.02)
    await network.start()
    file = tmp_path / "scenario.toml"
    assert b"Meadow House" in [n.ssid for n in await network.scan()]
    file.write_text(file.read_text().replace("ethernet = false", "ethernet = true"))
    assert (await link_that(network, online=True)).kind == "ethernet"
    await network.close()
    edited = file.read_text()
    await network.start()
    assert file.read_text() == edited
    await network.close()


async def test_a_station_without_a_radio_says_so_and_still_uses_the_cable(tmp_path: Path) -> None:
    async with radio(tmp_path, "radio = false\nethernet = true\n" + SCENARIO) as network:
        assert await network.scan(rescan=True) == []
        with pytest.raises(JoinFailed) as failure:
            await network.join(HOUSE)
        assert failure.value.code == verdict.NO_RADIO
        with pytest.raises(HotspotFailed):
            await network.start_hotspot(HOTSPOT)
        assert (await network.reconnect()).kind == "ethernet"


async def test_each_watcher_gets_the_latest_link_however_slow_it_is(tmp_path: Path) -> None:
    async with radio(tmp_path) as network:
        quick, slow = network.changes(), network.changes()
        assert [await anext(quick), await anext(slow)] == [NO_LINK, NO_LINK]
        await network.join(BARN)
        await network.join(HOUSE)
        assert (await anext(slow)).ssid == b"House"
        assert (await anext(quick)).ssid == b"House"
        late = network.changes()
        assert (await anext(late)).ssid == b"House"


# --- connections --------------------------------------------------------------------------------------------


async def test_a_request_goes_through_only_while_the_link_is_online(
    tmp_path: Path, server: TestServer
) -> None:
    async with radio(tmp_path) as network, aiohttp.ClientSession(connector=network.connector()) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(server.make_url("/"))
        await network.join(HOUSE)
        async with session.get(server.make_url("/")) as response:
            assert await response.text() == "hello"
        await network.forget_all()
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(server.make_url("/"))


async def test_every_network_in_reach_names_the_country(tmp_path: Path) -> None:
    async with radio(tmp_path, 'country = "DE"\n' + SCENARIO) as network:
        heard = await network.neighbours()
        assert set(heard) == {"DE"} and len(heard) > 1
    silent = tmp_path / "silent"
    silent.mkdir()
    async with radio(silent) as network:
        assert await network.neighbours() == []


@pytest.mark.parametrize("edit", ['link = "lost"\n', "internet = false\n"])
async def test_losing_the_link_cuts_a_request_in_the_middle(
    tmp_path: Path, server: TestServer, edit: str
) -> None:
    async with radio(tmp_path) as network, aiohttp.ClientSession(connector=network.connector()) as session:
        await network.join(HOUSE)
        async with session.get(server.make_url("/endless")) as response:
            assert await response.content.readany() == b"first"
            (tmp_path / "world.toml").write_text(edit + SCENARIO)
            with pytest.raises(aiohttp.ClientError):
                async with asyncio.timeout(10):
                    await response.content.readany()
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(server.make_url("/"))


async def test_a_slow_network_delays_every_request_also_on_a_kept_connection(
    tmp_path: Path, server: TestServer
) -> None:
    slow = SCENARIO.replace('password = "kurz"', 'password = "kurz"\nlatency_ms = 60')
    async with (
        radio(tmp_path, slow) as network,
        aiohttp.ClientSession(connector=network.connector()) as session,
    ):
        await network.join(BARN)
        loop = asyncio.get_running_loop()
        for _ in range(3):
            before = loop.time()
            async with session.get(server.make_url("/")) as response:
                assert await response.text() == "hello"
            assert loop.time() - before >= 0.05


async def test_a_link_lost_during_the_delay_refuses_the_request(tmp_path: Path, server: TestServer) -> None:
    slow = SCENARIO.replace('password = "kurz"', 'password = "kurz"\nlatency_ms = 300')
    async with (
        radio(tmp_path, slow) as network,
        aiohttp.ClientSession(connector=network.connector()) as session,
    ):
        await network.join(BARN)
        request = asyncio.create_task(session.get(server.make_url("/")))
        await asyncio.sleep(0.05)
        await network.forget_all()
        with pytest.raises(aiohttp.ClientConnectorError):
            await request


async def test_connectors_belong_to_their_callers(tmp_path: Path, server: TestServer) -> None:
    async with radio(tmp_path) as network:
        await network.join(HOUSE)
        first, second = network.connector(), network.connector()
        await first.close()
        async with (
            aiohttp.ClientSession(connector=second) as session,
            session.get(server.make_url("/")) as response,
        ):
            assert response.status == 200
