"""The thread that takes back what a damaged buffer still holds, while the fresh one is in use already."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from buffer import quarantine
from buffer.clock import Stamp
from buffer.enqueue import put
from buffer.errors import StoreError
from buffer.message import Draft
from buffer.readmit import readmit, readmit_notes, readmit_runs
from buffer.salvage import Wreck, clear_away, open_wreck
from buffer.state import State
from buffer.writer import Writer

_LOG = logging.getLogger(__name__)
_LOWEST_PRIORITY = 19
_RUN_COLUMNS = "boot, kernel_boot, base_ms, opened_ms, last_ms, wall_ms, wall_minus_mono_ms"


@dataclass(frozen=True, slots=True)
class Incident:
    """A buffer was damaged. `recovered` messages wait again, `lost` could not be read (None: their number is
    not known); `folder` keeps the damaged file."""

    reason: str
    folder: Path
    recovered: int
    lost: int | None


Alert = Callable[[Incident], Draft | None]
"""Told after every rescue, on its thread; the draft it hands back is stored for the cloud."""


class Rescue:
    """Works through the quarantined files that wait for it; `nudge` when another one came."""

    def __init__(
        self, path: Path, writer: Writer, state: State, now: Callable[[], Stamp], alert: Alert | None
    ) -> None:
        self._path = path
        self._writer = writer
        self._state = state
        self._now = now
        self._alert = alert
        self._expected: dict[Path, int] = {}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.incidents: list[Incident] = []

    def nudge(self, folder: Path | None = None, expected: int | None = None) -> None:
        """Work off what is pending; `expected` messages were known to be in this folder's file."""
        with self._lock:
            if folder is not None and expected is not None:
                self._expected[folder] = expected
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._main, name="buffer-rescue", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stop at the next batch; the next start goes on from the beginning. Blocks."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def wait(self) -> None:
        """Until nothing is pending. Blocks."""
        while self._thread is not None and self._thread.is_alive():
            self._thread.join()

    def _main(self) -> None:
        with suppress(OSError):  # recording comes first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
        while not self._stop.is_set() and (waiting := quarantine.pending(self._path)):
            folder, reason = waiting[0]
            try:
                self._one(folder, reason)
            except (OSError, StoreError):
                _LOG.exception("what is in %s could not be taken back; the next start tries again", folder)
                return

    def _one(self, folder: Path, reason: str) -> None:
        try:
            wreck = open_wreck(folder, self._path.name, self._state.limits.pages)
            recovered = self._take_back(wreck) if wreck else 0
            broken = wreck.broken if wreck else 0
        finally:
            clear_away(folder)
        if not self._stop.is_set():
            quarantine.settled(folder)
            expected = self._expected.pop(folder, None)
            lost = max(0, expected - recovered) if expected is not None else broken or None
            self._report(Incident(reason, folder, recovered, lost))

    def _take_back(self, wreck: Wreck) -> int:
        recovered = 0
        try:
            runs = wreck.table("boots", _RUN_COLUMNS)
            notes = wreck.table("meta", "key, value")
            seen = wreck.table("seen", "key, revision, id, uuid")
            self._writer.call(lambda c: readmit_runs(c, self._state, runs))
            for batch in wreck.batches():
                if self._stop.is_set():
                    return recovered
                now = self._now()
                recovered += self._writer.call(lambda c, b=batch, n=now: readmit(c, self._state, b, n))  # type: ignore[misc]
            self._writer.call(lambda c: readmit_notes(c, notes, seen))
        finally:
            wreck.close()
        return recovered

    def _report(self, incident: Incident) -> None:
        lost = "an unknown number" if incident.lost is None else incident.lost
        _LOG.error("%d messages were recovered from %s, %s lost", incident.recovered, incident.folder, lost)
        self.incidents.append(incident)
        now = self._now()
        self._writer.call(lambda _: self._count(incident))
        draft = self._alert(incident) if self._alert else None
        if draft is not None:
            self._writer.call(lambda c: put(c, self._state, draft, now))

    def _count(self, incident: Incident) -> None:
        self._state.tally.lost += incident.lost or 0
