"""Media files: in, out, once each, and never gone before their message."""

from __future__ import annotations

import hashlib
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from buffer.errors import MediaMissing, MediaTooLarge, StoreError
from buffer.media import MediaStore
from buffer.message import Draft, MediaRef, Priority
from buffer.store import Store

PICTURE = bytes(range(256)) * 4096
SHA = hashlib.sha256(PICTURE).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "media"


@pytest.fixture
def media(store: Store, root: Path) -> MediaStore:
    return MediaStore(root, store, max_bytes=2 * 1024 * 1024)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    spool = tmp_path / "spool"
    spool.mkdir()
    path = spool / "photo.jpg"
    path.write_bytes(PICTURE)
    return path


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def home(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


async def add(media: MediaStore, path: Path, *, move: bool = False) -> MediaRef:
    return await media.add_file(path, "image/jpeg", path.name, "frame", move=move)


async def store_message(store: Store, *refs: MediaRef) -> int:
    return (await store.put(Draft("event", b"{}", Priority.HIGH, media=refs))).id


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_file_is_kept_under_its_hash(media: MediaStore, root: Path, picture: Path) -> None:
    ref = await add(media, picture)
    assert ref == MediaRef(SHA, len(PICTURE), "image/jpeg", "photo.jpg", "frame")
    assert files(root) == [home(SHA)]
    assert (root / home(SHA)).read_bytes() == picture.read_bytes() == PICTURE


async def test_it_can_be_read_from_any_offset(media: MediaStore, picture: Path) -> None:
    await add(media, picture)
    assert await media.size(SHA) == len(PICTURE)
    assert await media.read(SHA, 1000, 500) == PICTURE[1000:1500]
    assert await media.read(SHA, len(PICTURE) - 3, 500) == PICTURE[-3:]
    assert await media.read(SHA, len(PICTURE), 500) == b""
    with await media.open(SHA) as file:
        assert file.read() == PICTURE


async def test_a_stream_gives_the_same_file(media: MediaStore, root: Path) -> None:
    parts = [PICTURE[:10], b"", PICTURE[10:700_000], PICTURE[700_000:]]
    ref = await media.add_stream(chunks(*parts), "image/jpeg", "photo.jpg", "frame")
    assert (ref.sha256, ref.size) == (SHA, len(PICTURE))
    assert files(root) == [home(SHA)]


async def test_an_empty_stream_is_an_empty_file(media: MediaStore) -> None:
    ref = await media.add_stream(chunks(), "text/plain", "empty.txt", "log")
    assert (ref.sha256, ref.size) == (hashlib.sha256(b"").hexdigest(), 0)
    assert await media.read(ref.sha256, 0, 10) == b""


async def test_the_same_bytes_are_kept_once_for_all_messages(
    media: MediaStore, store: Store, root: Path, picture: Path
) -> None:
    first = await store_message(store, await add(media, picture))
    second = await store_message(store, await add(media, picture))
    await media.release(SHA)
    await media.release(SHA)
    assert files(root) == [home(SHA)]
    await store.ack([first])
    assert await media.collect(store.take_freed_media()) == 0
    await store.ack([second])
    assert await media.collect(store.take_freed_media()) == 1
    assert files(root) == []


async def test_a_fresh_copy_replaces_a_damaged_one(media: MediaStore, root: Path, picture: Path) -> None:
    await add(media, picture)
    (root / home(SHA)).write_bytes(b"\x00" * len(PICTURE))
    assert await media.verify(SHA) is False
    await add(media, picture)
    assert await media.verify(SHA) is True


@pytest.mark.parametrize("damage", [b"", PICTURE[:-1], PICTURE[:-1] + b"!", PICTURE + b"!"])
async def test_damage_is_detected(media: MediaStore, root: Path, picture: Path, damage: bytes) -> None:
    await add(media, picture)
    assert await media.verify(SHA) is True
    (root / home(SHA)).write_bytes(damage)
    assert await media.verify(SHA) is False


async def test_a_file_is_not_collected_while_it_is_held(media: MediaStore, root: Path, picture: Path) -> None:
    await add(media, picture)
    assert await media.collect([SHA]) == 0
    assert files(root) == [home(SHA)]
    await media.release(SHA, stored=False)
    assert files(root) == []


@pytest.mark.parametrize("ending", ["ack", "dead and trimmed", "expire", "evict"])
async def test_the_file_goes_after_its_message_however_that_ends(
    tmp_path: Path, root: Path, picture: Path, ending: str
) -> None:
    from buffer.capacity import Limits
    from tests.buffer.world import ManualClock

    clock = ManualClock()
    limits = Limits(max_count=1, reserves=(0, 0, 0, 0), eviction_batch=1, dead_count=0)
    async with await Store.open(tmp_path / "b.db", clock=clock, limits=limits) as store:
        media = MediaStore(root, store)
        ref = await add(media, picture)
        expires_in = 10 if ending == "expire" else None
        draft = Draft("event", b"{}", Priority.LOW, expires_in=expires_in, media=(ref,))
        receipt = await store.put(draft)
        await media.release(SHA)
        assert files(root) == [home(SHA)]
        if ending == "ack":
            await store.ack([receipt.id])
        elif ending == "expire":
            clock.pass_time(10)
            await store.expire()
        elif ending == "evict":
            await store.put(Draft("event", b"{}", Priority.HIGH))
        else:
            await store.nack([receipt.id], reason="no", retry_in=None, permanent=True)
        assert await media.collect(store.take_freed_media()) == 1
        assert files(root) == []


async def test_a_dead_message_keeps_its_media(media: MediaStore, store: Store, picture: Path) -> None:
    message_id = await store_message(store, await add(media, picture))
    await media.release(SHA)
    await store.nack([message_id], reason="no", retry_in=None, permanent=True)
    assert await media.collect([SHA]) == 0
    assert await media.verify(SHA) is True


async def test_the_original_of_a_moved_file_goes_only_after_its_message_is_stored(
    media: MediaStore, store: Store, root: Path, picture: Path
) -> None:
    ref = await add(media, picture, move=True)
    assert picture.exists()
    assert picture.stat().st_ino == (root / home(SHA)).stat().st_ino  # linked, not copied
    await store_message(store, ref)
    await media.release(SHA)
    assert not picture.exists()
    assert await media.verify(SHA) is True


async def test_the_original_stays_when_its_message_was_refused(
    media: MediaStore, root: Path, picture: Path
) -> None:
    await add(media, picture, move=True)
    await media.release(SHA, stored=False)
    assert picture.read_bytes() == PICTURE
    assert files(root) == []


async def test_moving_a_file_that_is_here_already_leaves_one(
    media: MediaStore, store: Store, root: Path, picture: Path
) -> None:
    await store_message(store, await add(media, picture, move=True))
    await store_message(store, await add(media, picture, move=True))
    assert files(root) == [home(SHA)]
    await media.release(SHA)
    await media.release(SHA)
    assert files(root) == [home(SHA)]
    assert not picture.exists()


async def test_a_move_across_file_systems_copies(
    media: MediaStore, store: Store, root: Path, monkeypatch: pytest.MonkeyPatch, picture: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    await store_message(store, await add(media, picture, move=True))
    await media.release(SHA)
    assert not picture.exists()
    assert await media.verify(SHA) is True


async def test_what_is_too_large_is_refused_with_the_limit_and_leaves_nothing(
    media: MediaStore, root: Path, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * (2 * 1024 * 1024 + 1))
    with pytest.raises(MediaTooLarge, match=r"BUF-008.*2097153.*2097152"):
        await add(media, large)
    with pytest.raises(MediaTooLarge, match="above the limit of 1000"):
        await media.add_stream(chunks(b"x" * 999, b"xx"), "a/b", "name", "frame", limit=1000)
    assert not root.exists() or files(root) == []


async def test_a_stream_that_breaks_off_leaves_nothing(media: MediaStore, root: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield PICTURE
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await media.add_stream(broken(), "a/b", "name", "frame")
    assert files(root) == []


async def test_a_full_disk_is_an_error_with_a_code_and_leaves_nothing(media: MediaStore, root: Path) -> None:
    """The kernel refuses to let any file grow (RLIMIT_FSIZE), so the write really fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StoreError, match=r"[Tt]he media file"):
            await media.add_stream(chunks(PICTURE), "a/b", "name", "frame")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(root) == []


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "AB" * 32, "ab" * 31, SHA + "/x"])
async def test_a_name_that_is_no_hash_leads_nowhere(media: MediaStore, name: str) -> None:
    with pytest.raises(MediaMissing, match="BUF-009"):
        await media.read(name, 0, 1)


async def test_a_missing_file_is_told_by_name(media: MediaStore, tmp_path: Path) -> None:
    with pytest.raises(MediaMissing, match=SHA):
        await media.size(SHA)
    with pytest.raises(MediaMissing, match=r"nothing\.jpg"):
        await add(media, tmp_path / "nothing.jpg")


async def test_the_sweep_at_start_removes_orphans_and_tells_what_is_missing(
    media: MediaStore, store: Store, root: Path, picture: Path
) -> None:
    kept = await add(media, picture)
    lost = await media.add_stream(chunks(b"lost"), "a/b", "name", "frame")
    await media.add_stream(chunks(b"orphan"), "a/b", "name", "frame")
    await store_message(store, kept, lost)
    (root / home(lost.sha256)).unlink()
    (root / "incoming" / "half").write_bytes(b"half a file")
    after_restart = MediaStore(root, store)
    swept = await after_restart.sweep()
    assert (swept.removed, swept.missing) == (1, frozenset([lost.sha256]))
    assert files(root) == [home(SHA)]


async def test_a_sweep_of_nothing_is_fine(media: MediaStore) -> None:
    swept = await media.sweep()
    assert (swept.removed, swept.missing) == (0, frozenset())
