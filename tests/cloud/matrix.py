"""Who gets which answer at which route: the table, and the world in which it is asked. The test is beside it.

A row has the statuses for nobody, owner, technician, viewer, stranger, administrator, the station itself and
another station, in this order. A route that is added needs a row here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import insert, update

from cloud.store import schema
from protocol.codes import ulid, uuid7
from protocol.messages import ValidateAnswer
from protocol.people_messages import TokenMade
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.people_client import Browsing
from tests.cloud.people_parts import PASSWORD
from tests.cloud.station_client import Reply, Station

ACTORS = ("nobody", "owner", "technician", "viewer", "stranger", "administrator", "itself", "neighbour")
ORDER = ("nobody", "stranger", "neighbour", "viewer", "administrator", "itself", "technician", "owner")
"""Those who may do least go first, so that what the last ones change disturbs nobody."""


@dataclass(frozen=True)
class Row:
    """`body` is JSON, or a form for a page; words in braces are filled from the world."""

    statuses: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""

    def expected(self, actor: str) -> int:
        return int(self.statuses.split()[ACTORS.index(actor)])


ALL, PAGE = "200 200 200 200 200 200 200 200", "200 200 200 200 200 200 200 200"
SIGNED_IN = "401 200 200 200 200 200 401 401"
READ = "401 200 200 200 404 200 401 401"
COMMAND = "401 201 201 403 404 403 401 401"
OWN = "401 200 403 403 404 403 401 401"
ADMINISTRATOR = "401 404 404 404 404 200 401 401"
DEVICE = "401 401 401 401 401 401 200 404"
OWN_PATH = "401 401 401 401 401 401 200 200"
DOOR = "303 200 200 200 200 200 303 303"
READ_PAGE = "303 200 200 200 404 200 303 303"
OWN_PAGE = "303 200 403 403 404 403 303 303"
GO_ON = "303 303 303 303 303 303 303 303"

_TUS = {"Tus-Resumable": "1.0.0"}
_FILE = b"a file of the station"
_EVENT = {
    "event_id": "{new_event}",
    "client_event_id": "{new_event}",
    "event_type": "meteor",
    "timestamp": "2026-01-01T00:00:00Z",
}
_BEAT = {"uptime": 1.0, "boot_id": "b", "seq": 1, "state": "operational"}

INTERFACE: dict[tuple[str, str], Row] = {
    ("GET", "/health"): Row(ALL),
    ("GET", "/v1/jwks"): Row(ALL),
    ("GET", "/v1/openapi.json"): Row(ALL),
    ("OPTIONS", "/v1/devices/{device_id}/uploads"): Row(ALL.replace("200", "204")),
    ("POST", "/v1/devices/claim-token"): Row(SIGNED_IN.replace("200", "201"), {}),
    ("POST", "/v1/devices/register/initiate"): Row(SIGNED_IN, {}),
    ("GET", "/v1/devices/claim-status/{claim_id}"): Row("401 200 404 404 404 404 200 404"),
    ("POST", "/v1/devices/claim"): Row(OWN_PATH, {"card": True}),
    ("POST", "/v1/devices/register/validate"): Row(DEVICE, {"claim_id": "{claim_id}"}),
    ("POST", "/v1/devices/register/confirm"): Row(DEVICE, {"confirm": True}),
    ("POST", "/v1/devices/heartbeat"): Row(OWN_PATH, _BEAT),
    ("POST", "/v1/devices/{device_id}/heartbeat"): Row(DEVICE, _BEAT),
    ("POST", "/v1/devices/{device_id}/telemetry"): Row(DEVICE, _BEAT),
    ("POST", "/v1/devices/events"): Row("401 401 401 401 401 401 201 201", _EVENT),
    ("POST", "/v1/devices/{device_id}/events"): Row("401 401 401 401 401 401 201 404", _EVENT),
    ("POST", "/v1/devices/{device_id}/events/kept"): Row(DEVICE, {"events": [], "media": []}),
    ("GET", "/v1/devices/config/{device_id}"): Row(DEVICE),
    ("GET", "/v1/devices/{device_id}/config"): Row(DEVICE),
    ("GET", "/v1/devices/{device_id}/commands"): Row(DEVICE),
    ("POST", "/v1/devices/{device_id}/uploads"): Row(
        "401 401 401 401 401 401 201 404",
        headers=_TUS
        | {
            "Upload-Length": str(len(_FILE)),
            "Upload-Metadata": "sha256 "
            + base64.b64encode(hashlib.sha256(_FILE).hexdigest().encode()).decode(),
        },
    ),
    ("HEAD", "/v1/devices/{device_id}/uploads/{upload_id}"): Row(DEVICE, headers=_TUS),
    ("PATCH", "/v1/devices/{device_id}/uploads/{upload_id}"): Row(
        "401 401 401 401 401 401 204 404", {"piece": True}, _TUS | {"Upload-Offset": "0"}
    ),
    ("GET", "/v1/devices"): Row(SIGNED_IN),
    ("GET", "/v1/devices/{device_id}"): Row(READ),
    ("PATCH", "/v1/devices/{device_id}"): Row(COMMAND.replace("201", "200"), {"name": "Roof"}),
    ("POST", "/v1/devices/{device_id}/commands"): Row(COMMAND, {"type": "restart"}),
    ("GET", "/v1/devices/{device_id}/events"): Row(READ),
    ("GET", "/v1/devices/{device_id}/events/{event_id}"): Row(READ),
    ("GET", "/v1/devices/{device_id}/media/{sha256}"): Row(READ),
    ("GET", "/v1/tokens"): Row(SIGNED_IN),
    ("POST", "/v1/tokens"): Row(SIGNED_IN.replace("200", "201"), {"name": "mine", "scopes": ["read"]}),
    ("DELETE", "/v1/tokens/{token_id}"): Row("401 204 404 404 404 404 401 401"),
    ("GET", "/v1/administration/devices"): Row(ADMINISTRATOR),
    ("GET", "/v1/administration/accounts"): Row(ADMINISTRATOR),
    ("POST", "/v1/administration/devices/{device_id}"): Row(
        ADMINISTRATOR.replace("200", "204"), {"suspended": False}
    ),
    ("POST", "/v1/administration/accounts/{account_id}"): Row(
        ADMINISTRATOR.replace("200", "204"), {"suspended": False}
    ),
    ("GET", "/v1/account/export"): Row(SIGNED_IN),
    ("POST", "/v1/account/delete"): Row(SIGNED_IN.replace("200", "204"), {"password": PASSWORD}),
    ("DELETE", "/v1/devices/{device_id}"): Row(OWN.replace("200", "204")),
    ("GET", "/v1/metrics"): Row(ADMINISTRATOR),
    ("GET", "/v1/audit"): Row(SIGNED_IN),
    ("GET", "/v1/audit/export"): Row(SIGNED_IN),
    ("GET", "/v1/devices/{device_id}/people"): Row(OWN),
    ("POST", "/v1/devices/{device_id}/people"): Row(
        OWN.replace("200", "204"), {"email": "new@example.org", "role": "viewer"}
    ),
    ("DELETE", "/v1/devices/{device_id}/people/{member_id}"): Row(OWN.replace("200", "204")),
    ("GET", "/v1/invitations"): Row(SIGNED_IN),
    ("POST", "/v1/invitations/{invitation_id}"): Row("401 404 404 404 204 404 401 401", {"accept": True}),
}

PAGES: dict[tuple[str, str], Row] = {
    ("GET", "/"): Row(DOOR),
    ("GET", "/sign-in"): Row("200 303 303 303 303 303 200 200"),
    ("POST", "/sign-in"): Row("303 " * 6 + "401 401", {"email": "owner@example.org", "password": PASSWORD}),
    ("GET", "/forgot"): Row(PAGE),
    ("POST", "/forgot"): Row(PAGE, {}),
    ("GET", "/reset"): Row("410 " * 8),
    ("POST", "/reset"): Row("410 " * 8, {"token": "x", "new": "another good password"}),
    ("GET", "/account/tokens"): Row(DOOR),
    ("POST", "/account/tokens"): Row(DOOR, {"name": "mine", "scope_read": "1"}),
    ("POST", "/account/tokens/revoke"): Row("303 303 404 404 404 404 303 303", {"token": "{token_id}"}),
    ("POST", "/sign-out"): Row(GO_ON, {}),
    ("GET", "/account"): Row(DOOR),
    ("POST", "/account/name"): Row(GO_ON, {"name": "Somebody"}),
    ("POST", "/account/password"): Row(GO_ON, {"current": PASSWORD, "new": "another good password"}),
    ("GET", "/account/log"): Row(DOOR),
    ("GET", "/account/log.csv"): Row(DOOR),
    ("GET", "/account/log.jsonl"): Row(DOOR),
    ("GET", "/administration"): Row("303 404 404 404 404 200 303 303"),
    ("POST", "/administration"): Row("303 404 404 404 404 303 303 303", {"suspend": "{device_id}"}),
    ("GET", "/account/data"): Row(DOOR),
    ("GET", "/account/data.zip"): Row(DOOR),
    ("POST", "/account/delete"): Row(GO_ON, {"current": PASSWORD}),
    ("GET", "/stations/{device_id}/delete"): Row(OWN_PAGE),
    ("POST", "/stations/{device_id}/delete"): Row(OWN_PAGE.replace("200", "303"), {"short_id": "{short_id}"}),
    ("GET", "/claim"): Row(PAGE),
    ("GET", "/stations/add"): Row(DOOR),
    ("POST", "/stations/add"): Row(GO_ON, {"short_id": "BCDFGH", "pin": "123456"}),
    ("POST", "/stations/code"): Row(DOOR, {}),
    ("GET", "/claims/{claim_id}"): Row("303 200 404 404 404 404 303 303"),
    ("POST", "/claims/{claim_id}/cancel"): Row("303 303 404 404 404 404 303 303", {}),
    ("GET", "/stations/{device_id}"): Row(READ_PAGE),
    ("POST", "/stations/{device_id}/name"): Row("303 303 303 403 404 403 303 303", {"name": "Roof"}),
    ("GET", "/stations/{device_id}/events/{event_id}"): Row(READ_PAGE),
    ("GET", "/stations/{device_id}/people"): Row(OWN_PAGE),
    ("POST", "/stations/{device_id}/people"): Row(
        OWN_PAGE.replace("200", "303"), {"email": "new@example.org", "role": "viewer"}
    ),
    ("POST", "/stations/{device_id}/people/remove"): Row(
        OWN_PAGE.replace("200", "303"), {"person": "{member_id}"}
    ),
    ("POST", "/invitations/{invitation_id}"): Row("303 404 404 404 303 404 303 303", {"answer": "accept"}),
    ("GET", "/static/{name}"): Row(PAGE),
    ("GET", "/device-realtime"): Row("403 " * 8),
}


@dataclass
class World:
    """One station of an owner with an event and a file, everybody who may come, and another's station."""

    cloud: Cloud
    people: dict[str, Person]
    itself: Station
    neighbour: Station
    names: dict[str, str]
    challenge: ValidateAnswer | None = None

    async def ask(self, method: str, path: str, row: Row, actor: str, **changed: str) -> Reply:
        """The answer to one of the actors. Redirections are not followed."""
        names = self.names | {"new_event": uuid7(self.cloud.clock.now_ms)} | changed
        place = path.format(**names) + row.query
        if actor in ("itself", "neighbour"):
            return await self._signed(method, place, row, actor, names)
        if path.startswith(("/v1", "/health", "/device-realtime")):
            person = self.people.get(actor)
            if person is None:
                person = Person("", self.cloud.base, self.cloud.session, {"Origin": self.cloud.base})
            body = await self._body(row, actor, names)
            kept = {name: text for name, text in row.headers.items() if person.account_id}
            if path == "/device-realtime":
                person = Person("", person.base, person.session, {})
            return await person.send(method, place, body, **kept)
        headers = self.people[actor].headers if actor in self.people else {"Origin": self.cloud.base}
        pages = Browsing(self.cloud.session, self.cloud.base, headers)
        form = {name: str(text).format(**names) for name, text in (row.body or {}).items()}
        if method == "GET":
            page = await pages.get(place, follow=False)
        else:
            page = await pages.post(place, follow=False, **form)
        return Reply(page.status, page.headers, page.html.encode())

    async def _signed(self, method: str, place: str, row: Row, actor: str, names: dict[str, str]) -> Reply:
        station = self.itself if actor == "itself" else self.neighbour
        body = await self._body(row, actor, names)
        kind = "application/offset+octet-stream" if body == _FILE else "application/json"
        data = body if isinstance(body, bytes) else msgspec.json.encode(body) if body is not None else b""
        if place.startswith("/v1"):
            return await station.send(method, place, data, dict(row.headers), content_type=kind)
        headers = station.signed(method, place, data)
        async with self.cloud.session.request(
            method, self.cloud.base + place, data=data or None, headers=headers, allow_redirects=False
        ) as response:
            return Reply(response.status, response.headers, await response.read())

    async def _body(self, row: Row, actor: str, names: dict[str, str]) -> Any:
        station = self.neighbour if actor == "neighbour" else self.itself
        body = dict(row.body) if row.body is not None else None
        if body == {"card": True}:
            return station.card_request()
        if body == {"piece": True}:
            return _FILE
        if body == {"confirm": True}:
            return station.answer_to(await self._challenge())
        if body is None:
            return None
        return {name: text.format(**names) if isinstance(text, str) else text for name, text in body.items()}

    async def _challenge(self) -> ValidateAnswer:
        if self.challenge is None:
            reply = await self.itself.validate(self.names["claim_id"])
            self.challenge = reply.read(ValidateAnswer)
        return self.challenge


async def world(cloud: Cloud) -> World:
    """Everything that the table speaks of."""
    actors = ("owner", "technician", "viewer", "stranger", "administrator", "other")
    people = {actor: await cloud.person(f"{actor}@example.org") for actor in actors}
    other = people.pop("other")
    itself = cloud.station()
    claim_id = await itself.wait_on_card()
    await people["owner"].named(short_id=itself.short_id, pin=itself.pin)
    await itself.finish(claim_id)
    neighbour = await cloud.claimed(other)
    event = itself.event(b"picture", _FILE)
    await itself.reported(event)
    await itself.upload(b"picture")
    place = (await itself.create_upload(_FILE)).headers["Location"]
    now, invitation = cloud.clock.now_ms, ulid("inv_", cloud.clock.now_ms)

    def share(connection: Any) -> None:
        for actor in ("technician", "viewer"):
            who = {"account_id": people[actor].account_id, "device_id": itself.device_id}
            connection.execute(insert(schema.share).values(role=actor, created=now, **who))
        connection.execute(
            insert(schema.share).values(
                account_id=other.account_id, device_id=itself.device_id, role="viewer", created=now
            )
        )
        connection.execute(
            insert(schema.invitation).values(
                id=invitation,
                device_id=itself.device_id,
                email="stranger@example.org",
                role="viewer",
                created=now,
                expires=now + 1_000_000,
            )
        )
        root = schema.account.c.id == people["administrator"].account_id
        connection.execute(update(schema.account).where(root).values(administrator=True))

    await cloud.database.write(share)
    token = await people["owner"].send("POST", "/v1/tokens", {"name": "a", "scopes": ["read"]})
    made = token.read(TokenMade)
    names = {
        "device_id": itself.device_id,
        "short_id": itself.short_id,
        "claim_id": claim_id,
        "event_id": event.event_id,
        "sha256": hashlib.sha256(b"picture").hexdigest(),
        "upload_id": place.rpartition("/")[2],
        "member_id": other.account_id,
        "account_id": people["owner"].account_id,
        "invitation_id": invitation,
        "token_id": made.details.id,
        "name": "style.css",
    }
    return World(cloud, people, itself, neighbour, names)
