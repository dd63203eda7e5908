"""Heartbeats, presence, signed configuration and orders: what station and owner learn of each other."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select, update

from cloud import keys
from cloud.fleet import heartbeats
from cloud.fleet.configuration import merged
from cloud.fleet.presence import Presence, tone
from cloud.realtime.bus import News, Subscription
from cloud.store import schema
from protocol.codes import from_base64url
from protocol.envelope import ConfigPayload, open_config
from protocol.messages import (
    Backlog,
    BufferState,
    ClaimComplete,
    CommandAck,
    ConfigAnswer,
    Location,
    NetworkInfo,
)
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.station_client import Station

pytestmark = pytest.mark.usefixtures("no_blocking")


@pytest.fixture
async def ada(cloud: Cloud) -> Person:
    return await cloud.person()


@pytest.fixture
async def station(cloud: Cloud, ada: Person) -> Station:
    return await cloud.claimed(ada)


async def detail(ada: Person, station: Station) -> dict[str, Any]:
    reply = await ada.send("GET", station.place)
    assert reply.status == 200, reply
    return reply.read(dict[str, Any])


async def heard(subscription: Subscription, number: int) -> list[News]:
    return [await anext(subscription) for _ in range(number)]


async def test_a_heartbeat_is_what_its_owner_sees(ada: Person, station: Station) -> None:
    before = await detail(ada, station)
    assert (before["state"], before["tone"], before["online"]) == (None, "unknown", False)
    buffer = BufferState(high=Backlog(count=2, bytes=30), low=Backlog(count=1, bytes=5))
    network = NetworkInfo(connection_type="wifi", signal_strength=-60.0)
    answer = await station.beaten(buffer=buffer, network_info=network, firmware_version="2.0")
    assert (answer.status, answer.next_heartbeat_in) == ("ok", 60)
    after = await detail(ada, station)
    assert (after["state"], after["tone"], after["online"]) == ("operational", "running", True)
    assert (after["backlog_count"], after["backlog_bytes"]) == (3, 35)
    assert after["network"]["signal_strength"] == -60.0
    assert after["info"]["firmware_version"] == "2.0"
    assert after["reported"]["buffer"]["high"] == {"count": 2, "bytes": 30}


@pytest.mark.parametrize(("per_second", "spread"), [(20, 0.0), (1, 2.0)])
async def test_a_larger_fleet_comes_back_over_a_longer_time(
    cloud: Cloud,
    ada: Person,
    station: Station,
    monkeypatch: pytest.MonkeyPatch,
    per_second: int,
    spread: float,
) -> None:
    monkeypatch.setattr(heartbeats, "RETURNING_PER_SECOND", per_second)
    await cloud.claimed(ada)
    answer = await station.beaten()
    assert answer.backlog_spread == spread


async def test_the_owners_page_turns_green_at_the_first_operational_heartbeat(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    with cloud.bus.subscribe(ada.account_id) as subscription:
        await station.beat("activating")
        cloud.clock.move(1)
        await station.beat("operational")
        news = await heard(subscription, 3)
    assert [each.event for each in news] == ["device-online", "device-status", "device-status"]
    assert [each.data["tone"] for each in news[1:]] == ["working", "running"]
    assert news[1].data["first_operational_ms"] is None
    first = news[2].data["first_operational_ms"]
    cloud.clock.move(60)
    await station.beat("operational")
    assert (await detail(ada, station))["first_operational_ms"] == first == cloud.clock.now_ms - 60_000


async def test_a_late_heartbeat_does_not_replace_a_newer_one(ada: Person, station: Station) -> None:
    await station.beat("operational", seq=10)
    await station.beat("error", seq=9)
    assert (await detail(ada, station))["state"] == "operational"
    await station.beat("updating", seq=11)
    assert (await detail(ada, station))["state"] == "updating"


async def test_a_new_boot_starts_counting_again(ada: Person, station: Station) -> None:
    await station.beat("operational", seq=500)
    station.boot += 1
    await station.beat("reconnecting", seq=1)
    assert (await detail(ada, station))["state"] == "reconnecting"


async def test_a_station_is_offline_after_five_silent_minutes(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    presence = Presence(cloud.database, cloud.bus, 300, cloud.clock)
    await station.beat()
    await presence.look()
    with cloud.bus.subscribe(ada.account_id) as subscription:
        cloud.clock.move(299)
        await presence.look()
        assert (await detail(ada, station))["online"]
        cloud.clock.move(2)
        await presence.look()
        await presence.look()
        assert not (await detail(ada, station))["online"]
        assert (await detail(ada, station))["tone"] == "unknown"
        await station.beat()
        news = await heard(subscription, 3)
    assert [each.event for each in news] == ["device-offline", "device-online", "device-status"]
    assert {each.data["deviceId"] for each in news} == {station.device_id}


@pytest.mark.parametrize(
    ("state", "online", "shown"),
    [
        ("operational", True, "running"),
        ("operational", False, "unknown"),
        ("reconnecting", True, "working"),
        ("error", True, "failed"),
        ("setup", True, "waiting"),
        ("a state of tomorrow", True, "waiting"),
        (None, True, "unknown"),
    ],
)
def test_a_state_has_one_tone(state: str | None, online: bool, shown: str) -> None:
    assert tone(state, online) == shown


async def test_heartbeats_in_a_row_are_limited(station: Station) -> None:
    replies = [await station.beat() for _ in range(11)]
    assert [reply.status for reply in replies] == [200] * 10 + [429]
    assert replies[-1].problem.code == "REG-006"
    assert int(replies[-1].headers["Retry-After"]) <= 30


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"uptime": -1}, "$.uptime"),
        ({"seq": 2**60}, "$.seq"),
        ({"seq": -1}, "$.seq"),
        ({"config_version": 2**60}, "$.config_version"),
        ({"location": Location(latitude=91, longitude=0)}, "$.location.latitude"),
    ],
)
async def test_a_heartbeat_that_cannot_be_is_refused(
    station: Station, change: dict[str, Any], field: str
) -> None:
    reply = await station.beat(**change)
    assert (reply.status, reply.problem.code, reply.problem.field) == (422, "REG-007", field)


async def test_the_addresses_of_the_claim_answer_work(cloud: Cloud, ada: Person) -> None:
    station = cloud.station()
    complete = station.take(await station.claim_with_token((await ada.token())["claim_token"]))
    points = msgspec.to_builtins(complete.api_endpoints)
    paths = {name: url.removeprefix(cloud.base) for name, url in points.items()}
    body = b'{"uptime":1,"boot_id":"b","seq":1,"state":"operational"}'
    assert (await station.send("POST", paths["heartbeat"], body)).status == 200
    assert (await station.send("POST", paths["telemetry"], body)).status == 200
    assert (await station.send("POST", paths["events"], station.event())).status == 201
    assert (await station.send("GET", paths["config"])).status == 200
    assert (await station.send("GET", paths["commands"])).status == 200
    assert (await station.send("POST", "/v1/devices/heartbeat", body)).status == 200
    assert (await station.send("GET", f"/v1/devices/config/{station.device_id}")).status == 200
    assert (await station.send("POST", "/v1/devices/events", station.event())).status == 201


# --- configuration ------------------------------------------------------------------------------------------


def opened(complete: ClaimComplete, answer: ConfigAnswer, applied: int = 0) -> ConfigPayload:
    """What a station accepts with the keys that it pinned when it was claimed."""
    pinned = {
        key.kid: Ed25519PublicKey.from_public_bytes(from_base64url(key.x)) for key in complete.config_keys
    }
    return open_config(
        answer.config_envelope, pinned, device_id=complete.device_id, epoch=complete.epoch, applied=applied
    )


async def test_the_configuration_is_signed_for_this_station(cloud: Cloud, ada: Person) -> None:
    station = cloud.station()
    complete = station.take(await station.claim_with_token((await ada.token(name="Roof"))["claim_token"]))
    reply = await station.send("GET", f"{station.place}/config")
    payload = opened(complete, reply.read(ConfigAnswer))
    assert payload.version == 1
    desired = msgspec.json.decode(payload.desired)
    assert desired["device"] == {"device_id": station.device_id, "name": "Roof", "location": None}
    assert desired["monitoring"] == {"heartbeat_interval_seconds": 60}
    again = await station.send("GET", f"{station.place}/config", headers={"If-None-Match": '"1"'})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", '"1"')


async def test_a_new_name_reaches_the_station_as_a_newer_version(cloud: Cloud, ada: Person) -> None:
    station = cloud.station()
    complete = station.take(await station.claim_with_token((await ada.token())["claim_token"]))
    assert (await station.beaten(config_version=1)).config_updates is None
    with cloud.bus.subscribe(ada.account_id) as subscription:
        reply = await ada.send("PATCH", station.place, {"name": "  South \u00e4  roof "})
        news = await anext(subscription)
    assert reply.read(dict[str, Any])["name"] == "South \u00e4 roof"
    assert (news.event, news.data) == ("config-updated", {"deviceId": station.device_id, "version": 2})
    answer = await station.beaten(config_version=1)
    assert answer.device_name == "South \u00e4 roof"
    assert answer.config_updates is not None
    assert answer.config_updates.version == 2
    config = ConfigAnswer(
        version=2, config={}, config_envelope=answer.config_updates.signature, server_time=""
    )
    assert msgspec.json.decode(opened(complete, config, 1).desired)["device"]["name"] == "South \u00e4 roof"
    assert (await station.beaten(config_version=2)).config_updates is None


async def test_a_place_is_kept_and_the_same_place_again_makes_no_version(
    ada: Person, station: Station
) -> None:
    where = {"latitude": 48.1, "longitude": 11.5, "altitude": 500.0, "source": "manual"}
    for _ in range(2):
        reply = await ada.send("PATCH", station.place, {"location": where})
        assert reply.status == 200
    shown = await detail(ada, station)
    assert shown["location"]["latitude"] == 48.1
    assert shown["config_version_desired"] == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "$"),
        ({"name": ""}, "$.name"),
        ({"name": "  "}, "$.name"),
        ({"name": "x" * 81}, "$.name"),
        ({"name": "a\u202eb"}, "$.name"),
        ({"location": {"latitude": 100, "longitude": 0}}, "$.location.latitude"),
        ({"status": "released"}, "$.status"),
    ],
)
async def test_a_change_that_cannot_be_names_the_field(
    ada: Person, station: Station, body: dict[str, Any], field: str
) -> None:
    reply = await ada.send("PATCH", station.place, body)
    assert (reply.status, reply.problem.field) == (422, field)


async def test_a_refused_configuration_is_shown_to_the_owner(ada: Person, station: Station) -> None:
    answer = await station.beaten(config_error="REG-007 invalid", config_version=1)
    assert (answer.status, len(answer.warnings)) == ("warning", 1)
    shown = await detail(ada, station)
    assert (shown["config_error"], shown["config_version_reported"]) == ("REG-007 invalid", 1)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        ({"a": 1}, {"a": {"b": None}}, {"a": {}}),
        ({}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
    ],
)
def test_a_merge_patch_is_that_of_rfc_7396(target: Any, patch: Any, result: Any) -> None:
    assert merged(target, patch) == result


# --- orders -------------------------------------------------------------------------------------------------


async def test_an_order_is_delivered_until_it_is_acknowledged(ada: Person, station: Station) -> None:
    reply = await ada.send("POST", f"{station.place}/commands", {"type": "restart", "parameters": {"a": 1}})
    assert reply.status == 201
    order = reply.read(dict[str, Any])["id"]
    for _ in range(2):
        assert [each.id for each in (await station.beaten()).commands] == [order]
    fetched = await station.send("GET", f"{station.place}/commands")
    assert [each["id"] for each in fetched.read(dict[str, Any])["commands"]] == [order]
    await station.beat(command_acks=[CommandAck(id=order, state="REJECTED", detail="unsupported")])
    assert (await station.beaten()).commands == []


async def test_pages_are_told_of_every_step_of_an_order(cloud: Cloud, ada: Person, station: Station) -> None:
    eve = await cloud.person()
    with cloud.bus.subscribe(ada.account_id) as news, cloud.bus.subscribe(eve.account_id) as foreign:
        made = await ada.send("POST", f"{station.place}/commands", {"type": "restart"})
        order = made.read(dict[str, Any])["id"]
        for acks in ([("IN_PROGRESS", None)], [("SUCCEEDED", "in 3 s")], [("FAILED", "too late")]):
            told = [CommandAck(id=order, state=state, detail=detail) for state, detail in acks]  # type: ignore[arg-type]
            await station.beat(command_acks=told)
        news.close()
        heard = [each.data async for each in news if each.event == "command-status"]
        foreign.close()
        assert [each async for each in foreign] == []
    assert {(each["deviceId"], each["commandId"]) for each in heard} == {(station.device_id, order)}
    steps = [(each["state"], each["detail"]) for each in heard]
    assert steps == [("QUEUED", None), ("IN_PROGRESS", None), ("SUCCEEDED", "in 3 s")]


async def test_an_order_of_another_station_cannot_be_acknowledged(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    thief = await cloud.claimed(await cloud.person())
    made = await ada.send("POST", f"{station.place}/commands", {"type": "restart"})
    order = made.read(dict[str, Any])["id"]
    await thief.beat(command_acks=[CommandAck(id=order, state="SUCCEEDED")])
    assert [each.id for each in (await station.beaten()).commands] == [order]


async def test_a_finished_order_stays_finished(cloud: Cloud, ada: Person, station: Station) -> None:
    made = await ada.send("POST", f"{station.place}/commands", {"type": "restart"})
    order = made.read(dict[str, Any])["id"]
    await station.beat(command_acks=[CommandAck(id=order, state="SUCCEEDED")])
    await station.beat(command_acks=[CommandAck(id=order, state="FAILED")])
    query = select(schema.command.c.state)
    assert await cloud.database.read(lambda c: c.execute(query).scalar_one()) == "SUCCEEDED"


async def test_at_most_a_hundred_orders_wait(cloud: Cloud, ada: Person, station: Station) -> None:
    for _ in range(100):
        await ada.send("POST", f"{station.place}/commands", {"type": "restart"})
    reply = await ada.send("POST", f"{station.place}/commands", {"type": "restart"})
    assert (reply.status, reply.reason) == (429, "too_many_open")


async def test_upkeep_forgets_the_nonces_of_strangers_only(cloud: Cloud, station: Station) -> None:
    from cloud.upkeep import forget_strangers

    stranger = cloud.station()
    await stranger.wait_on_card()
    await station.beat()
    cloud.clock.move(86_401)
    await forget_strangers(cloud.database, cloud.app[keys.UNIX_MS])
    query = select(schema.replay.c.keyid)
    assert await cloud.database.read(lambda c: c.execute(query).scalars().all()) == [station.keyid]


async def test_a_suspended_station_is_still_listed_and_a_released_one_is_only_read(
    cloud: Cloud, ada: Person, station: Station
) -> None:
    for status, listed in (("suspended", 1), ("released", 0)):
        change = update(schema.device).values(status=status)
        await cloud.database.write(lambda c, x=change: c.execute(x).close())  # type: ignore[misc]
        assert (await ada.send("GET", station.place)).status == 200
        found = (await ada.send("GET", "/v1/devices")).read(dict[str, Any])
        assert len(found["devices"]) == listed
