"""The six values of `storage` that an owner may set: each of them has an effect, and each effect is here."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from appliance.chores import media_rules
from appliance.configuration.apply import Applied, Configuration
from appliance.configuration.schema import DeviceConfig, StorageTable
from appliance.identity.credentials import from_claim
from appliance.media_folders import OWN, choose, folders, problem
from appliance.paths import Paths
from appliance.reset import finish_pending, wish
from appliance.settings import load
from appliance.station import Station
from buffer.media import MediaStore
from buffer.message import Priority
from buffer.uplink import Delivered, Rejected, Retry
from firmware.reset import Extent
from tests.appliance.fakes import FakeCloud
from tests.appliance.test_cli import Shell
from tests.appliance.test_reset import lived_in, radio
from tests.appliance.test_upload import path_of, upload
from tests.appliance.uplink_world import Uplink, uplink
from tests.appliance.workshop import station, write_scenario

ROOMY = load(None, {}, {"buffer.max_media_bytes": 20_000_000_000})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Uplink]:
    async with uplink(tmp_path) as made:
        yield made


def configured(folder: Path, **storage: object) -> Configuration:
    """A configuration with these values of `storage`, as it lies on the disk."""
    applied = Applied(version=1, config=DeviceConfig(storage=StorageTable(**storage)))  # type: ignore[arg-type]
    (folder / "config.json").write_bytes(msgspec.json.encode(applied))
    return Configuration(folder)


# --- the rules for files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wished", "name", "value"),
    [
        ({"max_storage_gb": 3.5}, "max_storage_gb", 3.5),
        ({"retention_days": 3}, "retention_days", 3),
        ({"auto_cleanup": False}, "auto_cleanup", False),
        ({"compression_enabled": False}, "pack", False),
        ({"compression_enabled": True}, "pack", True),
    ],
)
def test_what_the_owner_wishes_is_the_rule(
    tmp_path: Path, wished: dict[str, object], name: str, value: object
) -> None:
    assert getattr(media_rules(ROOMY, configured(tmp_path, **wished)), name) == value


def test_nothing_is_packed_while_disk_or_power_run_short(tmp_path: Path) -> None:
    assert media_rules(ROOMY, configured(tmp_path), extras=False).pack is False


# --- compression_enabled: packed at rest, sent as it was ----------------------------------------------------


@pytest.mark.parametrize("when", [1, 4, 8])
async def test_a_file_that_is_packed_between_two_pieces_arrives_as_it_was(
    world: Uplink, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    monkeypatch.setattr("appliance.uplink.upload.PIECE", 2000)
    monkeypatch.setattr("buffer.packing.MEMBER", 700)
    data = b"".join(b"%06d,%04d\n" % (n, n * n % 9973) for n in range(1500))
    (world.folder / "a.csv").write_bytes(data)
    ref = await world.media.add_file(world.folder / "a.csv", "text/csv", "a.csv", "frames", move=False)
    ticket = await world.put_media(ref)
    await world.media.release(ref.sha256)
    between = [0]

    async def make_way() -> None:
        between[0] += 1
        if between[0] == when:
            assert await world.media.pack(10) == 1

    await upload(world).run(ticket, make_way=make_way)
    assert between[0] >= when
    assert path_of(world, f"{ref.sha256}.gz").exists()
    assert world.cloud.media[ref.sha256] == data


async def test_a_packed_file_that_was_damaged_is_set_aside_and_does_not_hold_up_the_rest(
    world: Uplink,
) -> None:
    (world.folder / "a.csv").write_bytes(b"1,2,3\n" * 5000)
    ref = await world.media.add_file(world.folder / "a.csv", "text/csv", "a.csv", "frames", move=False)
    await world.put_media(ref)
    await world.media.release(ref.sha256)
    await world.media.pack(10)
    path = path_of(world, f"{ref.sha256}.gz")
    path.write_bytes(path.read_bytes()[:-9])
    [(_, outcome)] = await world.deliver()
    assert isinstance(outcome, Rejected)


async def test_a_file_on_a_disk_that_is_unplugged_waits_for_it(world: Uplink) -> None:
    disk, away = world.folder / "disk", world.folder / "away"
    disk.mkdir()
    earlier = MediaStore(disk, world.store)
    (world.folder / "a.csv").write_bytes(b"1,2,3\n")
    ref = await earlier.add_file(world.folder / "a.csv", "text/csv", "a.csv", "frames", move=False)
    await world.put_media(ref)
    await earlier.release(ref.sha256)
    world.media = MediaStore(world.folder / "own", world.store, also=[disk])
    disk.rename(away)
    [(_, outcome)] = await world.deliver()
    assert isinstance(outcome, Retry)
    assert "unplugged" in outcome.reason
    away.rename(disk)
    [(_, outcome)] = await world.deliver()
    assert isinstance(outcome, Delivered)
    assert world.cloud.media[ref.sha256] == b"1,2,3\n"


# --- backup_to_cloud ----------------------------------------------------------------------------------------


async def test_without_backup_events_go_and_their_files_stay(tmp_path: Path, cloud: FakeCloud) -> None:
    async with uplink(tmp_path) as world:
        backup = [False]
        delivery = world.delivery
        delivery._backup = lambda: backup[0]
        for number, sent in ((1, []), (2, ["media"])):
            ref, data = await world.file(name=f"{number}.jpg")
            made = await world.put_event(number, files=[ref])
            await world.media.release(ref.sha256)
            batch = await world.store.lease(10)
            await delivery.deliver(batch)
            await world.store.ack([message.id for message in batch])
            assert made.event_id in world.cloud.events
            assert await world.waiting() == sent
            assert await world.media.read(ref.sha256, 0, 1000) == data
            backup[0] = True


async def test_the_station_asks_its_configuration_about_the_backup_and_says_so(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    state = tmp_path / "data" / "state"
    state.mkdir(parents=True)
    configured(state, backup_to_cloud=False)
    async with station(tmp_path, cloud.url) as made:
        made.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
        assert made.front._drain._express._uplink._backup() is False  # type: ignore[attr-defined]
        assert "UPL-011" in codes(made)
    configured(state, backup_to_cloud=True)
    async with station(tmp_path, cloud.url) as made:
        assert made.front._drain._express._uplink._backup() is True  # type: ignore[attr-defined]
        assert "UPL-011" not in codes(made)


def codes(made: Station) -> dict[str, str]:
    return {each.code: str(each.sentence) for each in made.board.snapshot().warnings}


# --- base_path ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wrong:
    """A path that cannot be used, and a word of the reason."""

    path: str
    told: str


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong("media", "absolute"),
        Wrong("/a/../b", "absolute"),
        Wrong("{folder}/nothing", "there is no folder"),
        Wrong("{folder}/file", "there is no folder"),
    ],
    ids=lambda wrong: wrong.path,
)
def test_a_path_that_cannot_be_used_is_told_and_the_own_folder_is_used(tmp_path: Path, wrong: Wrong) -> None:
    (tmp_path / "file").write_bytes(b"")
    paths = Paths(tmp_path / "data")
    paths.state.mkdir(parents=True)
    path = wrong.path.format(folder=tmp_path)
    assert wrong.told in str(problem(path))
    assert choose(paths, path) == [paths.media]


def test_earlier_folders_are_remembered_over_any_number_of_changes(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "data")
    paths.state.mkdir(parents=True)
    disks = [tmp_path / name for name in ("one", "two")]
    for disk in disks:
        disk.mkdir()
    assert choose(paths, "") == [paths.media]
    assert not paths.media_folders.exists(), "nothing to remember yet"
    assert choose(paths, str(disks[0])) == [disks[0] / OWN, paths.media]
    assert choose(paths, str(disks[1])) == [disks[1] / OWN, disks[0] / OWN, paths.media]
    assert choose(paths, "") == [paths.media, disks[1] / OWN, disks[0] / OWN]
    assert folders(paths) == choose(paths, "")
    paths.media_folders.write_bytes(b"damaged")
    assert choose(paths, str(disks[0])) == [disks[0] / OWN, paths.media]


async def test_a_purge_removes_files_on_the_owners_disk_and_nothing_else_there(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    paths = await lived_in(tmp_path, cloud)
    disk = tmp_path / "disk"
    (disk / OWN).mkdir(parents=True)
    (disk / OWN / "picture").write_bytes(b"x")
    (disk / "mine").write_bytes(b"x")
    choose(paths, str(disk))
    wish(paths, Extent.ALL)
    await finish_pending(paths, radio(tmp_path, paths), paths.data / "spool")
    assert os.listdir(disk) == ["mine"]


async def test_a_folder_that_cannot_be_used_is_shown_until_it_can(tmp_path: Path, cloud: FakeCloud) -> None:
    disk, state = tmp_path / "disk", tmp_path / "data" / "state"
    state.mkdir(parents=True)
    configured(state, base_path=str(disk))
    async with station(tmp_path, cloud.url) as made:
        await made.board.gather()
        assert f"there is no folder {disk}" in codes(made)["BUF-016"]
        disk.mkdir()
        await made.board.gather()
        assert "BUF-016" not in codes(made)
        assert made.front._store.waiting(Priority.HIGH) == 0


async def test_the_program_keeps_new_files_there_and_still_shows_the_earlier_ones(
    tmp_path: Path, free_port: int
) -> None:
    write_scenario(tmp_path)
    shell, disk = Shell(tmp_path, port=free_port), tmp_path / "disk"
    disk.mkdir()
    for name in ("one", "two"):
        (tmp_path / f"{name}.jpg").write_bytes(name.encode() * 100)
    async with shell.running():
        assert (await shell.run("event", "send", str(tmp_path / "one.jpg"))).code == 0
    configured(tmp_path / "data" / "state", base_path=str(disk))
    socket = tmp_path / "data/run/ingest.sock"
    socket.unlink()  # the next start is waited for by its socket
    async with shell.running():
        assert (await shell.run("event", "send", str(tmp_path / "two.jpg"))).code == 0
        done = await shell.run("buffer", "export", "-", "--kind", "event", "--priority", "high")
        files = [file for line in done.out.splitlines() for file in json.loads(line)["media"]]
        assert [(file["name"], file["on_disk"]) for file in files] == [("one.jpg", True), ("two.jpg", True)]
    assert len(list((disk / OWN).glob("??/*"))) == 1
    assert len(list((tmp_path / "data/buffer/media").glob("??/*"))) == 1
    await asyncio.to_thread(shutil.rmtree, disk)
    socket.unlink()
    async with shell.running():
        status = await shell.told(lambda seen: "BUF-016" in str(seen["warnings"]))
        assert status["running"] is True
