"""The world in which every route is asked by everybody. The answers are in `matrix_table`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import insert, update

from cloud.store import schema
from protocol.batch_messages import TokenBatch
from protocol.certificate_messages import CertificateList, RenewRequest
from protocol.codes import ulid, uuid7
from protocol.messages import ValidateAnswer
from protocol.ownership_messages import TransferOffer
from protocol.people_messages import TokenMade
from protocol.registration_messages import RegistrationList
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.matrix_table import FILE, Row
from tests.cloud.people_client import Browsing
from tests.cloud.station_client import Reply, Station


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
        kind = "application/offset+octet-stream" if body == FILE else "application/json"
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
            return FILE
        if body == {"renew": True}:
            return RenewRequest(csr=station.csr(ec.generate_private_key(ec.SECP256R1())))
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
    event = itself.event(b"picture", FILE)
    await itself.reported(event)
    await itself.upload(b"picture")
    place = (await itself.create_upload(FILE)).headers["Location"]
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
    owner, hers = people["owner"], f"/v1/devices/{itself.device_id}"
    batch = (await owner.send("POST", "/v1/devices/batches", {"stations": [{}]})).read(TokenBatch)
    queued = (await owner.send("GET", "/v1/devices/registrations")).read(RegistrationList)
    offer = (await owner.send("POST", f"{hers}/transfer")).read(TransferOffer)
    leaves = (await owner.send("GET", f"{hers}/certificates")).read(CertificateList)
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
        "batch_id": batch.batch_id,
        "message_id": queued.registrations[0].id,
        "serial": leaves.certificates[0].serial,
        "token": offer.transfer_token,
        "token_id": made.details.id,
        "name": "style.css",
    }
    return World(cloud, people, itself, neighbour, names)
