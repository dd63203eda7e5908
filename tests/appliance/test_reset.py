"""The factory reset of a whole station: what goes, what stays, and what a power cut in between leaves."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from appliance.files import remove_durably
from appliance.identity.credentials import CredentialsFile, from_claim
from appliance.network.simulated import SimulatedNetwork
from appliance.paths import Paths
from appliance.reset import StartOver, finish_pending, wish
from appliance.stages import initializing, reconnecting, setup
from appliance.station import _button
from buffer.message import Draft, Priority
from buffer.reader import open_reader
from firmware.button import Press
from firmware.errors import ResetFailed
from firmware.fakes import FakeButton
from firmware.reset import Extent
from statemachine.lifecycle import State, Trigger
from tests.appliance.fakes import FakeCloud
from tests.appliance.workshop import HOME, running, station, until


async def lived_in(folder: Path, cloud: FakeCloud) -> Paths:
    """A claimed station with a network, a configuration and an event, switched off."""
    async with station(folder, cloud.url) as made:
        await made.device.network.start()
        await made.device.network.join(HOME)
        credentials = from_claim(cloud.complete(), cloud.url)
        made.device.credentials.keep(credentials)
        made.device.configuration.apply(cloud.envelope(), credentials)
        made.device.card.current()
        made.device.hotspot_key.current()
        await made.device.journal.change(lambda record: record)
        await made.board._store.put(Draft("event", b"{}", Priority.HIGH))
        return made.paths


def waiting(paths: Paths) -> int:
    with open_reader(paths.buffer_file) as reader:
        return sum(level.count for level in reader.depth().levels.values())


GONE = ("device_key", "credentials", "card", "hotspot_key", "technician", "config", "record")


def radio(folder: Path, paths: Paths) -> SimulatedNetwork:
    """The radio of a station that does not run."""
    return SimulatedNetwork(paths.state, folder / "scenario.toml")


@pytest.mark.parametrize("purge", [False, True])
async def test_a_reset_removes_everything_of_the_owner_and_events_only_when_asked(
    tmp_path: Path, cloud: FakeCloud, purge: bool
) -> None:
    paths = await lived_in(tmp_path, cloud)
    keyid = (paths.device_key).read_bytes()
    wish(paths, Extent.ALL if purge else Extent.OWNER)
    plan = await finish_pending(paths, radio(tmp_path, paths), paths.data / "spool")
    assert plan is not None
    assert plan.extent is (Extent.ALL if purge else Extent.OWNER)
    assert [name for name in GONE if getattr(paths, name).exists()] == []
    assert not paths.reset_marker.exists()
    assert not paths.networks.exists()
    if purge:
        assert not paths.buffer.exists()
    else:
        assert waiting(paths) == 1
    async with station(tmp_path) as again:
        assert again.paths.device_key.read_bytes() != keyid
        assert not again.device.claimed
        await again.device.network.start()
        assert await again.device.network.stored() == []


async def test_a_reset_removes_a_key_of_the_tpm_and_the_next_one(tmp_path: Path, cloud: FakeCloud) -> None:
    paths = await lived_in(tmp_path, cloud)
    for path in (paths.sealed_key, *paths.next_pair):
        path.write_bytes(b"x")
    wish(paths, Extent.OWNER)
    await finish_pending(paths, radio(tmp_path, paths), paths.data / "spool")
    assert list(paths.identity.iterdir()) == []


MEADOW = b'{"seen": ["a"], "wifi_name": "Meadow House", "wifi_password": "meteor shower", "country": "DE"}'


async def forgotten(folder: Path, paths: Paths) -> None:
    """Only the networks are gone; nothing of the owner, of the key phones know, and of the events."""
    assert not paths.reset_marker.exists()
    assert not paths.networks.exists()
    kept = msgspec.json.decode(paths.boot_copy.read_bytes())
    assert kept == {"seen": ["a"], "country": "DE"}, "it would join by itself what was just forgotten"
    assert [name for name in GONE if not getattr(paths, name).exists()] == []
    assert waiting(paths) == 1
    async with station(folder) as again:
        assert again.device.claimed
        await again.device.network.start()
        assert await again.device.network.stored() == []
        assert await initializing.run(again.device) is Trigger.RESUMED
        assert await reconnecting.run(again.device) is Trigger.RECONNECT_FAILED
        again.device.settings = msgspec.structs.replace(
            again.device.settings,
            network=msgspec.structs.replace(again.device.settings.network, retry_seconds=0.05),
        )
        assert await setup.run(again.device) is Trigger.WAITING_FOR_USER
        hotspot = again.device.network.hotspot()
        assert hotspot is not None
        assert hotspot.passphrase == paths.hotspot_key.read_text().strip(), "phones know it"


async def test_forgetting_the_networks_keeps_the_claim_and_the_events_and_opens_the_hotspot(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    paths = await lived_in(tmp_path, cloud)
    paths.boot_copy.write_bytes(MEADOW)
    before = {
        name: getattr(paths, name).read_bytes() for name in ("device_key", "credentials", "hotspot_key")
    }
    wish(paths, Extent.NETWORKS)
    plan = await finish_pending(paths, radio(tmp_path, paths), paths.data / "spool")
    assert plan is not None
    assert plan.extent is Extent.NETWORKS
    assert {name: getattr(paths, name).read_bytes() for name in before} == before
    await forgotten(tmp_path, paths)


@pytest.mark.parametrize("cut", ["appliance.reset.remove_durably", "appliance.reset.forget_network"])
async def test_a_power_cut_while_networks_are_forgotten_forgets_them_at_the_next_start(
    tmp_path: Path, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    paths = await lived_in(tmp_path, cloud)
    paths.boot_copy.write_bytes(MEADOW)
    wish(paths, Extent.NETWORKS)

    class PowerCut(BaseException):
        pass

    def off(_path: Path) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(cut, off)
        with pytest.raises(PowerCut):
            await finish_pending(paths, radio(tmp_path, paths), paths.data / "spool")
    assert paths.reset_marker.exists()
    await finish_pending(paths, radio(tmp_path, paths), paths.data / "spool")
    await forgotten(tmp_path, paths)


async def test_without_a_wish_nothing_happens(tmp_path: Path, cloud: FakeCloud) -> None:
    paths = await lived_in(tmp_path, cloud)
    assert await finish_pending(paths, radio(tmp_path, paths), paths.data / "spool") is None
    assert CredentialsFile(paths.identity).current is not None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"purge": "yes"}'])
async def test_a_damaged_wish_is_fulfilled_but_purges_nothing(
    tmp_path: Path, cloud: FakeCloud, damage: bytes
) -> None:
    paths = await lived_in(tmp_path, cloud)
    paths.reset_marker.write_bytes(damage)
    plan = await finish_pending(paths, radio(tmp_path, paths), paths.data / "spool")
    assert plan is not None
    assert plan.extent is Extent.OWNER
    assert not paths.credentials.exists()
    assert waiting(paths) == 1


async def test_a_reset_that_cannot_finish_says_so_and_is_finished_at_the_next_start(
    tmp_path: Path, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = await lived_in(tmp_path, cloud)
    wish(paths, Extent.OWNER)

    def stuck(path: Path) -> None:
        if path == paths.card:
            raise OSError(5, "Input/output error")
        remove_durably(path)

    with monkeypatch.context() as patch:
        patch.setattr("appliance.reset.remove_durably", stuck)
        with pytest.raises(ResetFailed, match="claim_card"):
            await finish_pending(paths, radio(tmp_path, paths), paths.data / "spool")
    assert not paths.credentials.exists(), "one thing that stays does not protect the others"
    assert paths.reset_marker.exists()
    assert await finish_pending(paths, radio(tmp_path, paths), paths.data / "spool") is not None
    assert not paths.card.exists()


async def test_the_button_makes_its_wish_durable_before_the_station_ends(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    async with station(tmp_path, cloud.url) as made:
        made.conductor._lifecycle._model.state = State.OPERATIONAL.value
        button = FakeButton()

        async def service() -> None:
            await _button(button, made.start_over, made.device.panel)

        async with running(service):
            button.press(Press.SHORT)
            await until(lambda: made.board.snapshot().led.pattern == "locate")
            assert not made.paths.reset_marker.exists()
            button.press(Press.LONG)
            await until(lambda: not made.conductor._outside.empty())
            assert made.paths.reset_marker.exists()
        assert made.conductor._outside.get_nowait() is Trigger.RESET_REQUESTED


@pytest.mark.parametrize("state", list(State))
async def test_a_reset_is_possible_in_every_state_but_halted(tmp_path: Path, state: State) -> None:
    async with station(tmp_path) as made:
        made.conductor._lifecycle._model.state = state.value
        asked = await StartOver(made.paths, made.conductor).ask()
    assert asked is (state is not State.HALTED)
    assert made.paths.reset_marker.exists() is asked
