"""The station's record on disk, which survives a power cut. Its format belongs to `statemachine`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from appliance.files import private_folder, to_the_end, write_atomically
from statemachine.record import LastError, Record, RecordDamaged, decode, encode, first_record, started

log = logging.getLogger(__name__)


class Journal:
    """Owns the record. Every change is durable before `change` returns, one after the other."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        """`now` gives UTC seconds, for people only. Blocks for reading one small file."""
        self._path = private_folder(folder) / "record.json"
        self._now = now
        self._lock = asyncio.Lock()
        self._told: tuple[str, str] | None = None
        self.record = started(self._read(), now())

    def _read(self) -> Record:
        try:
            return decode(self._path.read_bytes())
        except FileNotFoundError:
            return first_record(self._now())
        except RecordDamaged as error:
            # Credentials, stored networks and card still tell the truth; only the history is lost.
            damaged = self._path.with_suffix(".damaged")
            self._path.replace(damaged)
            log.error("%s Moved to %s; starting from what else is known.", error, damaged)
            return first_record(self._now())

    async def change(self, edit: Callable[[Record], Record]) -> Record:
        """Applies `edit` to the newest record and makes the result durable. Raises `OSError`."""
        async with self._lock:
            changed = edit(self.record)
            if changed != self.record or not self._path.exists():
                await to_the_end(self._keep, changed)
            return changed

    def _keep(self, changed: Record) -> None:
        write_atomically(self._path, encode(changed))
        self.record = changed

    async def fail(self, code: str, text: str) -> None:
        """Keeps the last error for the pages and for support. The same one again is the same episode.

        The log hears of each once, also when an earlier life of the station has kept it already.
        """
        last = self.record.last_error
        if last is None or self._told != (code, text):
            self._told = code, text
            log.warning("%s", text if text.startswith(code) else f"{code}: {text}")
        if last is not None and (last.code, last.text) == (code, text):
            return
        error = LastError(code, text, self._now())
        await self.change(lambda record: replace(record, last_error=error))

    async def recovered(self, *codes: str) -> None:
        """What failed works again, if the last error's code begins like one of these; without any: always."""
        last = self.record.last_error
        if last is not None and last.code.startswith(codes or ("",)):
            await self.change(lambda record: replace(record, last_error=None))
            self._told = None
            log.info("%s is over", last.code)
