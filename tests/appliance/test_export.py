"""`buffer export`: a technician's rescue, out of a buffer in any condition and into another station."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from appliance.cli import run
from appliance.commandline.exits import Exit
from appliance.sources.accept import Intake
from appliance.sources.again import observation_of
from appliance.sources.schema import Observation, SourceMedia
from appliance.sources.spool import Spool
from appliance.uplink.time import CloudTime
from buffer.media import MediaStore
from buffer.message import Draft, Priority
from buffer.store import Store
from firmware.fakes import FakeClock
from protocol.event import Event

PICTURE, TABLE = b"\xff\xd8picture" * 400, b"frame,x,y\n" * 900


async def _bytes(content: bytes) -> AsyncIterator[bytes]:
    yield content


class Night:
    """A station's data folder, and what a technician does with it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "old"
        self.target = folder / "rescued"
        self.buffer = self.data / "buffer" / "buffer.db"

    def command(self, *words: str) -> Exit:
        return run(["--data-dir", str(self.data), "buffer", *words])

    def messages(self) -> dict[str, dict[str, object]]:
        found = [json.loads(path.read_bytes()) for path in (self.target / "messages").glob("*.json")]
        return {str(each["uuid"]): each for each in found}


async def observe(intake: Intake, number: int, **files: bytes) -> None:
    async with intake.delivery() as delivery:
        refs = []
        for name, content in files.items():
            shown = name.replace("_", ".")
            refs.append((SourceMedia(name=shown), await delivery.add(shown, _bytes(content))))
        observation = Observation(
            event_type="meteor",
            timestamp=f"2026-08-12T22:00:{number:02d}.250Z",
            client_event_id=f"night:{number}",
            revision=1 + number % 2,
            confidence=0.5,
            metadata={"number": number, "stars": [1, 2.5]},
            priority="critical" if number == 1 else None,
        )
        await delivery.accept(observation, refs, "test")


async def record(data: Path) -> Store:
    """Five events, of which two share a picture and one was set aside; a pending file; something that is
    no event at all; nothing of it is sent."""
    store = await Store.open(data / "buffer" / "buffer.db")
    intake = Intake(store, MediaStore(data / "buffer" / "media", store), CloudTime(FakeClock()))
    for number in range(5):
        files = {"sky_jpg": PICTURE, "frames_csv": TABLE + bytes([number])} if number < 2 else {}
        await observe(intake, number, **files)
    dead = next(row.id for row in await store.rows(9) if row.idempotency_key == "night:4")
    await store.nack([dead], reason="422 not like this", retry_in=None, permanent=True)
    await store.put(Draft("media", b'{"event_id": "e"}', Priority.NORMAL, idempotency_key="media:e"))
    await store.put(Draft("event", b"\x00not json", Priority.LOW, content_type="text/plain"))
    return store


@pytest.fixture
async def night(tmp_path: Path) -> Night:
    made = Night(tmp_path)
    await (await record(made.data)).close()
    return made


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file of the buffer but the shared memory and the lock, which are no content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", ".lock"))
    }


def test_everything_is_there_and_the_buffer_stays_as_it_was(night: Night) -> None:
    before = snapshot(night.data)
    assert night.command("export", str(night.target)) == Exit.OK
    assert snapshot(night.data) == before
    messages = night.messages().values()
    assert sorted(str(each["key"]) for each in messages) == [
        "None", "media:e", "night:0", "night:1", "night:2", "night:3", "night:4",
    ]  # fmt: skip
    [dead] = [each for each in messages if each["state"] == "dead"]
    assert (dead["key"], dead["reason"]) == ("night:4", "422 not like this")
    names = {path.name for path in (night.target / "media").iterdir()}
    assert hashlib.sha256(PICTURE).hexdigest() + ".jpg" in names
    assert len(names) == 3, "the picture of two events is there once"
    for path in (night.target / "media").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    assert len(list(night.target.glob("*.json"))) == 5
    assert not list(night.target.rglob(".*")), "no half-written file"


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["--dead"], {"night:4"}),
        (["--priority", "critical"], {"night:1"}),
        (["--kind", "media"], {"media:e"}),
        (["--kind", "media", "--dead"], set()),
    ],
)
def test_a_part_can_be_asked_for(night: Night, words: list[str], keys: set[str]) -> None:
    assert night.command("export", str(night.target), *words) == Exit.OK
    assert {each["key"] for each in night.messages().values()} == keys


def test_a_folder_with_something_in_it_is_refused_unless_forced(
    night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    night.target.mkdir()
    (night.target / "mine.txt").write_text("mine")
    assert night.command("export", str(night.target)) == Exit.USAGE
    assert "--force" in capsys.readouterr().err
    assert [path.name for path in night.target.iterdir()] == ["mine.txt"]
    for _ in range(2):
        assert night.command("export", str(night.target), "--force") == Exit.OK
    assert (night.target / "mine.txt").read_text() == "mine"
    assert night.command("export", str(night.target / "mine.txt")) == Exit.USAGE


def test_lines_of_json_go_to_standard_output(night: Night, capsys: pytest.CaptureFixture[str]) -> None:
    assert night.command("export", "-") == Exit.OK
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [each["priority"] for each in lines] == [
        "critical",
        "high",
        "high",
        "high",
        "normal",
        "low",
        "high",
    ]
    assert lines[0]["payload"]["metadata"] == {"number": 1, "stars": [1, 2.5]}
    assert [each["on_disk"] for each in lines[0]["media"]] == [True, True]
    assert "7 messages" in err


def test_a_file_that_is_missing_or_damaged_is_named_and_the_rest_is_exported(
    night: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    sha = hashlib.sha256(PICTURE).hexdigest()
    (night.data / "buffer" / "media" / sha[:2] / sha).write_bytes(b"something else")
    other = hashlib.sha256(TABLE + b"\x00").hexdigest()
    (night.data / "buffer" / "media" / other[:2] / other).unlink()
    assert night.command("export", str(night.target), "--json") == Exit.FAILED
    told = json.loads(capsys.readouterr().out)
    assert (set(told["damaged"]), told["missing"]) == ({"sky.jpg"}, ["frames.csv"])
    assert (told["messages"], told["events"]) == (7, 5)


async def test_it_works_beside_the_running_station(night: Night) -> None:
    async with await Store.open(night.buffer) as store:
        await store.put(Draft("event", b"{}", Priority.HIGH, idempotency_key="just now"))
        assert await asyncio.to_thread(night.command, "export", str(night.target)) == Exit.OK
        assert (await store.depth()).count == 7
    assert "just now" in {each["key"] for each in night.messages().values()}


async def test_a_station_that_died_is_read_with_its_log(tmp_path: Path) -> None:
    source, night = tmp_path / "source", Night(tmp_path)
    store = await record(source)
    shutil.copytree(source, night.data)
    await store.close()
    assert (night.data / "buffer" / "buffer.db-wal").exists()
    before = snapshot(night.data)
    assert night.command("export", str(night.target)) == Exit.OK
    assert snapshot(night.data) == before
    assert len(night.messages()) == 7


@pytest.mark.parametrize("fault", ["first page", "cut", "garbage", "quarantined"])
def test_a_damaged_buffer_is_read_as_far_as_it_can_be_and_stays_as_it_is(
    night: Night, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = night.buffer.read_bytes()
    if fault == "first page":
        night.buffer.write_bytes(b"\xa5" * 4096 + content[4096:])
    elif fault == "cut":
        night.buffer.write_bytes(content[: len(content) * 3 // 4 // 512 * 512])
    elif fault == "garbage":
        night.buffer.write_bytes(b"rubbish" * 5000)
    else:
        aside = night.buffer.parent / "quarantine" / "000001"
        aside.mkdir(parents=True)
        (aside / "pending").write_text("a test")
        (aside / "buffer.db").write_bytes(b"\xa5" * 4096 + content[4096:])
        night.buffer.unlink()
    before = snapshot(night.data)
    assert night.command("export", str(night.target), "--json") == Exit.FAILED
    told = json.loads(capsys.readouterr().out)
    assert snapshot(night.data) == before
    assert told["troubles"]
    if fault in ("first page", "quarantined"):
        assert (told["messages"], told["events"], told["media"]) == (7, 5, 3)


def test_another_file_can_be_named(night: Night, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.db"
    night.buffer.rename(elsewhere)
    assert night.command("export", str(night.target)) == Exit.FAILED
    assert night.command("export", str(night.target), "--force", "--file", str(elsewhere)) == Exit.OK
    assert len(night.messages()) == 7


def test_what_a_station_says_of_itself_is_not_said_by_another() -> None:
    note = b'{"event_id":"0190d3c4-0000-7000-8000-000000000000","client_event_id":"station:gap:1:2","'
    note += b'event_type":"station_gap","timestamp":"2026-08-12T22:00:00.000Z"}'
    assert observation_of(note, Priority.CRITICAL, {}) is None
    assert observation_of(note.replace(b"station_gap", b"meteor"), Priority.CRITICAL, {}) is not None


async def test_an_exported_folder_is_taken_by_another_station_as_the_same_events_once_each(
    night: Night, tmp_path: Path
) -> None:
    def exported() -> Path:
        assert night.command("export", str(night.target), "--force") == Exit.OK
        return night.target

    await asyncio.to_thread(exported)
    told = {
        each["key"]: msgspec.convert(each["payload"], Event)
        for each in night.messages().values()
        if str(each["key"]).startswith("night:")
    }
    spool, new = tmp_path / "spool", tmp_path / "new"
    async with await Store.open(new / "buffer.db") as store:
        media = MediaStore(new / "media", store)
        taker = Spool(spool, Intake(store, media, CloudTime(FakeClock())), settle_s=60.0)
        spool.mkdir()
        await taker.prepare()
        for _ in range(2):  # dropped again, nothing is doubled
            shutil.copytree(night.target, spool, dirs_exist_ok=True)
            await taker.tick()
            await taker.tick()
        assert not list(spool.glob("*.json"))
        assert not list((spool / "rejected").iterdir())
        found = [message for message in await store.lease(50) if message.kind == "event"]
        assert {message.idempotency_key for message in found} == set(told)
        assert len(found) == 5
        for message in found:
            event = msgspec.json.decode(message.payload, type=Event)
            before = told[message.idempotency_key]
            same = ("event_id", "client_event_id", "revision", "timestamp", "event_type", "status")
            for name in (*same, "confidence", "metadata", "source", "media", "media_files"):
                assert getattr(event, name) == getattr(before, name), name
            for ref in message.media:
                assert await media.verify(ref.sha256) is True
        assert [m.idempotency_key for m in found if m.priority is Priority.CRITICAL] == ["night:1"]
