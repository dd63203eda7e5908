"""What a trial must have led to: each acknowledged event at the cloud, once, whole, in a legal order."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tests.crash.asked import Asked
from tests.crash.life import Order
from tests.crash.receiver import Receiver

RANKS = ("critical", "high", "normal", "low")


@dataclass(frozen=True)
class Told:
    """What was handed in, in the order in which it was; `must` was acknowledged, `may` was left unsure."""

    must: list[Asked]
    may: list[Asked]
    spooled: list[Asked]

    @property
    def order(self) -> list[str]:
        """All marks in the order in which they were handed in."""
        return [asked.mark for asked in self.must]


@dataclass(frozen=True)
class _Seen:
    mark: str
    event: dict[str, Any]


class Verdict:
    """The findings of one trial; `findings` is empty when all is well. Kinds: lost, doubled, corrupt, order,
    unasked, left."""

    def __init__(self, order: Order, told: Told) -> None:
        self.findings: Counter[str] = Counter()
        self.details: list[str] = []
        self._order = order
        self._told = told

    async def look(self, receiver: Receiver, device: str) -> None:
        """Compares cloud and station with what was handed in."""
        seen = [_read(body) for body in await receiver.bodies(device)]
        self._count(seen)
        self._same_bytes(receiver, device)
        self._contents(seen, await receiver.files(device))
        self._sequence([each.mark for each in seen])
        self._station()

    def _find(self, kind: str, detail: str) -> None:
        self.findings[kind] += 1
        self.details.append(f"{kind}: {detail}")

    def _count(self, seen: list[_Seen]) -> None:
        counts = Counter(each.mark for each in seen)
        must = {asked.mark for asked in self._told.must}
        # a revision takes the place of a lower one that nobody was sending yet
        replaced = {asked.mark for asked in self._told.must if f"{asked.name}/{asked.revision + 1}" in must}
        for mark in must - replaced - counts.keys():
            self._find("lost", mark)
        for mark, count in counts.items():
            if count > 1:
                self._find("doubled", f"{mark} is there {count} times")
        for mark in counts.keys() - must - {asked.mark for asked in self._told.may}:
            self._find("unasked", mark)

    def _same_bytes(self, receiver: Receiver, device: str) -> None:
        """A message that is sent again is the same to the byte, and the cloud never has to refuse one."""
        known: dict[str, bytes] = {}
        for arrival in receiver.arrivals[device]:
            name = msgspec.json.decode(arrival.body)["event_id"]
            if arrival.status not in (200, 201):
                self._find("corrupt", f"{name} was refused with {arrival.status}")
            elif known.setdefault(name, arrival.body) != arrival.body:
                self._find("corrupt", f"{name} came with two bodies")

    def _contents(self, seen: list[_Seen], files: dict[str, Path]) -> None:
        asked = {each.mark: each for each in self._told.must + self._told.may}
        for each in seen:
            wanted = asked.get(each.mark)
            if wanted is None:
                continue
            if [media["sha256"] for media in each.event.get("media", [])] != wanted.hashes:
                self._find("corrupt", f"{each.mark} names other files")
            if not wanted.alone and each.event["metadata"]["text"] != f"{each.mark}," * 40:
                self._find("corrupt", f"{each.mark} says something else")
            for sha256, data in zip(wanted.hashes, wanted.files.values(), strict=True):
                if sha256 not in files or not files[sha256].exists():
                    self._find("lost", f"a file of {each.mark}")
                elif hashlib.sha256(files[sha256].read_bytes()).hexdigest() != sha256:
                    self._find("corrupt", f"a file of {each.mark} with {len(data)} bytes")

    def _sequence(self, marks: list[str]) -> None:
        """First in, first out inside a class; when all waited together, the most urgent class first."""
        rank = {asked.mark: RANKS.index(asked.priority) for asked in self._told.must}
        place = {mark: number for number, mark in enumerate(self._told.order)}
        came = [mark for mark in dict.fromkeys(marks) if mark in place]
        for urgency in set(rank.values()):
            mine = [mark for mark in came if rank[mark] == urgency]
            if mine != sorted(mine, key=lambda mark: place[mark]):
                self._find("order", f"inside {RANKS[urgency]}: {mine}")
        if not self._order.live and came != sorted(came, key=lambda mark: (rank[mark], place[mark])):
            self._find("order", f"between classes: {came}")

    def _station(self) -> None:
        """Nothing is left over on the station, and what the folder took was put away once."""
        figures = msgspec.json.decode((self._order.home / "depth.json").read_bytes())
        for name, number in figures.items():
            if number:
                self._find("left", f"{number} messages {name}")
        spool = self._order.paths.data / "spool"
        away = sorted(path.name for path in (spool / "accepted").iterdir())
        expected = [name for asked in self._told.spooled for name in asked.files]
        expected += [f"e{n}.json" for n, asked in enumerate(self._told.spooled) if not asked.alone]
        if away != sorted(expected):
            self._find("left", f"in accepted: {sorted(set(away) ^ set(expected))}")
        for name in (".", "rejected", ".claimed", ".accepted"):
            self._empty(spool / name)
        self._empty(self._order.paths.media / "incoming")
        for folder in self._order.paths.media.glob("??"):
            self._empty(folder)

    def _empty(self, folder: Path) -> None:
        for path in folder.iterdir() if folder.exists() else ():
            if path.is_file():
                self._find("left", str(path.relative_to(self._order.home)))


def _read(body: bytes) -> _Seen:
    event = msgspec.json.decode(body)
    mark = event["metadata"].get("mark")
    return _Seen(mark or f"alone {event['metadata'].get('file_name')}", event)
