"""The security log as a page, and as files to keep. What a row means in words is in `audit_words`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from cloud.api.audit import download, sees
from cloud.dashboard.audit_words import action_words
from cloud.dashboard.rendering import page
from cloud.dashboard.words import N_
from cloud.keys import TRAIL
from cloud.security.sessions import Person, require_person
from cloud.security.trail import AuditEntry

ROWS = 40


@dataclass(frozen=True)
class Line:
    """One row as people read it."""

    seq: int
    at_ms: int
    action: str
    who: str
    about: str
    address: str


async def show(request: web.Request) -> web.StreamResponse:
    """GET /account/log, with `?before=` for older rows."""
    person = await require_person(request)
    text = request.query.get("before", "")
    before = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
    found = await request.app[TRAIL].page(sees(person), before, ROWS)
    names = await request.app[TRAIL].names(found.entries)
    lines = [line(entry, person, names) for entry in found.entries]
    return page(request, "audit.html", lines=lines, older=found.next_before, before=before)


async def export(request: web.Request) -> web.StreamResponse:
    """GET /account/log.csv and /account/log.jsonl."""
    person = await require_person(request)
    return await download(request, person, request.path.rpartition(".")[2])


def line(entry: AuditEntry, person: Person, names: Mapping[str, str]) -> Line:
    """A row for one reader; `names` are those of people and stations that exist."""
    return Line(
        seq=entry.seq,
        at_ms=entry.at_ms,
        action=action_words(entry.action),
        who=_who(entry, person, names),
        about=names.get(entry.device_id or "", "") or names.get(entry.subject, ""),
        address=entry.address or "",
    )


def _who(entry: AuditEntry, person: Person, names: Mapping[str, str]) -> str:
    kind, _, name = entry.actor.partition(":")
    if name == person.account_id:
        return N_("You")
    if kind == "person":
        return names.get(name, N_("Somebody whose account is gone"))
    return {"system": N_("The cloud"), "device": N_("The station")}.get(kind, N_("Unknown"))
