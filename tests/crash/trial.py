"""One trial: a station from an empty disk, its lives and their ends, the camera programs, the verdict."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.crash.asked import Program, drop, posted, spooled
from tests.crash.life import Order
from tests.crash.receiver import Receiver
from tests.crash.verdict import Told, Verdict

ROOT = Path(__file__).resolve().parents[2]
_LONGEST_S = 240.0


@dataclass(frozen=True)
class Cut:
    """Where a life ends: at the step of `spec`, as `steps.c` takes it, or `after` so many seconds."""

    spec: str = ""
    after: float | None = None


@dataclass(frozen=True)
class Plan:
    """One trial: its number is its seed; each cut ends one life, and one more life follows."""

    number: int
    cuts: tuple[Cut, ...] = ()
    live: bool = False
    keep: bool = False
    spoiled: str = ""


@dataclass
class Result:
    """What came of a trial. `hit` has, for each kill, when and the step; `steps` those of each life."""

    plan: Plan
    verdict: Verdict
    hit: list[tuple[str, str]] = field(default_factory=list)
    steps: list[list[str]] = field(default_factory=list)
    resent: int = 0


class Nursery:
    """The process that forks lives, one at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.busy = False

    async def life(self, order: Order) -> int:
        """Lets a station live; how it ended: an exit code, negative for a signal."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self.busy = True
        status = int(await self._process.stdout.readline())
        self.busy = False
        return status


@asynccontextmanager
async def nursery(library: Path) -> AsyncIterator[Nursery]:
    """A nursery with `steps.c` preloaded."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.crash.nursery"),
        cwd=ROOT,
        env=os.environ | {"LD_PRELOAD": str(library)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    here = Nursery(process)
    try:
        yield here
    finally:
        if here.busy and process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)  # with the life that it waits for
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def attempt(plan: Plan, receiver: Receiver, nursery: Nursery) -> Result:
    """Runs a trial and judges it."""
    home = Path(tempfile.mkdtemp(prefix="met-crash-"))
    try:
        async with asyncio.timeout(_LONGEST_S):
            return await _attempt(plan, receiver, nursery, home)
    except Exception as error:
        error.add_note(f"{plan}\n{_tail(home / 'life.log')}")
        raise
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def _attempt(plan: Plan, receiver: Receiver, nursery: Nursery, home: Path) -> Result:
    order = Order(
        folder=str(home), url=receiver.cloud.base, live=plan.live, keep=plan.keep, spoiled=plan.spoiled
    )
    device = await receiver.claim(order.paths)
    chance = random.Random(plan.number)
    first = spooled(chance)
    spool = order.paths.data / "spool"
    drop(spool, first)
    program = Program(order.paths.data / "run/ingest.sock", spool, posted(chance, first))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_hand_in(program, home))
        hit, steps = await _lives(plan, order, nursery)
    unsure = program.unsure
    told = Told(first + [each for each in program.events if each not in unsure], unsure, first)
    verdict = Verdict(order, told)
    await verdict.look(receiver, device)
    resent = sum(arrival.status == 200 for arrival in receiver.arrivals.pop(device, []))
    if verdict.findings:
        verdict.details.append(_tail(home / "life.log"))
    return Result(plan, verdict, hit, steps, resent)


async def _hand_in(program: Program, home: Path) -> None:
    await program.run()
    (home / "go").touch()


async def _lives(plan: Plan, order: Order, nursery: Nursery) -> tuple[list[tuple[str, str]], list[list[str]]]:
    hit, steps = [], []
    for cut in (*plan.cuts, Cut()):
        status = await nursery.life(msgspec.structs.replace(order, cut=cut.spec, seconds=cut.after))
        mine = _steps(order.home)
        steps.append(mine)
        if status == 0:
            break
        assert status == -signal.SIGKILL, f"a life ended by itself with {status}"
        hit.append((cut.spec.partition(":")[0] or "moment", mine[-1] if mine else "start"))
    return hit, steps


def _steps(home: Path) -> list[str]:
    """The steps of the life that just ended; the file is begun anew."""
    file = home / "steps"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return [line for line in lines if line != "CUT"]


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-6000:] if path.exists() else "no log"
