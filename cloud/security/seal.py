"""The seal of the audit chain: a file beside the database that names the newest row. The chain is in `audit`.

A chain of hashes shows a changed row, but not a missing end. The seal does: whoever only has the database can
neither see nor move it. It is never moved past a row that does not hold any more.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from cloud.errors import StoreError
from cloud.security import audit
from cloud.security.vault import write_secret
from cloud.store.engine import Database

log = logging.getLogger(__name__)

FILE = "audit.seal"
_TEXT = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})\n?")


@dataclass(frozen=True)
class Verdict:
    """What a check of the whole trail found. `broken` is the first row that does not hold, or None."""

    rows: int
    head: str
    sealed: str | None
    broken: int | None
    reason: str = ""


class Seal:
    """The file, and how it follows the chain."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._path, self._database = folder / FILE, database

    async def follow(self) -> None:
        """Moves the seal to the newest row. Raises `StoreError` when the sealed row is not what it was."""
        await asyncio.to_thread(self._follow)

    def _follow(self) -> None:
        sealed = self.read()

        def look(connection: Connection) -> tuple[bool, tuple[int, str]]:
            return sealed is None or audit.holds(connection, *sealed), audit.head(connection)

        intact, newest = self._database.read_now(look)
        if not intact:
            raise StoreError("The audit trail was changed. Run `meteor-cloud audit verify`.")
        if sealed != newest:
            write_secret(self._path, f"{newest[0]}:{newest[1]}\n".encode("ascii"))

    def read(self) -> tuple[int, str] | None:
        """The sealed row, or None when nothing was sealed yet. Raises `StoreError` for a damaged file."""
        try:
            text = self._path.read_text("utf-8", "replace")
        except FileNotFoundError:
            return None
        return parse(text)

    def verify(self, *noted: tuple[int, str]) -> Verdict:
        """Checks every row, the seal, and heads that somebody noted elsewhere. Blocking."""
        sealed = self.read()
        return self._database.read_now(lambda connection: _verdict(connection, sealed, noted))


def parse(text: str) -> tuple[int, str]:
    """`SEQ:HASH` as two values. Raises `StoreError`."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise StoreError("The seal of the audit trail is not a number and a hash.")
    return int(found[1]), found[2]


def _verdict(
    connection: Connection, sealed: tuple[int, str] | None, noted: tuple[tuple[int, str], ...]
) -> Verdict:
    newest = audit.head(connection)
    shown = "{}:{}".format(*newest)
    mark = "{}:{}".format(*sealed) if sealed else None
    broken = audit.first_broken(connection)
    if broken is not None:
        return Verdict(newest[0], shown, mark, broken, "was changed, removed or put in")
    for known in (*((sealed,) if sealed else ()), *noted):
        if not audit.holds(connection, *known):
            reason = "is not what it was when it was noted: rows were removed from the end, or made anew"
            return Verdict(newest[0], shown, mark, min(known[0], newest[0] + 1), reason)
    return Verdict(newest[0], shown, mark, None)
