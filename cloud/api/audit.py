"""The security log over HTTP: in pages, and whole as JSON lines or CSV."""

from __future__ import annotations

from aiohttp import web

from cloud.api.bodies import answer, number
from cloud.api.routing import Guard, Parameter, Route
from cloud.api.streams import stream
from cloud.keys import TRAIL
from cloud.security.scopes import Scope
from cloud.security.sessions import Person
from cloud.security.trail import KINDS, AuditList, Format
from protocol.errors import INVALID, Refusal

_NUMBER = {"type": "integer", "minimum": 0}


async def entries(request: web.Request, person: Person) -> web.Response:
    """What happened to the person's account and stations; everything for an administrator. Newest first."""
    before, limit = number(request, "before"), number(request, "limit") or 50
    return answer(await request.app[TRAIL].page(sees(person), before, limit))


async def export(request: web.Request, person: Person) -> web.StreamResponse:
    """All rows, oldest first."""
    return await download(request, person, request.query.get("format", "jsonl"))


async def download(request: web.Request, person: Person, wanted: str) -> web.StreamResponse:
    """The rows that a person may see as a file. Raises `Refusal` REG-007 for another format."""
    kind: Format
    match wanted:
        case "jsonl" | "csv":
            kind = wanted
        case _:
            raise Refusal("REG-007", INVALID, "The format is jsonl or csv.", field="$.format")
    pieces = request.app[TRAIL].export(sees(person), kind)
    return await stream(request, pieces, KINDS[kind], f"security-log.{kind}")


def sees(person: Person) -> str | None:
    """Whose rows a person sees: None for everybody's."""
    return None if person.administrator else person.account_id


ROUTES = (
    Route(
        "GET",
        "/v1/audit",
        entries,
        Guard.PERSON,
        "Security events of your account and stations, newest first",
        answers={200: AuditList},
        parameters=[
            Parameter("before", "query", "`seq` of the last entry of the page before", _NUMBER),
            Parameter("limit", "query", "At most 200", _NUMBER),
        ],
        scope=Scope.READ,
    ),
    Route(
        "GET",
        "/v1/audit/export",
        export,
        Guard.PERSON,
        "All of them as a file",
        files=[kind.partition(";")[0] for kind in KINDS.values()],
        parameters=[
            Parameter("format", "query", "jsonl or csv", {"type": "string", "enum": ["jsonl", "csv"]})
        ],
        scope=Scope.READ,
    ),
)
