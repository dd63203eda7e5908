"""The crash matrix: killed at every step of an event's road, a station delivers each acknowledged event once.

`CRASH_CUTS` says how many kills to make; the default is a sample. `CRASH_SEED` chooses other ones.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.broken import BROKEN
from tests.crash.plans import Plans, aims
from tests.crash.receiver import Receiver
from tests.crash.report import details, findings, kills, table
from tests.crash.trial import Cut, Nursery, Plan, Result, attempt, nursery

CUTS = int(os.environ.get("CRASH_CUTS", "40"))
SEED = int(os.environ.get("CRASH_SEED", "20260301"))
SIDE_BY_SIDE = 2
NAMED = {
    "answer 202",
    "recv 200",
    "recv 204",
    "rename buffer/media/incoming/* -> buffer/media/??/*",
    "rename spool/e#.json -> spool/.claimed/e#.json",
    "send PATCH piece",
    "send POST events",
    "sync buffer/buffer.db-wal",
    "sync buffer/media/??",
    "sync buffer/media/incoming/*",
    "unlink buffer/media/??/*",
}
"""Steps that the road has to have; without them the counting is broken."""

pytestmark = pytest.mark.timeout(300 + 10 * CUTS)


async def undisturbed(receiver: Receiver, born: Nursery) -> dict[bool, Counter[str]]:
    """The steps of a station that nobody kills, with its uplink waiting until all is handed in, or not."""
    steps = {}
    for live in (False, True):
        result = await attempt(Plan(0, live=live), receiver, born)
        assert not result.verdict.findings, details([result])
        [only] = result.steps
        steps[live] = Counter(only)
        assert steps[live].keys() >= NAMED
    return steps


async def work(
    plans: Iterator[Plan], wanted: int, results: list[Result], receiver: Receiver, so: Path
) -> None:
    async with nursery(so) as born:
        while kills(results) < wanted:
            results.append(await attempt(next(plans), receiver, born))


async def test_a_station_that_is_killed_at_any_step_delivers_each_event_once(
    receiver: Receiver, steps_library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with nursery(steps_library) as born:
        steps = await undisturbed(receiver, born)
    plans, results = iter(Plans(SEED, steps)), list[Result]()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(SIDE_BY_SIDE):
            tasks.create_task(work(plans, CUTS, results, receiver, steps_library))
    with capsys.disabled():
        print("\n" + table(results, SEED))
    assert findings(results) == Counter(), details(results)
    every = {aim for live in steps for aim in aims(steps[live])}
    hit = Counter((when, step) for result in results for when, step in result.hit)
    assert 3 * len(every) > CUTS or every <= hit.keys(), f"never killed at {every - hit.keys()}"


CONTROLS = {
    "early_yes": ("lost", ["after:2:answer 202", "after:3:rename spool/e#.json -> spool/.claimed/e#.json"]),
    "early_ack": ("lost", ["before:1:send POST events", "before:2:send PATCH piece"]),
    "new_names": ("doubled", ["after:2:recv 200"]),
}


def test_every_kind_of_broken_station_is_tried() -> None:
    assert CONTROLS.keys() == BROKEN.keys()


@pytest.mark.parametrize("how", CONTROLS)
async def test_the_matrix_finds_what_a_broken_station_does_wrong(
    how: str, receiver: Receiver, steps_library: Path
) -> None:
    kind, specs = CONTROLS[how]
    async with nursery(steps_library) as born:
        for number, spec in enumerate(specs):
            for spoiled, expected in ((how, True), ("", False)):
                plan = Plan(number, (Cut(spec),), spoiled=spoiled)
                result = await attempt(plan, receiver, born)
                assert [when for when, _ in result.hit] == [spec.partition(":")[0]], "the cut was made"
                assert bool(result.verdict.findings[kind]) is expected, details([result])
