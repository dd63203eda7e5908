"""The bench of the buffer in a tiny size, so that it cannot rot, and its rules about noise and aims."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from bench.buffer import rows, tables
from bench.buffer.__main__ import Extent, measured
from bench.buffer.gates import GATES, Run, verdicts
from bench.buffer.peers import Peer, put_row, take_row
from bench.buffer.slices import Floors, Pair, Plan, Result, Row, Sample, measure

TINY = Extent(
    depths=(200, 400),
    plan=Plan(pairs=1, retries=1, slice_s=0.02, floor_s=0.01),
    wear_messages=200,
    full_disk_puts=200,
    weighed_messages=640,
    card_s=1,
    settle_s=2.0,
)


def sample(rate: float, milliseconds: float = 1.0) -> Sample:
    return Sample(int(rate), 1.0, (milliseconds / 1000,) * 10)


def row_of(rate: float) -> Row:
    async def measured_once(_seconds: float) -> Sample:
        return sample(rate)

    async def restore() -> None:
        """Nothing to restore."""

    return Row("a row", "floor", measured_once, restore)


def floors_that_give(*rates: float) -> Floors:
    given = iter(rates)
    return {"floor": lambda _seconds: sample(next(given))}


async def found(row: Row, floors: Floors, plan: Plan) -> Result:
    (result,) = await measure([row], floors, plan, random.Random(1))
    return result


async def test_the_ratio_is_the_median_over_pairs_of_neighbours() -> None:
    result = await found(row_of(100), floors_that_give(100, 100, 50, 50, 10, 10), Plan(pairs=3))
    assert result.valid
    assert result.ratio == pytest.approx(2.0)
    assert result.spread == pytest.approx((1.0, 10.0))


async def test_a_slice_whose_floor_moved_is_measured_again() -> None:
    result = await found(row_of(100), floors_that_give(100, 500, 100, 100), Plan(pairs=1, retries=1))
    assert result.valid
    assert (len(result.good), len(result.bad)) == (1, 1)
    assert result.ratio == pytest.approx(1.0)


async def test_a_row_whose_floor_never_stands_still_is_not_valid_and_says_so() -> None:
    moving = floors_that_give(*(100, 200) * 4)
    result = await found(row_of(100), moving, Plan(pairs=1, retries=3))
    assert not result.valid
    assert len(result.bad) == 4
    assert "not valid (0 of 1)" in "\n".join(tables.throughput([result]))


def result_of(name: str, rate: float, floor: float, *, valid: bool = True) -> Result:
    pair = Pair(sample(rate), sample(floor), sample(floor))
    return Result(name, "append", 1, [pair] if valid else [], [] if valid else [pair])


@pytest.mark.parametrize(
    ("rate", "valid", "word"),
    [(800, True, "met"), (600, True, "MISSED"), (800, False, "met, not valid")],
)
def test_a_gate_is_met_missed_or_not_valid(rate: float, valid: bool, word: str) -> None:
    row = result_of("put, 1 producers, at 10", rate, 1000, valid=valid)
    said = {each.gate.measure: each.word for each in verdicts(Run((10,), {row.name: row}))}
    assert said["one durable put, of append + fdatasync"] == word
    assert said["64 durable puts at a time, of append + fdatasync"] == "not measured"


async def test_a_peer_is_brought_back_to_its_depth_after_each_slice() -> None:
    held: list[int] = []

    class Connection:
        def execute(self, _pragma: str) -> None:
            """Takes what a connection takes."""

    peer = Peer(lambda: held.append(1), held.pop, lambda: None, Connection())  # type: ignore[arg-type]
    row = take_row("a peer", peer, 500)
    assert len(held) == 500
    taken = await row.slice(0.0)
    assert len(held) == 500 - taken.count
    await row.restore()
    assert len(held) == 500
    assert (await put_row("a peer", peer).slice(0.0)).count == 1


def test_the_whole_bench_runs_and_judges_every_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "WARM_UP", 200)
    run = asyncio.run(measured(tmp_path, TINY))
    text = tables.everything(run)
    unmeasured = {each.gate.measure for each in verdicts(run) if each.got is None}
    assert not unmeasured or run.missing, text
    assert run.alarm_waits["batches"] == 0
    assert all(each["share"] > 0.99 for each in run.salvage.values())
    assert all(gate.measure in text for gate in GATES)
    assert "at 400" in text
