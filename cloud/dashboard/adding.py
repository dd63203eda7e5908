"""Adding a station: short id and PIN, the landing of the QR link, the claim code. Binds nothing itself."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from cloud.dashboard.claim_view import claim_page
from cloud.dashboard.forms import FormError, from_refusal
from cloud.dashboard.rendering import page
from cloud.dashboard.words import N_, text_to_ms
from cloud.keys import CLAIMS
from cloud.qr import qr_code
from cloud.security.sessions import find_person, read_form, require_person
from cloud.validation import clean_name
from protocol.errors import INVALID, Refusal
from protocol.messages import ClaimTokenRequest, InitiateRequest

_FIELDS = ("short_id", "pin", "link_secret", "name")


async def show(request: web.Request) -> web.StreamResponse:
    """GET /stations/add."""
    await require_person(request)
    return _form(request, {})


async def landing(request: web.Request) -> web.StreamResponse:
    """GET /claim: what the station's QR code opens. Its fragment stays in the browser; see claim.js."""
    if await find_person(request) is None:
        return page(request, "landing.html")
    return _form(request, {}, landing=True)


async def add(request: web.Request) -> web.StreamResponse:
    """POST /stations/add: names the station, then goes to the progress page, whether it is there or not."""
    person = await require_person(request)
    form = {name: text[:200] for name, text in (await read_form(request)).items()}
    try:
        wanted = InitiateRequest(
            short_id=_needed(form, "short_id", N_("Type the short id of the station.")),
            pin=None if form.get("link_secret") else _needed(form, "pin", N_("Type the PIN of the station.")),
            link_secret=form.get("link_secret") or None,
            name=_name(form),
        )
        answer = await request.app[CLAIMS].initiate(person.account_id, wanted)
    except Refusal as refusal:
        return _again(request, refusal, form)
    raise web.HTTPSeeOther(f"/claims/{answer.claim_id}")


def _needed(form: Mapping[str, str], name: str, sentence: str) -> str:
    text = form.get(name, "").strip()
    if not text:
        raise Refusal(None, INVALID, sentence, field=name)
    return text


def _name(form: Mapping[str, str]) -> str | None:
    text = form.get("name", "")
    return clean_name(text) if text.strip() else None


def _again(request: web.Request, refusal: Refusal, form: Mapping[str, str]) -> web.Response:
    response = _form(request, form, error=from_refusal(refusal), status=refusal.status)
    if refusal.retry_after:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


def _form(
    request: web.Request,
    form: Mapping[str, str],
    *,
    error: FormError | None = None,
    status: int = 200,
    landing: bool = False,
) -> web.Response:
    filled = {name: form.get(name, "") for name in _FIELDS}
    return page(request, "add.html", status=status, form=filled, error=error, landing=landing)


async def code(request: web.Request) -> web.StreamResponse:
    """POST /stations/code: a claim token, shown this once, with its QR code and the console line."""
    person = await require_person(request)
    form = await read_form(request)
    try:
        wanted = ClaimTokenRequest(name=_name(form))
        answer = await request.app[CLAIMS].open_token(person.account_id, wanted)
    except Refusal as refusal:
        return _again(request, refusal, {})
    return page(
        request,
        "code.html",
        text=answer.qr_text,
        expires_ms=text_to_ms(answer.expires_at) or 0,
        qr=qr_code(answer.qr_text),
        claim=claim_page(answer.claim_id, "pending", mode="token", name=wanted.name),
        live={
            "poll": f"/v1/devices/claim-status/{answer.claim_id}",
            "source": f"/claims/{answer.claim_id}",
            "device": None,
        },
    )
