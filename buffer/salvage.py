# ruff: noqa: S608 - only constants of this room are joined into SQL, values are always bound
"""Reading what is left in a damaged buffer; only a copy is touched, and nothing is written back here.

SQLite's own `.recover` is missing from many builds, so this is done with queries alone: when the first page
is gone, one from a fresh file of the same layout takes its place; ranges of ids that cannot be read are
halved until the damage is encircled; and every row has to match the checksum it was written with.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buffer.message import Priority, id_range
from buffer.record import COLUMNS, Record, checksum, from_row
from buffer.schema import PAGE_BYTES, TABLES, connect_writer, migrate

_BATCH = 100
_PROBES = 20_000
_MEDIA = "message_id, position, sha256, size, mime, name, role"
_ALL_IDS = (0, id_range(Priority.LOW)[1] - 1)
_SIDES = ("ASC", "DESC")


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows that are sound, as the tables have them; `dead` rows begin with reason and time."""

    messages: list[Record]
    media: list[tuple[Any, ...]]
    dead: list[tuple[Any, ...]]


class Wreck:
    """A readable copy of a damaged buffer. `broken` counts rows that were there with a wrong checksum."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.broken = 0

    def close(self) -> None:
        """Let go of the copy."""
        self._connection.close()

    def table(self, name: str, columns: str) -> list[tuple[Any, ...]]:
        """The rows of a small table up to the first that cannot be read."""
        rows: list[tuple[Any, ...]] = []
        with suppress(sqlite3.Error):
            for row in self._connection.execute(f"SELECT {columns} FROM {name}"):
                rows.append(row)  # one by one, so that those before an error stay
        return rows

    def batches(self) -> Iterator[Batch]:
        """Every sound message, waiting or dead, with its media, oldest first inside a priority."""
        for rows in _in_batches(self._encircled("messages", "id", COLUMNS, _ALL_IDS)):
            sound = [record for row in rows if (record := self._sound(row)) is not None]
            yield Batch(sound, self._media(sound), [])
        for rows in _in_batches(
            self._encircled("dead", "n", f"n, reason, died_wall_ms, {COLUMNS}", (1, 2**40))
        ):
            dead = [(row, record) for row in rows if (record := self._sound(row[3:])) is not None]
            yield Batch([], self._media([record for _, record in dead]), [row[1:] for row, _ in dead])

    def _sound(self, row: tuple[Any, ...]) -> Record | None:
        with suppress(TypeError, AttributeError, ValueError):  # a damaged page may hold any types
            record = from_row(row)
            if checksum(record) == record.crc:
                return record
        self.broken += 1
        return None

    def _media(self, records: list[Record]) -> list[tuple[Any, ...]]:
        """Media rows; without them their message is incomplete, which shows when it is due."""
        found: list[tuple[Any, ...]] = []
        for record in records:
            if record.media:
                query = f"SELECT {_MEDIA} FROM message_media WHERE message_id = ?"
                with suppress(sqlite3.Error):
                    found += self._connection.execute(query, (record.id,)).fetchall()
        return found

    def _encircled(
        self, table: str, key: str, columns: str, span: tuple[int, int]
    ) -> Iterator[tuple[Any, ...]]:
        """Every readable row of the span: from both sides up to the damage, then the halves between."""
        spans, probes = [span], 0
        while spans and probes < _PROBES:
            low, high = spans.pop()
            probes += 1
            edges = [low, high]
            for side, order in enumerate(_SIDES):
                query = f"SELECT {columns} FROM {table} WHERE {key} BETWEEN ? AND ? ORDER BY {key} {order}"
                try:
                    with closing(self._connection.execute(query, edges)) as rows:
                        for row in rows:
                            yield row
                            edges[side] = row[0] + (1, -1)[side]
                    break
                except sqlite3.Error:
                    continue
            else:
                if edges[0] < edges[1]:
                    middle = (edges[0] + edges[1]) // 2
                    spans += [(middle + 1, edges[1]), (edges[0], middle)]


def open_wreck(folder: Path, name: str, max_pages: int, work: Path | None = None) -> Wreck | None:
    """The first of these that can be opened: the file as it is, with a new first page, the same without its
    log; None when there is no way in. The copy lies in `work`, or in a folder beside the file.

    Raises OSError when there is no room for the copy.
    """
    work = work or folder / "work"
    for prepare in (_as_it_is, _with_new_first_page, _without_log):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        copy = prepare(folder, work, name, max_pages)
        connection = _enter(copy)
        if connection is not None:
            return Wreck(connection)
    return None


def clear_away(folder: Path) -> None:
    """Delete the copy."""
    shutil.rmtree(folder / "work", ignore_errors=True)


_Prepare = Callable[[Path, Path, str, int], Path]


def _as_it_is(folder: Path, work: Path, name: str, max_pages: int) -> Path:
    for suffix in ("", "-wal"):
        if (folder / (name + suffix)).exists():
            shutil.copyfile(folder / (name + suffix), work / (name + suffix))
    return work / name


def _with_new_first_page(folder: Path, work: Path, name: str, max_pages: int) -> Path:
    copy = _as_it_is(folder, work, name, max_pages)
    with copy.open("r+b") as file:
        pages = max(1, file.seek(0, 2) // PAGE_BYTES)
        first = bytearray(_fresh_first_page(work / "fresh.db", max_pages))
        first[28:32] = pages.to_bytes(4, "big")
        file.seek(0)
        file.write(first)
    return copy


def _without_log(folder: Path, work: Path, name: str, max_pages: int) -> Path:
    copy = _with_new_first_page(folder, work, name, max_pages)
    copy.with_name(name + "-wal").unlink(missing_ok=True)
    return copy


def _fresh_first_page(path: Path, max_pages: int) -> bytes:
    connection = connect_writer(path, max_pages)
    try:
        migrate(connection)
    finally:
        connection.close()
    return path.read_bytes()[:PAGE_BYTES]


def _enter(copy: Path) -> sqlite3.Connection | None:
    """A connection that knows all tables, whatever else may be wrong."""
    connection = sqlite3.connect(copy, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA writable_schema = ON")  # a file shorter than its header says opens too
        found = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    except sqlite3.Error:
        found = set()
    if found >= TABLES:
        return connection
    connection.close()
    return None


def _in_batches(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    batch: list[tuple[Any, ...]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
