"""The record on disk: durable before anybody goes on, in order, and honest about damage."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.files import write_atomically
from appliance.journal import Journal
from statemachine.lifecycle import State, Transition, Trigger
from statemachine.record import Record, after, decode, encode


def on_disk(folder: Path) -> Record:
    return decode((folder / "record.json").read_bytes())


async def test_a_change_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path, lambda: 5.0)
    await journal.change(lambda record: replace(record, claim_id="clm"))
    assert on_disk(tmp_path) == journal.record
    assert on_disk(tmp_path).claim_id == "clm"


async def test_a_start_counts_and_keeps_everything_but_the_state(tmp_path: Path) -> None:
    journal = Journal(tmp_path, lambda: 5.0)
    step = Transition(State.UNINITIALIZED, Trigger.POWER_ON, State.INITIALIZING)
    await journal.change(lambda record: replace(after(record, step, 5.0), device_id="dev", claim_token="t"))
    again = Journal(tmp_path, lambda: 9.0).record
    assert (again.state, again.since, again.boot_counter) == (State.UNINITIALIZED, 9.0, 2)
    assert (again.device_id, again.claim_token) == ("dev", "t")


async def test_changes_follow_one_another_and_none_is_lost(tmp_path: Path) -> None:
    journal = Journal(tmp_path, lambda: 0.0)

    def more(record: Record) -> Record:
        return replace(record, error_retries=record.error_retries + 1)

    await asyncio.gather(*(journal.change(more) for _ in range(20)))
    assert on_disk(tmp_path).error_retries == 20


@pytest.mark.parametrize("damage", [b"", b"{}", b"\x00" * 300, b"half"])
async def test_a_damaged_record_is_set_aside_and_told(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "record.json").write_bytes(damage)
    journal = Journal(tmp_path, lambda: 3.0)
    assert journal.record.state is State.UNINITIALIZED
    assert (tmp_path / "record.damaged").read_bytes() == damage
    assert "record.damaged" in caplog.text


async def test_one_flipped_bit_is_damage(tmp_path: Path) -> None:
    journal = Journal(tmp_path, lambda: 3.0)
    await journal.change(lambda record: replace(record, device_id="dev_1"))
    data = bytearray((tmp_path / "record.json").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "record.json").write_bytes(data)
    assert Journal(tmp_path, lambda: 4.0).record.device_id is None


async def test_an_older_change_never_overtakes_a_newer_one_when_its_caller_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, lambda: 0.0)
    started, may_end = threading.Event(), threading.Event()

    def slow_first(path: Path, data: bytes) -> None:
        if not started.is_set():
            started.set()
            may_end.wait(10)
        write_atomically(path, data)

    monkeypatch.setattr("appliance.journal.write_atomically", slow_first)
    older = asyncio.create_task(journal.change(lambda record: replace(record, claim_id="older")))
    await asyncio.to_thread(started.wait, 10)
    older.cancel()
    newer = asyncio.create_task(
        journal.change(lambda record: replace(record, device_id=f"after {record.claim_id}", claim_id="newer"))
    )
    await asyncio.sleep(0)
    may_end.set()
    await newer
    with pytest.raises(asyncio.CancelledError):
        await older
    assert on_disk(tmp_path).claim_id == "newer"
    assert on_disk(tmp_path).device_id == "after older", "what was written is also what is in memory"


async def test_a_write_that_failed_changes_nothing_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, lambda: 0.0)
    await journal.change(lambda record: record)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("appliance.journal.write_atomically", fail)
    with pytest.raises(OSError, match="No space"):
        await journal.change(lambda record: replace(record, claim_id="lost"))
    assert journal.record.claim_id is None
    monkeypatch.undo()
    await journal.change(lambda record: replace(record, error_retries=1))
    assert on_disk(tmp_path).claim_id is None


async def test_an_error_is_kept_once_per_episode_because_cards_wear_out(tmp_path: Path) -> None:
    times = iter(range(100))
    journal = Journal(tmp_path, lambda: float(next(times)))
    await journal.fail("REG-005", "no answer")
    first = (tmp_path / "record.json").stat().st_mtime_ns, journal.record.last_error
    await journal.fail("REG-005", "no answer")
    assert ((tmp_path / "record.json").stat().st_mtime_ns, journal.record.last_error) == first
    await journal.recovered()
    assert on_disk(tmp_path).last_error is None
    await journal.fail("REG-005", "no answer")
    assert on_disk(tmp_path).last_error is not None


async def test_the_token_in_the_record_is_private_and_in_no_representation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    journal = Journal(tmp_path, lambda: 0.0)
    await journal.change(lambda record: replace(record, claim_token="mct_canary"))
    assert "mct_canary" not in repr(journal.record)
    assert "mct_canary" not in caplog.text
    assert (tmp_path / "record.json").stat().st_mode & 0o077 == 0
    assert encode(journal.record) == (tmp_path / "record.json").read_bytes()


async def test_the_log_hears_of_an_error_once_for_each_change_and_of_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "appliance.journal")
    journal = Journal(tmp_path, lambda: 0.0)
    for text in ("no name", "no name", "no answer", "no answer"):
        await journal.fail("REG-005", text)
    await journal.recovered("NET-")
    await journal.recovered("REG-005")
    await journal.recovered("REG-005")
    await journal.fail("NET-002", "NET-002: wrong password")
    assert [each.getMessage() for each in caplog.records] == [
        "REG-005: no name",
        "REG-005: no answer",
        "REG-005 is over",
        "NET-002: wrong password",
    ]


async def test_an_error_that_an_earlier_life_has_kept_is_told_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await Journal(tmp_path, lambda: 0.0).fail("REG-005", "no name")
    caplog.clear()
    await Journal(tmp_path, lambda: 0.0).fail("REG-005", "no name")
    assert [each.getMessage() for each in caplog.records] == ["REG-005: no name"]
