"""Messages of the buffer as requests: what every answer of the cloud means for each of them."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web

from appliance.uplink import upload as upload_module
from appliance.uplink.client import Unreachable
from appliance.uplink.delivery import EVENT, MEDIA, MOST_BYTES, Delivery
from appliance.uplink.endpoints import Endpoints
from appliance.uplink.kept import event_receipt, media_receipt
from buffer.breaker import BreakerState
from buffer.clock import SystemClock
from buffer.confirmation import ConfirmPolicy
from buffer.drain import DrainPolicy
from buffer.drains import Drains
from buffer.message import Draft, Priority
from buffer.uplink import Delivered, Outcome, Rejected, Retry, Untried, UplinkDown
from protocol import compression, signature
from protocol.event import BatchAnswer, EventAnswer, EventBatch, PendingMedia
from tests.appliance.fakes import DEVICE_ID, Handler, answer, cut, done_then_cut, plain, problem, says
from tests.appliance.uplink_world import Uplink, uplink
from tests.appliance.workshop import running, until

EVENTS = f"/v1/devices/{DEVICE_ID}/events"
OTHER_ID = "0190b3a8-0000-7000-8000-000000000000"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Uplink]:
    async with uplink(tmp_path) as made:
        yield made


def kinds(outcomes: list[tuple[object, Outcome]]) -> list[str]:
    return [type(outcome).__name__ for _, outcome in outcomes]


async def test_a_batch_of_events_is_one_request_and_each_is_delivered(world: Uplink) -> None:
    made = [await world.put_event(number) for number in range(3)]
    outcomes = await world.deliver()
    assert kinds(list(outcomes)) == ["Delivered"] * 3
    assert list(world.cloud.events) == [each.event_id for each in made]
    assert len(world.cloud.requests) == 1
    assert sum(world.uploaded) == 3


async def test_an_events_bytes_arrive_as_they_were_stored(world: Uplink) -> None:
    made = await world.put_event()
    await world.deliver()
    assert world.cloud.events[made.event_id] == msgspec.json.encode(made)


async def test_an_event_that_the_cloud_had_already_is_delivered_and_kept_once(world: Uplink) -> None:
    await world.put_event()
    world.cloud.script("POST", EVENTS, done_then_cut(world.cloud))
    with pytest.raises(UplinkDown):
        await world.deliver()
    assert kinds(list(await world.deliver())) == ["Delivered"]
    assert len(world.cloud.events) == 1


async def test_a_batch_goes_packed_and_its_digest_covers_the_packed_bytes(world: Uplink) -> None:
    for number in range(20):
        await world.put_event(number)
    await world.deliver()
    [heard] = world.cloud.requests
    assert heard.headers["content-encoding"] == "gzip"
    assert int(heard.headers["content-length"]) < len(heard.body) / 3
    assert heard.headers["content-digest"] == signature.content_digest(compression.pack(heard.body))


async def test_a_single_small_event_goes_as_it_is(world: Uplink) -> None:
    await world.put_event()
    await world.deliver()
    assert "content-encoding" not in world.cloud.requests[0].headers


async def test_a_batch_that_is_too_large_for_one_request_goes_in_several(world: Uplink) -> None:
    for number in range(8):
        noise = base64.b64encode(os.urandom(60_000)).decode()
        await world.put_event(number, metadata={"noise": noise})
    outcomes = [outcome for _, outcome in await world.deliver()]
    assert all(isinstance(each, Delivered) for each in outcomes)
    sizes = [int(each.headers["content-length"]) for each in world.cloud.requests]
    assert len(sizes) == 2 and max(sizes) <= MOST_BYTES


# --- single items -------------------------------------------------------------------------------------------


async def test_one_rejected_event_does_not_harm_its_neighbours(world: Uplink) -> None:
    made = [await world.put_event(number) for number in range(3)]

    async def reject_second(_request: web.Request, body: bytes) -> web.StreamResponse:
        results = [EventAnswer(event_id=each.event_id, status="received") for each in made]
        results[1] = EventAnswer(
            event_id=made[1].event_id,
            status="rejected",
            code="REG-007",
            reason="conflicting_event",
            detail="Another event has this event_id already.",
        )
        return answer(BatchAnswer(results=results))

    world.cloud.script("POST", EVENTS, reject_second)
    outcomes = [outcome for _, outcome in await world.deliver()]
    assert isinstance(outcomes[0], Delivered) and isinstance(outcomes[2], Delivered)
    assert outcomes[1] == Rejected("REG-007 conflicting_event Another event has this event_id already.")
    assert sum(world.uploaded) == 2


async def test_a_message_of_a_kind_that_nobody_knows_is_set_aside(world: Uplink) -> None:
    await world.store.put(Draft(kind="weather", payload=b"{}", priority=Priority.LOW))
    [(_, outcome)] = await world.deliver()
    assert isinstance(outcome, Rejected)
    assert "weather" in outcome.reason


async def test_a_media_message_that_cannot_be_read_is_set_aside(world: Uplink) -> None:
    await world.store.put(Draft(kind=MEDIA, payload=b'{"sha256": 1}', priority=Priority.NORMAL))
    [(_, outcome)] = await world.deliver()
    assert isinstance(outcome, Rejected)


async def test_a_media_file_that_is_gone_is_set_aside_with_its_reason(world: Uplink) -> None:
    ref, _ = await world.file()
    await world.put_media(ref)
    for path in (world.folder / "buffer" / "media").glob("??/*"):
        path.unlink()
    [(_, outcome)] = await world.deliver()
    assert isinstance(outcome, Rejected)
    assert "gone" in outcome.reason


# --- refusals of a whole batch ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
@pytest.mark.parametrize("guilty", [0, 3, 6])
async def test_the_guilty_event_of_a_refused_batch_is_found_by_halves(
    world: Uplink, status: int, guilty: int
) -> None:
    made = [await world.put_event(number) for number in range(7)]
    cloud = world.cloud

    async def refuse_guilty(request: web.Request, body: bytes) -> web.StreamResponse:
        if made[guilty].event_id.encode() in plain(request, body):
            return await problem(status, code="REG-007", detail="no")(request, body)
        return await cloud.honest(request, body)

    cloud.script("POST", EVENTS, *[refuse_guilty] * 20)
    outcomes = [outcome for _, outcome in await world.deliver()]
    assert [index for index, outcome in enumerate(outcomes) if not isinstance(outcome, Delivered)] == [guilty]
    assert outcomes[guilty] == Rejected(f"{status} REG-007 no")
    assert len(cloud.events) == 6
    assert len(cloud.requests) <= 7


DOWN: list[tuple[str, Handler, bool, float | None]] = [
    ("401", problem(401, code="REG-004"), False, 60.0),
    ("403", problem(403), False, 60.0),
    ("404", problem(404), False, 60.0),
    ("404 with a wish", problem(404, retry_after=5), False, 5.0),
    ("408", problem(408), True, None),
    ("429", problem(429, retry_after=17), False, 17.0),
    ("429 without a time", problem(429), False, None),
    ("502 of a proxy", says(502, b"<html>"), True, None),
    ("503 with a time", problem(503, code="REG-009", retry_after=8), True, 8.0),
    ("504", problem(504), True, None),
    ("500 of a proxy", says(599, b"<html>"), True, None),
    ("a cut", cut, True, None),
    ("a login page", says(302, Location="http://login.example"), True, None),
    ("another page", says(200, b"<html>"), True, None),
    ("an empty answer", says(200), True, None),
    ("too few answers", says(200, b'{"results": []}'), True, None),
]


@pytest.mark.parametrize(("fault", "counts", "wait"), [row[1:] for row in DOWN], ids=[row[0] for row in DOWN])
async def test_what_is_wrong_with_the_way_keeps_every_message(
    world: Uplink, fault: Handler, counts: bool, wait: float | None
) -> None:
    for number in range(3):
        await world.put_event(number)
    world.cloud.script("POST", EVENTS, fault)
    with pytest.raises(UplinkDown) as down:
        await world.deliver()
    assert (down.value.counts, down.value.retry_after) == (counts, wait)
    assert len(world.cloud.requests) == 1
    assert await world.waiting() == [EVENT] * 3


SHARED = [
    ("429", problem(429), True),
    ("500", problem(500), True),
    ("503", problem(503), True),
    ("403", problem(403), False),
    ("408", problem(408), False),
    ("a cut", cut, False),
]


@pytest.mark.parametrize(("fault", "shared"), [row[1:] for row in SHARED], ids=[row[0] for row in SHARED])
async def test_what_every_station_must_have_seen_is_told_apart_from_our_own_link(
    world: Uplink, fault: Handler, shared: bool
) -> None:
    await world.put_event()
    world.cloud.script("POST", EVENTS, fault)
    with pytest.raises(UplinkDown) as down:
        await world.deliver()
    assert down.value.shared is shared
    assert down.value.sent


async def test_a_cloud_whose_service_is_not_running_is_an_outage_of_all_stations(
    world: Uplink, free_port: int
) -> None:
    await world.put_event()
    world.client.endpoints = Endpoints([f"http://127.0.0.1:{free_port}"], lambda: 0.5)
    with pytest.raises(UplinkDown) as down:
        await world.deliver()
    assert (down.value.shared, down.value.counts) == (True, True)
    assert not down.value.sent, "nothing left the station, so no message can be to blame"


@pytest.mark.parametrize(("synchronized", "counts"), [(False, False), (True, True)])
async def test_a_certificate_is_not_the_clouds_fault_while_the_clock_is_not_set(
    world: Uplink, monkeypatch: pytest.MonkeyPatch, synchronized: bool, counts: bool
) -> None:
    from firmware.clock import ClockQuality, Source

    async def not_yet_valid(*_: object, **__: object) -> None:
        raise Unreachable("tls", "certificate is not yet valid")

    source = Source.NTP if synchronized else Source.FLOOR
    quality = ClockQuality(synchronized=synchronized, source=source, error=None)
    monkeypatch.setattr(world.client, "send", not_yet_valid)
    monkeypatch.setattr(world.client.time.system, "quality", lambda: quality)
    await world.put_event()
    with pytest.raises(UplinkDown) as down:
        await world.deliver()
    assert down.value.counts is counts


async def test_a_station_that_is_refused_again_and_again_asks_less_and_less_often(world: Uplink) -> None:
    await world.put_event()
    delivery, batch = world.delivery, await world.leased()
    world.cloud.script("POST", EVENTS, *[problem(403)] * 4)
    waits = []
    for _ in range(4):
        with pytest.raises(UplinkDown) as down:
            await delivery.deliver(batch)
        waits.append(down.value.retry_after)
    assert waits == [60, 300, 900, 900]
    assert kinds([(0, each) for each in await delivery.deliver(batch)]) == ["Delivered"]
    world.cloud.script("POST", EVENTS, problem(403))
    with pytest.raises(UplinkDown) as down:
        await delivery.deliver(batch)
    assert down.value.retry_after == 60


# --- a message that makes the cloud fail --------------------------------------------------------------------


def fails_on(world: Uplink, *guilty: str) -> Handler:
    async def fail(request: web.Request, body: bytes) -> web.StreamResponse:
        if any(each.encode() in plain(request, body) for each in guilty):
            return await problem(500)(request, body)
        return await world.cloud.honest(request, body)

    return fail


@pytest.mark.parametrize("guilty", [[0], [6], [2, 3], [0, 6]])
async def test_an_event_that_makes_the_cloud_fail_is_found_while_its_neighbours_arrive(
    world: Uplink, caplog: pytest.LogCaptureFixture, guilty: list[int]
) -> None:
    made = [await world.put_event(number) for number in range(7)]
    world.cloud.script("POST", EVENTS, *[fails_on(world, *(made[each].event_id for each in guilty))] * 30)
    outcomes = [outcome for _, outcome in await world.deliver()]
    assert caplog.text.count("waits for another try: 500") == len(guilty)
    assert [index for index, outcome in enumerate(outcomes) if not isinstance(outcome, Delivered)] == guilty
    assert all(isinstance(outcomes[each], Retry) for each in guilty)
    assert len(world.cloud.events) == 7 - len(guilty)


async def test_a_critical_event_that_makes_the_cloud_fail_does_not_stop_the_others(world: Uplink) -> None:
    guilty = await world.put_event(0, Priority.CRITICAL)
    others = [await world.put_event(number) for number in range(1, 4)]
    world.cloud.script("POST", EVENTS, *[fails_on(world, guilty.event_id)] * 400)
    world.cloud.script("GET", "/health", *[says(200)] * 400)
    drain = quick_drain(world)
    async with running(drain.run):
        await until(lambda: len(world.cloud.events) == 3)
    assert set(world.cloud.events) == {each.event_id for each in others}
    assert drain.progress().breaker.openings == 0
    assert await world.waiting() == [EVENT], "it is kept"


async def test_a_critical_event_has_no_blame_while_the_cloud_is_ill(world: Uplink) -> None:
    await world.put_event(0, Priority.CRITICAL)
    world.cloud.script("POST", EVENTS, problem(500))
    world.cloud.script("GET", "/health", says(503))
    with pytest.raises(UplinkDown) as down:
        await world.deliver()
    assert down.value.counts


async def test_a_cloud_that_fails_whatever_it_gets_is_down_after_a_few_requests(world: Uplink) -> None:
    for number in range(50):
        await world.put_event(number)
    world.cloud.script("POST", EVENTS, *[problem(500)] * 50)
    with pytest.raises(UplinkDown) as down:
        await world.deliver()
    assert (down.value.counts, down.value.shared) == (True, True)
    assert len(world.cloud.requests) <= 7


async def test_the_third_refusal_of_an_event_that_goes_alone_sets_it_aside(world: Uplink) -> None:
    made = [await world.put_event(number) for number in range(3)]
    world.cloud.script("POST", EVENTS, *[fails_on(world, made[1].event_id)] * 400)
    drain = quick_drain(world)
    async with running(drain.run):
        async with asyncio.timeout(30):
            while drain.progress().rejected < 1:
                await world.put_event(100 + drain.progress().delivered)
                await asyncio.sleep(0.01)
    assert drain.progress().breaker.openings == 0, "nobody else was kept waiting"
    [dead] = [row for row in await world.store.rows(10) if row.state == "dead"]
    assert (dead.retry_count >= 2, dead.reason) == (True, "500 Scripted")
    assert {made[0].event_id, made[2].event_id} <= set(world.cloud.events)


async def test_a_refusal_that_may_come_from_a_proxy_is_believed_the_third_time(world: Uplink) -> None:
    await world.put_event()
    world.cloud.script("POST", EVENTS, *[says(413, b"<html>")] * 3)
    drain = quick_drain(world)
    async with running(drain.run):
        await until(lambda: drain.progress().rejected == 1)
    assert drain.progress().retried == 2
    assert drain.progress().breaker.openings == 0


async def test_a_station_without_an_owner_sends_nothing_and_blames_nobody(world: Uplink) -> None:
    world.credentials = None
    await world.put_event()
    with pytest.raises(UplinkDown) as down:
        await world.deliver()
    assert down.value.counts is False
    assert world.cloud.requests == []


async def test_a_timeout_counts_against_the_way(world: Uplink, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.put_event()
    hang = asyncio.Event()

    async def silence(_request: web.Request, _body: bytes) -> web.StreamResponse:
        await hang.wait()
        return web.Response()

    world.cloud.script("POST", EVENTS, silence)
    send = world.client.send

    async def impatient(method: str, path: str, body: bytes, **_: object) -> object:
        return await send(method, path, body, timeout=aiohttp.ClientTimeout(total=0.1))

    monkeypatch.setattr(world.client, "send", impatient)
    with pytest.raises(UplinkDown) as down:
        await world.deliver()
    hang.set()
    assert down.value.counts is True


async def test_when_the_way_breaks_in_the_middle_what_arrived_is_not_sent_again(world: Uplink) -> None:
    await world.put_event()
    ref, _ = await world.file()
    await world.put_media(ref)
    world.cloud.script("POST", "uploads", cut)
    outcomes = [outcome for _, outcome in await world.deliver()]
    assert isinstance(outcomes[0], Delivered)
    assert isinstance(outcomes[1], Untried)


# --- media --------------------------------------------------------------------------------------------------


async def test_the_files_message_is_durable_before_the_event_is_forgotten(world: Uplink) -> None:
    ref, _ = await world.file()
    made = await world.put_event(files=[ref])
    batch = await world.leased()
    assert kinds([(0, each) for each in await world.delivery.deliver(batch)]) == ["Delivered"]
    assert await world.waiting() == [EVENT, MEDIA], "the event is still here, and its file's message too"
    world.store.release([message.id for message in batch])
    [_, media] = await world.leased()
    assert media.idempotency_key == f"media:{made.event_id}:{ref.sha256}"
    assert media.media == (ref,)
    assert await world.store.media_in_use([ref.sha256]) == {ref.sha256}


async def test_a_lost_answer_does_not_queue_a_file_twice(world: Uplink) -> None:
    ref, _ = await world.file()
    await world.put_event(files=[ref])
    for _ in range(2):
        batch = await world.leased()
        await world.delivery.deliver([message for message in batch if message.kind == EVENT])
        world.store.release([message.id for message in batch])
    assert await world.waiting() == [EVENT, MEDIA]


async def test_a_file_that_the_cloud_asks_for_and_the_event_never_had_is_ignored(
    world: Uplink, caplog: pytest.LogCaptureFixture
) -> None:
    made = await world.put_event()
    pending = PendingMedia(sha256="0" * 64, size=1, upload_url="x")
    told = BatchAnswer(
        results=[EventAnswer(event_id=made.event_id, status="received", media_pending=[pending])]
    )
    world.cloud.script("POST", EVENTS, says(200, msgspec.json.encode(told)))
    assert kinds(list(await world.deliver())) == ["Delivered"]
    assert "does not have" in caplog.text


async def test_a_file_gives_way_between_two_pieces_while_something_smaller_is_sent(
    world: Uplink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_module, "PIECE", 100)
    ref, data = await world.file(300)
    await world.put_media(ref)
    busy = True
    sender = Delivery(
        world.client, world.store, world.media, lambda: world.credentials, lambda _: None, busy=lambda: busy
    )
    batch = await world.leased()
    task = asyncio.create_task(sender.deliver(batch))
    await until(lambda: any(place.data for place in world.cloud.uploads.values()))
    await asyncio.sleep(0.2)
    assert len(world.cloud.uploads[f"upl_{ref.sha256[:26]}"].data) == 100
    busy = False
    assert await task == [Delivered(media_receipt(ref.sha256))]
    assert world.cloud.media[ref.sha256] == data


async def test_a_link_that_is_always_busy_is_shared(world: Uplink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_module, "PIECE", 100)
    monkeypatch.setattr("appliance.uplink.delivery._MAKE_WAY_S", 0.02)
    ref, _ = await world.file(300)
    await world.put_media(ref)
    sender = Delivery(
        world.client, world.store, world.media, lambda: world.credentials, lambda _: None, busy=lambda: True
    )
    assert await sender.deliver(await world.leased()) == [Delivered(media_receipt(ref.sha256))]


async def test_what_the_cloud_lost_after_its_yes_is_told_by_a_second_question(world: Uplink) -> None:
    ref, _ = await world.file()
    made = await world.put_event(files=[ref])
    await world.put_media(ref)
    receipts = [outcome.receipt for _, outcome in await world.deliver() if isinstance(outcome, Delivered)]
    assert receipts == [event_receipt(made.event_id), media_receipt(ref.sha256)]
    kept = [each for each in receipts if each]
    assert await world.delivery.kept(kept) == [True, True]
    world.cloud.media.clear()
    assert await world.delivery.kept(kept) == [True, False]
    world.cloud.events.clear()
    assert await world.delivery.kept(kept) == [False, False]
    world.cloud.script("POST", "kept", problem(503))
    with pytest.raises(UplinkDown) as down:
        await world.delivery.kept(kept)
    assert not down.value.counts


async def test_an_event_known_under_another_id_is_asked_for_by_that(world: Uplink) -> None:
    made = await world.put_event()
    told = EventAnswer(event_id=made.event_id, status="received", duplicate=True, kept_as=OTHER_ID)
    world.cloud.script("POST", EVENTS, says(200, msgspec.json.encode(BatchAnswer(results=[told]))))
    [(_, outcome)] = await world.deliver()
    assert outcome == Delivered(event_receipt(OTHER_ID))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (problem(460, reason="checksum_mismatch"), Retry),
        (problem(422, reason="hash_mismatch"), Retry),
        (problem(410), Retry),
        (problem(404), Retry),
        (problem(409), Retry),
        (problem(413), Retry),
        (problem(413, code="REG-007"), Rejected),
    ],
)
async def test_what_an_answer_to_a_piece_means_for_its_file(
    world: Uplink, fault: Handler, expected: type[Outcome]
) -> None:
    ref, _ = await world.file()
    await world.put_media(ref)
    world.cloud.script("PATCH", ref.sha256[:26], fault)
    [(_, outcome)] = await world.deliver()
    assert isinstance(outcome, expected)
    if isinstance(outcome, Retry):
        assert outcome.after is None, "on the ladder, not at once"


async def test_a_file_that_no_event_names_is_set_aside(world: Uplink) -> None:
    ref, _ = await world.file()
    await world.put_media(ref)
    world.cloud.script("POST", "uploads", problem(422, code="REG-007", reason="not_named"))
    [(_, outcome)] = await world.deliver()
    assert isinstance(outcome, Rejected)


# --- with the drain -----------------------------------------------------------------------------------------


def quick_drain(world: Uplink) -> Drains:
    policy = DrainPolicy(ladder=(0.01, 0.01), uncounted_wait=0.02, confirm=ConfirmPolicy(after=0.05))
    return Drains(
        world.store,
        express=world.delivery,
        bulk=world.delivery,
        clock=SystemClock(),
        random=lambda: 0.5,
        policy=policy,
        media=world.media,
    )


async def test_an_event_with_its_file_goes_the_whole_way_and_leaves_nothing_behind(world: Uplink) -> None:
    ref, data = await world.file(3_000_000)
    made = await world.put_event(files=[ref])
    await world.media.release(ref.sha256)
    drain = quick_drain(world)
    async with running(drain.run):
        await until(lambda: drain.progress().delivered == drain.files().delivered == 1)
        folder = world.folder / "buffer" / "media"
        await until(lambda: not list(folder.glob("??/*")))
    assert list(world.cloud.events) == [made.event_id]
    assert world.cloud.media[ref.sha256] == data
    assert await world.waiting() == []


async def test_every_fault_of_the_way_in_a_row_loses_and_doubles_nothing(world: Uplink) -> None:
    made = [await world.put_event(number) for number in range(5)]
    world.cloud.script("POST", EVENTS, problem(429, retry_after=1), cut, done_then_cut(world.cloud))
    drain = quick_drain(world)
    async with running(drain.run):
        async with asyncio.timeout(30):
            while drain.progress().delivered < 5:
                drain.kick()
                await asyncio.sleep(0.05)
    assert sorted(world.cloud.events) == sorted(each.event_id for each in made)
    batches = world.cloud.heard("POST", EVENTS)
    assert all(len(msgspec.json.decode(each.body, type=EventBatch).events) <= 100 for each in batches)


async def test_a_station_that_is_not_accepted_does_not_open_the_breaker(
    world: Uplink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.uplink.delivery._CREDENTIAL_PAUSES_S", (0.01,))
    await world.put_event()
    world.cloud.script("POST", EVENTS, *[problem(403)] * 8)
    drain = quick_drain(world)
    async with running(drain.run):
        await until(lambda: drain.progress().delivered == 1)
    assert drain.progress().breaker.state is BreakerState.CLOSED
    assert drain.progress().breaker.openings == 0


async def test_no_secret_of_the_station_is_logged_on_the_way(
    world: Uplink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await world.put_event()
    world.cloud.script("POST", EVENTS, problem(401, code="REG-004"))
    with pytest.raises(UplinkDown):
        await world.deliver()
    await world.deliver()
    assert world.credentials is not None
    assert world.credentials.token not in caplog.text
