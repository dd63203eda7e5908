"""Many stations at once: a list goes in, a sheet of labels comes out. The rules are in `cloud.registry`."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from cloud.dashboard.forms import FormError, from_refusal
from cloud.dashboard.rendering import page
from cloud.dashboard.words import N_, text_to_ms
from cloud.keys import BATCHES
from cloud.qr import Qr, qr_code
from cloud.registry import batch_file
from cloud.security.sessions import read_form, require_person
from protocol.batch_messages import BatchRequest, BatchToken, PreauthorizeRequest
from protocol.errors import INVALID, Refusal

MOST_LABELS = 100
"""On one sheet: each code is two kB of drawing."""


@dataclass(frozen=True)
class Label:
    """What is stuck on one station."""

    name: str
    token: str
    number: str
    qr: Qr


def labels(tokens: list[BatchToken]) -> list[Label]:
    """One label a station; the number is how a person finds its claim again."""
    return [Label(one.name or "", one.claim_token, one.claim_id[-6:], qr_code(one.qr_text)) for one in tokens]


async def show(request: web.Request) -> web.StreamResponse:
    """GET /stations/bulk."""
    await require_person(request)
    return _form(request, "", None)


def _sheet(text: str) -> BatchRequest:
    wish = batch_file.read(text, BatchRequest)
    if len(wish.stations) > MOST_LABELS:
        raise Refusal("REG-007", INVALID, N_("One sheet has at most 100 labels."), field="$.list")
    return wish


def _form(request: web.Request, text: str, error: FormError | None, status: int = 200) -> web.Response:
    return page(request, "bulk.html", status=status, text=text, error=error)


async def make(request: web.Request) -> web.StreamResponse:
    """POST /stations/bulk: the sheet, shown this once, or what the list of keys led to."""
    person, form = await require_person(request), await read_form(request)
    text = form.get("list", "")
    try:
        if form.get("kind") == "keys":
            keys = batch_file.read(text, PreauthorizeRequest)
            said = await request.app[BATCHES].preauthorize(person.account_id, keys)
            return page(request, "bulk_keys.html", said=said, until_ms=text_to_ms(said.expires_at) or 0)
        wish = _sheet(text)
        made = await request.app[BATCHES].tokens(person.account_id, wish)
    except Refusal as refusal:
        return _form(request, text[:20_000], _located(refusal), 404 if refusal.status == 404 else 422)
    sheet = labels(made.stations)
    return page(request, "sheet.html", labels=sheet, batch=made, until_ms=text_to_ms(made.expires_at) or 0)


def _located(refusal: Refusal) -> FormError:
    """The field of the list stands in the sentence, because the form has one field only."""
    told = from_refusal(refusal)
    where = f" ({told.field})" if told.field not in ("", "list") else ""
    return FormError(told.text + where, "list", told.advice, told.code)


ROUTES = (web.get("/stations/bulk", show), web.post("/stations/bulk", make))
