"""The spool with real files before the real buffer; time is a number that the test moves."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from appliance.sources.retire import Retirement
from appliance.sources.schema import decode
from appliance.sources.spool import Spool
from appliance.sources.watch import identity
from buffer.capacity import Limits
from buffer.errors import BufferFull
from buffer.message import Draft, Priority
from tests.appliance.sources_support import MEDIA_LIMIT, Station, event_json, media_files, station

SETTLE = 60.0


@dataclass
class Scene:
    """A spool folder, its station, and a clock."""

    here: Station
    spool: Spool
    folder: Path
    now: float = 1000.0

    def write(self, name: str, data: bytes, *, age: float = 0.0) -> Path:
        """A file written directly, `age` seconds ago."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        moment = time.time() - age
        os.utime(path, (moment, moment))
        return path

    def drop(self, name: str, data: bytes, *, age: float = 0.0) -> None:
        """A description renamed into place, as the contract says."""
        self.write(name + ".tmp", data, age=age).rename(self.folder / name)

    async def settle(self) -> None:
        """Two looks with nothing happening between them."""
        await self.spool.tick()
        self.now += SETTLE
        await self.spool.tick()

    def names(self, folder: str = ".") -> set[str]:
        """Files in the spool or one of its folders."""
        return {path.name for path in (self.folder / folder).iterdir() if not path.is_dir()}

    def reason(self, stem: str) -> str:
        """Why a file was refused."""
        return (self.folder / "rejected" / f"{stem}.reason.txt").read_text()


@asynccontextmanager
async def scene(folder: Path, limits: Limits | None = None) -> AsyncIterator[Scene]:
    async with station(folder, limits) as here:
        drop = folder / "spool"
        spool = Spool(drop, here.intake, settle_s=SETTLE, monotonic=lambda: result.now)
        result = Scene(here, spool, drop)
        await spool.prepare()
        yield result


# --- programs that keep the contract ------------------------------------------------------------------------


async def test_media_first_then_a_renamed_description_is_taken_at_the_first_look(tmp_path: Path) -> None:
    picture = os.urandom(2_000_000)
    async with scene(tmp_path) as s:
        s.write("night/a.jpg", b"more", age=2)
        s.write("photo.jpg", picture, age=1)
        s.drop("photo.json", event_json(media_files=["photo.jpg", "night/a.jpg"]))
        await s.spool.tick()
        [event] = await s.here.events()
        assert await s.here.bytes_of(event) == picture
        assert [m.name for m in event.media] == ["photo.jpg", "a.jpg"]
        assert s.names() == set()
        assert s.names("accepted") == {"photo.json", "photo.jpg", "a.jpg"}
        assert s.names("rejected") == set()


async def test_an_absolute_path_inside_the_spool_is_as_good_as_a_name(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        path = s.write("photo.jpg", b"JPEG", age=1)
        s.drop("e.json", event_json(media=[{"name": "shown.jpg", "path": str(path)}]))
        await s.spool.tick()
        [event] = await s.here.events()
        assert event.media[0].name == "shown.jpg"


async def test_unfinished_and_hidden_files_are_never_touched(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        for name in ("a.json.tmp", "b.jpg.part", ".c.json", "d.TMP"):
            s.write(name, b"x")
        await s.settle()
        assert s.names() == {"a.json.tmp", "b.jpg.part", ".c.json", "d.TMP"}


async def test_a_hundred_events_at_once_are_each_taken_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        for number in range(100):
            s.write(f"{number}.jpg", f"picture {number}".encode(), age=1)
            s.drop(f"{number}.json", event_json(media_files=[f"{number}.jpg"]))
        await s.spool.tick()
        await s.settle()
        events = await s.here.events()
        contents = {await s.here.bytes_of(event) for event in events}
        assert contents == {f"picture {number}".encode() for number in range(100)}
        assert len(events) == 100
        assert s.names() == set()


async def test_two_events_may_share_a_picture(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.write("sky.jpg", b"JPEG", age=5)
        s.drop("1.json", event_json(client_event_id="1", media_files=["sky.jpg"]), age=2)
        s.drop("2.json", event_json(client_event_id="2", media_files=["./sky.jpg"]), age=1)
        await s.spool.tick()
        assert [len(event.media) for event in await s.here.events()] == [1, 1]
        assert s.names() == set()


# --- programs that know no contract -------------------------------------------------------------------------


async def test_a_picture_that_is_still_being_copied_is_waited_for(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.drop("e.json", event_json(media_files=["photo.jpg"]), age=5)
        s.write("photo.jpg", b"half")
        await s.spool.tick()
        s.now += SETTLE - 1
        s.write("photo.jpg", b"half and whole")
        await s.spool.tick()
        s.now += SETTLE - 1
        await s.spool.tick()
        assert await s.here.events() == []
        s.now += 1
        await s.spool.tick()
        [event] = await s.here.events()
        assert await s.here.bytes_of(event) == b"half and whole"


async def test_a_description_written_in_place_is_never_read_half(tmp_path: Path) -> None:
    text = event_json(metadata={"name": "Süd"})
    async with scene(tmp_path) as s:
        for end in range(0, len(text), 7):
            s.write("e.json", text[:end])
            await s.spool.tick()
        assert s.names("rejected") == set()
        s.write("e.json", text)
        await s.spool.tick()
        [event] = await s.here.events()
        assert event.metadata["name"] == "Süd"


async def test_a_done_mark_says_that_nothing_more_comes(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.write("photo.jpg", b"JPEG")
        s.write("clip.mp4", b"MP4")
        await s.spool.tick()
        assert await s.here.events() == []
        s.write("photo.jpg.done", b"")
        s.write("clip.done", b"")
        await s.spool.tick()
        assert sorted(event.media[0].mime for event in await s.here.events()) == ["image/jpeg", "video/mp4"]
        assert s.names() == set()


async def test_a_picture_alone_becomes_an_event_when_it_has_settled(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        path = s.write("photo.jpg", b"JPEG")
        os.utime(path, ns=(0, 1_786_573_000_250_000_000))
        await s.settle()
        [event] = await s.here.events()
        assert (event.event_type, event.timestamp) == ("other", "2026-08-12T22:16:40.250Z")
        assert event.metadata == {"file_name": "photo.jpg"}
        assert await s.here.bytes_of(event) == b"JPEG"
        assert s.names("accepted") == {"photo.jpg"}


async def test_the_same_picture_dropped_again_is_a_duplicate_and_another_one_is_not(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        for data, age in ((b"JPEG", 0), (b"JPEG", 500), (b"another", 0)):
            s.write("photo.jpg", data, age=age)
            await s.settle()
        assert len(await s.here.events()) == 2
        assert s.names("accepted") == {"photo.jpg", "photo~2.jpg", "photo~3.jpg"}


async def test_a_picture_of_a_waiting_event_is_not_taken_for_one_of_its_own(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.write("a.jpg", b"A", age=500)
        s.write("late.jpg", b"", age=500)
        await s.settle()
        first = len(await s.here.events())
        s.write("b.jpg", b"B", age=500)
        s.drop("e.json", event_json(media_files=["b.jpg", "missing.jpg"]), age=400)
        await s.spool.tick()
        s.now += SETTLE - 1
        await s.spool.tick()
        assert len(await s.here.events()) == first
        assert s.names() == {"e.json", "b.jpg"}


async def test_announced_size_and_hash_make_a_later_file_complete_at_once(tmp_path: Path) -> None:
    told = {"name": "a.jpg", "size": 4, "sha256": hashlib.sha256(b"JPEG").hexdigest()}
    async with scene(tmp_path) as s:
        s.drop("e.json", event_json(media=[told]), age=10)
        s.write("a.jpg", b"JP")
        await s.spool.tick()
        s.write("a.jpg", b"JPxx")
        await s.spool.tick()
        assert await s.here.events() == []
        s.write("a.jpg", b"JPEG")
        await s.settle()
        [event] = await s.here.events()
        assert event.media[0].sha256 == told["sha256"]


# --- refused ------------------------------------------------------------------------------------------------


async def test_a_wrong_field_is_refused_at_once_with_the_reason_beside_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.write("photo.jpg", b"JPEG", age=1)
        s.drop("photo.json", event_json(confidence=3, media_files=["photo.jpg"]))
        await s.spool.tick()
        assert s.names("rejected") == {"photo.json", "photo.reason.txt"}
        assert "$.confidence" in s.reason("photo")
        assert "SRC-002" in s.reason("photo")
        assert await s.here.messages() == []


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("e.json", b"{half", "SRC-001"),
        ("e.json", b"", "SRC-001"),
        ("e.json", event_json(media_files=["never.jpg"]), "SRC-003"),
        ("e.json", b" " * 300_000, "SRC-006"),
        ("e.jpg", b"x" * (MEDIA_LIMIT + 1), "BUF-008"),
        ("e.txt", b"hello", "SRC-007"),
    ],
)
async def test_what_never_becomes_an_event_is_put_aside_after_a_while(
    tmp_path: Path, name: str, data: bytes, code: str
) -> None:
    async with scene(tmp_path) as s:
        s.write(name, data)
        await s.settle()
        assert s.names() == set()
        assert s.names("rejected") == {name, "e.reason.txt"}
        assert s.reason("e").startswith(code)
        assert await s.here.messages() == []
        assert media_files(tmp_path) == []


async def test_an_event_whose_file_differs_is_refused_together_with_the_file(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.write("a.jpg", b"JPEG", age=1)
        s.drop("e.json", event_json(media=[{"name": "a.jpg", "sha256": "0" * 64}]))
        await s.settle()
        assert s.names("rejected") == {"a.jpg", "e.json", "e.reason.txt"}
        assert s.reason("e").startswith("SRC-005")
        assert await s.here.messages() == []


@pytest.mark.parametrize("location", ["../secret.jpg", "link.jpg", "away/secret.jpg", "pipe.jpg"])
async def test_no_path_leads_out_of_the_spool(tmp_path: Path, location: str) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"private")
    async with scene(tmp_path) as s:
        (s.folder / "link.jpg").symlink_to(secret)
        (s.folder / "away").symlink_to(tmp_path)
        os.mkfifo(s.folder / "pipe.jpg")
        s.drop("e.json", event_json(media_files=[location]))
        await s.settle()
        assert s.reason("e").startswith("SRC-004")
        assert await s.here.messages() == []
        assert secret.read_bytes() == b"private"


async def test_links_that_pose_as_events_or_pictures_are_refused_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_bytes(event_json())
    async with scene(tmp_path) as s:
        (s.folder / "e.json").symlink_to(outside)
        (s.folder / "broken.jpg").symlink_to(tmp_path / "nowhere")
        await s.settle()
        assert s.names("rejected") == {"e.json", "e.reason.txt", "broken.jpg", "broken.reason.txt"}
        assert outside.exists()
        assert await s.here.messages() == []


async def test_hostile_names_do_no_harm(tmp_path: Path) -> None:
    names = [b"caf\xe9.jpg", b"new\nline.jpg", b"x" * 251 + b".jpg", b"~2.jpg", b"%s%n.jpg", b"-rf .jpg"]
    async with scene(tmp_path) as s:
        for name in names:
            (s.folder / os.fsdecode(name)).write_bytes(name)
        (s.folder / ("y" * 250 + ".json")).write_bytes(b"{half")
        await s.settle()
        shown = {event.metadata["file_name"] for event in await s.here.events()}
        assert shown == {
            "caf\ufffd.jpg",
            "new_line.jpg",
            "x" * 196 + ".jpg",
            "~2.jpg",
            "%s%n.jpg",
            "-rf .jpg",
        }
        assert s.names() == set()
        assert len(s.names("rejected")) == 2


async def test_a_bad_file_does_not_hold_up_the_good_ones(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.drop("1.json", b"{half", age=9)
        s.drop("2.json", event_json(media_files=["never.jpg"]), age=8)
        s.drop("3.json", event_json(confidence=9), age=7)
        s.drop("4.json", event_json(client_event_id="good"), age=6)
        await s.spool.tick()
        assert [event.client_event_id for event in await s.here.events()] == ["good"]


# --- crashes and overlaps -----------------------------------------------------------------------------------


class Killed(BaseException):
    """The power fails here."""


def killed(*_: object) -> None:
    raise Killed


@pytest.mark.parametrize("step", ["accept", "accept_alone", "_finish"])
async def test_a_crash_between_commit_and_move_does_not_double_the_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async with scene(tmp_path) as s:
        if step == "accept_alone":
            s.write("photo.jpg", b"JPEG", age=2)
            s.write("photo.jpg.done", b"")
        else:
            s.write("photo.jpg", b"JPEG", age=2)
            s.drop("photo.json", event_json(media_files=["photo.jpg"]))
        monkeypatch.setattr(Retirement, step, killed)
        with pytest.raises(Killed):
            await s.spool.tick()
        assert len(await s.here.events()) == 1
    monkeypatch.undo()
    async with scene(tmp_path) as s:
        await s.settle()
        [event] = await s.here.events()
        assert await s.here.bytes_of(event) == b"JPEG"
        assert s.names() == set()
        assert s.names("rejected") == set()


@pytest.mark.parametrize("moved", [[], ["a.jpg"], ["a.jpg", "b.jpg"]])
async def test_a_crash_in_the_middle_of_putting_away_is_finished_at_the_next_start(
    tmp_path: Path, moved: list[str]
) -> None:
    text = event_json(media_files=["a.jpg", "b.jpg"])
    async with scene(tmp_path) as s:
        s.write("a.jpg", b"A", age=2)
        s.write("b.jpg", b"B", age=2)
        s.write(".accepted/e.json", text)
        for name in moved:
            (s.folder / name).rename(s.folder / "accepted" / name)
    async with scene(tmp_path) as s:
        await s.settle()
        assert await s.here.events() == []
        assert s.names("accepted") == {"e.json", "a.jpg", "b.jpg"}
        assert s.names() == s.names(".accepted") == set()


async def test_a_crash_while_claiming_loses_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.write(".claimed/e.json", event_json())
    async with scene(tmp_path) as s:
        await s.spool.tick()
        assert len(await s.here.events()) == 1
        assert s.names("accepted") == {"e.json"}


async def test_a_new_event_under_the_name_of_one_that_is_being_taken_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path) as s:
        s.drop("event.json", event_json(client_event_id="first"))
        put = s.here.store.put

        async def put_and_meanwhile(draft: Draft) -> object:
            receipt = await put(draft)
            monkeypatch.undo()
            s.drop("event.json", event_json(client_event_id="second"))
            return receipt

        monkeypatch.setattr(s.here.store, "put", put_and_meanwhile)
        await s.spool.tick()
        await s.spool.tick()
        assert [event.client_event_id for event in await s.here.events()] == ["first", "second"]
        assert s.names() == set()


async def test_a_picture_that_changes_while_it_is_read_is_read_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path) as s:
        s.write("a.jpg", b"first", age=5)
        s.drop("e.json", event_json(media_files=["a.jpg"]))
        real = os.pread

        def grow(file: int, size: int, offset: int) -> bytes:
            data = real(file, size, offset)
            monkeypatch.undo()
            s.write("a.jpg", b"first and more", age=3)
            return data

        monkeypatch.setattr("appliance.sources.inside.os.pread", grow)
        await s.spool.tick()
        assert await s.here.events() == []
        assert media_files(tmp_path) == []
        await s.spool.tick()
        [event] = await s.here.events()
        assert await s.here.bytes_of(event) == b"first and more"


async def test_a_full_buffer_leaves_everything_in_place_until_there_is_room(tmp_path: Path) -> None:
    async with scene(tmp_path, Limits(max_count=100)) as s:
        with pytest.raises(BufferFull):
            for number in range(200):
                await s.here.store.put(Draft("x", b"{}", Priority.CRITICAL, idempotency_key=f"{number}"))
        s.write("a.jpg", b"JPEG", age=5)
        s.drop("e.json", event_json(media_files=["a.jpg"]))
        with pytest.raises(BufferFull):
            await s.spool.tick()
        assert s.names() == {"a.jpg", "e.json"}
        await s.here.store.ack([message.id for message in await s.here.store.lease(1000)])
        await s.spool.tick()
        assert len(await s.here.events()) == 1
        assert s.names() == set()


async def test_the_task_says_once_why_it_waits_and_goes_on_by_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with station(tmp_path) as here:
        folder = tmp_path / "spool"
        folder.write_text("a file where the folder should be")
        spool = Spool(folder, here.intake, poll_s=0.01, trouble_s=0.01)
        task = asyncio.create_task(spool.run())
        for _ in range(500):
            if spool.trouble is not None:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert caplog.text.count("the spool waits") == 1
        folder.unlink()
        for _ in range(500):
            if spool.trouble is None:
                break
            await asyncio.sleep(0.01)
        (folder / "e.json.tmp").write_bytes(event_json())
        (folder / "e.json.tmp").rename(folder / "e.json")
        for _ in range(500):
            if here.accepted:
                break
            await asyncio.sleep(0.01)
        task.cancel()
        assert len(here.accepted) == 1
        assert "goes on" in caplog.text


# --- what is kept -------------------------------------------------------------------------------------------


def test_what_was_put_away_is_bounded_in_size_and_age(tmp_path: Path) -> None:
    retirement = Retirement(tmp_path, keep_s=3600, keep_bytes=25)
    retirement.prepare()
    for number in range(4):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(b"x" * 10)
        retirement.accept_alone(path.name, identity(path.lstat()))
        time.sleep(0.02)  # the age of a file has the resolution of the kernel's tick
    assert retirement.prune(time.time()) == 2
    assert {path.name for path in (tmp_path / "accepted").iterdir()} == {"2.jpg", "3.jpg"}
    assert retirement.prune(time.time() + 3601) == 2
    assert list((tmp_path / "accepted").iterdir()) == []


def test_putting_away_skips_what_is_gone_and_never_overwrites(tmp_path: Path) -> None:
    retirement = Retirement(tmp_path, keep_s=3600, keep_bytes=1 << 20)
    retirement.prepare()
    for content in (b"1", b"2"):
        path = tmp_path / "e.json"
        path.write_bytes(event_json())
        (tmp_path / "a.jpg").write_bytes(content)
        gone = (PurePosixPath("gone.jpg"), (0, 0, 0))
        picture = (PurePosixPath("a.jpg"), identity((tmp_path / "a.jpg").lstat()))
        retirement.accept("e.json", identity(path.lstat()), [picture, gone])
    kept = {path.name: path.read_bytes() for path in (tmp_path / "accepted").iterdir()}
    assert (kept["a.jpg"], kept["a~2.jpg"]) == (b"1", b"2")
    assert decode(kept["e~2.json"]).event_type == "meteor"
