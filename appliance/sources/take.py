"""Taking one event out of the spool: its files opened, checked for completeness, handed to the intake.

What was dropped is flushed before the event is committed, because most programs do not do it. Else a power
cut after the yes could bring originals back half written, and they would be taken for something new.
Nothing is moved here, and nothing decides when to look.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from appliance.sources.accept import Accepted, Intake
from appliance.sources.errors import SourceRefused
from appliance.sources.inside import Changed, make_durable, open_inside, pieces, relative
from appliance.sources.schema import Observation, SourceMedia, Wanted, utc_text, wanted_media
from appliance.sources.watch import Entry, Identity, identity
from buffer.errors import InvalidDraft, MediaTooLarge, MessageTooLarge
from protocol.limits import MAX_JSON_BYTES

ADAPTER = "spool"


class NotYet(Exception):
    """Something of the event is not complete."""


@dataclass(frozen=True, slots=True)
class _Open:
    wanted: Wanted
    path: PurePosixPath
    file: int
    identity: Identity


class Taker:
    """Reads from one spool for one intake."""

    def __init__(self, folder: Path, intake: Intake, settled: Callable[[str, Identity], bool]) -> None:
        """`settled` says whether the file at a path has not changed for long enough."""
        self._folder = folder
        self._intake = intake
        self._settled = settled
        self._doubted: dict[str, Identity] = {}

    async def described(self, entry: Entry, observation: Observation) -> list[tuple[PurePosixPath, Identity]]:
        """Commits the event of a description; returns its files as they were read.

        Raises `NotYet` or `Changed` while a file may be half written, `SourceRefused`, `StoreError`.
        """
        with ExitStack() as closing:
            opened = [self._open(wanted, closing) for wanted in wanted_media(observation)]
            # a list, so that the clock of every file starts, also behind one that is not complete
            if not all([self._complete(file, entry) for file in opened]):
                raise NotYet
            own = self._open_description(entry, closing)
            names = {PurePosixPath(entry.name): own} | {file.path: file.file for file in opened}
            await asyncio.to_thread(make_durable, self._folder, names)
            with _refusing():
                await self._hand_in(entry, observation, opened)
        self._doubted.pop(entry.name, None)
        return [(file.path, file.identity) for file in opened]

    async def _hand_in(self, entry: Entry, observation: Observation, opened: list[_Open]) -> Accepted:
        async with self._intake.delivery() as delivery:
            files = []
            for file in opened:
                async with aclosing(pieces(file.file)) as chunks:
                    files.append((file.wanted.media, await delivery.add(file.wanted.media.name, chunks)))
            try:
                return await delivery.accept(observation, files, ADAPTER)
            except SourceRefused:
                # A file is not what was announced. It is not read again before it has settled.
                self._doubted[entry.name] = entry.identity
                raise

    def _open_description(self, entry: Entry, closing: ExitStack) -> int:
        file = open_inside(self._folder, PurePosixPath(entry.name), "$")
        closing.callback(os.close, file)
        if identity(os.fstat(file)) != entry.identity:
            raise Changed
        return file

    def _open(self, wanted: Wanted, closing: ExitStack) -> _Open:
        path = relative(self._folder, wanted.location, wanted.field)
        file = open_inside(self._folder, path, wanted.field)
        closing.callback(os.close, file)
        return _Open(wanted, path, file, identity(os.fstat(file)))

    def _complete(self, opened: _Open, entry: Entry) -> bool:
        """A file that was last written before its description is complete by the contract."""
        if self._settled(str(opened.path), opened.identity):
            return True
        if self._doubted.get(entry.name) == entry.identity:
            return False
        told = opened.wanted.media
        if told.size is not None and told.size != opened.identity[1]:
            return False
        return opened.identity[2] <= entry.mtime_ns or (told.size is not None and told.sha256 is not None)

    async def alone(self, entry: Entry, now: float) -> Accepted:
        """Commits a picture or recording as an event of its own, which began when the file was written.

        Raises `Changed`, `SourceRefused`, `StoreError`. `now` (seconds since 1970) stands in for an
        impossible file time.
        """
        shown = shown_name(entry.name)
        file = open_inside(self._folder, PurePosixPath(entry.name), "$")
        try:
            if identity(os.fstat(file)) != entry.identity:
                raise Changed
            await asyncio.to_thread(make_durable, self._folder, {PurePosixPath(entry.name): file})
            with _refusing():
                return await self._hand_in_alone(entry, shown, file, now)
        finally:
            os.close(file)

    async def _hand_in_alone(self, entry: Entry, shown: str, file: int, now: float) -> Accepted:
        async with self._intake.delivery() as delivery, aclosing(pieces(file)) as chunks:
            ref = await delivery.add(shown, chunks)
            observation = Observation(
                timestamp=utc_text(_moment(entry.mtime_ns, now)),
                event_type="other",
                client_event_id=_name_of(entry.name, ref.sha256),
                metadata={"file_name": shown},
            )
            return await delivery.accept(observation, [(SourceMedia(name=shown), ref)], ADAPTER)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turns what the buffer will never take, however long one waits, into a refusal."""
    try:
        yield
    except (MediaTooLarge, MessageTooLarge, InvalidDraft) as error:
        raise SourceRefused(error.code, error.sentence, error.action) from None


def read_description(folder: Path, name: str) -> bytes:
    """The text of a description, cut just above the limit. Blocks. Raises `SourceRefused`, `OSError`."""
    file = open_inside(folder, PurePosixPath(name), "$")
    with os.fdopen(file, "rb") as reader:
        return reader.read(MAX_JSON_BYTES + 1)


def shown_name(name: str) -> str:
    """A file name as it may travel: valid text without control characters, at most 200 long, ending kept."""
    text = os.fsencode(name).decode("utf-8", "replace")
    clean = re.sub(r"[\x00-\x1f\x7f/]", "_", text)
    stem, end = PurePosixPath(clean).stem, PurePosixPath(clean).suffix
    return stem[: 200 - len(end)] + end if len(end) < 20 else clean[:200]


def _name_of(name: str, sha256: str) -> str:
    """Equal for the same bytes under the same name, whenever they are dropped."""
    digest = hashlib.sha256(os.fsencode(name) + b"\0" + sha256.encode())
    return f"file:{digest.hexdigest()[:40]}"


def _moment(mtime_ns: int, now: float) -> datetime:
    try:
        return datetime.fromtimestamp(mtime_ns / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(now, UTC)
