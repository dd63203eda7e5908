"""Reading every message out of a buffer file in any condition, for a rescue by hand; changes nothing.

A file that can be read is read beside its owner. One that cannot is copied, and what is left in the copy is
taken as after damage; so is a damaged file that was moved aside and not yet worked off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from buffer import quarantine
from buffer.capacity import Limits
from buffer.detail import Detail, Found, describe
from buffer.errors import BufferDamaged, NoBuffer, StorageFailed, from_os
from buffer.message import MediaRef
from buffer.reader import open_reader
from buffer.record import Record
from buffer.salvage import Batch, Wreck, open_wreck
from buffer.timeline import Run, Timeline

_RUN = "boot, kernel_boot, base_ms, opened_ms, last_ms, wall_minus_mono_ms"


class Survey:
    """One pass over one buffer.

    Afterwards `troubles` says why a file could not be read in order, and `broken` counts the rows of it that
    were there with a wrong checksum.
    """

    def __init__(self, work: Path) -> None:
        """`work` is a folder for the copy of a damaged file; it need not exist."""
        self._work = work
        self._told: set[tuple[str, str]] = set()
        self.troubles: list[str] = []
        self.broken = 0

    def of_station(self, path: Path) -> Iterator[Detail]:
        """Everything in the buffer at `path` and in what was moved aside and is not worked off.

        Raises NoBuffer when there is neither, BufferTooNew.
        """
        aside = [folder / path.name for folder, _ in quarantine.pending(path)]
        if path.is_file() or not aside:
            yield from self.of_file(path)
        for each in aside:
            yield from self.of_file(each)

    def of_file(self, path: Path) -> Iterator[Detail]:
        """Everything in this one file, each message once. Raises NoBuffer, BufferTooNew, DiskFull."""
        for detail in self._read(path):
            if (name := (detail.uuid, detail.state)) not in self._told:
                self._told.add(name)
                yield detail

    def _read(self, path: Path) -> Iterator[Detail]:
        try:
            with open_reader(path) as reader:
                yield from reader.details()
        except (BufferDamaged, StorageFailed) as error:
            if not path.is_file():
                raise NoBuffer(f"There is no buffer at {path}.") from error
            self.troubles.append(error.sentence)
            yield from self._salvage(path)

    def _salvage(self, path: Path) -> Iterator[Detail]:
        try:
            wreck = open_wreck(path.parent, path.name, Limits().pages, self._work)
        except OSError as error:
            raise from_os(error, "the copy of the damaged buffer") from error
        if wreck is None:
            self.troubles.append(f"Nothing in {path} can be read.")
            return
        with closing(wreck):
            yield from _in_wreck(wreck)
        self.broken += wreck.broken


def _in_wreck(wreck: Wreck) -> Iterator[Detail]:
    runs = [
        Run(*row) for row in wreck.table("boots", _RUN) if all(isinstance(row[n], int) for n in (0, 2, 4))
    ]
    timeline = Timeline({run.number: run for run in runs})
    newest = max(runs, key=lambda run: run.number, default=None)
    now_ms = 0 if newest is None else newest.base_ms + newest.last_ms
    for batch in wreck.batches():
        for found in _found(batch):
            media = [MediaRef(*row[2:]) for row in batch.media if row[0] == found.record.id]
            yield describe(found, media, timeline, now_ms)


def _found(batch: Batch) -> Iterator[Found]:
    for record in batch.messages:
        yield Found(record.id, record)
    for row in batch.dead:
        record = Record._make(row[2:])
        yield Found(record.id, record, reason=str(row[0]), died_wall_ms=int(row[1]))
