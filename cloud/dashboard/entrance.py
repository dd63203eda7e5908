"""Signing in and out. Who an account is, and what a session is, is decided in `cloud.security`."""

from __future__ import annotations

import re

from aiohttp import web

from cloud.dashboard.forms import from_refusal
from cloud.dashboard.rendering import page
from cloud.security.accounts import ACCOUNTS
from cloud.security.network import client_network
from cloud.security.sessions import (
    SESSIONS,
    clear_cookie,
    cookie_name,
    find_person,
    read_form,
    require_person,
    require_same_origin,
    set_cookie,
)
from cloud.speaking import COOKIE, LANGUAGES
from cloud.store.people import AccountRow
from protocol.errors import Refusal

_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x7e]{0,500}")


def own_path(text: str) -> str:
    """A path on this server to go on to; anything that could lead elsewhere becomes the first page."""
    return text if _OWN_PATH.fullmatch(text) and "\\" not in text else "/"


async def show(request: web.Request) -> web.StreamResponse:
    """GET /sign-in."""
    following = own_path(request.query.get("next", "/"))
    if await find_person(request):
        raise web.HTTPSeeOther(following)
    nobody = not await request.app[ACCOUNTS].any_exist()
    return page(request, "sign_in.html", following=following, email="", error=None, nobody=nobody)


async def sign_in(request: web.Request) -> web.StreamResponse:
    """POST /sign-in: opens a session and goes on to where the person wanted to be."""
    require_same_origin(request)
    form = await read_form(request)
    email, following = form.get("email", ""), own_path(form.get("next", "/"))
    try:
        account = await request.app[ACCOUNTS].sign_in(
            email, form.get("password", ""), client_network(request)
        )
    except Refusal as refusal:
        return _again(request, refusal, email, following)
    await _keep_language(request, account)
    token = await request.app[SESSIONS].open(
        account, request.headers.get("User-Agent", ""), request.cookies.get(cookie_name(request))
    )
    response = web.HTTPSeeOther(following)
    set_cookie(request, response, token)
    raise response


async def _keep_language(request: web.Request, account: AccountRow) -> None:
    """What was chosen before signing in becomes the account's, if it has none."""
    chosen = request.app[LANGUAGES].get(request.cookies.get(COOKIE, ""))
    if chosen is not None and account.language is None:
        await request.app[ACCOUNTS].speak(account.id, chosen.tag)


def _again(request: web.Request, refusal: Refusal, email: str, following: str) -> web.Response:
    response = page(
        request,
        "sign_in.html",
        status=refusal.status,
        following=following,
        email=email[:254],
        error=from_refusal(refusal, field="password"),
        nobody=False,
    )
    if refusal.retry_after:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


async def sign_out(request: web.Request) -> web.StreamResponse:
    """POST /sign-out: ends this session, also in other tabs."""
    person = await require_person(request)
    await request.app[SESSIONS].end(person.account_id, person.session)
    response = web.HTTPSeeOther("/sign-in")
    clear_cookie(request, response)
    raise response
