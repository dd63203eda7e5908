"""`meteor-cloud audit`: checks the chain of security events, and prints it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from cloud.commandline.opened import opened
from cloud.errors import AuditBroken, StoreError
from cloud.security.seal import Seal, parse
from cloud.security.trail import Trail
from cloud.settings import Settings


def add(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    command: Callable[..., argparse.ArgumentParser],
) -> None:
    """Adds the actions below `audit`."""
    check = command(actions, "verify", verify, "check that no security event was changed or removed")
    check.add_argument(
        "--head", action="append", default=[], metavar="SEQ:HASH", help="a head that was noted before"
    )
    written = command(actions, "export", export, "print all security events, oldest first")
    written.add_argument("--format", choices=["jsonl", "csv"], default="jsonl")


def verify(chosen: argparse.Namespace, settings: Settings) -> int:
    """Raises `AuditBroken` that names the first row that does not hold."""
    try:
        noted = [parse(text) for text in chosen.head]
    except StoreError:
        raise AuditBroken("A head is a number, a colon and a hash of 64 digits.") from None
    with opened(settings) as database:
        found = Seal(settings.data_dir, database).verify(*noted)
    if found.broken is not None:
        raise AuditBroken(f"Row {found.broken} of the security log {found.reason}.")
    print(f"All {found.rows} rows hold.")
    print(f"Head: {found.head}")
    print(f"Seal: {found.sealed or 'none yet; a running cloud makes it'}")
    return 0


def export(chosen: argparse.Namespace, settings: Settings) -> int:
    """Writes to standard output."""
    with opened(settings) as database:
        for piece in Trail(database).export(None, chosen.format):
            sys.stdout.buffer.write(piece)
    return 0
