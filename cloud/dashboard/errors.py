"""Friendly pages for what goes wrong: one middleware for the paths of the dashboard. The API has its own."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from cloud.api.bodies import require_readable
from cloud.dashboard.rendering import page
from cloud.dashboard.words import N_
from cloud.errors import CloudError, StoreError
from cloud.keys import REQUEST_ID
from cloud.security.sessions import find_person
from protocol.errors import Refusal

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_OURS = (
    "/sign-in",
    "/sign-out",
    "/stations",
    "/claims",
    "/claim",
    "/account",
    "/invitations",
    "/transfer",
    "/map",
    "/forgot",
    "/reset",
    "/administration",
    "/language",
    "/static",
)
_SORRY = N_("Something broke on our side")
_LATER = N_("Try again in a minute. Your stations go on working meanwhile.")

_TEXTS = {
    400: (
        N_("This request could not be read"),
        N_("Your browser sent something that we do not understand."),
        N_("Go back and try once more."),
    ),
    403: (
        N_("This came from somewhere else"),
        N_("The form was not sent from a page of this cloud, or you signed in again in the meantime."),
        N_("Open the page again and repeat what you did."),
    ),
    404: (
        N_("There is nothing here for you"),
        N_("The page does not exist, or it belongs to somebody else."),
        N_("Look for it among your stations."),
    ),
    405: (
        N_("That does not work here"),
        N_("The page was opened in a way that it does not know."),
        N_("Go back and follow the link again."),
    ),
    413: (
        N_("That was too large"),
        N_("What you sent has more bytes than this page takes."),
        N_("Shorten it and try again."),
    ),
    429: (
        N_("Too often in a short time"),
        N_("You did this more often than is usual."),
        N_("Wait a few minutes, then try again."),
    ),
    503: (_SORRY, N_("The cloud cannot reach its storage just now."), _LATER),
}
_UNKNOWN = (_SORRY, N_("It was not your fault, and it is in our log."), _LATER)


def is_page(request: web.Request) -> bool:
    """Whether a browser expects a page here: our own paths, and any unknown one that it asks a page of."""
    path = request.path
    if path == "/" or any(path == own or path.startswith(own + "/") for own in _OURS):
        return True
    api = path.startswith(("/v1", "/api/")) or request.match_info.http_exception is None
    return not api and "text/html" in request.headers.get("Accept", "")


@web.middleware
async def page_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns refusals and failures into pages. A foreign thing and an unknown thing look the same."""
    if not is_page(request):
        return await handler(request)
    try:
        require_readable(request)
        return await handler(request)
    except Refusal as refusal:
        return await error_page(request, refusal.status, refusal.code or "", refusal.retry_after)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        return await error_page(request, error.status)
    except StoreError as error:
        log.error("%s %s: %s", request.method, request.path, error)
        return await error_page(request, 503, StoreError.code)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return await error_page(request, 500)


async def error_page(
    request: web.Request, status: int, code: str = "", retry_after: int | None = None
) -> web.Response:
    """The page for one status; the small print helps to find the request in the log."""
    try:
        await find_person(request)
    except CloudError:
        log.debug("an error page is shown without its reader's name")
    heading, sentence, advice = _TEXTS.get(status, _UNKNOWN)
    response = page(
        request,
        "error.html",
        status=status,
        heading=heading,
        sentence=sentence,
        advice=advice,
        small=" · ".join(filter(None, (str(status), code, request.get(REQUEST_ID, "")))),
    )
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return response
