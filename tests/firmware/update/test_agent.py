"""What the agent does with releases of every kind, and what a person sees of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from firmware.update.agent import MOST_FAILURES
from firmware.update.backends.fake import FakeBackend
from firmware.update.backends.folders import Folders
from firmware.update.book import State
from firmware.update.jobs import read_job
from firmware.update.port import FolderSource, InstallFailed
from firmware.update.reasons import CAUSES, Reason, Refused, because
from firmware.update.sight import Sight
from tests.firmware.update.maker import ISSUED, Maker, archive, keys
from tests.firmware.update.world import NEW, OLD, WELL, World, files_of


@pytest.fixture
def made(tmp_path: Path) -> World:
    return World(tmp_path)


def code(reason: Reason | None) -> str:
    return reason.code if reason else ""


def change(made: World, **facts: Any) -> None:
    """What is seen of the new version differs from what was seen before."""
    made.sees = lambda running: msgspec.structs.replace(WELL, **facts) if running == NEW else WELL


# --- releases -----------------------------------------------------------------------------------------------


def test_a_job_tells_step_percent_and_sentence_to_whoever_asks(made: World) -> None:
    made.publish(notes={"en": "Better nights."})
    seen: list[tuple[str, int, str]] = []

    def watch(seconds: float) -> None:
        job = read_job(made.shelf.folder)
        assert job is not None
        seen.append((job.state.value, job.percent, job.sentence))
        made.time.now += seconds

    made.time.pause = watch  # type: ignore[method-assign]
    made.live()
    percents = [percent for _, percent, _ in seen]
    assert percents == sorted(percents)
    assert {state for state, _, _ in seen} == {"probing", "probation"}
    job = read_job(made.shelf.folder)
    assert job is not None
    assert (job.version, job.former, job.percent, job.result) == (NEW, OLD, 100, "installed")
    assert (job.sentence, job.notes) == ("The update was installed.", {"en": "Better nights."})


@pytest.mark.parametrize("spoiled", ["byte", "short", "long", "gone"])
def test_a_file_that_is_not_the_signed_one_is_never_unpacked(made: World, spoiled: str) -> None:
    made.publish()
    path = made.source / f"runtime-{NEW}.tar"
    data = path.read_bytes()
    path.write_bytes(
        {"byte": data[:-1] + b"x", "short": data[:-1], "long": data + b"x", "gone": b""}[spoiled]
    )
    if spoiled == "gone":
        path.unlink()
    made.live()
    reason = "UPD-014" if spoiled in ("byte", "long") else "UPD-001"
    assert made.results == [(NEW, "given_up", reason)]
    assert made.backend.installed() == {OLD}
    assert made.shelf.memory().failed == {}, "the version itself is not to blame"


def test_a_download_goes_on_where_it_broke_off(made: World) -> None:
    made.publish()
    offsets: list[int] = []

    class Breaks(FolderSource):
        def stream(self, name: str, offset: int) -> Iterator[bytes]:
            offsets.append(offset)
            whole = b"".join(super().stream(name, offset))
            yield whole[:4000]
            if len(whole) > 4000:
                raise Refused(because("UPD-001"))

    agent = made.agent()
    agent._sources = lambda _origin: Breaks(made.source)
    assert agent.check(asked=True) is None
    agent.run()
    assert made.results == [(NEW, "installed", "")]
    assert offsets == [0, 4000, 8000]


def test_a_source_that_never_answers_is_given_up_and_later_tried_again(made: World) -> None:
    made.publish()
    agent = made.agent()
    agent.check(asked=True)
    hidden = made.source.rename(made.folder / "away")
    agent.run()
    assert made.results == [(NEW, "given_up", "UPD-001")]
    assert made.time.now > 60 * (MOST_FAILURES - 1)
    hidden.rename(made.source)
    made.live()
    assert made.results[-1] == (NEW, "installed", "")


def test_without_room_nothing_is_fetched_and_it_goes_on_when_there_is(made: World) -> None:
    made.publish()
    free = [1000]
    made.backend.free = lambda: free[0]  # type: ignore[method-assign]
    assert code(made.live()) == "UPD-013"
    job = read_job(made.shelf.folder)
    assert job is not None
    assert code(job.reason) == "UPD-013"
    free[0] = 1 << 30
    made.live()
    assert made.results == [(NEW, "installed", "")]


def test_a_file_that_changes_after_it_was_hashed_is_fetched_again(made: World) -> None:
    made.publish()
    agent = made.agent()
    agent.check(asked=True)
    while agent.book.state is not State.VERIFIED:
        agent.step()
    (made.shelf.staging / f"runtime-{NEW}.tar").write_bytes(b"swapped")
    agent.run()
    assert made.results == [(NEW, "installed", "")]
    assert made.is_whole(NEW)


def test_a_usb_folder_takes_the_same_way_and_the_same_verification(made: World) -> None:
    stick = made.folder / "stick"
    made.maker.release(stick, NEW, files_of(NEW))
    agent = made.agent()
    assert agent.check(str(stick), asked=True) is None
    agent.run()
    assert made.results == [(NEW, "installed", "")]
    Maker().release(stick, "1.2.0", files_of("1.2.0"))
    assert code(made.agent().check(str(stick), asked=True)) == "UPD-002"


def test_an_older_manifest_is_not_taken_after_a_newer_one_was_seen(made: World) -> None:
    made.publish()
    old = shutil.copytree(made.source, made.folder / "old")
    made.publish("1.2.0", rollout={"paused": True})
    assert code(made.live()) == "UPD-010"
    agent = made.agent()
    assert code(agent.check(str(old), asked=True)) == "UPD-005"


def test_after_a_higher_epoch_no_older_release_comes_back(made: World) -> None:
    made.publish(epoch=2)
    made.live()
    made.publish("1.2.0", epoch=1)
    assert code(made.live()) == "UPD-005"
    assert made.backend.running() == NEW


def test_new_keys_are_learned_on_the_way_and_the_old_ones_are_worth_nothing(made: World) -> None:
    later = Maker(roots=made.maker.roots, releases=keys("fresh"), serial=3)
    made.source.mkdir()
    (made.source / "2.root.json").write_bytes(later.root(2))
    made.publish()
    assert code(made.live()) == "UPD-002"
    later.release(made.source, NEW, files_of(NEW))
    made.live()
    assert made.results == [(NEW, "installed", "")]
    assert made.shelf.root() == (made.source / "2.root.json").read_bytes()


@pytest.mark.parametrize("days", [400, 3653])
@pytest.mark.parametrize("trusted", [True, False])
def test_a_manifest_that_ended_is_refused_where_the_time_is_trusted(
    made: World, days: int, trusted: bool
) -> None:
    made.publish()
    made.time.wall_at = (ISSUED + timedelta(days=days)).timestamp()
    made.time.trusted = trusted
    assert code(made.live()) == ("UPD-004" if trusted else "")


def test_a_release_that_was_paused_after_it_was_found_is_not_installed(made: World) -> None:
    made.publish(rollout={"percentage": 0})
    agent = made.agent()
    assert agent.check() is None
    assert code(agent.run()) == "UPD-011"
    made.publish(rollout={"paused": True})
    agent = made.agent()
    agent.recover()
    assert agent.check() is None
    assert code(agent.run()) == "UPD-010"
    assert made.backend.installed() == {OLD}


@pytest.mark.parametrize("name", ["../out", "/out", "lib/../../out"])
def test_an_archive_never_writes_outside_of_its_folder(made: World, name: str) -> None:
    path = archive(made.folder / "evil.tar", {"run": b"", name: b"x"})
    with pytest.raises(InstallFailed, match="leads out"):
        made.backend.install(NEW, [path], "seal")
    assert made.backend.installed() == {OLD}
    assert not list(made.folder.rglob("out"))


def test_what_is_no_archive_is_told_and_the_version_not_tried_again(made: World) -> None:
    made.publish()
    made.backend.install = lambda *_: (_ for _ in ()).throw(InstallFailed("no archive"))  # type: ignore[method-assign]
    made.live()
    assert made.results == [(NEW, "given_up", "UPD-016")]
    assert code(made.live()) == "UPD-009"


# --- trial --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"alive": False}, "UPD-017"),
        ({"ticks": 7}, "UPD-018"),
        ({"buffer": False}, "UPD-019"),
        ({"migrated": False}, "UPD-020"),
        ({"control": False}, "UPD-021"),
        ({"portal": False}, "UPD-022"),
        ({"network": False, "cloud": False}, "UPD-023"),
        ({"cloud": False}, "UPD-024"),
        ({"free": 1000}, "UPD-025"),
        ({"clock": False}, "UPD-026"),
    ],
)
def test_what_worked_before_and_does_not_any_more_takes_the_update_back(
    made: World, facts: dict[str, Any], expected: str
) -> None:
    made.publish()
    change(made, **facts)
    made.live()
    assert made.results == [(NEW, "taken_back", expected)]
    assert made.backend.running() == made.backend.pointed() == OLD
    assert made.backend.installed() == {OLD}
    job = read_job(made.shelf.folder)
    assert job is not None
    assert job.reason is not None
    assert str(job.reason) == CAUSES[expected].text


def test_a_station_that_was_ill_in_every_way_can_be_repaired(made: World) -> None:
    made.publish()
    made.sees = lambda _running: Sight(alive=True)
    made.live()
    assert made.results == [(NEW, "installed", "")]


def test_what_recovers_within_its_patience_is_kept(made: World) -> None:
    made.publish()
    began = made.time.now
    made.sees = lambda running: msgspec.structs.replace(
        WELL, network=running == OLD or made.time.now - began > 600
    )
    made.live()
    assert made.results == [(NEW, "installed", "")]
    assert made.time.now - began > 600 + 900, "only healthy time counts"


def test_a_version_that_is_well_and_ill_by_turns_is_taken_back(made: World) -> None:
    made.publish()
    made.sees = lambda running: msgspec.structs.replace(
        WELL, portal=running == OLD or made.time.now % 150 >= 140
    )
    made.live()
    assert made.results == [(NEW, "taken_back", "UPD-022")]


def test_a_program_that_crashes_again_and_again_is_taken_back_however_well_it_looks(made: World) -> None:
    made.publish()
    turns = iter(range(10_000))
    made.sees = lambda running: msgspec.structs.replace(WELL, ticks=next(turns) % 20 if running == NEW else 1)
    made.live()
    assert made.results == [(NEW, "taken_back", "UPD-017")]


def test_failures_that_take_turns_end_the_patience_as_well(made: World) -> None:
    """Dead at one look, silent at the next: a service manager that starts it anew and anew."""
    made.publish()
    looks = iter(range(10_000))

    def look(running: str | None) -> Sight:
        if running == OLD:
            return WELL
        return Sight(alive=next(looks) % 2 == 0, free=1 << 30)

    made.sees = look
    began = made.time.now
    made.live()
    assert made.results == [(NEW, "taken_back", "UPD-017")]
    assert made.time.now - began < 3600


def test_an_update_that_waits_for_weeks_is_not_taken_for_a_loop(made: World) -> None:
    made.publish(rollout={"percentage": 0})
    for _ in range(100):
        agent = made.agent()
        agent.recover()
        assert agent.check() is None
        assert code(agent.run()) == "UPD-011"
    made.publish()
    made.live()
    assert made.results == [(NEW, "installed", "")]


def test_a_disk_that_stays_full_gives_the_update_up_and_does_not_blame_the_version(made: World) -> None:
    made.publish()
    agent = made.agent()
    agent.check(asked=True)
    agent.step()
    made.backend.free = lambda: 0  # type: ignore[method-assign]
    while not made.results:
        agent = made.agent()
        agent.recover()
        agent.run()
    assert made.results == [(NEW, "given_up", "UPD-027")]
    del made.backend.free
    made.live()
    assert made.results[-1] == (NEW, "installed", "")


def test_a_version_that_does_not_come_up_is_taken_back(made: World) -> None:
    made.publish()
    made.backend.broken.add(NEW)
    made.live()
    assert made.results == [(NEW, "taken_back", "UPD-017")]
    assert made.backend.running() == OLD


def test_a_failed_version_waits_for_a_manifest_that_says_try_again(made: World) -> None:
    made.publish()
    made.backend.broken.add(NEW)
    made.live()
    assert code(made.live()) == "UPD-009"
    made.publish()
    assert code(made.live()) == "UPD-009", "a newer manifest alone is not enough"
    made.backend.broken.clear()
    made.publish(retry=1)
    made.live()
    assert made.results[-1] == (NEW, "installed", "")


def test_who_puts_the_pointer_back_by_hand_is_believed(made: World) -> None:
    made.publish()

    def meddle(seconds: float) -> None:
        made.time.now += seconds
        if made.backend.pointed() == NEW:
            made.backend.switch(OLD)

    made.time.pause = meddle  # type: ignore[method-assign]
    made.live()
    assert made.results == [(NEW, "taken_back", "UPD-028")]
    assert made.backend.running() == OLD


# --- a person goes back -------------------------------------------------------------------------------------


def test_a_person_goes_back_once_and_forward_with_a_newer_version(made: World) -> None:
    assert code(made.agent().roll_back()) == "UPD-030"
    made.publish()
    made.live()
    agent = made.agent()
    assert agent.roll_back() is None
    agent.run()
    assert made.backend.running() == OLD
    assert made.results[-1] == (NEW, "taken_back", "UPD-029")
    assert code(made.live()) == "UPD-009"
    assert code(made.agent().roll_back()) == "UPD-030"
    made.publish("1.2.0")
    made.live()
    assert made.results[-1] == ("1.2.0", "installed", "")


def test_a_person_may_go_back_during_the_trial(made: World) -> None:
    made.publish()
    agent = made.agent()
    agent.check(asked=True)
    while agent.book.state is not State.PROBATION:
        made.time.now += agent.step() or 0.0  # type: ignore[operator]
    assert agent.roll_back() is None
    agent.run()
    assert made.results == [(NEW, "taken_back", "UPD-029")]


def test_the_fake_keeps_to_the_rules_of_the_folders(made: World) -> None:
    for backend in (made.backend, FakeBackend(OLD)):
        with pytest.raises(FileNotFoundError):
            backend.switch(NEW)
        files = [archive(made.folder / "a.tar", files_of(NEW))]
        backend.install(NEW, files, "seal")
        backend.install(NEW, files, "seal")
        assert backend.installed() == {OLD, NEW}
        backend.switch(NEW)
        assert (backend.running(), backend.pointed()) == (OLD, NEW)
        for used in (OLD, NEW):
            with pytest.raises(OSError, match="in use"):
                backend.remove(used)
        backend.restart()
        backend.remove(OLD)
        assert (backend.running(), backend.installed()) == (NEW, frozenset({NEW}))


def test_every_reason_has_a_sentence_and_the_folders_know_no_half_version(made: World) -> None:
    assert all(cause.text for cause in CAUSES.values())
    (made.backend.current.parent / ".2.0.0.new").mkdir()
    assert made.backend.installed() == {OLD}
    assert isinstance(made.backend, Folders)
