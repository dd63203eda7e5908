"""The job that pages and command line show: one file, so that reload, restart and another phone find it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from firmware.durable import write_durably
from firmware.pattern import N_
from firmware.update.book import READABLE, State
from firmware.update.reasons import Reason

JOB = "job.json"

INSTALLED, TAKEN_BACK, GIVEN_UP = "installed", "taken_back", "given_up"
"""How an update ends: kept, rolled back, or dropped before anything was changed."""

STEPS: Mapping[State, str] = {
    State.IDLE: N_("There is no update under way."),
    State.AVAILABLE: N_("An update is there."),
    State.DOWNLOADING: N_("The update is being fetched."),
    State.VERIFIED: N_("The update is being unpacked."),
    State.INSTALLED: N_("The update is being prepared."),
    State.ARMED: N_("The station changes to the new version."),
    State.SWITCHED: N_("The new version is being started."),
    State.PROBING: N_("The new version is being tested."),
    State.PROBATION: N_("The new version works and is being watched."),
    State.COMMITTED: N_("The new version is kept."),
    State.ROLLING_BACK: N_("The station goes back to its former version."),
    State.ROLLED_BACK: N_("The station is back at its former version."),
}

RESULTS: Mapping[str, str] = {
    INSTALLED: N_("The update was installed."),
    TAKEN_BACK: N_("The update was taken back."),
    GIVEN_UP: N_("The update was not installed; nothing was changed."),
}

_PERCENT = {
    State.AVAILABLE: 0,
    State.DOWNLOADING: 5,
    State.VERIFIED: 60,
    State.INSTALLED: 70,
    State.ARMED: 72,
    State.SWITCHED: 74,
    State.PROBING: 76,
    State.PROBATION: 80,
    State.COMMITTED: 100,
    State.ROLLING_BACK: 50,
    State.ROLLED_BACK: 100,
}
_NEXT = {State.DOWNLOADING: State.VERIFIED, State.PROBATION: State.COMMITTED}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One update as a person follows it. `result` is empty while it goes on."""

    id: str
    version: str
    former: str = ""
    state: State = State.IDLE
    percent: int = 0
    reason: Reason | None = None
    result: str = ""
    notes: dict[str, str] = {}

    @property
    def sentence(self) -> str:
        """The step, or how it ended."""
        return RESULTS.get(self.result) or STEPS[self.state]


def percent(state: State, share: float = 0.0) -> int:
    """How far a state is, with the done share of its own work."""
    begin = _PERCENT.get(state, 0)
    end = _PERCENT[_NEXT[state]] if state in _NEXT else begin
    return begin + int((end - begin) * min(max(share, 0.0), 1.0))


def keep_job(folder: Path, job: Job) -> None:
    """Puts the job where everybody looks. Raises `OSError`."""
    write_durably(folder / JOB, msgspec.json.encode(job), READABLE)


def read_job(folder: Path) -> Job | None:
    """The job that goes on, or the last one; None if there was none."""
    try:
        return msgspec.json.decode((folder / JOB).read_bytes(), type=Job)
    except (OSError, ValueError):
        return None
