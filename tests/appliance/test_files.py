"""Small files: whole or not at all, private, and never overtaken by an older write."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from pathlib import Path

import pytest

from appliance.files import private_folder, remove_durably, to_the_end, write_atomically


def test_a_write_replaces_the_whole_content_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a longer content of before")
    path.chmod(0o644)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_atomically(tmp_path / "file", b"x", mode=0o644)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_failure_before_the_end_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if broken == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_content_and_name_are_both_synced_and_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "file", []

    def note(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        seen.append((kind, path.exists()))

    monkeypatch.setattr(os, "fsync", note)
    write_atomically(path, b"x")
    assert seen == [("file", False), ("folder", True)]


def test_what_a_killed_write_left_behind_does_not_disturb_the_next(tmp_path: Path) -> None:
    (tmp_path / ".file.tmp").write_bytes(b"half of a much longer content")
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_removing_what_is_not_there_is_success(tmp_path: Path) -> None:
    remove_durably(tmp_path / "file")
    remove_durably(tmp_path / "no such folder" / "file")
    (tmp_path / "file").write_bytes(b"x")
    remove_durably(tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_a_private_folder_is_closed_to_others_even_if_it_was_open(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True, mode=0o755)
    assert private_folder(folder) == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_cancelled_write_ends_before_its_caller_goes_on() -> None:
    started, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def write() -> None:
        started.set()
        may_end.wait(10)
        ended.set()

    task = asyncio.create_task(to_the_end(write))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_write_in_a_thread_hands_on_its_result_and_its_error(tmp_path: Path) -> None:
    assert await to_the_end(private_folder, tmp_path / "x") == tmp_path / "x"
    with pytest.raises(FileNotFoundError):
        await to_the_end(write_atomically, tmp_path / "none" / "file", b"x")
