"""A station's page says what is wrong with its certificate, lets it come back, and shuts it out."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.certificate_messages import RenewRequest
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.station_client import Reply, Station

DAY = 86_400


async def page(person: Person, station: Station) -> str:
    reply = await person.send("GET", f"/stations/{station.device_id}")
    assert reply.status == 200
    assert len(reply.body) < 20_000
    return reply.body.decode()


async def pressed(person: Person, station: Station, what: str, **fields: str) -> int:
    """A form of the page, as a browser sends it."""
    found = re.search(r'name="csrf" value="([^"]+)"', await page(person, station))
    assert found
    headers = {"Cookie": person.headers["Cookie"], "Origin": person.base}
    address = f"{person.base}/stations/{station.device_id}/{what}"
    data = {"csrf": found[1], **fields}
    async with person.session.post(address, data=data, headers=headers, allow_redirects=False) as reply:
        return reply.status


async def renew(station: Station) -> Reply:
    request = RenewRequest(csr=station.csr(ec.generate_private_key(ec.SECP256R1())))
    return await station.send("POST", f"{station.place}/certificates/renew", request)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (82, ""),
        (84, "Its certificate ends soon and was not renewed."),
        (91, "Its certificate has ended. The station renews it when it is back."),
    ],
)
async def test_the_page_says_what_is_wrong_with_the_certificate(cloud: Cloud, days: int, words: str) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    cloud.clock.move(days * DAY)
    shown = await page(await cloud.again(ada), station)
    assert words in shown
    assert words or "certificate" not in shown


async def test_the_owner_lets_a_station_come_back_on_its_page(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    cloud.clock.move(300 * DAY)
    ada = await cloud.again(ada)
    assert (await renew(station)).reason == "renewal_too_late"
    assert await pressed(ada, station, "approve") == 303
    assert (await renew(station)).status == 201


async def test_the_owner_shuts_a_station_out_only_when_sure(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    for typed in ("", "yes", "BCDFGH"):
        assert await pressed(ada, station, "revoke", sure=typed) == 303
    assert (await station.beat()).status == 200
    short = station.short_id.lower()
    assert await pressed(ada, station, "revoke", sure=f"{short[:3]} {short[3:]}") == 303
    assert (await station.beat()).reason == "key_revoked"
    shown = await page(ada, station)
    assert "Its certificate was revoked." in shown
    assert "/revoke" not in shown


async def test_a_stranger_finds_no_such_page_to_press(cloud: Cloud) -> None:
    ada, eve = await cloud.person(), await cloud.person()
    station, other = await cloud.claimed(ada), await cloud.claimed(eve)
    found = re.search(r'name="csrf" value="([^"]+)"', await page(eve, other))
    assert found
    headers = {"Cookie": eve.headers["Cookie"], "Origin": eve.base}
    for what in ("approve", "revoke"):
        address = f"{eve.base}/stations/{station.device_id}/{what}"
        data = {"csrf": found[1], "sure": station.short_id}
        async with eve.session.post(address, data=data, headers=headers, allow_redirects=False) as reply:
            assert reply.status == 404
    assert (await station.beat()).status == 200
