"""Many stations at once: keys said beforehand, batches of tokens, lists as people write them."""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
import pytest

from cloud.registry import batch_file
from protocol.batch_messages import BatchRequest, PreauthorizeRequest
from protocol.errors import Refusal
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.people_client import Browsing
from tests.cloud.station_client import Reply, Station


@pytest.fixture
async def ada(cloud: Cloud) -> Person:
    return await cloud.person()


async def said(person: Person, *stations: Station, **more: Any) -> dict[str, Any]:
    rows = [{"keyid": one.keyid} | more for one in stations]
    reply = await person.send("POST", "/v1/devices/preauthorize", {"stations": rows})
    assert reply.status == 201, reply
    return reply.read(dict[str, Any])


async def batch(person: Person, *rows: dict[str, Any]) -> dict[str, Any]:
    reply = await person.send("POST", "/v1/devices/batches", {"stations": list(rows)})
    assert reply.status == 201, reply
    return reply.read(dict[str, Any])


async def first_claim(station: Station) -> Reply:
    """Signed by the key, with no code at all."""
    return await station.send("POST", "/v1/devices/claim", station.claim_request())


# --- keys said beforehand -----------------------------------------------------------------------------------


async def test_the_first_signed_claim_of_a_key_that_was_said_needs_no_person(
    cloud: Cloud, ada: Person
) -> None:
    station = cloud.station()
    place = {"latitude": 47.05, "longitude": 8.31}
    listed = await said(ada, station, name="Roof 1", location=place)
    assert [each["state"] for each in listed["stations"]] == ["added"]
    reply = await first_claim(station)
    assert reply.status == 201
    assert station.take(reply).device_name == "Roof 1"
    assert (await station.beat()).status == 200
    assert (await ada.send("GET", station.place)).read(dict[str, Any])["location"]["latitude"] == 47.05
    status = (await ada.send("GET", f"/v1/devices/batches/{listed['batch_id']}")).read(dict[str, Any])
    assert [each["status"] for each in status["stations"]] == ["success"]


async def test_a_card_works_as_the_first_claim_too(cloud: Cloud, ada: Person) -> None:
    station = cloud.station()
    await said(ada, station)
    assert (await station.claim_with_card()).status == 201


async def test_a_key_that_nobody_said_needs_a_code(cloud: Cloud, ada: Person) -> None:
    await said(ada, cloud.station())
    reply = await first_claim(cloud.station())
    assert (reply.status, reply.problem.field) == (422, "$.registration_type")


async def test_only_the_key_itself_can_use_its_name(cloud: Cloud, ada: Person) -> None:
    station, thief = cloud.station(), cloud.station()
    await said(ada, station)
    body = thief.claim_request(csr=station.csr())
    assert (await thief.send("POST", "/v1/devices/claim", body)).status == 401


async def test_a_name_that_two_persons_say_is_nobodys(cloud: Cloud, ada: Person) -> None:
    """A key's name is no secret: a squatter keeps a station from nobody who has its card."""
    eve, station = await cloud.person(), cloud.station()
    one, other = await said(ada, station), await said(eve, station)
    assert [each["state"] for each in one["stations"] + other["stations"]] == ["added", "added"]
    assert (await first_claim(station)).status == 422
    claim_id = await station.wait_on_card()
    assert await ada.named(short_id=station.short_id, pin=station.pin) == claim_id
    await station.finish(claim_id)
    assert (await ada.send("GET", station.place)).status == 200


async def test_a_person_with_the_card_goes_before_a_list(cloud: Cloud, ada: Person) -> None:
    eve, station = await cloud.person(), cloud.station()
    claim_id = await station.wait_on_card()
    await ada.named(short_id=station.short_id, pin=station.pin)
    await said(eve, station)
    assert (await station.claim_with_card()).status == 202
    await station.finish(claim_id)
    assert (await ada.send("GET", station.place)).status == 200


async def test_a_station_that_has_an_owner_is_not_taken_by_a_list(cloud: Cloud, ada: Person) -> None:
    eve, station = await cloud.person(), await cloud.claimed(ada)
    await said(eve, station)
    assert (await first_claim(station)).status == 200
    assert (await ada.send("GET", station.place)).status == 200
    assert (await eve.send("GET", station.place)).status == 404


async def test_the_same_list_twice_adds_nothing(cloud: Cloud, ada: Person) -> None:
    station = cloud.station()
    one, other = await said(ada, station), await said(ada, station)
    assert [each["state"] for each in other["stations"]] == ["known"]
    assert other["stations"][0]["claim_id"] == one["stations"][0]["claim_id"]


async def test_a_cancelled_list_lets_nobody_in(cloud: Cloud, ada: Person) -> None:
    station = cloud.station()
    listed = await said(ada, station)
    path = f"/v1/devices/batches/{listed['batch_id']}"
    assert (await (await cloud.person()).send("DELETE", path)).status == 404
    assert (await ada.send("DELETE", path)).read(dict[str, Any])["stations"][0]["status"] == "expired"
    assert (await first_claim(station)).status == 422


# --- batches of tokens --------------------------------------------------------------------------------------


async def test_a_batch_gives_each_station_a_token_that_works_once(cloud: Cloud, ada: Person) -> None:
    place = {"latitude": -33.9, "longitude": 18.4, "altitude": 20.0}
    made = await batch(ada, *({"name": f"Roof {n}", "location": place} for n in range(12)))
    labels = made["stations"]
    assert len({label["claim_token"] for label in labels}) == 12
    assert all(label["qr_text"].split("|")[2] == label["claim_token"] for label in labels)
    cloud.clock.move(80 * 86_400)
    station = cloud.station()
    assert (await station.claim_with_token(labels[3]["claim_token"])).status == 201
    assert (await cloud.station().claim_with_token(labels[3]["claim_token"])).problem.code == "REG-003"
    cloud.clock.move(11 * 86_400)
    assert (await cloud.station().claim_with_token(labels[4]["claim_token"])).problem.code == "REG-002"


async def test_a_batch_does_not_use_up_the_tokens_of_every_day(cloud: Cloud, ada: Person) -> None:
    await batch(ada, *({"name": f"Roof {n}"} for n in range(20)))
    assert (await ada.token())["claim_token"]
    page = await ada.send("GET", "/")
    assert "Roof 3" not in page.body.decode()


async def test_after_a_mass_failure_new_cards_keep_ids_and_history(cloud: Cloud, ada: Person) -> None:
    stations = [await cloud.claimed(ada) for _ in range(3)]
    events = [station.event() for station in stations]
    for station, event in zip(stations, events, strict=True):
        await station.reported(event)
    made = await batch(ada, *({"device_id": station.device_id} for station in stations))
    for station, label, event in zip(stations, made["stations"], events, strict=True):
        card = cloud.station()  # other hardware too: the owner said which station it becomes
        card.take(await card.claim_with_token(label["claim_token"]))
        assert card.device_id == station.device_id
        assert (await card.beat()).status == 200
        assert (await station.beat()).reason == "key_revoked"
        seen = (await ada.send("GET", f"{card.place}/events")).read(dict[str, Any])["events"]
        assert [each["event_id"] for each in seen] == [event.event_id]
    assert len((await ada.send("GET", "/v1/devices")).read(dict[str, Any])["devices"]) == 3


async def test_a_batch_cannot_name_somebody_elses_station(cloud: Cloud, ada: Person) -> None:
    eve, station = await cloud.person(), await cloud.claimed(ada)
    rows = [{"name": "Mine"}, {"device_id": station.device_id}]
    reply = await eve.send("POST", "/v1/devices/batches", {"stations": rows})
    assert reply.status == 404
    assert "Mine" not in (await eve.send("GET", "/")).body.decode()


async def test_a_batch_may_come_as_csv(cloud: Cloud, ada: Person) -> None:
    text = b'name,location\nRoof 1,"47.05, 8.31, 440"\nRoof 2,\n'
    reply = await ada.send("POST", "/v1/devices/batches", text, **{"Content-Type": "text/csv"})
    assert reply.status == 201
    made = reply.read(dict[str, Any])["stations"]
    assert [label["name"] for label in made] == ["Roof 1", "Roof 2"]
    station = cloud.station()
    station.take(await station.claim_with_token(made[0]["claim_token"]))
    found = (await ada.send("GET", station.place)).read(dict[str, Any])["location"]
    assert (found["latitude"], found["altitude"], found.get("source", "manual")) == (47.05, 440, "manual")


# --- lists --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("name\nRoof\n", ["Roof"]),
        ("name;location\nRoof;47,0 8,0\n", None),
        ("\ufeffname,location\r\nDach Süd,47 8\r\n\r\n", ["Dach Süd"]),
        ('[{"name": "Roof"}]', ["Roof"]),
        ('{"stations": [{"name": "Roof"}], "expires_in": 7200}', ["Roof"]),
        ("Name , Location\nRoof,47 8\n", ["Roof"]),
        ('name\n"Roof, south"\n', ["Roof, south"]),
    ],
)
def test_a_list_is_read_as_people_write_it(text: str, names: list[str] | None) -> None:
    if names is None:
        with pytest.raises(Refusal):
            batch_file.read(text, BatchRequest)
    else:
        assert [row.name for row in batch_file.read(text, BatchRequest).stations] == names


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "$"),
        ("nothing\n1\n", "$"),
        ("name,name\na,b\n", "$"),
        ("name,location\nRoof,here\n", "$.stations[0].location"),
        ("name,location\nRoof,91 8\n", "$.stations[0].location.latitude"),
        ("name,location\nRoof\n", "$.stations[0]"),
        ("name\n" + "R" * 81 + "\n", "$.stations[0].name"),
        ("name\n" + "R\n" * 501, "$.stations"),
        ("name\n", "$.stations"),
        ("device_id\nmine\n", "$.stations[0].device_id"),
        ('name\n"open\n', "$"),
    ],
)
def test_a_list_that_cannot_be_read_names_row_and_column(text: str, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        batch_file.read(text, BatchRequest)
    assert (refused.value.code, refused.value.field) == ("REG-007", field)


def test_a_list_of_keys_wants_keys() -> None:
    with pytest.raises(Refusal) as refused:
        batch_file.read("keyid,name\nshort,Roof\n", PreauthorizeRequest)
    assert refused.value.field == "$.stations[0].keyid"


# --- pages --------------------------------------------------------------------------------------------------


async def test_a_list_becomes_a_sheet_of_labels_that_a_reader_can_read(cloud: Cloud, ada: Person) -> None:
    browser = Browsing(cloud.session, cloud.base, ada.headers)
    assert "/stations/bulk" in (await browser.get("/stations/add")).html
    page = await browser.post("/stations/bulk", kind="labels", list='name\nRoof 1\n"<b>Roof 2"\n')
    assert page.status == 200
    assert "<b>Roof" not in page.html
    tokens = re.findall(r"<code>(mct_[\w-]{43})</code>", page.html)
    drawn = re.findall(r'<svg class="qr" viewBox="0 0 (\d+) \d+"[^>]*><path d="([^"]+)"', page.html)
    assert [read(int(size), path).split("|")[2] for size, path in drawn] == tokens
    assert len(tokens) == 2
    assert (await cloud.station().claim_with_token(tokens[0])).status == 201


async def test_a_list_that_cannot_be_used_comes_back_with_the_place_of_the_mistake(
    cloud: Cloud, ada: Person
) -> None:
    browser = Browsing(cloud.session, cloud.base, ada.headers)
    page = await browser.post("/stations/bulk", kind="labels", list="name,location\nRoof,here\n")
    assert page.status == 422
    assert "stations[0].location" in page.text
    assert "Roof,here" in page.html
    page = await browser.post("/stations/bulk", kind="labels", list="name\n" + "R\n" * 101)
    assert "at most 100 labels" in page.text


async def test_a_list_of_keys_is_taken_on_the_page_too(cloud: Cloud, ada: Person) -> None:
    browser, station = Browsing(cloud.session, cloud.base, ada.headers), cloud.station()
    page = await browser.post("/stations/bulk", kind="keys", list=f"keyid,name\n{station.keyid},Roof\n")
    assert "Your stations may come" in page.text
    assert (await first_claim(station)).status == 201


def read(size: int, path: str) -> str:
    """What a reader of QR codes sees in the drawing."""
    picture = np.full((size, size), 255, np.uint8)
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", path):
        picture[int(y), int(x) : int(x) + int(length)] = 0
    for scale in (6, 8, 5, 10, 3):  # this reader misses a good code now and then, at some sizes
        large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
        text, _, _ = cv2.QRCodeDetector().detectAndDecode(large)
        if text:
            return str(text)
    return ""
