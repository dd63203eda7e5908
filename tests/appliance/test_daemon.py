"""The whole daemon in one process, from an empty disk to a reset: it never blocks nor tells a secret."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from blockbuster import BlockBuster, BlockingError
from blockbuster.blockbuster import BlockBusterFunction

from appliance import daemon
from appliance.commandline.local import NotRunning, call
from appliance.errors import StartRefused
from appliance.files import to_the_end, write_atomically
from appliance.identity.card import Card
from appliance.identity.credentials import read_credentials
from appliance.identity.technician import TechnicianFile
from appliance.logs import Tail
from appliance.paths import Paths
from appliance.settings import Settings
from buffer.store import Store
from firmware.fakes import FakeWatchdog
from firmware.reset import Extent
from protocol.signature import ReplayWindow
from tests.appliance.fakes import FakeCloud, event
from tests.appliance.workshop import PASSWORD, settings_for, until, write_scenario
from tests.portal.phone import Page, Phone

pytestmark = pytest.mark.usefixtures("quick")

ROOMS = ["appliance", "buffer", "firmware", "language", "portal", "protocol", "statemachine"]
AT_THE_START = (
    ("appliance/files.py", "private_folder"),
    ("appliance/control.py", "serve"),
    ("appliance/network/scenario.py", "read"),
    ("portal/server.py", "create_app"),
    ("appliance/network/networkmanager/bus.py", "connect"),
)
"""What touches files in the loop: a few kB, and before anybody can wait for an answer."""


@pytest.fixture
def watchful() -> Iterator[None]:
    """Any call of the station's own code that may wait for a disk, a lock or a socket is an error.

    Looking at a file's status is allowed: the kernel answers it from memory.
    """
    watch = BlockBuster(ROOMS)
    del watch.functions["os.stat"]
    for name in ("fsync", "fdatasync", "rename"):
        watch.functions[f"os.{name}"] = BlockBusterFunction(None, f"os.{name}", scanned_modules=ROOMS)
    for file, function in AT_THE_START:
        for each in watch.functions.values():
            each.can_block_in(file, function)
    watch.activate()
    try:
        yield
    finally:
        watch.deactivate()


@asynccontextmanager
async def living(settings: Settings) -> AsyncIterator[asyncio.Task[daemon.Ending]]:
    """The daemon, until it ends or the test does."""
    task = asyncio.create_task(daemon.run(settings, Tail(), FakeWatchdog()))
    try:
        await until(lambda: task.done() or answers(settings.portal.port))
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


def answers(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def status(settings: Settings) -> dict[str, Any]:
    try:
        return (await call(settings.control_socket, "GET", "/status"))[1]
    except NotRunning:
        return {"state": "away"}


async def reach(settings: Settings, state: str) -> dict[str, Any]:
    return await told(settings, "state", state)


async def told(settings: Settings, name: str, value: object) -> dict[str, Any]:
    """Until the status says so."""
    async with asyncio.timeout(30):
        while (facts := await status(settings)).get(name) != value:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return facts


async def hand_in(settings: Settings, picture: bytes) -> None:
    made = event(1)
    description = {"event_type": "meteor", "timestamp": made.timestamp, "media": [{"name": "a.jpg"}]}
    form = aiohttp.FormData()
    form.add_field("event", msgspec.json.encode(description).decode(), content_type="application/json")
    form.add_field("file", picture, filename="a.jpg")
    answered, told = await call(settings.ingest_socket, "POST", "/ingest/v1/events", data=form)
    assert answered == 202, told


async def journey(settings: Settings, cloud: FakeCloud, folder: Path) -> None:
    """A phone, a wrong password, a claim, an event with a picture, a new name, a reset."""
    home = f"http://127.0.0.1:{settings.portal.port}"
    async with living(settings) as task, Phone(home) as phone:
        await reach(settings, "setup")
        for path in ("/status", "/claim", "/api/status", "/health", "/setup"):
            assert (await phone.open(path)).status == 200, path
        await join(phone, "wrong horse")
        await until_failed(phone)
        await join(phone, PASSWORD)
        await reach(settings, "network_ready")
        cloud.person_came = True
        await reach(settings, "operational")
        cloud.windows = {keyid: ReplayWindow(50, 1, 1) for keyid in cloud.windows}
        cloud.name, cloud.config_version = "South field", 2
        await call(settings.control_socket, "POST", "/retry")
        picture = os.urandom(300_000)
        await hand_in(settings, picture)
        await until(lambda: picture in cloud.media.values())
        await told(settings, "station_name", "South field")
        pin = (await call(settings.control_socket, "GET", "/pin"))[1]["pin"]
        desk = await enter(phone, f"{(int(pin) + 1) % 10**6:06d}", 403)
        desk = await enter(phone, pin)
        for path in ("/technician/locate", "/technician/retry", "/technician/test", "/support-bundle"):
            assert (await phone.session.post(home + path, data=desk.form(path).fields)).status == 200, path
        answered, _ = await call(settings.control_socket, "POST", "/reset")
        assert answered == 202
        assert await asyncio.wait_for(task, 20) is daemon.Ending.RESET


async def join(phone: Phone, password: str) -> None:
    """As a browser without scripts does it: the list, a network, its password."""
    page = await phone.follow(await phone.open("/setup"), "Home")
    assert (await phone.send(page, "/setup/join", password=password)).status == 200


async def enter(phone: Phone, pin: str, status: int = 200) -> Page:
    """The technician's page behind a PIN."""
    page = await phone.send(await phone.open("/technician"), "/technician", pin=pin)
    assert page.status == status, page.text
    return page


async def until_failed(phone: Phone) -> None:
    """Until the pages say that the password was wrong."""
    async with asyncio.timeout(20):
        while "not accepted" not in (await phone.open("/progress")).text:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.fixture
def settings(tmp_path: Path, cloud: FakeCloud, free_port: int) -> Settings:
    cloud.interval = 0
    write_scenario(tmp_path)
    return settings_for(tmp_path, cloud.url, port=free_port)


async def test_the_daemon_never_blocks_its_event_loop(
    settings: Settings, cloud: FakeCloud, tmp_path: Path, watchful: None
) -> None:
    await journey(settings, cloud, tmp_path)


async def test_the_watch_sees_what_it_is_there_for(tmp_path: Path, watchful: None) -> None:
    with pytest.raises(BlockingError):
        write_atomically(tmp_path / "file", b"x")
    await to_the_end(write_atomically, tmp_path / "file", b"x")


async def test_no_secret_is_ever_logged_even_at_the_finest_level(
    settings: Settings,
    cloud: FakeCloud,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    secrets = Secrets(settings, cloud, monkeypatch)
    cloud.desired = {"device": {"debug_mode": True}}
    await journey(settings, cloud, tmp_path)
    assert len(secrets.found()) >= 8
    assert "claimed as North roof" in caplog.text
    for name, secret in secrets.found().items():
        assert secret not in caplog.text, f"{name} was logged"


class Secrets:
    """What must never be seen; collected when it is made, because a reset removes it all."""

    def __init__(self, settings: Settings, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
        self._found = {
            "Wi-Fi password": PASSWORD,
            "wrong Wi-Fi password": "wrong horse",
            "device token": "secret-device-token",
            "challenge": cloud.nonce,
        }
        paths = Paths(settings.data_dir)
        real = daemon.reset.StartOver.ask  # type: ignore[attr-defined]

        async def look_first(asked: object, extent: Extent = Extent.OWNER) -> bool:
            await asyncio.to_thread(self._look, paths)
            return bool(await real(asked, extent))

        monkeypatch.setattr("appliance.reset.StartOver.ask", look_first)

    def _look(self, paths: Paths) -> None:
        card = msgspec.json.decode(paths.card.read_bytes(), type=Card)
        credentials = read_credentials(paths.credentials)
        assert credentials is not None
        self._found |= {
            "PIN": card.pin,
            "link secret": card.link_secret,
            "hotspot key": paths.hotspot_key.read_text(),
            "technician's PIN": TechnicianFile(paths.identity).current().pin,
            "device key": paths.device_key.read_text().splitlines()[1],
        }

    def found(self) -> dict[str, str]:
        return self._found


async def test_after_a_reset_the_next_start_is_another_station(settings: Settings, cloud: FakeCloud) -> None:
    async with living(settings) as task:
        before = await reach(settings, "setup")
        await call(settings.control_socket, "POST", "/reset")
        assert await asyncio.wait_for(task, 20) is daemon.Ending.RESET
    async with living(settings):
        after = await reach(settings, "setup")
    assert after["short_id"] != before["short_id"]


@pytest.mark.parametrize(
    ("path", "typed", "ending"),
    [
        ("/technician/restart", False, daemon.Ending.RESTART),
        ("/technician/reset", True, daemon.Ending.RESET),
    ],
)
async def test_a_technicians_page_ends_the_daemon_in_good_order_and_gets_its_answer(
    settings: Settings, path: str, typed: bool, ending: daemon.Ending
) -> None:
    home = f"http://127.0.0.1:{settings.portal.port}"
    async with living(settings) as task, Phone(home) as phone:
        facts = await reach(settings, "setup")
        pin = (await call(settings.control_socket, "GET", "/pin"))[1]["pin"]
        short_id = {"short_id": facts["short_id"]} if typed else {}
        page = await phone.send(await enter(phone, pin), path, **short_id)
        assert (page.status, "The station starts" in page.text) == (200, True)
        assert await asyncio.wait_for(task, 30) is ending
    async with await Store.open(Paths(settings.data_dir).buffer_file):
        pass
    async with living(settings):
        await reach(settings, "setup")
        after = (await call(settings.control_socket, "GET", "/pin"))[1]["pin"]
    assert (after == pin) is (ending is daemon.Ending.RESTART)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly_and_the_buffer_is_free_again(
    settings: Settings, number: signal.Signals
) -> None:
    async with living(settings) as task:
        await reach(settings, "setup")
        os.kill(os.getpid(), number)
        assert await asyncio.wait_for(task, 20) is daemon.Ending.STOPPED
    async with await Store.open(Paths(settings.data_dir).buffer_file):
        pass
    assert [each for each in asyncio.all_tasks() if each is not asyncio.current_task()] == []


async def test_the_service_manager_hears_of_start_and_end(settings: Settings) -> None:
    watchdog = FakeWatchdog(interval=0.2)
    task = asyncio.create_task(daemon.run(settings, Tail(), watchdog))
    await until(lambda: "alive" in watchdog.history)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(task, 20)
    assert watchdog.history[0].startswith("ready")
    assert watchdog.history[-1] == "stopping"


# --- starts that are refused --------------------------------------------------------------------------------


async def refused(settings: Settings) -> str:
    with pytest.raises(StartRefused) as error:
        await asyncio.wait_for(daemon.run(settings, Tail(), FakeWatchdog()), 20)
    return str(error.value)


async def test_two_stations_in_one_folder_are_refused(settings: Settings, tmp_path: Path) -> None:
    async with living(settings):
        await reach(settings, "setup")
        other = settings_for(tmp_path, settings.cloud.url, port=settings.portal.port + 1)
        assert "BUF-002" in await refused(other)
        assert (await status(settings))["state"] == "setup", "the first one goes on"


async def test_a_port_that_is_taken_is_named_with_its_setting(settings: Settings, tmp_path: Path) -> None:
    async with living(settings):
        await reach(settings, "setup")
        (tmp_path / "other").mkdir()
        write_scenario(tmp_path / "other")
        other = settings_for(tmp_path / "other", settings.cloud.url, port=settings.portal.port)
        told = await refused(other)
    assert f"127.0.0.1:{settings.portal.port}" in told
    assert "portal.port" in told


async def test_a_scenario_that_cannot_be_played_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text("[[networks]]\nnam = 'x'\n")
    told = await refused(settings)
    assert "scenario.toml" in told
    assert "nam" in told


async def test_a_folder_that_cannot_be_made_is_named_with_its_setting(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("a file is in the way")
    assert "device.data_dir" in await refused(settings)


async def test_a_socket_path_that_is_too_long_is_named(settings: Settings, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    write_scenario(deep)
    told = await refused(settings_for(deep, settings.cloud.url, port=settings.portal.port))
    assert "control.sock" in told
    assert "shorter" in told
