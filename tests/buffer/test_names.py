"""Files that are deleted or exchanged under the running program: nothing it said yes to is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from buffer import handle
from buffer.message import Priority
from buffer.store import Store
from tests.buffer.world import draft


def the_database(path: Path) -> None:
    path.unlink()


def the_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def both(path: Path) -> None:
    the_database(path)
    the_log(path)


def everything(path: Path) -> None:
    for file in path.parent.glob("buffer.db*"):
        if not file.name.endswith(".lock"):
            file.unlink()


async def payloads(store: Store) -> list[bytes]:
    return sorted(message.payload for message in await store.lease(100))


@pytest.mark.parametrize("delete", [the_database, the_log, both, everything], ids=lambda each: each.__name__)
async def test_what_was_stored_before_and_after_a_deletion_is_there_after_a_crash(
    path: Path, monkeypatch: pytest.MonkeyPatch, delete: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(handle, "_LOOK_SECONDS", 0.0)
    store = await Store.open(path)
    await store.put(draft(Priority.HIGH, b"before", key="before"))
    await store.depth()
    delete(path)
    await store.put(draft(Priority.HIGH, b"blind", key="blind"))
    await store.depth()
    await store.put(draft(Priority.HIGH, b"after", key="after"))
    assert (await store.put(draft(Priority.HIGH, b"before", key="before"))).duplicate
    copy = path.parent.parent / "as a crash leaves it"
    shutil.copytree(path.parent, copy)
    await store.close()
    async with await Store.open(copy / path.name) as again:
        assert await payloads(again) == [b"after", b"before", b"blind"]
    async with await Store.open(path) as again:
        assert await payloads(again) == [b"after", b"before", b"blind"]


async def test_a_strange_file_in_our_place_is_moved_aside_and_kept(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handle, "_LOOK_SECONDS", 0.0)
    strange = tmp_path / "photo"
    strange.write_bytes(b"not a database at all")
    async with await Store.open(path) as store:
        await store.put(draft(Priority.HIGH, b"ours", key="ours"))
        await store.depth()
        strange.replace(path)
        await store.depth()
        await store.put(draft(Priority.HIGH, b"later", key="later"))
    async with await Store.open(path) as store:
        assert await payloads(store) == [b"later", b"ours"]
    [kept] = (path.parent / "quarantine").glob("*/buffer.db")
    assert kept.read_bytes() == b"not a database at all"
