"""How every posted form is received: host, origin, token and number of tries, before anything is read."""

from __future__ import annotations

from aiohttp import web

from portal import context
from portal.captive import is_own_host
from portal.guard import same_origin
from portal.sentences import refusal


async def posted(request: web.Request, *, limited: bool = True) -> dict[str, str]:
    """The text fields of a form that this client got from us and sent from our own page.

    Raises HTTPForbidden for another site's request, HTTPTooManyRequests beyond the limit, and
    HTTPUnsupportedMediaType or HTTPBadRequest for what is no form of ours. A form that is merely old is
    told by `require_token`, so that the page can be shown again as it was filled in.
    """
    ctx = context.of(request)
    host = request.headers.get("Host", "")
    own = is_own_host(host, frozenset(ctx.settings.names))
    if not own or not same_origin(request.headers.get("Origin"), host) or _cross_site(request):
        raise web.HTTPForbidden
    if limited:
        _count_try(ctx, context.client(request))
    return await _fields(request)


async def _fields(request: web.Request) -> dict[str, str]:
    # Only what our own forms send: no files, and nothing that a script of another page could send as text.
    if request.content_type != "application/x-www-form-urlencoded" or "Content-Encoding" in request.headers:
        raise web.HTTPUnsupportedMediaType
    try:
        fields = await request.post()
    except (LookupError, UnicodeDecodeError):
        raise web.HTTPBadRequest from None
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def require_token(request: web.Request, fields: dict[str, str]) -> None:
    """Raises `Refusal` (WEB-001) for a form whose token is missing, old or another client's."""
    ctx = context.of(request)
    if not ctx.tokens.accept(fields.get("token", ""), context.client(request), ctx.now()):
        raise refusal("WEB-001")


def see_other(location: str) -> web.Response:
    """After a form: load `location` with GET (RFC 9110 §15.4.4)."""
    return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})


def _cross_site(request: web.Request) -> bool:
    return request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")


def _count_try(ctx: context.Context, client: str) -> None:
    wait = ctx.attempts.wait(client, ctx.now())
    if wait > 0:
        raise web.HTTPTooManyRequests(headers={"Retry-After": str(int(wait) + 1)})
