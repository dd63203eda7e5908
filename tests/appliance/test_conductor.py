"""The conductor's invariants, with stages that a test holds in its hand and the real record on disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from appliance.conductor import Conductor, Stage
from appliance.files import write_atomically
from appliance.journal import Journal
from statemachine.lifecycle import Lifecycle, Refused, State, Transition, Trigger
from statemachine.record import decode
from tests.appliance.workshop import until


class Stages:
    """One scripted stage for every state; `entered` is the order in which they began."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entered: list[State] = []
        self.on_disk: list[State] = []
        self.cancelled: list[State] = []
        self.outcomes: asyncio.Queue[Trigger | Exception] = asyncio.Queue()
        self.closing: Callable[[], None] = lambda: None

    def table(self) -> dict[State, Stage]:
        return {state: partial(self._run, state) for state in State}

    async def _run(self, state: State) -> Trigger:
        self.entered.append(state)
        record = self.folder / "record.json"
        if record.exists():
            self.on_disk.append(decode(record.read_bytes()).state)
        try:
            outcome = await self.outcomes.get()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # a stage may need a moment to put its things away
            self.closing()
            self.cancelled.append(state)
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class World:
    """A conductor with its stages, its record and what observers saw."""

    def __init__(self, folder: Path, start: State = State.UNINITIALIZED, *, claimed: bool = False) -> None:
        self.stages = Stages(folder)
        self.journal = Journal(folder, lambda: 7.0)
        lifecycle = Lifecycle(start, is_claimed=lambda: claimed)
        self.conductor = Conductor(lifecycle, self.stages.table(), self.journal, lambda: 7.0)
        self.steps: list[Transition] = []
        self.conductor.observe(self.steps.append)

    async def reach(self, state: State) -> None:
        await until(lambda: self.stages.entered[-1:] == [state])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.conductor.run())
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_the_record_with_the_new_state_is_durable_before_its_stage_begins(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.running():
        for trigger in (Trigger.POWER_ON, Trigger.FINGERPRINT_READY, Trigger.CLIENT_JOINED):
            world.stages.outcomes.put_nowait(trigger)
        await world.reach(State.CONFIGURING)
    entered = [State.UNINITIALIZED, State.INITIALIZING, State.SETUP, State.CONFIGURING]
    assert world.stages.entered == entered
    assert world.stages.on_disk == entered[1:]


async def test_observers_hear_of_a_step_after_it_is_durable(tmp_path: Path) -> None:
    world = World(tmp_path)
    seen: list[State] = []
    path = tmp_path / "record.json"
    world.conductor.observe(lambda _step: seen.append(decode(path.read_bytes()).state))
    async with world.running():
        world.stages.outcomes.put_nowait(Trigger.POWER_ON)
        await world.reach(State.INITIALIZING)
    assert seen == [State.INITIALIZING]
    assert world.steps == [Transition(State.UNINITIALIZED, Trigger.POWER_ON, State.INITIALIZING)]


async def test_an_outside_trigger_ends_the_stage_before_the_step_is_taken(tmp_path: Path) -> None:
    world = World(tmp_path, State.OPERATIONAL, claimed=True)
    state_at_the_end: list[State] = []
    world.stages.closing = lambda: state_at_the_end.append(world.conductor.state)
    async with world.running():
        await world.reach(State.OPERATIONAL)
        world.conductor.request(Trigger.NETWORK_LOST)
        await world.reach(State.RECONNECTING)
        assert state_at_the_end == [State.OPERATIONAL]
        assert world.stages.cancelled == [State.OPERATIONAL]


@pytest.mark.parametrize("trigger", [Trigger.NETWORK_LOST, Trigger.LINK_UP, Trigger.UPDATE_RECEIVED])
async def test_an_outside_trigger_that_the_state_refuses_leaves_the_stage_undisturbed(
    tmp_path: Path, trigger: Trigger
) -> None:
    world = World(tmp_path, State.CLAIMING)
    async with world.running():
        await world.reach(State.CLAIMING)
        for _ in range(3):
            world.conductor.request(trigger)
        await asyncio.sleep(0.02)
        assert world.stages.entered == [State.CLAIMING]
        assert world.stages.cancelled == []
        assert not (tmp_path / "record.json").exists(), "nothing was written"
        world.stages.outcomes.put_nowait(Trigger.CLAIM_FAILED)
        await world.reach(State.NETWORK_READY)


async def test_a_usable_trigger_behind_a_refused_one_is_taken(tmp_path: Path) -> None:
    world = World(tmp_path, State.OPERATIONAL)
    async with world.running():
        await world.reach(State.OPERATIONAL)
        world.conductor.request(Trigger.LINK_UP)
        world.conductor.request(Trigger.NETWORK_LOST)
        await world.reach(State.RECONNECTING)


async def test_a_trigger_that_came_during_a_step_is_judged_by_the_state_that_follows(tmp_path: Path) -> None:
    world = World(tmp_path, State.OPERATIONAL)
    async with world.running():
        await world.reach(State.OPERATIONAL)
        world.conductor.request(Trigger.NETWORK_LOST)
        world.conductor.request(Trigger.NETWORK_LOST)
        await world.reach(State.RECONNECTING)
        world.stages.outcomes.put_nowait(Trigger.RECONNECTED)
        await world.reach(State.OPERATIONAL)
    assert [step.trigger for step in world.steps] == [Trigger.NETWORK_LOST, Trigger.RECONNECTED]


async def test_what_happens_to_a_stage_ends_the_conductor(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.stages.outcomes.put_nowait(RuntimeError("the stage broke"))
    with pytest.raises(RuntimeError, match="the stage broke"):
        await asyncio.wait_for(world.conductor.run(), 10)


async def test_a_stage_that_broke_at_the_same_moment_as_an_outside_trigger_came_still_ends_the_conductor(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, State.OPERATIONAL)
    task = asyncio.create_task(world.conductor.run())
    await world.reach(State.OPERATIONAL)
    world.stages.outcomes.put_nowait(RuntimeError("the stage broke"))
    world.conductor.request(Trigger.NETWORK_LOST)
    with pytest.raises(RuntimeError, match="the stage broke"):
        await asyncio.wait_for(task, 10)
    assert world.conductor.state is State.OPERATIONAL


async def test_a_stage_that_breaks_while_it_is_cancelled_ends_the_conductor(tmp_path: Path) -> None:
    world = World(tmp_path, State.OPERATIONAL)

    def fail() -> None:
        raise RuntimeError("could not put its things away")

    world.stages.closing = fail
    task = asyncio.create_task(world.conductor.run())
    await world.reach(State.OPERATIONAL)
    world.conductor.request(Trigger.NETWORK_LOST)
    with pytest.raises(RuntimeError, match="put its things away"):
        await asyncio.wait_for(task, 10)


async def test_a_stage_that_names_an_impossible_trigger_ends_the_conductor_instead_of_running_in_circles(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, State.SETUP)
    world.stages.outcomes.put_nowait(Trigger.ACTIVATED)
    with pytest.raises(Refused, match="activated is not possible in setup"):
        await asyncio.wait_for(world.conductor.run(), 10)
    assert world.stages.entered == [State.SETUP]


async def test_cancelling_the_conductor_ends_the_stage_and_leaves_no_task_behind(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    world = World(tmp_path, State.SETUP)
    async with world.running():
        await world.reach(State.SETUP)
        world.conductor.request(Trigger.CLAIM_STARTED)
        await asyncio.sleep(0.01)
    assert world.stages.cancelled == [State.SETUP]
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_a_step_that_began_to_be_written_is_on_disk_when_the_conductor_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    started, may_end = threading.Event(), threading.Event()

    def slow(path: Path, data: bytes) -> None:
        started.set()
        may_end.wait(10)
        write_atomically(path, data)

    monkeypatch.setattr("appliance.journal.write_atomically", slow)
    task = asyncio.create_task(world.conductor.run())
    world.stages.outcomes.put_nowait(Trigger.POWER_ON)
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert decode((tmp_path / "record.json").read_bytes()).state is State.INITIALIZING
    assert world.stages.entered == [State.UNINITIALIZED]


async def test_a_record_that_cannot_be_written_ends_the_conductor_before_the_next_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("appliance.journal.write_atomically", fail)
    world.stages.outcomes.put_nowait(Trigger.POWER_ON)
    with pytest.raises(OSError, match="No space"):
        await asyncio.wait_for(world.conductor.run(), 10)
    assert world.stages.entered == [State.UNINITIALIZED]


async def test_a_step_that_leads_nowhere_new_is_told_to_observers_but_written_once(tmp_path: Path) -> None:
    world = World(tmp_path, State.OPERATIONAL, claimed=True)
    inodes = set()
    async with world.running():
        for count in (1, 2, 3):
            world.stages.outcomes.put_nowait(Trigger.RUNNING)
            await until(lambda count=count: len(world.steps) == count)  # type: ignore[misc]
            inodes.add((tmp_path / "record.json").stat().st_ino)
    assert [step.moved for step in world.steps] == [False, False, False]
    assert len(inodes) == 1


async def test_nothing_but_a_step_changes_what_is_allowed(tmp_path: Path) -> None:
    world = World(tmp_path, State.HALTED)
    async with world.running():
        await world.reach(State.HALTED)
        assert not any(world.conductor.allows(trigger) for trigger in Trigger)
        world.conductor.request(Trigger.RESET_REQUESTED)
        await asyncio.sleep(0.01)
        assert world.conductor.state is State.HALTED
        assert world.stages.cancelled == []
