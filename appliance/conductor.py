"""The one task that owns the state machine: runs the stage of the current state and takes the step it names.

Invariants:
1. only this task fires triggers;
2. the record with the new state is durable before the new state's stage begins;
3. an outside trigger (button, command, lost link) that the state does not allow changes nothing, and the
   running stage goes on undisturbed;
4. a stage that is cancelled by an outside trigger has ended before the step is taken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from appliance.journal import Journal
from statemachine.lifecycle import Lifecycle, State, Transition, Trigger
from statemachine.record import after

log = logging.getLogger(__name__)

Stage = Callable[[], Awaitable[Trigger]]
Observer = Callable[[Transition], None]


class Conductor:
    """Runs the life of the device until cancelled or `halted`."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        stages: Mapping[State, Stage],
        journal: Journal,
        now: Callable[[], float],
    ) -> None:
        self._lifecycle = lifecycle
        self._stages = stages
        self._journal = journal
        self._now = now
        self._outside: asyncio.Queue[Trigger] = asyncio.Queue()
        self._observers: list[Observer] = []

    @property
    def state(self) -> State:
        """The current state."""
        return self._lifecycle.state

    def observe(self, observer: Observer) -> None:
        """Tells `observer` every step, after it is durable. Observers must be quick and must not raise."""
        self._observers.append(observer)

    def allows(self, trigger: Trigger) -> bool:
        """Whether the current state has an edge for `trigger`."""
        return trigger in self._lifecycle.allowed()

    def request(self, trigger: Trigger) -> None:
        """An outside trigger; taken as soon as the stage can be interrupted, or refused and logged."""
        self._outside.put_nowait(trigger)

    async def run(self) -> None:
        """Walks from stage to stage. Raises what a stage raises, and `Refused` when a stage names a trigger
        that its state does not have: the process ends and starts anew."""
        while True:
            trigger = await self._next_trigger()
            await self._step(trigger)

    async def _next_trigger(self) -> Trigger:
        stage = asyncio.ensure_future(self._stages[self.state]())
        try:
            while True:
                outside = asyncio.ensure_future(self._outside.get())
                try:
                    await asyncio.wait({stage, outside}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not outside.done():
                        outside.cancel()
                if outside.done() and not outside.cancelled() and self._usable(outside.result()):
                    return outside.result()
                if stage.done():
                    return stage.result()
        finally:
            await _end(stage)

    def _usable(self, trigger: Trigger) -> bool:
        if self.allows(trigger):
            return True
        log.info("%s changes nothing in %s", trigger, self.state)
        return False

    async def _step(self, trigger: Trigger) -> None:
        step = self._lifecycle.fire(trigger)
        await self._journal.change(lambda record: after(record, step, self._now()))
        if step.moved:
            log.info("%s: %s → %s", step.trigger, step.source, step.target)
        for observer in self._observers:
            observer(step)


async def _end(task: asyncio.Future[Trigger]) -> None:
    """Cancels a stage and waits until it is really over. Raises what the stage raised."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
