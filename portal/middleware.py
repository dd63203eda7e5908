"""What happens to every request before and after its page: captive answers, error pages, safe headers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from portal import context
from portal.captive import Answer, decide, is_own_host, setup_goes_on
from portal.render import page
from portal.sentences import refusal
from portal.view import Refusal

LOG = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it browsers send "Origin: null" with our own forms, which could not be told
    # from a foreign page's. This one tells other sites just as little.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "meteor",
}

_CODES = {403: "WEB-002", 404: "WEB-004", 405: "WEB-007", 413: "WEB-005", 429: "WEB-003", 503: "WEB-008"}


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every response, streams and redirections too."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure as a page in the same look, with a code and something to do."""
    try:
        return await handler(request)
    except Refusal as refused:
        return _error_page(request, refused, 403 if refused.code.startswith("WEB") else 409)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as failure:
        return _failure(request, failure)
    except Exception:
        # The outermost edge of a request. No form field is part of the message.
        LOG.exception("%s %s failed", request.method, request.path)
        return _error_page(request, refusal("WEB-006"), 500)


def _failure(request: web.Request, failure: web.HTTPException) -> web.Response:
    if _leads_to_the_portal(request, failure) and setup_goes_on(context.of(request).station.snapshot()):
        return redirect(request, "/")
    retry_after = failure.headers.get("Retry-After", "30")
    refused = refusal(_CODES.get(failure.status, "WEB-007"), seconds=retry_after)
    response = _error_page(request, refused, failure.status)
    for name in ("Retry-After", "Allow"):
        if name in failure.headers:
            response.headers[name] = failure.headers[name]
    return response


def _leads_to_the_portal(request: web.Request, failure: web.HTTPException) -> bool:
    """What is not here, and what some program of the phone sends to somebody else in a form of its own."""
    return failure.status == 404 or (failure.status == 405 and not _own(request))


def _own(request: web.Request) -> bool:
    """Whether this station is meant. A whole address in the request line outweighs Host (RFC 9112 §3.2.2)."""
    whole = not request.raw_path.startswith("/")
    host = (request.url.host or "") if whole else request.headers.get("Host", "")
    return is_own_host(host, frozenset(context.of(request).settings.names))


def _error_page(request: web.Request, refused: Refusal, status: int) -> web.Response:
    return page(request, "error.html", status=status, refused=refused)


@web.middleware
async def captive(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Probes and everything meant for somebody else get the captive answer instead of a page."""
    ctx = context.of(request)
    if request.method not in ("GET", "HEAD"):
        return await handler(request)
    client = context.client(request)
    done = ctx.visitors.done(client, ctx.station.snapshot())
    answer = decide(request.path, own_host=_own(request), done=done)
    if answer is None:
        return await handler(request)
    await ctx.station.client_seen(client, "probe")
    response = _respond(request, answer)
    if done:
        # NetworkManager believes it whatever the status: distributions ask at paths of their own, and at "/".
        response.headers["X-NetworkManager-Status"] = "online"
    return response


def _respond(request: web.Request, answer: Answer) -> web.Response:
    if answer.location is not None:
        return redirect(request, answer.location)
    response = web.Response(status=answer.status, headers={"Cache-Control": "no-store"})
    if answer.status != 204:
        response.text = answer.body
        response.content_type = answer.content_type
    response.force_close()
    return response


def redirect(request: web.Request, path: str) -> web.Response:
    """To a page of ours at the address under which this client reached us."""
    location = own_address(request) + path
    response = web.Response(
        status=302,
        text=f'<!doctype html><title>Meteor</title><a href="{location}">{location}</a>\n',
        content_type="text/html",
        headers={"Location": location, "Cache-Control": "no-store"},
    )
    response.force_close()
    return response


def own_address(request: web.Request) -> str:
    """`http://` and the local end of this connection: the one address sure to work for this client."""
    socket = request.transport.get_extra_info("sockname") if request.transport else None
    if not isinstance(socket, tuple):
        return ""
    host, port = str(socket[0]).partition("%")[0], int(socket[1])
    if ":" in host:
        mapped = host.lower().removeprefix("::ffff:")
        host = mapped if "." in mapped else f"[{host}]"
    return f"http://{host}" if port == 80 else f"http://{host}:{port}"
