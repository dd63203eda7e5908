"""The agent is killed at every change of the disk: afterwards a whole version runs, and the update ends."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.update import agent as agents
from firmware.update.agent import MOST_STORES
from firmware.update.book import Book, State
from firmware.update.sight import Sight
from tests.firmware.update.tripwire import Killed, Tripwire
from tests.firmware.update.world import NEW, OLD, WELL, World

HOW = ("before", "after", "torn", "power before", "power after", "full")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter watch: each minute of it is the same as the one before."""
    monkeypatch.setattr(agents, "PROBATION_S", 60.0)


def ill(running: str | None) -> Sight:
    """The new version's buffer takes nothing."""
    return msgspec.structs.replace(WELL, buffer=running != NEW)


@contextmanager
def world(*, good: bool = True) -> Iterator[World]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        made = World(Path(folder), sees=(lambda _running: WELL) if good else ill)
        made.publish()
        yield made


def life(made: World, at: int | None, how: str) -> Tripwire:
    """One life that may be cut."""
    kind, power = how.removeprefix("power "), how.startswith("power")
    wire = Tripwire(at, kind, power=power)
    try:
        with wire.laid():
            made.live()
    except Killed:
        if power:
            made.power_cut()
    except OSError:
        assert how == "full"
    return wire


def check(made: World, hint: str) -> None:
    """What must hold at every moment."""
    pointed = made.backend.pointed()
    assert made.is_whole(pointed), f"{hint}: the pointer is at {pointed}"
    assert made.backend.process is None or made.is_whole(made.backend.process), hint


def steps(*, good: bool) -> int:
    with world(good=good) as made:
        return life(made, None, "before").count


def test_an_update_that_nobody_disturbs_is_kept_and_leaves_nothing_behind() -> None:
    with world() as made:
        assert life(made, None, "before").count > 100
        assert (made.backend.running(), made.backend.pointed()) == (NEW, NEW)
        assert made.results == [(NEW, "installed", "")]
        assert made.backend.installed() == {OLD, NEW}
        assert list(made.leftovers()) == []
        assert made.shelf.book() == Book()


@pytest.mark.parametrize("good", [True, False], ids=["good release", "bad release"])
@pytest.mark.parametrize("how", HOW)
def test_a_kill_at_every_change_of_the_disk_ends_in_a_working_version(good: bool, how: str) -> None:
    expected = [(NEW, "installed", "")] if good else [(NEW, "taken_back", "UPD-019")]
    for at in range(1, steps(good=good) + 1):
        with world(good=good) as made:
            wire = life(made, at, how)
            hint = f"{how} change {at}: {wire.hit}"
            assert wire.hit, hint
            check(made, hint)
            life(made, None, "before")
            check(made, hint)
            assert made.results == expected, hint
            assert made.backend.process == made.backend.pointed() == (NEW if good else OLD), hint
            assert made.shelf.book().state is State.IDLE, hint
            assert list(made.leftovers()) == [], hint


def test_every_state_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    for good in (True, False):
        for at in range(1, steps(good=good) + 1):
            with world(good=good) as made:
                life(made, at, "after")
                seen.add(made.shelf.book().state)
    assert seen == set(State)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    good=st.booleans(),
    cuts=st.lists(st.tuples(st.integers(1, 140), st.sampled_from(HOW)), max_size=12),
)
def test_whatever_the_faults_in_whatever_order_a_whole_version_runs_in_the_end(
    good: bool, cuts: list[tuple[int, str]]
) -> None:
    with world(good=good) as made:
        for at, how in cuts:
            life(made, at, how)
            check(made, f"{how} {at}")
        life(made, None, "before")
        made.power_cut()
        check(made, "the end")
        assert made.backend.process == made.backend.pointed()
        assert made.shelf.book().state is State.IDLE
        result = made.results[-1]
        assert result in {
            (NEW, "installed", ""),
            (NEW, "taken_back", "UPD-019"),
            (NEW, "taken_back", "UPD-027"),
            (NEW, "given_up", "UPD-027"),
        }
        assert (result[1] == "installed") == (made.backend.process == NEW)


def test_an_update_that_is_killed_again_and_again_is_taken_back() -> None:
    """Each life reaches the trial and dies there."""
    with world() as made:
        for number in range(MOST_STORES + 5):
            made.sees = _dies_at_the_second_look()
            try:
                made.live()
            except Killed:
                made.power_cut()
            if made.results:
                break
            check(made, f"life {number}")
        assert made.results[-1] == (NEW, "taken_back", "UPD-027")
        assert made.backend.process == OLD
        assert made.live() is not None
        assert len(made.results) == 1, "it is not tried again"


def _dies_at_the_second_look() -> Callable[[str | None], Sight]:
    looks = iter(range(100))

    def look(running: str | None) -> Sight:
        if running == NEW and next(looks) > 0:
            raise Killed
        return WELL

    return look


def test_an_unreadable_book_leaves_what_runs_running() -> None:
    with world() as made:
        made.live()
        (made.shelf.folder / "book.json").write_bytes(b"half")
        made.live()
        assert made.backend.process == NEW
        assert made.results == [(NEW, "installed", "")]


def test_time_that_jumps_changes_nothing() -> None:
    for wall in (0.0, 4e9):
        with world() as made:
            made.time = replace(made.time, wall_at=wall, trusted=False)
            made.live()
            assert made.results == [(NEW, "installed", "")]
