"""A new card in a station: its owner is asked, a stranger learns nothing, nothing happens before a yes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, select, update

from cloud import keys
from cloud.registry.fingerprints import parts, score
from cloud.store import schema
from protocol.messages import ClaimPending, HardwareFingerprint
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.people_client import Browsing
from tests.cloud.station_client import Reply, Station


@pytest.fixture
async def ada(cloud: Cloud) -> Person:
    return await cloud.person()


@pytest.fixture
async def station(cloud: Cloud, ada: Person) -> Station:
    return await cloud.claimed(ada)


def new_card(cloud: Cloud, station: Station) -> Station:
    """Another key on the same board."""
    card = cloud.station()
    card.serial = station.serial
    return card


async def asked(person: Person, station: Station) -> list[dict[str, Any]]:
    reply = await person.send("GET", f"{station.place}/replacements")
    assert reply.status == 200, reply
    found: list[dict[str, Any]] = reply.read(dict[str, Any])["replacements"]
    return found


async def decide(person: Person, station: Station, claim_id: str, **wish: Any) -> Reply:
    return await person.send("POST", f"{station.place}/replacements/{claim_id}", wish)


async def shown(card: Station) -> str:
    """The new card shows its codes to the cloud."""
    return await card.wait_on_card()


async def test_the_owners_yes_keeps_the_station_and_ends_the_old_key_at_success(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    event = station.event()
    await station.reported(event)
    before, card = station.device_id, new_card(cloud, station)
    claim_id = await shown(card)
    (question,) = await asked(ada, station)
    assert (question["claim_id"], question["short_id"], question["proved"]) == (
        claim_id,
        card.short_id,
        False,
    )
    assert question["score"] >= 0.6
    assert (await card.validate(claim_id)).status == 202
    assert (await decide(ada, station, claim_id, accept=True, pin=card.pin)).status == 200
    assert (await station.beat()).status == 200, (
        "the running key is untouched until the new one has proved itself"
    )
    complete = await card.finish(claim_id)
    assert complete.device_id == before
    assert (await station.beat()).reason == "key_revoked"
    assert (await card.beat()).status == 200
    events = (await ada.send("GET", f"{card.place}/events")).read(dict[str, Any])["events"]
    assert [each["event_id"] for each in events] == [event.event_id]
    assert await asked(ada, card) == []
    devices = (await ada.send("GET", "/v1/devices")).read(dict[str, Any])["devices"]
    assert [(each["id"], each["short_id"]) for each in devices] == [(before, card.short_id)]


async def test_an_owner_with_the_pin_is_asked_before_the_station_goes_on(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    card = new_card(cloud, station)
    claim_id = await shown(card)
    assert await ada.named(short_id=card.short_id, pin=card.pin) == claim_id
    assert (await card.validate(claim_id)).status == 202
    (question,) = await asked(ada, station)
    assert question["proved"]
    assert (await decide(ada, station, claim_id, accept=True)).status == 200
    cloud.clock.move(10)
    assert (await card.finish(claim_id)).device_id == station.device_id


async def test_the_owners_no_makes_a_station_of_its_own(cloud: Cloud, ada: Person, station: Station) -> None:
    card = new_card(cloud, station)
    claim_id = await shown(card)
    await ada.named(short_id=card.short_id, pin=card.pin)
    assert (await decide(ada, station, claim_id, accept=False)).status == 200
    assert (await card.finish(claim_id)).device_id != station.device_id
    assert (await station.beat()).status == (await card.beat()).status == 200


@pytest.mark.parametrize(("accept", "same"), [(True, True), (False, False)])
async def test_a_token_of_the_owner_waits_for_the_answer_and_serves_one_key(
    cloud: Cloud, ada: Person, station: Station, accept: bool, same: bool
) -> None:
    card, thief = new_card(cloud, station), cloud.station()
    token = (await ada.token())["claim_token"]
    await shown(card)
    reply = await card.claim_with_token(token)
    assert reply.status == 202
    claim_id = reply.read(ClaimPending).claim_id
    assert (await card.claim_with_token(token)).status == 202
    assert (await thief.claim_with_token(token)).problem.code == "REG-003"
    assert (await decide(ada, station, claim_id, accept=accept)).status == 200
    complete = await card.finish(claim_id)
    assert (complete.device_id == station.device_id) is same
    assert (await station.beat()).status == (403 if same else 200)


async def test_a_stranger_learns_nothing_and_gets_another_station(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    eve, card, other = await cloud.person(), new_card(cloud, station), cloud.station()
    mine, plain = await card.claim_with_card(), await other.claim_with_card()
    assert set(mine.read(dict[str, Any])) == set(plain.read(dict[str, Any]))
    claim_id = mine.read(ClaimPending).claim_id
    for method, path, body in (
        ("GET", f"{station.place}/replacements", None),
        ("POST", f"{station.place}/replacements/{claim_id}", {"accept": True, "pin": card.pin}),
    ):
        assert (await eve.send(method, path, body)).status == 404
    assert await eve.named(short_id=card.short_id, pin=card.pin) == claim_id
    status = await eve.claim_status(claim_id)
    assert station.device_id not in str(status)
    assert (await card.finish(claim_id)).device_id != station.device_id
    assert await asked(ada, station) == [], "what is somebody's is no question any more"
    assert (await decide(ada, station, claim_id, accept=True, pin=card.pin)).status == 404
    assert (await station.beat()).status == 200


async def forget_limits(cloud: Cloud) -> None:
    """As after an hour, which the claim would not outlive."""
    await cloud.database.write(lambda c: c.execute(delete(schema.limit_bucket)).close())


async def test_a_yes_needs_the_pin_of_the_new_card_and_five_guesses_end_the_claim(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    """Who forges a serial gets a question before its owner, and no more."""
    card = new_card(cloud, station)
    claim_id = await shown(card)
    reply = await decide(ada, station, claim_id, accept=True)
    assert (reply.status, reply.problem.field) == (422, "$.pin")
    wrong = "000000" if card.pin != "000000" else "111111"
    for _ in range(4):
        await forget_limits(cloud)
        reply = await decide(ada, station, claim_id, accept=True, pin=wrong)
        assert (reply.status, reply.problem.code) == (401, "REG-004")
    await forget_limits(cloud)
    await decide(ada, station, claim_id, accept=True, pin=wrong)
    assert (await decide(ada, station, claim_id, accept=True, pin=card.pin)).status == 404
    assert (await card.validate(claim_id)).problem.reason == "too_many_attempts"
    assert (await station.beat()).status == 200


async def test_a_station_with_other_hardware_asks_nobody(cloud: Cloud, ada: Person, station: Station) -> None:
    await shown(cloud.station())
    assert await asked(ada, station) == []


async def test_an_unanswered_question_ends_with_the_claim(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    card = new_card(cloud, station)
    claim_id = await shown(card)
    cloud.clock.move(901)
    assert await asked(ada, station) == []
    assert (await card.validate(claim_id)).status == 410


async def test_a_station_released_after_the_yes_is_not_taken_back(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    card = new_card(cloud, station)
    claim_id = await shown(card)
    await decide(ada, station, claim_id, accept=True, pin=card.pin)
    await ada.send("POST", f"{station.place}/release")
    assert (await card.validate(claim_id)).status == 403
    assert (await card.claim_with_card()).status == 202, "it may be claimed like any other"


async def test_a_lost_answer_to_the_new_key_is_given_again(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    card = new_card(cloud, station)
    claim_id = await shown(card)
    await decide(ada, station, claim_id, accept=True, pin=card.pin)
    first = await card.finish(claim_id)
    again = await card.claim_with_card()
    assert again.status == 200
    assert card.take(again).device_certificate == first.device_certificate


# --- alarm --------------------------------------------------------------------------------------------------


async def clone_ms(cloud: Cloud, station: Station) -> int | None:
    query = select(schema.device.c.clone_ms).where(schema.device.c.id == station.device_id)
    found: int | None = await cloud.database.read(lambda c: c.execute(query).scalar_one())
    return found


async def test_two_keys_of_one_machine_that_both_talk_raise_an_alarm_once(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    eve, card = await cloud.person(), new_card(cloud, station)
    claim_id = await shown(card)
    await eve.named(short_id=card.short_id, pin=card.pin)
    await card.finish(claim_id)
    watch = cloud.app[keys.REPLACEMENTS].watch
    await station.beat()
    await watch()
    assert await clone_ms(cloud, station) is None, "only one of them talks"
    await card.beat()
    with cloud.bus.subscribe(ada.account_id) as hers, cloud.bus.subscribe(eve.account_id) as theirs:
        await watch()
        await watch()
        for listener, one in ((hers, station), (theirs, card)):
            news = await anext(aiter(listener))
            assert (news.event, news.data) == ("clone-alarm", {"deviceId": one.device_id})
    assert await clone_ms(cloud, station) == await clone_ms(cloud, card) == cloud.clock.now_ms
    detail = (await ada.send("GET", station.place)).read(dict[str, Any])
    assert detail["clone_ms"] == cloud.clock.now_ms
    assert card.device_id not in str(detail)
    page = await Browsing(cloud.session, cloud.base, ada.headers).get(f"/stations/{station.device_id}")
    assert "A second card" in page.text
    cloud.clock.move(90_000)
    await station.beat()
    await watch()
    assert await clone_ms(cloud, station) is None


async def test_the_old_card_of_a_replaced_storage_raises_the_alarm(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    card = new_card(cloud, station)
    claim_id = await shown(card)
    await decide(ada, station, claim_id, accept=True, pin=card.pin)
    await card.finish(claim_id)
    assert await clone_ms(cloud, card) is None
    await station.beat()
    assert await clone_ms(cloud, card) == cloud.clock.now_ms


# --- changed parts ------------------------------------------------------------------------------------------


ETH, OTHER_ETH = "dc:a6:32:0a:0b:0c", "dc:a6:32:0a:0b:0d"


async def with_parts(cloud: Cloud, owner: Person, **parts: Any) -> Station:
    made = cloud.station()
    made.parts = parts
    made.take(await made.claim_with_token((await owner.token())["claim_token"]))
    return made


async def changes_in(cloud: Cloud, station: Station) -> list[dict[str, Any]]:
    query = select(schema.audit.c.detail).where(
        schema.audit.c.action == "hardware_changed", schema.audit.c.device_id == station.device_id
    )
    rows = await cloud.database.read(lambda c: c.execute(query).scalars().all())
    return [msgspec.json.decode(row) for row in rows]


async def test_a_new_card_in_a_machine_with_a_changed_part_is_accepted_and_noted(
    cloud: Cloud, ada: Person
) -> None:
    station = await with_parts(cloud, ada, disk_uuid="old", mac_addresses=[ETH])
    card = new_card(cloud, station)
    card.parts = {"disk_uuid": "new", "mac_addresses": [OTHER_ETH]}
    claim_id = await shown(card)
    assert (await decide(ada, station, claim_id, accept=True, pin=card.pin)).status == 200
    assert (await card.finish(claim_id)).device_id == station.device_id
    assert await changes_in(cloud, card) == [{"parts": ["disk", "eth"], "score": "0.60"}]
    again = new_card(cloud, station)
    again.parts = card.parts
    claim_id = await shown(again)
    (question,) = await asked(ada, station)
    assert question["score"] == 0.9, "the changed parts are the known ones now"


async def test_a_station_with_its_key_and_another_processor_is_accepted_and_noted(
    cloud: Cloud, ada: Person
) -> None:
    station = await with_parts(cloud, ada, disk_uuid="one", mac_addresses=[ETH])
    before, secret = station.device_id, station.serial
    for serial, noted in ((secret, 0), ("b" * 16, 1), ("b" * 16, 1)):
        station.serial = serial
        reply = await station.claim_with_token((await ada.token())["claim_token"])
        assert station.take(reply).device_id == before
        assert len(await changes_in(cloud, station)) == noted, serial
    assert (await station.beat()).status == 200
    (row,) = await changes_in(cloud, station)
    assert row == {"parts": ["cpu"], "score": "0.40"}
    assert secret not in str(row)
    entries = (await ada.send("GET", "/v1/audit")).read(dict[str, Any])["entries"]
    assert "hardware_changed" in {entry["action"] for entry in entries}, "the owner sees it"


async def test_a_part_that_was_added_is_no_change(cloud: Cloud, ada: Person) -> None:
    station = await with_parts(cloud, ada, mac_addresses=[ETH])
    station.parts = {"mac_addresses": [ETH, OTHER_ETH], "disk_uuid": "one"}
    station.take(await station.claim_with_token((await ada.token())["claim_token"]))
    assert await changes_in(cloud, station) == []


# --- hardware -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinds", "reached"),
    [
        ((), 0.0),
        (("cpu",), 0.5),
        (("cpu", "board"), 0.6),
        (("cpu", "eth", "eth"), 0.75),
        (("eth", "board", "disk"), 0.4),
        (("tpm", "cpu"), 1.0),
    ],
)
def test_a_score_counts_each_kind_once(kinds: tuple[str, ...], reached: float) -> None:
    assert score(kinds) == reached


@pytest.mark.parametrize(
    ("address", "counts"),
    [
        ("dc:a6:32:01:02:03", True),
        ("DC:A6:32:01:02:03", True),
        ("02:00:00:00:00:01", False),
        ("ff:ff:ff:ff:ff:ff", False),
        ("01:00:5e:00:00:01", False),
        ("dc:a6:32", False),
    ],
)
def test_only_addresses_that_a_maker_gave_count(address: str, counts: bool) -> None:
    hardware = {"hardware_id": "MID_1", "fingerprint": {"mac_addresses": [address]}}
    assert len(parts(b"p" * 32, hardware)) == counts


async def test_hardware_is_stored_as_hashes_only(cloud: Cloud, ada: Person) -> None:
    station = cloud.station()
    secret = HardwareFingerprint(cpu_id="c0ffee", mac_addresses=["dc:a6:32:01:02:03"], disk_uuid="d15c")
    token = (await ada.token())["claim_token"]
    request = station.claim_request(hardware_fingerprint=secret, claim_token=token)
    assert (await station.send("POST", "/v1/devices/claim", request)).status == 201
    rows = await cloud.database.read(lambda c: c.execute(select(schema.fingerprint_component)).all())
    assert {row.kind for row in rows} == {"cpu", "eth", "board", "disk"}
    devices = await cloud.database.read(lambda c: c.execute(select(schema.device)).all())
    assert "dc:a6:32" not in str(rows) + str(devices)
    assert "c0ffee" not in str(rows) + str(devices)


async def test_what_an_older_version_stored_in_clear_becomes_hashes(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    clear = {"cpu_id": station.serial}
    change = update(schema.device).values(fingerprint=clear)
    await cloud.database.write(lambda c: c.execute(change).close())
    await cloud.database.write(lambda c: c.execute(schema.fingerprint_component.delete()).close())
    await cloud.app[keys.REPLACEMENTS].adopt()
    left = await cloud.database.read(lambda c: c.execute(select(schema.device.c.fingerprint)).scalar_one())
    assert left is None
    await shown(new_card(cloud, station))
    assert len(await asked(ada, station)) == 1


def test_a_model_alone_is_no_machine() -> None:
    info = {"model": "Raspberry Pi 4", "firmware_version": "1", "hardware_revision": "c03114"}
    assert {kind for kind, _ in parts(b"p" * 32, {"hardware_id": "MID_1", "info": info})} == {"board"}


async def test_the_question_stands_on_the_stations_page_and_on_the_claims(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    browser = Browsing(cloud.session, cloud.base, ada.headers)
    await station.beat()
    card = new_card(cloud, station)
    claim_id = await shown(card)
    path = f"/stations/{station.device_id}/replacements/{claim_id}"
    page = await browser.get(f"/stations/{station.device_id}")
    assert "Replace the storage of" in page.text
    assert "still reports" in page.text
    page = await browser.post(path, answer="yes", pin="")
    assert page.status == 422
    assert "Type the PIN" in page.text
    await ada.named(short_id=card.short_id, pin=card.pin)
    page = await browser.get(f"/claims/{claim_id}")
    assert "Replace the storage of" in page.text
    assert 'name="pin"' not in page.html
    page = await browser.post(path, answer="yes")
    assert page.address == f"/claims/{claim_id}"
    assert "Replace the storage of" not in page.text
    assert (await card.finish(claim_id)).device_id == station.device_id


async def test_a_strangers_claim_page_says_nothing_of_the_station(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    eve, card = await cloud.person(), new_card(cloud, station)
    claim_id = await shown(card)
    await eve.named(short_id=card.short_id, pin=card.pin)
    page = await Browsing(cloud.session, cloud.base, eve.headers).get(f"/claims/{claim_id}")
    assert page.status == 200
    assert "Replace" not in page.text
    assert station.device_id not in page.html
