"""Choosing a network and giving its password: the list, the form, and what the form sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web

from portal import context
from portal.choices import choices, find
from portal.forms import JoinForm, claim_code
from portal.pages.country import checked, is_said, place, to_ask
from portal.pages.forms import posted, require_token, see_other
from portal.pages.refused import status_of
from portal.present import home
from portal.render import page
from portal.sentences import refusal
from portal.ssid import display, to_hex
from portal.view import Attempt, Network, Refusal

OTHER = "other"


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /setup`: the list, or with `?network=` the form for one network."""
    ctx = context.of(request)
    if home(ctx.station.snapshot()) != "/setup":
        raise web.HTTPFound("/")
    network = request.query.get("network")
    if network is None:
        return await network_list(request)
    await ctx.station.client_seen(context.client(request), "form")
    form = JoinForm() if network == OTHER else JoinForm(network=network)
    return await join_form(request, as_before(request, form))


async def scan(request: web.Request) -> web.StreamResponse:
    """`POST /setup/scan`: listen again, then the list."""
    require_token(request, await posted(request))
    await context.of(request).station.networks(rescan=True)
    return see_other("/setup")


async def join(request: web.Request) -> web.StreamResponse:
    """`POST /setup/join`: check what can be checked, then let the station try."""
    fields = await posted(request)
    form = JoinForm.read(fields)
    try:
        require_token(request, fields)
        await _join(request, form)
    except Refusal as refused:
        return await join_form(request, form, refused)
    return see_other("/progress")


async def cancel(request: web.Request) -> web.StreamResponse:
    """`POST /setup/cancel`: stop trying and choose again."""
    require_token(request, await posted(request))
    await context.of(request).station.cancel()
    return see_other("/setup")


async def network_list(request: web.Request, refused: Refusal | None = None) -> web.Response:
    """All networks, strongest first."""
    networks, silent = await _heard(request)
    await context.of(request).station.client_seen(context.client(request), "page")
    return page(
        request,
        "setup.html",
        status=status_of(refused),
        choices=choices(networks),
        refused=refused or silent,
        place=await place(request),
        retry=retry_form(context.of(request).station.snapshot().attempt),
    )


async def join_form(
    request: web.Request, form: JoinForm, refused: Refusal | None = None, *, template: str = "join.html"
) -> web.Response:
    """The form for one network, filled in as far as it may be; the list if its name is damaged."""
    try:
        ssid = None if form.typed else form.ssid()
    except Refusal as damaged:
        return await network_list(request, refused or damaged)
    choice = find((await _heard(request))[0], ssid) if ssid else None
    status = status_of(refused)
    if choice and choice.network.beyond:
        refused = refused or refusal("NET-124")  # before a password is typed in vain
    return page(
        request,
        template,
        status=status,
        form=form,
        choice=choice,
        name=display(ssid) if ssid else "",
        security=choice.network.security if choice else form.security,
        refused=refused,
        countries=await to_ask(request, choice.bands) if choice else {},
        reveal="show" in request.query,
    )


def retry_form(attempt: Attempt | None) -> JoinForm | None:
    """The form for the network that failed last, if one did."""
    if attempt is None or attempt.ok or not attempt.ssid:
        return None
    return JoinForm(network=to_hex(attempt.ssid), security=attempt.security)


def as_before(request: web.Request, form: JoinForm) -> JoinForm:
    """The form of a network with what this phone typed for it last, but for the password."""
    try:
        ssid = form.ssid()
    except Refusal:
        return form
    ctx = context.of(request)
    return replace(form, extras=ctx.drafts.of(context.client(request), ssid, ctx.now()))


async def _heard(request: web.Request) -> tuple[Sequence[Network], Refusal | None]:
    try:
        return await context.of(request).station.networks(), None
    except Refusal as refused:
        return (), refused


async def _join(request: web.Request, form: JoinForm) -> None:
    ctx = context.of(request)
    station = ctx.station
    choice = find((await _heard(request))[0], form.ssid())
    wanted = form.request(choice.network if choice else None)
    if choice:
        wanted = replace(wanted, five_ghz=choice.bands == ("5",))
    country = checked(form.country) if form.country else ""
    if form.claim_code:
        await station.use_claim_code(claim_code(form.claim_code), form.code)
    if country and not is_said(station.snapshot()):
        await station.use_country(country)
    await station.join(wanted)
    ctx.drafts.keep(context.client(request), wanted.ssid, form.extras, ctx.now())
    await station.client_seen(context.client(request), "attempt")
