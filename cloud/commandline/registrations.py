"""`meteor-cloud registrations ls|retry`: the queue of registrations, seen and driven from the server."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from sqlalchemy import true

from cloud.app import unix_ms
from cloud.errors import ListRefused
from cloud.registry import queue
from cloud.settings import Settings
from cloud.store.engine import Database
from cloud.store.migrate import upgrade
from cloud.store.schema import registration
from protocol.clock import from_unix


def add(commands: Any, command: Callable[..., argparse.ArgumentParser]) -> None:
    """Puts the command into the parser."""
    parser = commands.add_parser("registrations", help="the queue of registrations")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    shown = command(actions, "ls", _ls, "show the newest hundred")
    shown.add_argument("--dead", action="store_true", help="only those that lie aside")
    again = command(actions, "retry", _retry, "put dead ones back into the queue")
    again.add_argument("id", nargs="?", help="one of them; all without it")


def _ls(chosen: argparse.Namespace, settings: Settings) -> int:
    found = _with(
        settings, lambda database: database.read_now(lambda c: queue.listed(c, dead_only=chosen.dead))
    )
    for one in found:
        words = (
            one.id,
            one.state,
            str(one.attempts),
            from_unix(one.updated_ms / 1000),
            one.type,
            one.claim_id,
        )
        print("  ".join(words) + (f"  {one.error}" if one.error else ""))
    if not found:
        print("Nothing.")
    return 0


def _retry(chosen: argparse.Namespace, settings: Settings) -> int:
    which = true() if chosen.id is None else registration.c.id == chosen.id
    count = _with(settings, lambda database: database.write_now(lambda c: queue.redrive(c, unix_ms(), which)))
    if chosen.id is not None and not count:
        raise ListRefused(f"There is no dead registration {chosen.id}.")
    print(f"{count} put back; a running server takes them up within half a minute.")
    return 0


def _with(settings: Settings, work: Callable[[Database], Any]) -> Any:
    database = Database(settings.database)
    try:
        upgrade(database)
        return work(database)
    finally:
        database.close()
