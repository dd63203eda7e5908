"""What the buffer aims at, as one table, and what a run reached; pure, nothing is measured here.

Aims are ratios to a floor or a peer of the same run, so that they hold on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.buffer.slices import Result


@dataclass
class Run:
    """All figures of one run; what could not be measured is empty, and `missing` says why."""

    depths: Sequence[int]
    rows: Mapping[str, Result]
    memory: Mapping[str, float] = field(default_factory=dict)
    starts: Mapping[str, float] = field(default_factory=dict)
    card: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    wear: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    full_disk: Mapping[str, float] = field(default_factory=dict)
    salvage: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    alarm_waits: Mapping[str, float] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def shallow(self) -> int:
        """The smallest depth, at which what does not depend on depth is judged."""
        return min(self.depths)

    def at(self, name: str, depth: int | None = None) -> Result:
        """A row at this depth. Raises KeyError when it was not measured."""
        return self.rows[f"{name}, at {self.shallow if depth is None else depth}"]


@dataclass(frozen=True)
class Gate:
    """An aim: at least or at most this figure. `rows` are those whose floors must have stood still."""

    measure: str
    at_least: bool
    aim: float
    figure: Callable[[Run], float]
    rows: Callable[[Run], list[Result]] = lambda _: []


@dataclass(frozen=True)
class Verdict:
    """A gate and what was reached: None when it was not measured; not valid when the floor moved."""

    gate: Gate
    got: float | None
    valid: bool

    @property
    def met(self) -> bool:
        """Whether the aim was reached."""
        return self.got is not None and (
            self.got >= self.gate.aim if self.gate.at_least else self.got <= self.gate.aim
        )

    @property
    def word(self) -> str:
        """As it stands in the table."""
        if self.got is None:
            return "not measured"
        return ("met" if self.met else "MISSED") + ("" if self.valid else ", not valid")


def _ratio(name: str) -> tuple[Callable[[Run], float], Callable[[Run], list[Result]]]:
    return lambda run: run.at(name).ratio, lambda run: [run.at(name)]


def _slowest_put(run: Run) -> float:
    """The 99th percentile of a single put, of that of the writes around it."""
    row = run.at("put, 1 producers")
    return row.milliseconds(99) / row.floor_milliseconds(99)


def _against_persist_queue(run: Run) -> float:
    return run.at("lease 100, ack").ratio / run.at("persist-queue AckQueue: get, ack").ratio


def _of_depth(run: Run) -> float:
    deep, shallow = (run.at("lease 1, ack", depth) for depth in (max(run.depths), run.shallow))
    return deep.milliseconds(50) / shallow.milliseconds(50)


def _both_depths(run: Run) -> list[Result]:
    return [run.at("lease 1, ack", depth) for depth in (run.shallow, max(run.depths))]


def _single_bytes(run: Run) -> float:
    return run.wear["put, 1 at a time"]["bytes"] / run.wear["floor: overwrite in place"]["bytes"]


GATES = (
    Gate("one durable put, of append + fdatasync", True, 0.7, *_ratio("put, 1 producers")),
    Gate("one durable put, 99th percentile, of the floor's", False, 2.0, _slowest_put,
         lambda run: [run.at("put, 1 producers")]),
    Gate("64 durable puts at a time, of append + fdatasync", True, 8.0, *_ratio("put, 64 producers")),
    Gate("groups of 100, of append 100 + fdatasync", True, 0.2, *_ratio("put, groups of 100")),
    Gate("lease 100 and ack, of persist-queue's get and ack", True, 20.0, _against_persist_queue,
         lambda run: [run.at("lease 100, ack"), run.at("persist-queue AckQueue: get, ack")]),
    Gate("taking one at the deepest, of that at the shallowest, p50", False, 1.3, _of_depth, _both_depths),
    Gate("bytes to the device, put and ack in hundreds, of the payload", False, 7.0,
         lambda run: run.wear["life, 100 per commit"]["times_payload"]),
    Gate("bytes to the device, one put, of overwriting in place", False, 5.0, _single_bytes),
    Gate("flushes for a durable put, one at a time", False, 1.05,
         lambda run: run.wear["put, 1 at a time"]["flushes"]),
    Gate("flushes for a durable put, 64 producers", False, 0.02,
         lambda run: run.wear["put, 64 producers"]["flushes"]),
    Gate("card model, sync + 20 ms: 64 producers, of one", True, 40.0,
         lambda run: run.card[20]["64"] / run.card[20]["1"]),
    Gate("durable puts on a disk that others filled, share", True, 1.0, lambda run: run.full_disk["share"]),
    Gate("salvage, first page destroyed, share", True, 0.999,
         lambda run: run.salvage["first page destroyed"]["share"]),
    Gate("salvage, one leaf destroyed, share", True, 0.999,
         lambda run: run.salvage["one leaf destroyed"]["share"]),
    Gate("memory above bare Python with the same work, MB", False, 20.0, lambda run: run.memory["added"]),
    Gate("batches that an alarm waits for, at the most", False, 1.0, lambda run: run.alarm_waits["batches"]),
)  # fmt: skip


def verdicts(run: Run) -> list[Verdict]:
    """Each gate with what this run reached."""
    return [_judge(gate, run) for gate in GATES]


def _judge(gate: Gate, run: Run) -> Verdict:
    try:
        return Verdict(gate, gate.figure(run), all(row.valid for row in gate.rows(run)))
    except KeyError:  # that part was not measured; `missing` says why
        return Verdict(gate, None, valid=False)
