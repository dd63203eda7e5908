"""Which cuts are made: every step, before and after, and more by chance; the seed decides everything."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.crash.trial import Cut, Plan

Aim = tuple[str, str]
"""When (before, after, torn) and the name of a step."""

_AFTERWARDS = ("recv", "ask")
"""What came in is known when it is in: there is no before."""
_SPLITTABLE = ("write", "send", "answer")


def whens(step: str) -> tuple[str, ...]:
    """The ways in which one can die at a step."""
    kind = step.partition(" ")[0]
    if kind in _AFTERWARDS:
        return ("after",)
    return ("before", "after", "torn") if kind in _SPLITTABLE else ("before", "after")


def aims(steps: Counter[str]) -> list[Aim]:
    """Every way to die at every step, in a fixed order."""
    return [(when, step) for step in sorted(steps) for when in whens(step)]


@dataclass
class Plans:
    """An endless supply. `steps` has, for a station whose uplink waits (False) or not (True), its steps."""

    seed: int
    steps: Mapping[bool, Counter[str]]
    seconds: float = 1.0

    def __iter__(self) -> Iterator[Plan]:
        chance = random.Random(self.seed)
        number = self.seed * 1_000_000
        modes = [False, True]
        while True:
            chance.shuffle(modes)
            for live in modes:
                targets = aims(self.steps[live])
                chance.shuffle(targets)
                for aim in targets:
                    for first in (self._at(aim, live, chance), *self._elsewhere(chance)):
                        number += 1
                        keep = chance.random() < 0.3
                        yield Plan(number, (first, *self._again(chance)), live=live, keep=keep)

    def _at(self, aim: Aim, live: bool, chance: random.Random) -> Cut:
        return Cut(f"{aim[0]}:{chance.randint(1, self.steps[live][aim[1]])}:{aim[1]}")

    def _elsewhere(self, chance: random.Random) -> list[Cut]:
        """Now and then at any step or at any moment."""
        dice = chance.random()
        if dice < 0.15:
            return [Cut(after=chance.uniform(0, self.seconds))]
        return [self._any(chance, 500)] if dice < 0.3 else []

    def _again(self, chance: random.Random) -> list[Cut]:
        """A third of the trials die in their recovery too, a few of these twice."""
        cuts: list[Cut] = []
        while len(cuts) < 2 and chance.random() < 0.35:
            cuts.append(self._any(chance, chance.choice((20, 60, 300))))
        return cuts

    @staticmethod
    def _any(chance: random.Random, steps: int) -> Cut:
        return Cut(f"{chance.choice(('before', 'after', 'torn'))}:{chance.randint(1, steps)}:*")
