"""Choosing another language, without a script."""

from __future__ import annotations

from aiohttp import web

from portal import context
from portal.pages.forms import posted, require_token, see_other

YEAR = 365 * 24 * 3600  # seconds


async def choose(request: web.Request) -> web.StreamResponse:
    """`POST /language`: remember the choice where the browser lets us, and go back to the page."""
    fields = await posted(request, limited=False)
    require_token(request, fields)
    response = see_other(_local(fields.get("back", "/")))
    chosen = context.of(request).languages.get(fields.get("language", ""))
    if chosen is not None:
        response.set_cookie(
            context.LANGUAGE_COOKIE, chosen.tag, max_age=YEAR, path="/", httponly=True, samesite="Lax"
        )
    return response


def _local(path: str) -> str:
    """`path` if it leads to this station and nowhere else."""
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if plain else "/"
