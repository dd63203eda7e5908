"""The spool: a folder into which any program drops files, and from which each event is taken once.

The contract for a program: write the media, write `name.json.tmp`, rename it to `name.json`. Then it is
taken at once. For programs that know no contract, a file is taken when it has not changed for a while, or
when `<file>.done` or `<stem>.done` stands beside it. A picture or recording that comes alone is an event of
type `other`. Files named `.*`, `*.tmp` and `*.part` are nobody's business yet.

Polling, because change notices do not come from network folders and a missed one would strand an event.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path, PurePosixPath

from appliance.sources.accept import Intake
from appliance.sources.errors import MEDIA_OUTSIDE, NOT_AN_EVENT, SourceRefused
from appliance.sources.inside import Changed, relative
from appliance.sources.mime import can_come_alone
from appliance.sources.retire import Retirement
from appliance.sources.schema import Observation, decode, wanted_media
from appliance.sources.take import NotYet, Taker, read_description
from appliance.sources.watch import Entry, Identity, Settling, look
from buffer.errors import StoreError

log = logging.getLogger(__name__)

_PRUNE_EVERY_S = 60.0
_STUCK_S = 300.0
"""How long a file is left alone after the file system refused something about it."""


class Spool:
    """Watches one folder. `run` it as a task; `tick` is one look."""

    def __init__(
        self,
        folder: Path,
        intake: Intake,
        *,
        settle_s: float = 60.0,
        poll_s: float = 1.0,
        trouble_s: float = 15.0,
        keep_s: float = 7 * 86400.0,
        keep_bytes: int = 256 << 20,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Durations in seconds. `keep_s` and `keep_bytes` bound each of `accepted/` and `rejected/`."""
        self.folder = folder.absolute()
        self.trouble: str | None = None
        self._retirement = Retirement(self.folder, keep_s=keep_s, keep_bytes=keep_bytes)
        self._settling = Settling(settle_s)
        self._taker = Taker(self.folder, intake, self._settled)
        self._poll_s = poll_s
        self._trouble_s = trouble_s
        self._monotonic = monotonic
        self._wall = wall
        self._marked: set[str] = set()
        self._stuck: dict[str, tuple[Identity, float]] = {}
        self._pruned_at: float | None = None

    async def run(self) -> None:
        """For ever: what cannot be done now is tried again, and reported once per episode in `trouble`."""
        prepared = False
        while True:
            try:
                if not prepared:
                    await self.prepare()
                    prepared = True
                await self.tick()
            except (OSError, StoreError) as error:
                prepared = prepared and isinstance(error, StoreError)
                self._report(str(error))
            else:
                self._report(None)
            # in trouble more slowly: each try reads the media of the first event again
            await asyncio.sleep(self._trouble_s if self.trouble else self._poll_s)

    def _report(self, trouble: str | None) -> None:
        if trouble is not None and self.trouble is None:
            log.warning("the spool waits: %s", trouble)
        elif trouble is None and self.trouble is not None:
            log.info("the spool goes on")
        self.trouble = trouble

    async def prepare(self) -> None:
        """Makes the folders and finishes what a crash left half put away. Raises `OSError`."""
        await asyncio.to_thread(self._retirement.prepare)
        for name in await asyncio.to_thread(self._retirement.staged):
            try:
                observation = decode(await asyncio.to_thread(self._retirement.read_staged, name))
                files = self._files_of(observation)
            except SourceRefused:  # it was accepted once; now it is only put away
                files = []
            await asyncio.to_thread(self._retirement.resume, name, files)

    async def tick(self) -> None:
        """One look: takes what is complete. Raises `StoreError` when the buffer takes nothing now."""
        entries, self._marked = await asyncio.to_thread(look, self.folder)
        self._settling.begin()
        for entry in entries:
            self._settled(entry.name, entry.identity)
        entries = [entry for entry in entries if not self._is_stuck(entry)]
        needed, waiting = await self._take_described([entry for entry in entries if entry.is_event])
        for entry in entries:
            if not entry.is_event and entry.name not in needed and entry.stem not in waiting:
                await self._guarded(entry, self._take_alone(entry))
        await self._prune()

    def _settled(self, path: str, now_as: Identity) -> bool:
        marked = path in self._marked or path.rpartition(".")[0] in self._marked
        return self._settling.settled(path, now_as, self._monotonic()) or marked

    # --- descriptions ---------------------------------------------------------------------------------------

    async def _take_described(self, entries: list[Entry]) -> tuple[Counter[str], set[str]]:
        """Takes what is complete; every file that one of them named, and the stems of those that wait."""
        understood = []
        waiting = set()
        for entry in entries:
            observation = await self._understand(entry)
            if isinstance(observation, Observation):
                understood.append((entry, observation))
            elif observation is NotYet:
                waiting.add(entry.stem)
        needed = Counter(str(path) for _, seen in understood for path in self._files_of(seen))
        for entry, observation in understood:
            mine = [str(path) for path in self._files_of(observation)]
            needed.subtract(mine)
            if not await self._guarded(entry, self._take_one(entry, observation, needed)):
                needed.update(mine)
                waiting.add(entry.stem)
        return needed, waiting

    async def _understand(self, entry: Entry) -> Observation | type[NotYet] | None:
        """The observation; `NotYet` for one that may be half written; None for one that was refused."""
        try:
            return decode(await asyncio.to_thread(read_description, self.folder, entry.name))
        except SourceRefused as refusal:
            if refusal.incomplete and not self._settled(entry.name, entry.identity):
                return NotYet
            await self._reject(entry, refusal, [])
        except OSError as error:
            self._set_stuck(entry, error)
        return None

    async def _take_one(self, entry: Entry, observation: Observation, needed: Counter[str]) -> bool:
        try:
            files = await self._taker.described(entry, observation)
        except SourceRefused as refusal:
            if refusal.incomplete and not self._settled(entry.name, entry.identity):
                return False
            own = [path for path in self._files_of(observation) if needed[str(path)] <= 0]
            await self._reject(entry, refusal, own)
            return True
        mine = [(path, known) for path, known in files if needed[str(path)] <= 0]
        await asyncio.to_thread(self._retirement.accept, entry.name, entry.identity, mine)
        return True

    def _files_of(self, observation: Observation) -> list[PurePosixPath]:
        """Where its files are, as far as they lie inside; a description is never a file of another one."""
        paths = []
        for wanted in wanted_media(observation):
            try:
                path = relative(self.folder, wanted.location, wanted.field)
            except SourceRefused:
                continue
            if len(path.parts) > 1 or not path.name.lower().endswith(".json"):
                paths.append(path)
        return paths

    # --- files that come alone ------------------------------------------------------------------------------

    async def _take_alone(self, entry: Entry) -> bool:
        if not self._settled(entry.name, entry.identity):
            return False
        refusal = _unfit(entry)
        if refusal is None:
            try:
                await self._taker.alone(entry, self._wall())
            except SourceRefused as refused:
                if refused.incomplete:  # it went away
                    return False
                refusal = refused
        if refusal is not None:
            await self._reject(entry, refusal, [])
            return True
        await asyncio.to_thread(self._retirement.accept_alone, entry.name, entry.identity)
        return True

    # --- edges ----------------------------------------------------------------------------------------------

    async def _guarded(self, entry: Entry, taking: Coroutine[None, None, bool]) -> bool:
        """True when the entry is done with. One bad file never holds up the others."""
        try:
            return await taking
        except (Changed, NotYet):
            return False
        except OSError as error:
            self._set_stuck(entry, error)
            return False

    async def _reject(self, entry: Entry, refusal: SourceRefused, files: list[PurePosixPath]) -> None:
        log.warning("%r is refused: %s", entry.name, refusal)
        reason = f"{refusal.code}\n{refusal.field}\n{refusal.sentence}\n{refusal.remedy}"
        try:
            await asyncio.to_thread(self._retirement.reject, entry.name, entry.identity, files, reason)
        except OSError as error:
            self._set_stuck(entry, error)

    def _set_stuck(self, entry: Entry, error: OSError) -> None:
        """Leaves a file alone for a while or until it changes, instead of complaining every second."""
        log.warning("%r cannot be handled: %s", entry.name, error)
        self._stuck[entry.name] = (entry.identity, self._monotonic() + _STUCK_S)

    def _is_stuck(self, entry: Entry) -> bool:
        known, until = self._stuck.get(entry.name, (None, 0.0))
        if known == entry.identity and self._monotonic() < until:
            return True
        self._stuck.pop(entry.name, None)
        return False

    async def _prune(self) -> None:
        now = self._monotonic()
        if self._pruned_at is None or now - self._pruned_at >= _PRUNE_EVERY_S:
            self._pruned_at = now
            await asyncio.to_thread(self._retirement.prune, self._wall())


def _unfit(entry: Entry) -> SourceRefused | None:
    if entry.link:
        return SourceRefused(MEDIA_OUTSIDE, "This is a link.", "Copy the file into the spool instead.")
    if not can_come_alone(entry.name):
        sentence = "This is neither an event (.json) nor a picture or recording."
        return SourceRefused(NOT_AN_EVENT, sentence, "Name it in the media_files of an event.")
    return None
