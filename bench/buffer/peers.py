"""Other queues on SQLite, in the same run and on the same disk, each as durable as ours; ours is not here.

They come with `pip install -e '.[bench]'`; what is not installed is left out and named. Each puts one message
at a time, which is all they offer. What was taken is cleared away between the slices, uncounted, so that they
are measured at their best. litequeue asks for `synchronous=NORMAL`, which loses what it confirmed when the
power fails; here it is forced to FULL.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.buffer.floors import PAYLOAD, repeat
from bench.buffer.slices import Row, Sample

DEEPEST = 100_000
"""Above that, filling alone would take minutes, and one `get` of two of them takes half a second."""


@dataclass(frozen=True)
class Peer:
    """A queue: one durable put, one durable get with acknowledgement, tidying, and its writing connection."""

    put: Callable[[], object]
    take: Callable[[], object]
    tidy: Callable[[], object]
    connection: sqlite3.Connection


def persist_ack(folder: Path) -> Peer:
    """persist-queue's queue with acknowledgement. Raises ImportError when it is not installed."""
    queue = importlib.import_module("persistqueue").SQLiteAckQueue(str(folder), auto_commit=True)
    return Peer(
        partial(queue.put, PAYLOAD),
        lambda: queue.ack(queue.get(block=False)),
        lambda: queue.clear_acked_data(max_delete=10_000_000, keep_latest=0),
        queue._putter,
    )


def persist_priority(folder: Path) -> Peer:
    """persist-queue's queue with priorities: get deletes, a crash in between loses. Raises ImportError."""
    module = importlib.import_module("persistqueue.priorityqueue")
    queue = module.PriorityQueue(str(folder), auto_commit=True)
    return Peer(
        partial(queue.put, PAYLOAD, priority=2), partial(queue.get, block=False), lambda: None, queue._putter
    )


def lite(folder: Path) -> Peer:
    """litequeue, forced to be durable. Raises ImportError when it is not installed."""
    folder.mkdir()
    queue = importlib.import_module("litequeue").LiteQueue(str(folder / "queue.db"))
    queue.conn.execute("PRAGMA synchronous = FULL")
    return Peer(
        partial(queue.put, PAYLOAD.decode()),
        lambda: queue.done(queue.pop().message_id),
        queue.prune,
        queue.conn,
    )


PEERS: dict[str, Callable[[Path], Peer]] = {
    "persist-queue AckQueue": persist_ack,
    "persist-queue PriorityQueue": persist_priority,
    "litequeue (FULL)": lite,
}


def peer_rows(folder: Path, depths: Sequence[int]) -> tuple[list[Row], list[str]]:
    """Rows for each peer that is installed, and the names of those that are not."""
    rows: list[Row] = []
    missing = []
    for number, (name, make) in enumerate(PEERS.items()):
        try:
            rows.append(put_row(name, make(folder / f"peer-{number}")))
        except ImportError:
            missing.append(name)
            continue
        for depth in depths:
            if depth <= DEEPEST:
                rows.append(take_row(name, make(folder / f"peer-{number}-{depth}"), depth))
    return rows, missing


def put_row(name: str, peer: Peer) -> Row:
    """Durable puts into a queue as deep as the puts before made it, which costs none of them anything."""

    async def measured(seconds: float) -> Sample:
        return repeat(peer.put, seconds, 1)

    async def restore() -> None:
        peer.tidy()

    return Row(f"{name}: put", "append", measured, restore)


def take_row(name: str, peer: Peer, depth: int) -> Row:
    """Get and acknowledge at this depth."""
    missing = depth

    async def measured(seconds: float) -> Sample:
        nonlocal missing
        sample = repeat(peer.take, seconds, 1)
        missing = sample.count
        return sample

    async def restore() -> None:
        fill(peer, missing)

    fill(peer, missing)
    return Row(f"{name}: get, ack, at {depth}", "append", measured, restore)


def fill(peer: Peer, count: int) -> None:
    """Put so many, without waiting for the disk, and clear away what was taken."""
    peer.connection.execute("PRAGMA synchronous = OFF")
    for _ in range(count):
        peer.put()
    peer.tidy()
    peer.connection.execute("PRAGMA synchronous = FULL")
