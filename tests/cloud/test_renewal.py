"""Certificates are renewed by the old key: overlap, lost answers, grace after the end, and who is refused."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update

from cloud import keys
from cloud.registry import renewals
from cloud.store import schema
from protocol.certificate_messages import RenewAnswer, RenewRequest
from protocol.limits import Rate
from tests.cloud.cloud_server import Cloud
from tests.cloud.station_client import Reply, Station

pytestmark = pytest.mark.usefixtures("no_blocking")

DAY = 86_400


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


async def renew(station: Station, key: ec.EllipticCurvePrivateKey) -> Reply:
    request = RenewRequest(csr=station.csr(key))
    return await station.send("POST", f"{station.place}/certificates/renew", request)


async def renewed(station: Station, key: ec.EllipticCurvePrivateKey) -> RenewAnswer:
    reply = await renew(station, key)
    assert reply.status == 201, reply
    return reply.read(RenewAnswer)


async def station_of(cloud: Cloud) -> Station:
    return await cloud.claimed(await cloud.person())


def leaf_of(answer: RenewAnswer) -> x509.Certificate:
    return x509.load_pem_x509_certificates(answer.device_certificate.encode())[0]


async def statuses(cloud: Cloud, table: str) -> list[str]:
    column = schema.metadata.tables[table].c.status
    return sorted(await cloud.database.read(lambda c: c.execute(select(column)).scalars().all()))


async def test_a_renewal_gives_a_certificate_for_the_new_key(cloud: Cloud) -> None:
    station, key = await station_of(cloud), new_key()
    cloud.clock.move(60 * DAY)
    answer = await renewed(station, key)
    leaf = leaf_of(answer)
    assert leaf.public_key() == key.public_key()
    assert leaf.subject.rfc4514_string() == f"CN={station.device_id}"
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days == 90
    assert answer.renew_after < answer.certificate_not_after


async def test_both_keys_hold_until_the_new_one_is_used(cloud: Cloud) -> None:
    station, key = await station_of(cloud), new_key()
    await renewed(station, key)
    assert (await station.beat()).status == 200, "the old one, after the renewal"
    old, station.key = station.key, key
    assert (await station.beat()).status == 200, "the new one"
    station.key = old
    reply = await station.beat()
    assert (reply.status, reply.reason) == (403, "key_superseded")
    assert await statuses(cloud, "device_key") == ["active", "superseded"]
    assert await statuses(cloud, "certificate") == ["active", "superseded"]


async def test_the_overlap_ends_after_seven_days(cloud: Cloud) -> None:
    station = await station_of(cloud)
    await renewed(station, new_key())
    cloud.clock.move(7 * DAY - 60)
    await cloud.app[keys.RENEWALS].end_overlaps()
    assert (await station.beat()).status == 200
    cloud.clock.move(120)
    await cloud.app[keys.RENEWALS].end_overlaps()
    assert (await station.beat()).reason == "key_superseded"


async def test_a_station_that_never_got_its_answer_asks_again_after_the_overlap(cloud: Cloud) -> None:
    """Else a lost answer and a week without a network would have locked it out for good."""
    station, key = await station_of(cloud), new_key()
    first = await renew(station, key)
    cloud.clock.move(30 * DAY)
    await cloud.app[keys.RENEWALS].end_overlaps()
    again = await renew(station, key)
    assert again.status == 200
    assert again.read(RenewAnswer).device_certificate == first.read(RenewAnswer).device_certificate
    station.key = key
    assert (await station.beat()).status == 200


async def test_a_lost_answer_asked_for_again_gives_the_same_certificate(cloud: Cloud) -> None:
    station, key = await station_of(cloud), new_key()
    first, again = await renewed(station, key), await renew(station, key)
    assert again.status == 200
    assert again.read(RenewAnswer).device_certificate == first.device_certificate
    assert await statuses(cloud, "certificate") == ["active", "active"]


async def test_another_new_key_replaces_the_one_that_was_never_used(cloud: Cloud) -> None:
    station, lost, kept = await station_of(cloud), new_key(), new_key()
    await renewed(station, lost)
    await renewed(station, kept)
    old, station.key = station.key, lost
    assert (await station.beat()).reason == "key_superseded"
    assert (await renew(station, new_key())).reason == "key_superseded", "it never was in force"
    station.key = old
    assert (await station.beat()).status == 200
    station.key = kept
    assert (await station.beat()).status == 200


async def test_a_replaced_key_renews_nothing(cloud: Cloud) -> None:
    station, key = await station_of(cloud), new_key()
    await renewed(station, key)
    old, station.key = station.key, key
    await station.beaten()
    station.key = old
    assert (await renew(station, new_key())).reason == "key_superseded"


@pytest.mark.parametrize(("days", "reason"), [(89, None), (91, "certificate_expired")])
async def test_an_ended_certificate_stops_everything_but_its_renewal(
    cloud: Cloud, days: int, reason: str | None
) -> None:
    station = await station_of(cloud)
    cloud.clock.move(days * DAY)
    replies = [await station.beat(), await station.report(station.event())]
    assert {reply.reason if reply.status >= 400 else None for reply in replies} == {reason}
    key = new_key()
    await renewed(station, key)
    station.key = key
    assert (await station.beat()).status == 200


@pytest.mark.parametrize("days", [100, 90 + 179])
async def test_a_station_that_was_away_for_long_renews_by_itself(cloud: Cloud, days: int) -> None:
    station, key = await station_of(cloud), new_key()
    cloud.clock.move(days * DAY)
    await renewed(station, key)
    station.key = key
    assert (await station.beat()).status == 200


async def test_after_the_grace_the_owner_is_asked(cloud: Cloud) -> None:
    ada = await cloud.person()
    station, key = await cloud.claimed(ada), new_key()
    cloud.clock.move((90 + 181) * DAY)
    refused = [await renew(station, key), await station.claim_with_card()]
    for reply in refused:
        assert (reply.status, reply.reason) == (403, "renewal_too_late")
        assert "owner" in reply.problem.detail
    path = f"{station.place}/certificates/approve"
    stranger = await (await cloud.person()).send("POST", path)
    assert stranger.status == 404
    assert (await (await cloud.again(ada)).send("POST", path)).status == 204
    await renewed(station, key)
    station.key = key
    assert (await station.beat()).status == 200


async def test_a_key_that_was_revoked_renews_nothing(cloud: Cloud) -> None:
    station = await station_of(cloud)
    change = update(schema.device_key).values(status="revoked")
    await cloud.database.write(lambda c: c.execute(change).close())
    reply = await renew(station, new_key())
    assert (reply.status, reply.reason) == (403, "key_revoked")


async def test_what_a_renewal_refuses(cloud: Cloud) -> None:
    station, other = await station_of(cloud), await station_of(cloud)
    same = await renew(station, station.key)
    assert (same.status, same.reason) == (422, "same_key")
    foreign = await renew(station, other.key)
    assert (foreign.status, foreign.reason) == (409, "already_registered")
    request = RenewRequest(csr="-----BEGIN nothing")
    bad = await station.send("POST", f"{station.place}/certificates/renew", request)
    assert (bad.status, bad.reason) == (422, "bad_csr")
    own, station.device_id = station.device_id, other.device_id
    assert (await renew(station, new_key())).status == 404
    station.device_id = own
    assert (await station.beat()).status == 200


async def test_the_whole_fleet_renews_at_a_pace(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewals, "ALL_RENEWALS", Rate(1, 100, 1))
    first, second = await station_of(cloud), await station_of(cloud)
    await renewed(first, new_key())
    reply = await renew(second, new_key())
    assert (reply.status, reply.problem.code) == (429, "REG-006")
    assert reply.headers["Retry-After"]
