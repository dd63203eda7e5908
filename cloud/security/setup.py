"""Puts accounts and sessions into the application. The rules are in `accounts` and `sessions`."""

from __future__ import annotations

from aiohttp import web

from cloud.keys import BUS, DATABASE, LIMITS, UNIX_MS
from cloud.security.accounts import ACCOUNTS, Accounts
from cloud.security.passwords import Cost, Passwords
from cloud.security.sessions import SESSIONS, Sessions


def setup_people(app: web.Application, cost: Cost | None = None) -> None:
    """DATABASE, BUS, LIMITS and UNIX_MS must be in the application."""
    app[ACCOUNTS] = Accounts(app[DATABASE], Passwords(cost), app[LIMITS], app[UNIX_MS])
    app[SESSIONS] = Sessions(app[DATABASE], app[BUS], app[UNIX_MS])
