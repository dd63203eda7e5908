"""The database file: tables, versions, pragmas and the two ways to connect; no query lives here.

The order of the statements is fixed: recovery of a damaged file relies on every file having the same root
pages. A message's row id holds priority, run and sequence, so the table itself is the queue: no secondary
index to write, and evicting the oldest of a class frees whole pages.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from buffer.errors import BufferDamaged, BufferTooNew, NoBuffer, StorageFailed

PAGE_BYTES = 4096
WAL_LIMIT = 8 * 1024 * 1024

_V1 = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE boots (
        boot INTEGER PRIMARY KEY, kernel_boot TEXT NOT NULL, base_ms INTEGER NOT NULL,
        opened_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL,
        wall_minus_mono_ms INTEGER) STRICT""",
    """CREATE TABLE messages (
        id INTEGER PRIMARY KEY, uuid BLOB NOT NULL, kind TEXT NOT NULL, content_type TEXT NOT NULL,
        idempotency_key TEXT, revision INTEGER NOT NULL, boottime_ms INTEGER NOT NULL,
        wall_ms INTEGER NOT NULL, expires_ms INTEGER, retry_count INTEGER NOT NULL DEFAULT 0,
        not_before_ms INTEGER, media INTEGER NOT NULL, encoding INTEGER NOT NULL DEFAULT 0,
        crc INTEGER NOT NULL, payload BLOB NOT NULL) STRICT""",
    """CREATE TABLE message_media (
        message_id INTEGER NOT NULL, position INTEGER NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
        mime TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL,
        PRIMARY KEY (message_id, position)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX message_media_by_hash ON message_media (sha256)",
    """CREATE TABLE seen (
        n INTEGER PRIMARY KEY, key TEXT NOT NULL, revision INTEGER NOT NULL, id INTEGER NOT NULL,
        uuid BLOB NOT NULL, UNIQUE (key, revision)) STRICT""",
    """CREATE TABLE dead (
        n INTEGER PRIMARY KEY, reason TEXT NOT NULL, died_wall_ms INTEGER NOT NULL,
        id INTEGER NOT NULL, uuid BLOB NOT NULL, kind TEXT NOT NULL, content_type TEXT NOT NULL,
        idempotency_key TEXT, revision INTEGER NOT NULL, boottime_ms INTEGER NOT NULL,
        wall_ms INTEGER NOT NULL, expires_ms INTEGER, retry_count INTEGER NOT NULL,
        media INTEGER NOT NULL, encoding INTEGER NOT NULL, crc INTEGER NOT NULL,
        payload BLOB NOT NULL) STRICT""",
    """CREATE TABLE gaps (
        n INTEGER PRIMARY KEY, reason TEXT NOT NULL, priority INTEGER NOT NULL, first_id INTEGER NOT NULL,
        last_id INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
        wall_ms INTEGER NOT NULL) STRICT""",
    """CREATE TABLE tally (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1), delivered INTEGER NOT NULL DEFAULT 0,
        last_delivered_ms INTEGER, evicted INTEGER NOT NULL DEFAULT 0, expired INTEGER NOT NULL DEFAULT 0,
        dead_dropped INTEGER NOT NULL DEFAULT 0) STRICT""",
    "INSERT INTO tally (only_row) VALUES (1)",
)

_V2 = (
    # One tree instead of table and index: a put with a key writes one page less.
    """CREATE TABLE known (
        key TEXT NOT NULL, revision INTEGER NOT NULL, n INTEGER NOT NULL, id INTEGER NOT NULL,
        uuid BLOB NOT NULL, PRIMARY KEY (key, revision)) STRICT, WITHOUT ROWID""",
    "INSERT INTO known (key, revision, n, id, uuid) SELECT key, revision, n, id, uuid FROM seen",
    "DROP TABLE seen",
    "ALTER TABLE known RENAME TO seen",
    "ALTER TABLE tally ADD COLUMN superseded INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tally ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tally ADD COLUMN quarantined INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tally ADD COLUMN salvaged INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tally ADD COLUMN lost INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tally ADD COLUMN clean INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tally ADD COLUMN figures TEXT",
)

MIGRATIONS: tuple[Sequence[str], ...] = (_V1, _V2)
"""Step n brings a file from version n to n + 1; steps are only ever added."""

TABLES = frozenset({"meta", "boots", "messages", "message_media", "seen", "dead", "gaps", "tally"})
"""Every table of the newest version. A step may not move `messages`, `message_media`, `dead`, `boots`, `meta`
or `tally`: recovery without the first page of a file finds them where a fresh file has them."""


def connect_writer(path: Path, max_pages: int) -> sqlite3.Connection:
    """The one connection that writes and checkpoints; it may change threads, never serve two.

    One writer only, also because SQLite before 3.51.3 can damage a file when two connections write or
    checkpoint at the same moment. Raises StorageFailed when a pragma does not take, sqlite3.Error otherwise.
    """
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=64, check_same_thread=False)
    try:
        for name, value, expected in _pragmas(max_pages):
            _set(connection, name, value, expected)
    except BaseException:
        connection.close()
        raise
    return connection


def _set(connection: sqlite3.Connection, name: str, value: str | int, expected: str | int | None) -> None:
    connection.execute(f"PRAGMA {name} = {value}")
    actual = connection.execute(f"PRAGMA {name}").fetchone()[0]
    if expected is not None and actual != expected:
        raise StorageFailed(f"The database setting {name} is {actual} instead of {expected}.")


def _pragmas(max_pages: int) -> tuple[tuple[str, str | int, str | int | None], ...]:
    return (
        ("busy_timeout", 5000, 5000),
        ("page_size", PAGE_BYTES, PAGE_BYTES),
        ("journal_mode", "WAL", "wal"),
        ("synchronous", "FULL", 2),  # an acknowledged message survives a power cut; NORMAL loses it
        ("wal_autocheckpoint", 0, 0),  # the writer thread checkpoints between commits, never inside one
        ("journal_size_limit", WAL_LIMIT, WAL_LIMIT),
        ("cache_size", -4096, -4096),
        ("temp_store", "MEMORY", 2),
        ("mmap_size", 0, 0),  # a stray write must not reach the file through a mapping
        ("cell_size_check", "ON", 1),
        ("secure_delete", "OFF", 0),  # Debian's default overwrites every page that becomes free: wear
        ("max_page_count", max_pages, None),  # never below the size the file already has
    )


def connect_reader(path: Path, *, check_same_thread: bool = True) -> sqlite3.Connection:
    """A connection that cannot write, for another process or another thread.

    Raises NoBuffer when there is no file, sqlite3.Error otherwise.
    """
    if not path.is_file():
        raise NoBuffer(f"There is no buffer at {path}.")
    # Without a -wal file nobody has the buffer open and everything is in the main file: then it can be read
    # as a constant, which also works where this user may not create the shared-memory file.
    closed = not path.with_name(path.name + "-wal").exists()
    mode = "mode=ro&immutable=1" if closed else "mode=ro"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=check_same_thread,
    )
    for pragma in ("query_only = ON", "busy_timeout = 2000", "wal_autocheckpoint = 0", "mmap_size = 0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def migrate(connection: sqlite3.Connection, steps: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Bring the file to the newest version, each step in a transaction of its own.

    Raises BufferTooNew for a file of a later version, BufferDamaged when tables are missing.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(steps):
        raise BufferTooNew(f"The buffer file has version {version}, this program knows {len(steps)}.")
    for number, statements in enumerate(steps[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise
    _refuse_without_tables(connection)


def _refuse_without_tables(connection: sqlite3.Connection) -> None:
    found = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not found >= TABLES:
        raise BufferDamaged(f"The buffer file lacks {', '.join(sorted(TABLES - found))}.")
