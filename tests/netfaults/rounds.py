"""One round of a test: events are handed in, the station endures a fault, and afterwards all is well."""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from buffer.breaker import BreakerPolicy
from scripts.people import Browser
from scripts.processes import eventually
from scripts.steps import arrived, event
from tests.netfaults.control import cpu_seconds, pid_of
from tests.netfaults.pair import Pair

WATCHED_S = 10.0
MOST_CPU = 0.3
"""Of one core, on average while a fault lasts. A loop that does not wait takes all of it."""
PATIENCE_S = 120.0
PROBES = BreakerPolicy().successes_to_close
AGAIN_S = 8.0
"""How often the technician presses "Send now" once the fault is lifted."""


Facts = dict[str, Any]
"""What `status --json` prints."""


@dataclass
class Round:
    """The pair over all rounds: what was handed in so far, and with which files."""

    pair: Pair
    files: dict[str, bytes] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set)
    _count: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _this: list[int] = field(default_factory=list)
    _urgent: set[int] = field(default_factory=set)

    def hand_in(self, priority: str, size: int = 0) -> int:
        """One event, with a picture of `size` bytes; its number."""
        number = next(self._count)
        picture = random.Random(number).randbytes(size)
        wish = event(number, priority=priority)
        if size:
            self.files[f"test:{number}"] = picture
            wish["media_files"] = [f"sky{number}.jpg"]
        self.pair.station.drop(f"e{number}", wish, **({f"sky{number}_dot_jpg": picture} if size else {}))
        self.numbers.add(number)
        self._this.append(number)
        if priority == "critical":
            self._urgent.add(number)
        return number

    def hand_in_all(self) -> None:
        """Five events of all kinds, the urgent one last; they wait when this returns."""
        for priority, size in (
            ("low", 0),
            ("normal", 300_000),
            ("high", 40_000),
            ("high", 0),
            ("critical", 0),
        ):
            self.hand_in(priority, size)
        eventually(lambda: waiting(self.pair) >= 5, "five events wait", PATIENCE_S)

    def begin(self) -> None:
        """What was handed in before belongs to earlier rounds."""
        self._this.clear()
        self._urgent.clear()

    # --- while the fault lasts ------------------------------------------------------------------------------

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """The station must not have been busy over this block, which lasts ten seconds at least."""
        pid, begun = pid_of(self.pair.station), time.monotonic()
        used = cpu_seconds(pid)
        yield
        while time.monotonic() - begun < WATCHED_S:
            time.sleep(0.5)
        lasted = time.monotonic() - begun
        share = (cpu_seconds(pid) - used) / lasted
        assert share < MOST_CPU, f"the station used {share:.0%} of a core: {self.told()}"
        print(f"{share:.1%} of a core over {lasted:.0f} s; {self.told()}")

    def tells(self, says: Callable[[Facts], bool], struck: Callable[[], bool] = lambda: True) -> None:
        """Until the fault has struck, and command line and page tell why nothing goes."""
        self._until(struck, "the fault strikes")
        self._until(lambda: says(self.status()), "the status tells the reason")
        self._until(self._page_agrees, "the page tells the same")

    def _page_agrees(self) -> bool:
        """The page for technicians has what the socket says, at one moment."""
        reason = self.pair.station.status()["breaker"]["reason"]
        return reason in Browser(self.pair.station.url()).get("/status").text

    def _until(self, look: Callable[[], bool], what: str) -> None:
        try:
            eventually(look, what, PATIENCE_S, 0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}; the station says {self.told()}") from error

    def status(self) -> Facts:
        """`status --json` of the command line."""
        done = self.pair.station.cli("status", "--json")
        assert done.returncode == 0, done.stderr
        facts: Facts = msgspec.json.decode(done.stdout)
        return facts

    def told(self) -> str:
        """What the station says of its uplink, for the message of a test that fails."""
        facts = self.pair.station.status()
        return f"{facts['breaker']} {[each['sentence'] for each in facts['warnings']]}"

    # --- afterwards -----------------------------------------------------------------------------------------

    def recover(self, ordered: bool = True) -> None:
        """The fault is lifted: everything arrives, once, whole, and the urgent first if it is `ordered`."""
        self.pair.heal()
        self.drain()
        rows = arrived(self.pair.owner, self.pair.device, self.numbers)
        if ordered:
            self._check_order(rows)
        self._check_files(rows)
        for name, text in self.pair.logs().items():
            assert "Traceback" not in text, f"{name}:\n{text[-4000:]}"

    def drain(self) -> None:
        """A person presses "Send now" from time to time, until nothing waits."""
        pressed = float("-inf")

        def look() -> bool:
            nonlocal pressed
            if time.monotonic() - pressed > AGAIN_S:
                pressed = time.monotonic()
                self.pair.send_now()
            return waiting(self.pair) == 0

        self._until(look, "nothing waits any more")

    def _check_order(self, rows: list[dict[str, Any]]) -> None:
        """In the order in which the cloud took them, critical ones of this round stand first.

        But for the probes that closed the breaker: when a critical message failed as one, another is tried.
        """
        mine = {f"test:{number}" for number in self._this}
        order = [row for row in sorted(rows, key=lambda row: row["cursor"]) if row["client_event_id"] in mine]
        names = [row["client_event_id"] for row in order]
        urgent = {f"test:{number}" for number in self._urgent}
        assert urgent <= set(names[: len(urgent) + PROBES]), names

    def _check_files(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            expected = self.files.get(row["client_event_id"])
            held = [media for media in row["media"] if media["stored"]]
            assert len(row["media"]) == len(held) == (expected is not None), row
            for media in held:
                path = f"/v1/devices/{self.pair.device}/media/{media['sha256']}"
                assert self.pair.owner.bytes(path) == expected


def waiting(pair: Pair) -> int:
    """Messages in the station's buffer."""
    return sum(row["count"] for row in pair.station.status()["backlog"]["waiting"])


def heartbeat_says(pattern: str) -> Callable[[Facts], bool]:
    """The warning about the heartbeat says this."""

    def says(facts: Facts) -> bool:
        warnings = [each["sentence"] for each in facts["warnings"] if each["code"] == "HB-001"]
        return any(re.search(pattern, sentence) for sentence in warnings)

    return says


def lane_says(lane: str, pattern: str) -> Callable[[Facts], bool]:
    """The reason of a lane's breaker (`breaker` for events, or `files`) says this."""
    return lambda facts: bool(re.search(pattern, facts[lane]["reason"]))


def reason_is(pattern: str) -> Callable[[Facts], bool]:
    """Both the reason of the events' breaker and the warning about the heartbeat say this."""
    heartbeat, breaker = heartbeat_says(pattern), lane_says("breaker", pattern)
    return lambda facts: breaker(facts) and heartbeat(facts)
