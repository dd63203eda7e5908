"""Giving a station up and handing it over: what ends at once, what stays, and who may claim it afterwards."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cloud import keys
from cloud.security import audit
from cloud.security.vault import Secrets
from cloud.store import schema
from protocol.messages import ClaimComplete
from tests.cloud.cloud_server import Cloud, Person, running_cloud
from tests.cloud.people_client import Browsing
from tests.cloud.people_parts import Clock
from tests.cloud.station_client import Reply, Station


@pytest.fixture
async def ada(cloud: Cloud) -> Person:
    return await cloud.person()


@pytest.fixture
async def station(cloud: Cloud, ada: Person) -> Station:
    return await cloud.claimed(ada)


async def released(person: Person, station: Station) -> dict[str, Any]:
    reply = await person.send("POST", f"{station.place}/release")
    assert reply.status == 200, reply
    return reply.read(dict[str, Any])


async def offered(person: Person, station: Station) -> dict[str, Any]:
    reply = await person.send("POST", f"{station.place}/transfer")
    assert reply.status == 201, reply
    return reply.read(dict[str, Any])


async def accept(person: Person, token: str, **more: Any) -> Reply:
    return await person.send("POST", "/v1/devices/transfers/accept", {"transfer_token": token} | more)


async def column(cloud: Cloud, what: Any) -> list[Any]:
    return list(await cloud.database.read(lambda c: c.execute(select(what)).scalars().all()))


# --- release ------------------------------------------------------------------------------------------------


async def test_a_release_ends_key_certificate_orders_and_epoch_at_once(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    order = await ada.send("POST", f"{station.place}/commands", {"type": "restart"})
    assert order.status == 201
    done = await released(ada, station)
    assert (done["status"], done["epoch"]) == ("released", 2)
    assert await column(cloud, schema.device_key.c.status) == ["revoked"]
    assert await column(cloud, schema.certificate.c.status) == ["revoked"]
    assert await column(cloud, schema.command.c.state) == ["CANCELED"]
    assert await column(cloud, schema.fingerprint_component.c.mac) == []
    refused = [await station.beat(), await station.report(station.event())]
    assert {(reply.status, reply.reason) for reply in refused} == {(403, "released")}
    assert "device_released" in await column(cloud, schema.audit.c.action)


async def test_the_history_stays_with_the_former_owner_and_can_only_be_read(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    file = b"picture"
    event = station.event(file)
    await station.reported(event)
    await station.upload(file)
    await released(ada, station)
    assert (await ada.send("GET", "/v1/devices")).read(dict[str, Any])["devices"] == []
    one = (await ada.send("GET", station.place)).read(dict[str, Any])
    assert one["status"] == "released"
    seen = (await ada.send("GET", f"{station.place}/events")).read(dict[str, Any])
    assert [each["event_id"] for each in seen["events"]] == [event.event_id]
    assert (await ada.send("GET", f"{station.place}/media/{event.media[0].sha256}")).body == file
    for method, path, body in (
        ("PATCH", station.place, {"name": "Mine still"}),
        ("POST", f"{station.place}/commands", {"type": "restart"}),
    ):
        reply = await ada.send(method, path, body)
        assert (reply.status, reply.reason) == (409, "released")
    for action in ("release", "transfer"):
        assert (await ada.send("POST", f"{station.place}/{action}")).status == 404


async def test_the_same_key_can_be_claimed_anew_and_is_another_station(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    await station.reported(station.event())
    await released(ada, station)
    eve, before = await cloud.person(), station.device_id
    claim_id = await station.wait_on_card()
    assert await eve.named(short_id=station.short_id, pin=station.pin) == claim_id
    complete = await station.finish(claim_id)
    assert station.device_id != before
    assert complete.epoch == 1
    assert (await station.beat()).status == 200
    assert (await eve.send("GET", f"{station.place}/events")).read(dict[str, Any])["events"] == []
    assert (await eve.send("GET", f"/v1/devices/{before}")).status == 404
    assert (await ada.send("GET", station.place)).status == 404
    assert (await ada.send("GET", f"/v1/devices/{before}")).status == 200


async def test_the_former_owner_may_claim_it_again_too(cloud: Cloud, ada: Person, station: Station) -> None:
    await released(ada, station)
    reply = await station.claim_with_token((await ada.token())["claim_token"])
    assert reply.status == 201
    station.take(reply)
    assert (await station.beat()).status == 200


async def test_a_lost_answer_is_not_given_again_after_the_release(cloud: Cloud, ada: Person) -> None:
    station, token = cloud.station(), (await ada.token())["claim_token"]
    station.take(await station.claim_with_token(token))
    await released(ada, station)
    assert (await station.claim_with_token(token)).status == 410


async def test_only_the_owner_can_release(cloud: Cloud, ada: Person, station: Station) -> None:
    eve = await cloud.person()
    assert (await eve.send("POST", f"{station.place}/release")).status == 404
    assert (await station.beat()).status == 200


async def test_the_owners_pages_hear_of_the_release(cloud: Cloud, ada: Person, station: Station) -> None:
    with cloud.bus.subscribe(ada.account_id) as listener:
        await released(ada, station)
        news = await anext(aiter(listener))
    assert (news.event, news.data) == ("device-released", {"deviceId": station.device_id})


# --- transfer -----------------------------------------------------------------------------------------------


async def test_a_station_that_was_handed_over_comes_to_its_new_owner_without_a_code(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    eve, before = await cloud.person(), station.device_id
    offer = await offered(ada, station)
    assert offer["accept_url"].endswith(f"/transfer/{offer['transfer_token']}")
    assert (await station.beat()).status == 200, "nothing ends before the link is used"
    taken = await accept(eve, offer["transfer_token"], name="New roof")
    assert taken.status == 200
    claim_id = taken.read(dict[str, Any])["claim_id"]
    assert (await station.beat()).reason == "released"
    assert (await eve.claim_status(claim_id))["status"] == "pending"
    reply = await station.claim_with_card()
    assert reply.status == 201
    assert station.take(reply).device_name == "New roof"
    assert station.device_id != before
    assert (await station.beat()).status == 200
    assert (await eve.claim_status(claim_id))["status"] == "success"
    assert (await ada.send("GET", f"/v1/devices/{before}")).status == 200
    assert (await ada.send("GET", station.place)).status == 404


async def test_a_link_is_good_once_and_a_double_click_is_one_acceptance(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    eve, mallory = await cloud.person(), await cloud.person()
    token = (await offered(ada, station))["transfer_token"]
    one = await accept(eve, token)
    other = await accept(eve, token)
    assert one.status == other.status == 200
    assert one.read(dict[str, Any])["claim_id"] == other.read(dict[str, Any])["claim_id"]
    assert (await accept(mallory, token)).status == 404


@pytest.mark.parametrize("how", ["withdrawn", "replaced", "too old", "released", "unknown"])
async def test_a_link_that_holds_no_more(cloud: Cloud, ada: Person, station: Station, how: str) -> None:
    eve, token = await cloud.person(), (await offered(ada, station))["transfer_token"]
    match how:
        case "withdrawn":
            assert (await ada.send("DELETE", f"{station.place}/transfer")).read(dict[str, Any])[
                "withdrawn"
            ] == 1
        case "replaced":
            await offered(ada, station)
        case "too old":
            cloud.clock.move(8 * 86_400)
        case "released":
            await released(ada, station)
        case "unknown":
            token = "mtt_" + "A" * 43
    assert (await accept(eve, token)).status == 404


async def test_the_owner_cannot_take_over_what_is_theirs(cloud: Cloud, ada: Person, station: Station) -> None:
    reply = await accept(ada, (await offered(ada, station))["transfer_token"])
    assert (reply.status, reply.problem.code) == (409, "REG-003")
    assert (await station.beat()).status == 200


async def test_links_are_stored_only_as_hashes_and_guesses_are_limited(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    token = (await offered(ada, station))["transfer_token"]
    assert token not in str(await column(cloud, schema.transfer.c.token_hash))
    eve = await cloud.person()
    statuses = [(await accept(eve, f"mtt_{number}")).status for number in range(6)]
    assert statuses == [404] * 5 + [429]


async def test_a_card_that_was_shown_meanwhile_is_no_obstacle(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    """The station asks between the release and the acceptance of nothing: two owners, one after the other."""
    eve = await cloud.person()
    token = (await offered(ada, station))["transfer_token"]
    await accept(eve, token)
    reply = await station.claim_with_card()
    assert station.take(reply).claim_id
    again = await station.claim_with_card()
    assert again.status == 200
    assert again.read(ClaimComplete).device_id == station.device_id


# --- pages --------------------------------------------------------------------------------------------------


async def test_a_release_by_the_page_wants_a_tick_and_leaves_the_past_to_read(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    browser = Browsing(cloud.session, cloud.base, ada.headers)
    assert "/give-up" in (await browser.get(f"/stations/{station.device_id}")).html
    assert "claim card with a new PIN" in (await browser.get(f"/stations/{station.device_id}/give-up")).text
    page = await browser.post(f"/stations/{station.device_id}/release")
    assert page.status == 400
    assert "Tick the box first" in page.text
    assert (await station.beat()).status == 200
    page = await browser.post(f"/stations/{station.device_id}/release", sure="yes")
    assert page.status == 200
    assert "You gave it up" in page.text
    assert "/give-up" not in page.html
    assert station.device_id in (await browser.get("/stations/former")).html
    assert "/stations/former" in (await browser.get("/")).html
    back = await browser.get(f"/stations/{station.device_id}/give-up", follow=False)
    assert back.status == 303


async def test_a_station_changes_hands_by_pages_alone(cloud: Cloud, ada: Person, station: Station) -> None:
    giver = Browsing(cloud.session, cloud.base, ada.headers)
    page = await giver.post(f"/stations/{station.device_id}/transfer")
    found = re.search(r"/transfer/mtt_[\w-]{43}", page.html)
    assert found
    assert "your own link" in (await giver.get(found[0])).text
    eve = await cloud.person("eve@example.org")
    receiver = Browsing(cloud.session, cloud.base, eve.headers)
    page = await receiver.get(found[0])
    assert "person1@example.org" in page.text
    page = await receiver.post(found[0], name="New roof")
    assert page.address.startswith("/claims/clm_")
    assert "New roof" in page.text
    station.take(await station.claim_with_card())
    assert station.device_id in (await receiver.get("/")).html


async def test_a_withdrawn_link_is_nothing(cloud: Cloud, ada: Person, station: Station) -> None:
    giver = Browsing(cloud.session, cloud.base, ada.headers)
    page = await giver.post(f"/stations/{station.device_id}/transfer")
    found = re.search(r"/transfer/mtt_[\w-]{43}", page.html)
    assert found
    await giver.post(f"/stations/{station.device_id}/transfer/withdraw")
    eve = await cloud.person()
    assert (await Browsing(cloud.session, cloud.base, eve.headers).get(found[0])).status == 404


# --- both databases -----------------------------------------------------------------------------------------


async def test_a_whole_life_of_owners_on_either_database(
    tmp_path: Path, secrets: Secrets, moved_clock: Clock, database_url: str
) -> None:
    """By list, with a new card, to another person by a link, released, and claimed by its card."""
    async with running_cloud(tmp_path / "cloud", secrets, moved_clock, database_url) as cloud:
        ada, eve = await cloud.person(), await cloud.person()
        station, card = cloud.station(), cloud.station()
        card.serial = station.serial
        await ada.send("POST", "/v1/devices/preauthorize", {"stations": [{"keyid": station.keyid}]})
        first = await station.send("POST", "/v1/devices/claim", station.claim_request())
        assert station.take(first).epoch == 1
        claim_id = await card.wait_on_card()
        yes = {"accept": True, "pin": card.pin}
        assert (await ada.send("POST", f"{station.place}/replacements/{claim_id}", yes)).status == 200
        assert (await card.finish(claim_id)).device_id == station.device_id
        await station.beat()
        await card.beat()
        assert (await ada.send("GET", card.place)).read(dict[str, Any])["clone_ms"] == cloud.clock.now_ms
        await accept(eve, (await offered(ada, card))["transfer_token"])
        card.take(await card.claim_with_card())
        assert card.device_id != station.device_id
        assert (await card.beat()).status == 200
        await released(eve, card)
        claim_id = await card.wait_on_card()
        assert await ada.named(short_id=card.short_id, pin=card.pin) == claim_id
        await card.finish(claim_id)
        await cloud.app[keys.REPLACEMENTS].watch()
        await cloud.app[keys.QUEUE].work()
        assert (await ada.send("GET", card.place)).status == 200
        assert await cloud.database.read(audit.first_broken) is None
