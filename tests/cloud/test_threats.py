"""Promises of the threat model that hold on either database: no private key, and one row however often."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select

from cloud.fleet import events
from cloud.security.vault import Secrets
from cloud.store import schema
from protocol.limits import Rate
from tests.cloud.cloud_server import running_cloud
from tests.cloud.people_parts import Clock
from tests.cloud.station_client import Reply, Station
from tests.cloud.test_revocation import renew


def forms(key: ec.EllipticCurvePrivateKey) -> list[bytes]:
    """How a private key may be written: its number, and both usual containers."""
    number = key.private_numbers().private_value
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    body = pem.splitlines()[1:-1]
    hexed = f"{number:064x}".encode()
    return [number.to_bytes(32, "big"), hexed, hexed.upper(), str(number).encode(), *body[1:]]


def heard(station: Station, into: list[bytes]) -> Station:
    """The station, with every answer that it gets kept."""
    plain = station.raw

    async def raw(*call: object) -> Reply:
        reply = await plain(*call)  # type: ignore[arg-type]
        into.append(reply.body)
        return reply

    station.raw = raw  # type: ignore[method-assign, assignment]
    return station


async def test_no_private_key_is_in_database_files_answers_or_logs(
    tmp_path: Path,
    secrets: Secrets,
    moved_clock: Clock,
    database_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    answers: list[bytes] = []
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, database_url) as cloud:
        ada = await cloud.person()
        by_token, by_card = heard(cloud.station(), answers), heard(cloud.station(), answers)
        by_token.take(await by_token.claim_with_token((await ada.token())["claim_token"]))
        claim_id = await by_card.wait_on_card()
        await ada.named(short_id=by_card.short_id, pin=by_card.pin)
        await by_card.finish(claim_id)
        next_key = ec.generate_private_key(ec.SECP256R1())
        assert (await renew(by_token, next_key)).status == 201
        await by_card.beaten()
        for path in ("", "/certificates", "/events"):
            answers.append((await ada.send("GET", by_token.place + path)).body)
        answers.append((await ada.send("GET", "/v1/account/export")).body)
        places = {
            "store": cloud.stored(),
            "answers": b"\n".join(answers),
            "logs": caplog.text.encode(),
        }
    assert by_token.keyid.encode() in places["store"], "the search looks at the right rows"
    assert b"BEGIN CERTIFICATE" in places["answers"], "and at the right answers"
    for name, place in places.items():
        assert b"PRIVATE KEY" not in place, name
        for key in (by_token.key, by_card.key, next_key):
            assert not [form for form in forms(key) if form in place], name


async def test_the_same_event_a_hundred_times_at_once_is_one_row_on_either_database(
    tmp_path: Path,
    secrets: Secrets,
    moved_clock: Clock,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "DEVICE_DATA", Rate(1000, 3600, 200))
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, database_url) as cloud:
        station = await cloud.claimed(await cloud.person())
        event = station.event()
        replies = await asyncio.gather(*(station.report(event) for _ in range(100)))
        statuses = Counter(reply.status for reply in replies)
        late = statuses.pop(401, 0)  # overtaken by more than the window of nonces holds: a station signs anew
        assert statuses == {201: 1, 200: 99 - late}
        query = select(func.count()).select_from(schema.event)
        assert cloud.database.read_now(lambda c: int(c.execute(query).scalar_one())) == 1
