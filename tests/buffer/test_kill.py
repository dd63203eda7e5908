"""kill -9 at random moments: nothing that was acknowledged is lost, doubled or damaged."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from buffer.message import Message
from buffer.store import Store
from tests.buffer.producer import payload_of

ROOT = Path(__file__).parents[2]
KILLS = 24


@dataclass
class Told:
    """What the killed processes said before they died."""

    put: dict[int, str] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    acked: set[int] = field(default_factory=set)

    def note(self, line: str) -> None:
        word, *rest = line.split()
        if word == "put":
            self.put[int(rest[0])] = rest[1]
        elif word == "asked":
            self.asked.add(int(rest[0]))
        elif word == "acked":
            self.acked.add(int(rest[0]))


def run_and_kill(path: Path, run: int, told: Told, moment: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.buffer.producer", str(path), str(run)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        time.sleep(moment)
        process.kill()
        for line in process.stdout:
            told.note(line)


async def test_an_acknowledged_message_survives_any_kill(path: Path) -> None:
    chance = random.Random(20260301)
    told = Told()
    for run in range(KILLS):
        run_and_kill(path, run, told, chance.uniform(0.0, 0.25))
    assert len(told.put) > 1000
    assert len(told.acked) > 100
    async with await Store.open(path) as store:
        left: dict[int, Message] = {}
        while batch := await store.lease(500, max_bytes=50_000_000):
            left |= {message.id: message for message in batch}
        depth = await store.depth()
    lost = told.put.keys() - told.asked - left.keys()
    assert lost == set()
    assert left.keys() & told.acked == set()
    assert depth.dead == 0
    assert depth.count == len(left)
    assert depth.delivered >= len(told.acked)
    keys = [message.idempotency_key for message in left.values()]
    assert len(keys) == len(set(keys))
    for message in left.values():
        assert message.idempotency_key is not None
        assert message.payload == payload_of(message.idempotency_key)
        assert told.put.get(message.id, message.idempotency_key) == message.idempotency_key
