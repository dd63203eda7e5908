"""The one picture of the station, made from real parts in every condition that a person should see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from appliance.identity.credentials import from_claim
from appliance.station import Station
from appliance.status import REFRESH_S
from buffer.errors import BufferClosed, StorageFailed
from buffer.message import Draft, Priority
from portal.view import PHASES, TONES, Snapshot
from protocol.clock import from_unix
from statemachine.lifecycle import State, Transition, Trigger
from statemachine.record import CONNECTED, NetworkAttempt
from tests.appliance.fakes import FakeCloud
from tests.appliance.workshop import HOME, running, station, until

CARD_SECRETS = ("pin", "link_secret")


@pytest.fixture
async def made(tmp_path: Path, cloud: FakeCloud) -> AsyncIterator[Station]:
    async with station(tmp_path, cloud.url) as built:
        await built.device.network.start()
        yield built


def codes(made: Station) -> list[str]:
    return [notice.code for notice in made.board.snapshot().warnings]


async def test_a_picture_is_there_before_anything_was_gathered(made: Station) -> None:
    seen = made.board.snapshot()
    assert (seen.state, seen.phase, seen.tone) == ("uninitialized", "setup", "working")
    assert seen.card is None
    assert seen.backlog.count == 0


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("claimed", [False, True])
async def test_every_state_has_a_sentence_a_phase_and_a_tone(
    made: Station, cloud: FakeCloud, state: State, claimed: bool
) -> None:
    if claimed:
        made.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
    made.conductor._lifecycle._model.state = state.value
    seen = made.board.snapshot()
    assert str(seen.step)
    assert seen.phase in (*PHASES, "error", "halted")
    assert seen.tone in TONES
    assert seen.claimed is claimed


async def test_the_card_shows_what_the_station_told_the_cloud_and_goes_away_with_the_claim(
    made: Station, cloud: FakeCloud
) -> None:
    card = await asyncio.to_thread(made.device.card.current)
    shown = made.board.snapshot().card
    assert shown is not None
    assert (shown.short_id, shown.pin, shown.claim_url) == (card.short_id, card.pin, card.link(cloud.url))
    made.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
    seen = made.board.snapshot()
    assert seen.card is None
    assert seen.station_name == "North roof"


async def test_a_picture_never_shows_a_secret_in_its_representation(made: Station) -> None:
    card = await asyncio.to_thread(made.device.card.current)
    text = repr(made.board.snapshot())
    for name in CARD_SECRETS:
        assert getattr(card, name) not in text


async def test_the_backlog_is_told_by_priority(made: Station) -> None:
    for priority in (Priority.CRITICAL, Priority.LOW, Priority.LOW):
        await made.board._store.put(Draft("event", b"{}", priority))
    await made.board.gather()
    waiting = {row.priority: row.count for row in made.board.snapshot().backlog.waiting}
    assert (waiting["critical"], waiting["low"], waiting.get("high", 0)) == (1, 2, 0)


@pytest.mark.parametrize(
    ("result", "ok", "code"),
    [(CONNECTED, True, ""), ("NET-001", False, "NET-001"), ("NET-999", False, "NET-010")],
)
async def test_the_last_attempt_is_there_for_a_phone_that_comes_back(
    made: Station, result: str, ok: bool, code: str
) -> None:
    attempt = NetworkAttempt(b"Home".hex(), result, 1_800_000_000.0)
    await made.device.journal.change(lambda record: replace(record, network_attempt=attempt))
    shown = made.board.snapshot().attempt
    assert shown is not None
    assert (shown.ssid, shown.ok, shown.code) == (b"Home", ok, code)
    assert bool(str(shown.sentence)) is not ok


async def test_an_attempt_that_goes_on_has_no_verdict_yet(made: Station) -> None:
    attempt = NetworkAttempt(b"Home".hex(), None, 1.0)
    await made.device.journal.change(lambda record: replace(record, network_attempt=attempt))
    assert made.board.snapshot().attempt is None


async def test_the_network_is_told_as_it_is(made: Station) -> None:
    assert made.board.snapshot().network.online is False
    await made.device.network.join(HOME)
    network = made.board.snapshot().network
    assert (network.ssid_display, network.online, network.kind) == ("Home", True, "wifi")


# --- warnings -----------------------------------------------------------------------------------------------


async def test_the_last_error_is_shown_until_the_station_runs(made: Station) -> None:
    await made.device.journal.fail("REG-005", "The cloud cannot be reached.")
    assert codes(made) == ["REG-005"]
    made.conductor._lifecycle._model.state = State.OPERATIONAL.value
    assert codes(made) == []


async def test_a_reason_with_percent_signs_is_shown_as_it_is(made: Station) -> None:
    await made.device.journal.fail("REG-010", "100 % wrong: %(ssid)s %s")
    [notice] = made.board.snapshot().warnings
    assert str(notice.sentence) == "100 % wrong: %(ssid)s %s"


async def test_a_clock_that_is_wrong_is_told(made: Station) -> None:
    system = made.device.time.system
    made.device.time.teach(from_unix(system.wall() - 90), system.monotonic(), system.monotonic())
    [notice] = made.board.snapshot().warnings
    assert notice.code == "TIME-001"
    assert "+90" in str(notice.sentence)


async def test_a_clock_is_not_called_wrong_because_an_answer_was_slow(made: Station) -> None:
    system = made.device.time.system
    now = system.monotonic()
    made.device.time.teach(from_unix(system.wall() - 3), now - 6, now)
    assert codes(made) == []


async def test_a_refused_configuration_is_told(made: Station, cloud: FakeCloud) -> None:
    credentials = from_claim(cloud.complete(), cloud.url)
    made.device.configuration.apply(cloud.envelope(epoch=5), credentials)
    [notice] = made.board.snapshot().warnings
    assert notice.code == "REG-007"
    assert "wrong_epoch" in str(notice.sentence)


async def test_messages_that_were_set_aside_are_told(made: Station) -> None:
    await made.board._store.put(Draft("event", b"{}", Priority.LOW))
    [message] = await made.board._store.lease(1)
    await made.board._store.nack([message.id], reason="no", retry_in=None, permanent=True)
    await made.board.gather()
    assert codes(made) == ["BUF-020"]


async def test_refused_files_in_the_spool_are_told(made: Station) -> None:
    folder = made.board._spool.folder / "rejected"
    folder.mkdir(parents=True)
    (folder / "a.json.reason.txt").write_text("no")
    await made.board.gather()
    assert codes(made) == ["SRC-020"]


async def test_a_nearly_full_disk_is_told_and_shown_by_the_light(
    made: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.status.DISK_LOW", 2.0)
    await made.board.gather()
    assert codes(made) == ["BUF-003"]
    made.conductor._lifecycle._model.state = State.OPERATIONAL.value
    made.device.panel.follow(Transition(State.UPDATING, Trigger.UPDATE_APPLIED, State.OPERATIONAL))
    await made.board.gather()
    assert made.board.snapshot().led.pattern == "degraded"


# --- following ----------------------------------------------------------------------------------------------


async def test_a_buffer_that_cannot_be_read_for_a_while_is_told_and_ends_nothing(
    made: Station, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await made.board._store.put(Draft("event", b"{}", Priority.LOW))
    await made.board.gather()

    async def fail() -> None:
        raise StorageFailed("The disk has a bad day.")

    with monkeypatch.context() as patch:
        patch.setattr(made.board._store, "depth", fail)
        for _ in range(3):
            await made.board.gather()
        assert codes(made) == ["BUF-005"]
        assert made.board.snapshot().backlog.count == 1, "as far as was known before"
    await made.board.gather()
    assert codes(made) == []
    assert caplog.text.count("bad day") == 1


async def test_a_closed_buffer_is_the_end(made: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    await made.board.gather()

    async def closed() -> None:
        raise BufferClosed("It is closed.")

    monkeypatch.setattr(made.board._store, "depth", closed)
    with pytest.raises(BufferClosed):
        await made.board.gather()


async def test_whoever_listens_gets_each_new_picture_once(made: Station) -> None:
    seen: list[Snapshot] = []

    async def listen() -> None:
        async for picture in made.board.changes():
            seen.append(picture)

    async with running(listen):
        await until(lambda: len(seen) == 1)
        await made.device.journal.fail("REG-005", "no answer")
        made.board.follow(Transition(State.SETUP, Trigger.WAITING_FOR_USER, State.SETUP))
        await until(lambda: bool(seen[-1].warnings))
    assert all(one != other for one, other in pairwise(seen))


async def test_it_looks_again_by_itself(made: Station) -> None:
    async with running(made.board.run):
        await until(lambda: made.board.gathered is not None)
        first = made.board.gathered
        await until(lambda: made.board.gathered is not first, REFRESH_S + 10)
