"""A look into a buffer file for support, by sqlite-utils: tables, pages, health; never on the hot path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from buffer.reader import open_reader


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a support person asks for first; sizes in bytes, `problems` empty when SQLite finds none."""

    version: int
    epoch: str
    rows: Mapping[str, int]
    file_bytes: int
    log_bytes: int
    free_bytes: int
    problems: tuple[str, ...]


def inspect(path: Path) -> Inspection:
    """Look at the buffer at `path`; reads every page, so it takes a second per gigabyte or more.

    Raises what `open_reader` raises.
    """
    from sqlite_utils import Database  # imported here: it costs the daemon 9 MB and nothing else needs it

    with open_reader(path) as reader:
        database = Database(reader.connection)
        findings = [next(iter(row.values())) for row in database.query("PRAGMA quick_check")]
        return Inspection(
            version=_pragma(database, "user_version"),
            epoch=str(database["meta"].get("epoch")["value"]),  # type: ignore[union-attr]
            rows={table.name: table.count for table in database.tables},
            file_bytes=_size(path),
            log_bytes=_size(path.with_name(path.name + "-wal")),
            free_bytes=_pragma(database, "freelist_count") * _pragma(database, "page_size"),
            problems=tuple(finding for finding in findings if finding != "ok"),
        )


def export(path: Path, table: str) -> list[dict[str, Any]]:
    """Every row of a table as the file has it; KeyError for no such table, or what `open_reader` raises."""
    from sqlite_utils import Database

    with open_reader(path) as reader:
        database = Database(reader.connection)
        if table not in database.table_names():
            raise KeyError(table)
        return list(database[table].rows)


def _pragma(database: Any, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
