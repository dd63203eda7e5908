"""Puts accounts, sessions, mail and sharing into the application. The rules are in the modules named so."""

from __future__ import annotations

from aiohttp import web

from cloud import speaking
from cloud.keys import BUS, DATABASE, LIMITS, SETTINGS, UNIX_MS
from cloud.mail.outbox import OUTBOX, Outbox, outbox_task
from cloud.security.accounts import ACCOUNTS, Accounts
from cloud.security.administration import ADMINISTRATION, Administration
from cloud.security.api_tokens import API_TOKENS, ApiTokens
from cloud.security.passwords import Cost, Passwords
from cloud.security.resets import RESETS, Resets
from cloud.security.sessions import SESSIONS, Sessions
from cloud.security.sharing import SHARING, Sharing
from cloud.speaking import LANGUAGES


def setup_people(app: web.Application, cost: Cost | None = None) -> None:
    """SETTINGS, DATABASE, BUS, LIMITS and UNIX_MS must be in the application."""
    app[LANGUAGES] = speaking.load()
    app[ACCOUNTS] = Accounts(app[DATABASE], Passwords(cost), app[LIMITS], app[UNIX_MS])
    app[SESSIONS] = Sessions(app[DATABASE], app[BUS], app[UNIX_MS])
    app[OUTBOX] = Outbox(app[SETTINGS])
    app.cleanup_ctx.append(outbox_task)
    app[SHARING] = Sharing(
        app[DATABASE],
        app[BUS],
        app[LIMITS],
        app[OUTBOX],
        app[LANGUAGES],
        app[SETTINGS].base,
        app[UNIX_MS],
    )
    app.on_startup.append(_share)
    app[RESETS] = Resets(
        app[DATABASE],
        app[ACCOUNTS],
        app[OUTBOX],
        app[LANGUAGES],
        app[BUS],
        app[LIMITS],
        app[SETTINGS].base,
        app[UNIX_MS],
    )
    app[ADMINISTRATION] = Administration(app[DATABASE], app[BUS], app[UNIX_MS])
    app[API_TOKENS] = ApiTokens(app[DATABASE], app[LIMITS], app[UNIX_MS])


async def _share(app: web.Application) -> None:
    await app[SHARING].load()
