"""A private PostgreSQL cluster for tests, made with the distribution's own programs and thrown away after."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from cloud.store import schema

_USER = "postgres"


def programs() -> Path | None:
    """Where the newest installed server's programs are."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]), reverse=True
    )
    if found:
        return found[0].parent
    plain = shutil.which("initdb")
    return Path(plain).resolve().parent if plain else None


@contextmanager
def cluster() -> Iterator[Path]:
    """The folder of the Unix socket of a running server. Its data are gone afterwards."""
    where = programs()
    assert where is not None
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has 107 bytes
    try:
        _give_away(folder)
        data = folder / "data"
        utf8 = ("-E", "UTF8", "--locale=C.UTF-8")  # as Debian makes it where no other language was chosen
        _run(where / "initdb", "-D", data, "-A", "trust", "-U", _USER, *utf8, "--no-sync")
        options = (
            f"-k {folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off -c max_connections=50"
        )
        _run(where / "pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start")
        try:
            yield folder
        finally:
            _run(where / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_database(socket_folder: Path, name: str) -> str:
    """The URL of a new, empty database."""
    with psycopg.connect(
        host=str(socket_folder), user=_USER, dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return f"postgresql+psycopg://{_USER}@/{name}?host={socket_folder}"


def empty(url: str) -> None:
    """Takes every row out of the product's tables and counts from 1 again. Who is still in is sent away."""
    place = make_url(url)
    tables = ", ".join(f'"{table.name}"' for table in schema.metadata.sorted_tables)
    with psycopg.connect(
        host=str(place.query["host"]), user=_USER, dbname=place.database, autocommit=True
    ) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY".encode())


def _give_away(folder: Path) -> None:
    """The server refuses to run as root."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(_USER)
        os.chown(folder, account.pw_uid, account.pw_gid)


def _run(*command: object) -> None:
    words = [str(word) for word in command]
    if os.geteuid() == 0:
        words = ["runuser", "-u", _USER, "--", *words]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, cwd="/"
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")
