"""The agent: takes a release from `available` to `committed`, or back. State first, then the act.

Every state is on the disk before its act begins, and every act may be repeated. So a kill at any place means
that an act is done twice, never that one is forgotten (`recovery`). What runs is asked of the backend, never
of the book. Nothing here waits for a clock but the monotonic one.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from firmware.update import jobs, rollout
from firmware.update.book import HISTORY_LENGTH, Book, Ended, Memory, Shelf, State
from firmware.update.check import Finder, WhichSource
from firmware.update.download import fetch, is_right
from firmware.update.examination import PROBATION_S, STABLE_S, Examination
from firmware.update.manifest import Manifest
from firmware.update.port import Backend, InstallFailed, Time
from firmware.update.reasons import Reason, Refused, because
from firmware.update.recovery import resume
from firmware.update.sight import Sight
from protocol.clock import to_text

log = logging.getLogger(__name__)

MOST_STORES = 28
"""Writes of one update before it is called a loop and taken back; Mender's number."""
MOST_FAILURES = 10
"""Downloads that broke off, or refusals of the disk, in a row."""
LOOK_EVERY_S = 5.0
AGAIN_S = 60.0
BACK_TRIES = 12
"""Looks, `LOOK_EVERY_S` apart, for the former version to run before it is started once more."""

_CHANGED = {State.ARMED, State.SWITCHED, State.PROBING, State.PROBATION}
"""From here on there is something to take back."""
_ENDING = {State.IDLE, State.COMMITTED, State.ROLLING_BACK, State.ROLLED_BACK}


class Agent:
    """One update at a time. Whoever makes one holds the lock of the shelf."""

    def __init__(
        self,
        *,
        backend: Backend,
        shelf: Shelf,
        finder: Finder,
        sources: WhichSource,
        look: Callable[[], Sight],
        time: Time,
        pause: Callable[[float], None],
    ) -> None:
        self._backend, self._shelf, self._finder = backend, shelf, finder
        self._sources, self._look, self._time, self._pause = sources, look, time, pause
        self.book = shelf.book()
        self._examination: Examination | None = None
        self._percent = -1

    # --- what is asked of it ------------------------------------------------------------------------------

    def recover(self) -> None:
        """After a start: finds out where to go on. Counts as one write, so that a loop is seen.

        An update that only waits for its time is no loop, however often somebody looks at it.
        """
        book = self.book
        if book.state in (State.IDLE, State.AVAILABLE):
            return
        pointed = self._backend.pointed()
        state = resume(book.state, self._version, pointed=pointed, installed=self._backend.installed())
        reason = book.reason
        if state is State.ROLLING_BACK and book.state is not State.ROLLING_BACK:
            reason = because("UPD-028")
        log.info("an update stopped at %s and goes on as %s", book.state, state)
        self._enter(state, reason=reason)

    def check(self, origin: str = "", *, asked: bool = False) -> Reason | None:
        """Looks for a release; None when there is one to take. Raises `OSError` for the disk."""
        if self.book.state not in (State.IDLE, State.AVAILABLE):
            return None
        try:
            manifest = self._finder.find(self._sources(origin))
        except Refused as refused:
            log.warning("no update: %s", refused)
            return refused.reason
        memory = self._shelf.memory()
        reason = rollout.unfit(manifest, self._finder.facts(self._running(), memory, asked=asked))
        if reason is not None:
            if self.book.state is State.AVAILABLE:
                self._write(Book())
            return reason
        if (manifest, origin, asked) != (self.book.manifest, self.book.origin, self.book.asked):
            job = self.book.job or secrets.token_hex(8)
            fresh = Book(state=State.AVAILABLE, job=job, manifest=manifest, asked=asked, origin=origin)
            self._write(fresh)
        return None

    def roll_back(self) -> Reason | None:
        """A person wants the former version. None when it goes back."""
        if self.book.state in _CHANGED:
            self._go_back(because("UPD-029"))
            return None
        memory = self._shelf.memory()
        former = memory.previous
        if self.book.state is not State.IDLE or former not in self._backend.installed():
            return because("UPD-030")
        job, version = secrets.token_hex(8), memory.version
        going = Book(state=State.ROLLING_BACK, job=job, version=version, former=former)
        self._write(msgspec.structs.replace(going, reason=because("UPD-029")))
        return None

    def run(self) -> Reason | None:
        """Works until nothing is left to do, or until it must wait for something: the reason then.

        Raises `OSError` after `MOST_FAILURES` refusals of the disk in a row; a new start goes on.
        """
        refusals = 0
        while True:
            try:
                wait = self.step()
                refusals = 0
            except OSError as error:
                refusals += 1
                log.warning("the disk refuses at %s: %s", self.book.state, error)
                self._make_room()
                self._tell(reason=because("UPD-015", detail=error.strerror or str(error)))
                if refusals >= MOST_FAILURES:
                    raise
                wait = LOOK_EVERY_S
            if isinstance(wait, Reason):
                self._tell(reason=wait)
                return wait
            if wait is None:
                return None
            if wait:
                self._pause(wait)

    def step(self) -> float | Reason | None:
        """One act. Seconds until the next one, the reason of a longer wait, or None at the end."""
        acts: dict[State, Callable[[], float | Reason | None]] = {
            State.IDLE: lambda: None,
            State.AVAILABLE: self._await,
            State.DOWNLOADING: self._download,
            State.VERIFIED: self._install,
            State.INSTALLED: self._arm,
            State.ARMED: self._switch,
            State.SWITCHED: self._start,
            State.PROBING: self._probe,
            State.PROBATION: self._probe,
            State.COMMITTED: self._settle,
            State.ROLLING_BACK: self._return,
            State.ROLLED_BACK: self._settle,
        }
        return acts[self.book.state]()

    # --- the acts -----------------------------------------------------------------------------------------

    def _await(self) -> float | Reason | None:
        manifest = self._manifest
        facts = self._finder.facts(self._running(), self._shelf.memory(), asked=self.book.asked)
        if (reason := rollout.unfit(manifest, facts)) is not None:
            return self._drop(reason)
        if (reason := rollout.hold(manifest, facts) or self._room()) is not None:
            return reason
        return self._enter(State.DOWNLOADING)

    def _download(self) -> float | Reason | None:
        if (reason := self._room()) is not None:
            return reason
        manifest, done = self._manifest, 0
        self._shelf.staging.mkdir(exist_ok=True)
        try:
            source = self._sources(self.book.origin)
            for artifact in manifest.artifacts:
                fetch(source, artifact, self._shelf.staging, partial(self._fetched, done))
                done += artifact.size
        except Refused as refused:
            return self._broke_off(refused.reason)
        return self._enter(State.VERIFIED, failures=0)

    def _broke_off(self, reason: Reason) -> float | Reason | None:
        failures = self.book.failures + 1
        if reason.code != "UPD-001" or failures >= MOST_FAILURES:
            return self._drop(reason)
        self._enter(State.DOWNLOADING, failures=failures)
        return AGAIN_S * (1 << min(failures // 3, 6))

    def _install(self) -> float | Reason | None:
        manifest, files = self._manifest, []
        for artifact in manifest.artifacts:
            path = self._shelf.staging / artifact.name
            if not path.exists() or not is_right(path, artifact):
                return self._enter(State.DOWNLOADING)
            files.append(path)
        try:
            self._backend.install(manifest.version, files, _seal(manifest))
        except InstallFailed as error:
            return self._drop(because("UPD-016", detail=str(error)))
        return self._enter(State.INSTALLED)

    def _arm(self) -> float | Reason | None:
        former = self._running()
        if not former or former == self._version or former not in self._backend.installed():
            return self._drop(because("UPD-030"))
        return self._enter(State.ARMED, former=former, baseline=self._look())

    def _switch(self) -> float | Reason | None:
        self._backend.switch(self._version)
        return self._enter(State.SWITCHED)

    def _start(self) -> float | Reason | None:
        try:
            self._backend.restart()
        except OSError as error:
            log.warning("the new version cannot be started: %s", error)
            return self._go_back(because("UPD-031"))
        self._examination = None
        return self._enter(State.PROBING)

    def _probe(self) -> float | Reason | None:
        at = self._time.monotonic()
        if self._backend.pointed() != self._version:
            return self._go_back(because("UPD-028"))
        if self._examination is None:
            self._examination = Examination(self.book.baseline or Sight(), at)
        sight = self._look()
        alive = sight.alive and self._backend.running() == self._version
        reason = self._examination.look(msgspec.structs.replace(sight, alive=alive), at)
        if reason is not None:
            return self._go_back(reason)
        healthy = self._examination.healthy
        if self.book.state is State.PROBING and healthy >= STABLE_S:
            return self._enter(State.PROBATION)
        if healthy >= PROBATION_S:
            return self._enter(State.COMMITTED)
        if self.book.state is State.PROBATION:
            self._tell(jobs.percent(State.PROBATION, healthy / PROBATION_S))
        return LOOK_EVERY_S

    def _go_back(self, reason: Reason) -> float:
        """The way back is not barred by a disk that takes no book: the pointer tells the truth anyway."""
        log.warning("the update is taken back: %s: %s", reason.code, reason)
        self._examination = None
        try:
            self._enter(State.ROLLING_BACK, reason=reason)
        except OSError as error:
            log.warning("going back without a note of it: %s", error)
            self.book = msgspec.structs.replace(self.book, state=State.ROLLING_BACK, reason=reason)
        return 0.0

    def _return(self) -> float | Reason | None:
        former = self.book.former
        if self._backend.pointed() != former:
            self._backend.switch(former)
        if self._backend.running() != former:
            self._backend.restart()
            for _ in range(BACK_TRIES):
                if self._backend.running() == former:
                    break
                self._pause(LOOK_EVERY_S)
        return self._enter(State.ROLLED_BACK)

    def _settle(self) -> float | Reason | None:
        """Remembers how it ended, tidies up, and is idle."""
        memory = self._shelf.memory()
        if not any(each.job == self.book.job for each in memory.history):
            self._shelf.keep_memory(self._remembered(memory))
        self._tell(jobs.percent(self.book.state), result=self._result)
        shutil.rmtree(self._shelf.staging, ignore_errors=True)
        self._tidy()
        self._write(Book())
        return None

    def _remembered(self, memory: Memory) -> Memory:
        book, moment = self.book, self._finder.moment()
        version, failed = self._version, dict(memory.failed)
        retry = book.manifest.retry if book.manifest else memory.retry
        kept = book.state is State.COMMITTED
        if not kept and book.reason is not None and self._blames(book.reason):
            failed[version] = max(retry, failed.get(version, 0))
        ended = Ended(
            job=book.job,
            version=version,
            former=book.former,
            result=self._result,
            reason=book.reason,
            at=to_text(moment) if moment else "",
        )
        return msgspec.structs.replace(
            memory,
            epoch=max(memory.epoch, book.manifest.epoch) if kept and book.manifest else memory.epoch,
            failed=failed,
            retry=retry if kept else memory.retry,
            version=version if kept else book.former or memory.version,
            previous=book.former if kept else "" if memory.previous == book.former else memory.previous,
            history=(*memory.history, ended)[-HISTORY_LENGTH:],
        )

    def _blames(self, reason: Reason) -> bool:
        """Whether the version is not tried again: it was tried, or it cannot even be unpacked."""
        return reason.cause.blames and (bool(self.book.former) or reason.code == "UPD-016")

    def _tidy(self) -> None:
        """Only what runs, what the next start runs, and the former version stay."""
        stay = {self._backend.running(), self._backend.pointed(), self._shelf.memory().previous}
        for version in self._backend.installed() - stay:
            try:
                self._backend.remove(version)
            except OSError as error:
                log.warning("version %s stays on the disk: %s", version, error)
        self._backend.sweep()

    # --- its book -----------------------------------------------------------------------------------------

    @property
    def _manifest(self) -> Manifest:
        if self.book.manifest is None:
            raise RuntimeError(f"{self.book.state} without a manifest")
        return self.book.manifest

    @property
    def _version(self) -> str:
        """The version that comes, or that goes when a person asked for the former one."""
        return self.book.manifest.version if self.book.manifest else self.book.version

    @property
    def _result(self) -> str:
        if self.book.state is State.COMMITTED:
            return jobs.INSTALLED
        return jobs.TAKEN_BACK if self.book.former else jobs.GIVEN_UP

    def _running(self) -> str:
        """What runs; where nothing does, what would."""
        return self._backend.running() or self._backend.pointed() or ""

    def _room(self) -> Reason | None:
        here = os.statvfs(self._shelf.folder)
        free = min(self._backend.free(), here.f_bavail * here.f_frsize)
        have = sum(path.stat().st_size for path in self._shelf.staging.glob("*"))
        needed = self._manifest.room - have
        if free >= needed:
            return None
        return because("UPD-013", needed=str(needed // 1_000_000 + 1), free=str(free // 1_000_000))

    def _drop(self, reason: Reason) -> float:
        """Nothing was changed yet, so there is nothing to take back."""
        log.warning("the update is dropped: %s: %s", reason.code, reason)
        self._enter(State.ROLLED_BACK, reason=reason)
        return 0.0

    def _enter(self, state: State, **changes: Any) -> float:
        stores = self.book.stores + 1
        if stores > MOST_STORES and state not in _ENDING:
            changes["reason"] = because("UPD-027")
            state = State.ROLLING_BACK if self.book.former else State.ROLLED_BACK
        self._write(msgspec.structs.replace(self.book, state=state, stores=stores, **changes))
        return 0.0

    def _write(self, book: Book) -> None:
        self._shelf.keep_book(book)
        self.book = book
        if book.state is not State.IDLE:
            self._tell(jobs.percent(book.state), reason=book.reason)

    def _make_room(self) -> None:
        """Once a version lies beside the others, its files are only ballast."""
        if self.book.state in _CHANGED | _ENDING:
            shutil.rmtree(self._shelf.staging, ignore_errors=True)

    # --- what it tells ------------------------------------------------------------------------------------

    def _fetched(self, before: int, have: int) -> None:
        now = jobs.percent(State.DOWNLOADING, (before + have) / self._manifest.size)
        if now != self._percent:
            self._tell(now)

    def _tell(self, percent: int | None = None, *, reason: Reason | None = None, result: str = "") -> None:
        """A job that cannot be shown stops nothing."""
        book = self.book
        self._percent = self._percent if percent is None else percent
        job = jobs.Job(
            id=book.job,
            version=self._version,
            former=book.former or self._running(),
            state=book.state,
            percent=max(self._percent, 0),
            reason=reason or book.reason,
            result=result,
            notes=book.manifest.notes if book.manifest else {},
        )
        try:
            jobs.keep_job(self._shelf.folder, job)
        except OSError as error:
            log.warning("the progress cannot be shown: %s", error)


def _seal(manifest: Manifest) -> str:
    """A name for the content of a release."""
    listed = "".join(f"{each.name}:{each.sha256}\n" for each in manifest.artifacts)
    return hashlib.sha256(listed.encode()).hexdigest()
