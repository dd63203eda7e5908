"""`meteor-cloud administrator`: who runs this cloud. There is no other way to become one."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from cloud.app import unix_ms
from cloud.commandline.opened import opened
from cloud.security.administration import appoint
from cloud.settings import Settings


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    command: Callable[..., argparse.ArgumentParser],
) -> None:
    """Adds the command."""
    made = command(commands, "administrator", run, "let an account see everything and suspend")
    made.add_argument("email")
    made.add_argument("--remove", action="store_true", help="take it back")


def run(chosen: argparse.Namespace, settings: Settings) -> int:
    """Raises `AccountRefused` for an unknown address."""
    with opened(settings) as database:
        database.write_now(
            lambda c: appoint(c, chosen.email, administrator=not chosen.remove, now_ms=unix_ms())
        )
    print(f"{chosen.email} is {'no longer' if chosen.remove else 'now'} an administrator.")
    return 0
