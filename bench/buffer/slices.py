"""Measuring on a machine that is not quiet: slices of a row between slices of a floor. No row lives here.

What waits for a disk can be ten times slower for seconds on end while others use it, so rates that were
measured one after the other cannot be compared. Here every slice of a row has a slice of its floor directly
before and after it; a pair counts only if these two agree, and is measured again otherwise, up to a limit.
The order is random, so that no row always follows the same other one. The claim is the median of the pairs'
ratios, never a rate.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

FLOORS_AGREE = 0.20
"""How far the floor before and after a slice may differ, as a part of the smaller one."""


@dataclass(frozen=True)
class Sample:
    """One slice: messages done, seconds it took, and the seconds of each operation."""

    count: int
    elapsed: float
    times: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.count / self.elapsed


@dataclass(frozen=True)
class Row:
    """Something to be measured for so many seconds; `restore` brings back the state before, uncounted."""

    name: str
    floor: str
    slice: Callable[[float], Awaitable[Sample]]
    restore: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Pair:
    """A slice and its floor on both sides."""

    sample: Sample
    before: Sample
    after: Sample

    @property
    def ratio(self) -> float:
        """The rate of the slice, of the floor's."""
        return self.sample.rate / ((self.before.rate + self.after.rate) / 2)

    @property
    def moved(self) -> float:
        """How much the floor moved meanwhile, as a part of the smaller one."""
        slow, fast = sorted((self.before.rate, self.after.rate))
        return fast / slow - 1


@dataclass(frozen=True)
class Plan:
    """Pairs a row needs, how often one may be measured again, and the seconds of a slice and of a floor."""

    pairs: int = 7
    retries: int = 14
    slice_s: float = 0.4
    floor_s: float = 0.15


@dataclass
class Result:
    """What was seen of one row."""

    name: str
    floor: str
    wanted: int
    good: list[Pair] = field(default_factory=list)
    bad: list[Pair] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        """Whether the floor stood still for as many pairs as were wanted."""
        return len(self.good) >= self.wanted

    @property
    def pairs(self) -> list[Pair]:
        """Those that count, or all of them when too few do."""
        return self.good if self.valid else self.good + self.bad

    @property
    def ratio(self) -> float:
        """The median of the pairs."""
        return statistics.median(pair.ratio for pair in self.pairs)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest ratio of the pairs."""
        ratios = [pair.ratio for pair in self.pairs]
        return min(ratios), max(ratios)

    @property
    def rate(self) -> float:
        """Messages a second, the median of the pairs."""
        return statistics.median(pair.sample.rate for pair in self.pairs)

    def milliseconds(self, percent: int) -> float:
        """This percentile over all operations of the row."""
        return percentile([time for pair in self.pairs for time in pair.sample.times], percent) * 1000

    def floor_milliseconds(self, percent: int) -> float:
        """This percentile over all writes of the neighbouring floors."""
        floors = [side for pair in self.pairs for side in (pair.before, pair.after)]
        return percentile([time for floor in floors for time in floor.times], percent) * 1000


def percentile(values: Sequence[float], percent: int) -> float:
    """The nearest rank. Raises IndexError when there are no values."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


Floors = Mapping[str, Callable[[float], Sample]]


async def measure(rows: Sequence[Row], floors: Floors, plan: Plan, dice: random.Random) -> list[Result]:
    """Every row until it has its pairs, or its retries are used up; in random order."""
    results = {row.name: Result(row.name, row.floor, plan.pairs) for row in rows}
    turns = list(rows) * plan.pairs
    while turns:
        dice.shuffle(turns)
        again = []
        for row in turns:
            pair = await one_pair(row, floors[row.floor], plan)
            result = results[row.name]
            (result.good if pair.moved <= FLOORS_AGREE else result.bad).append(pair)
            if pair.moved > FLOORS_AGREE and len(result.bad) <= plan.retries:
                again.append(row)
        turns = again
    return list(results.values())


async def one_pair(row: Row, floor: Callable[[float], Sample], plan: Plan) -> Pair:
    """Floor, slice, floor; then the state is as before."""
    before = floor(plan.floor_s)
    sample = await row.slice(plan.slice_s)
    after = floor(plan.floor_s)
    await row.restore()
    return Pair(sample, before, after)
