"""Events of a station without a clock get their true time from the boot that they belong to."""

from __future__ import annotations

from typing import Any

from protocol.messages import Clock
from tests.cloud.cloud_server import Cloud, Person
from tests.cloud.station_client import Station


def clock(mono_ms: int, *, synced: bool = False) -> Clock:
    return Clock(synced=synced, source="unknown", utc="1970-01-01T00:00:10.000Z", mono_ms=mono_ms)


async def sent(station: Station, mono_ms: int, *, boot_id: str = "boot-7", synced: bool = False) -> str:
    event = station.event(
        timestamp="1970-01-01T00:00:10Z",
        clock=clock(mono_ms, synced=synced),
        boot_id=boot_id,
        mono_ns=mono_ms * 1_000_000,
    )
    await station.reported(event)
    return event.event_id


async def restated(person: Person, station: Station) -> dict[str, Any]:
    reply = await person.send("GET", f"{station.place}/events")
    return {each["event_id"]: each["restated_ms"] for each in reply.read(dict[str, Any])["events"]}


async def test_an_event_of_1970_is_restated_by_the_next_heartbeat_of_its_boot(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    observed, began = cloud.clock.now_ms, cloud.clock.now_ms - 60_000
    event_id = await sent(station, 60_000)
    assert await restated(ada, station) == {event_id: None}
    cloud.clock.move(120)
    await station.beaten(boot_id="boot-7", clock=clock(180_000))
    assert await restated(ada, station) == {event_id: began + 60_000} == {event_id: observed}
    one = await ada.send("GET", f"{station.place}/events/{event_id}")
    detail = one.read(dict[str, Any])
    assert (detail["restated_ms"], detail["timestamp"]) == (observed, "1970-01-01T00:00:10Z")


async def test_the_earliest_start_counts_because_networks_only_delay(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    began = cloud.clock.now_ms
    cloud.clock.move(100)
    for late_s in (5, 0, 30):
        await station.beaten(boot_id="boot-7", clock=clock(100_000 - late_s * 1000))
    event_id = await sent(station, 1000)
    assert await restated(ada, station) == {event_id: began + 1000}


async def test_another_boot_and_a_clock_that_is_right_restate_nothing(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    other, right = await sent(station, 1000, boot_id="boot-6"), await sent(station, 2000, synced=True)
    await station.beaten(boot_id="boot-7", clock=clock(5000))
    assert await restated(ada, station) == {other: None, right: None}


async def test_a_boot_that_began_before_1970_is_not_believed(cloud: Cloud) -> None:
    ada = await cloud.person()
    station = await cloud.claimed(ada)
    event_id = await sent(station, 1000)
    await station.beaten(boot_id="boot-7", clock=clock(2**52))
    assert await restated(ada, station) == {event_id: None}
