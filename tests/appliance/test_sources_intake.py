"""The intake against the real buffer: what is committed, in which order, and what stays behind."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.sources.accept import Accepted
from appliance.sources.build import event_id, mono_ns
from appliance.sources.errors import MEDIA_DIFFERS, TOO_LARGE, SourceRefused
from appliance.sources.schema import SourceMedia, decode
from buffer.errors import MediaTooLarge
from buffer.message import Priority
from protocol.clock import parse
from tests.appliance.sources_support import MEDIA_LIMIT, Station, event_json, media_files, station


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def hand_in(here: Station, text: bytes, **files: bytes) -> Accepted:
    async with here.intake.delivery() as delivery:
        given = [
            (SourceMedia(name=name), await delivery.add(name, chunks(data))) for name, data in files.items()
        ]
        return await delivery.accept(decode(text), given, "test")


async def test_an_accepted_event_is_in_the_buffer_with_its_files_hashes_and_clock(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        accepted = await hand_in(here, event_json(clock={"synchronized": False}), **{"a.jpg": b"JPEG"})
        [message], [event] = await here.messages(), await here.events()
        sha256 = hashlib.sha256(b"JPEG").hexdigest()
        assert (message.kind, message.priority) == ("event", Priority.HIGH)
        assert (message.idempotency_key, message.revision) == (accepted.client_event_id, 1)
        assert [(ref.sha256, ref.name, ref.mime) for ref in message.media] == [
            (sha256, "a.jpg", "image/jpeg")
        ]
        assert event.media_files == [f"sha256:{sha256}:4:image/jpeg"]
        assert event.timestamp == "2026-08-12T22:14:03.250Z"
        assert event.metadata == {"fps": 25.0, "source_clock": {"synchronized": False}}
        assert event.source is not None
        assert (event.source.adapter, event.source.station) == ("test", "cam-north")
        assert event.device_id is None
        assert event.clock is not None
        assert (event.boot_id, event.mono_ns) == ("boot-1", 243_250_000_000)
        assert uuid.UUID(event.event_id).version == 7
        assert await here.bytes_of(event) == b"JPEG"


@pytest.mark.parametrize(
    ("changes", "priority"),
    [
        ({}, Priority.HIGH),
        ({"event_type": "fireball"}, Priority.HIGH),
        ({"event_type": "alert"}, Priority.CRITICAL),
        ({"event_type": "alert", "priority": "low"}, Priority.LOW),
        ({"priority": "normal"}, Priority.NORMAL),
        ({"priority": "critical"}, Priority.CRITICAL),
    ],
)
async def test_the_priority_follows_the_type_unless_the_program_asks(
    tmp_path: Path, changes: dict[str, str], priority: Priority
) -> None:
    async with station(tmp_path) as here:
        await hand_in(here, event_json(**changes))
        assert [message.priority for message in await here.messages()] == [priority]


async def test_a_repetition_is_a_duplicate_with_the_id_of_the_first(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        first = await hand_in(here, event_json(), **{"a.jpg": b"JPEG"})
        again = await hand_in(here, event_json(), **{"a.jpg": b"JPEG"})
        other = await hand_in(here, event_json(), **{"a.jpg": b"another picture"})
        assert not first.duplicate
        assert again.duplicate
        assert again.event_id == first.event_id
        assert not other.duplicate
        assert other.event_id != first.event_id
        assert len(await here.events()) == 2
        assert [accepted.duplicate for accepted in here.accepted] == [False, True, False]


async def test_a_new_revision_of_the_same_event_is_not_a_duplicate(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        first = await hand_in(here, event_json(client_event_id="e1"))
        second = await hand_in(here, event_json(client_event_id="e1", revision=2, status="withdrawn"))
        assert not second.duplicate
        assert second.event_id != first.event_id
        assert [event.revision for event in await here.events()] == [2]  # the older one need not be sent


async def test_a_repetition_after_a_restart_and_after_delivery_is_still_a_duplicate(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        first = await hand_in(here, event_json())
        await here.store.ack([message.id for message in await here.store.lease(10)])
    async with station(tmp_path) as here:
        again = await hand_in(here, event_json())
        assert (again.duplicate, again.event_id) == (True, first.event_id)
        assert await here.events() == []


@pytest.mark.parametrize("told", [{"size": 5}, {"sha256": "0" * 64}])
async def test_a_file_that_is_not_the_announced_one_is_refused_and_not_kept(
    tmp_path: Path, told: dict[str, object]
) -> None:
    async with station(tmp_path) as here:
        observation = decode(event_json(media=[{"name": "a.jpg", **told}]))
        with pytest.raises(SourceRefused) as refusal:
            async with here.intake.delivery() as delivery:
                ref = await delivery.add("a.jpg", chunks(b"JPEG"))
                await delivery.accept(observation, [(observation.media[0], ref)], "test")
        assert refusal.value.code == MEDIA_DIFFERS
        assert await here.messages() == []
        assert media_files(tmp_path) == []


async def test_files_of_an_event_that_never_came_are_not_kept(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        async with here.intake.delivery() as delivery:
            await delivery.add("a.jpg", chunks(b"JPEG"))
            assert len(media_files(tmp_path)) == 1
        assert media_files(tmp_path) == []


async def test_a_file_above_the_limit_is_refused_and_not_kept(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        with pytest.raises(MediaTooLarge):
            await hand_in(here, event_json(), **{"a.jpg": b"x" * (MEDIA_LIMIT + 1)})
        assert await here.messages() == []
        assert media_files(tmp_path) == []


async def test_one_file_under_two_names_is_sent_once(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        await hand_in(here, event_json(), **{"a.jpg": b"same", "b.jpg": b"same"})
        [event] = await here.events()
        assert [media.name for media in event.media] == ["a.jpg"]


async def test_an_event_that_grows_too_large_by_its_files_is_refused(tmp_path: Path) -> None:
    async with station(tmp_path) as here:
        files = {f"{index}-{'n' * 190}.jpg": f"{index}".encode() for index in range(60)}
        with pytest.raises(SourceRefused) as refusal:
            await hand_in(here, event_json(metadata={"a": "x" * 50_000}), **files)
        assert refusal.value.code == TOO_LARGE
        assert media_files(tmp_path) == []


def test_the_event_id_is_a_version_7_uuid_of_the_time_and_the_name() -> None:
    began = parse("2026-08-12T22:14:03.250Z")
    made = uuid.UUID(event_id("cam:1", 1, began))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(began.timestamp() * 1000)
    assert event_id("cam:1", 1, began) == str(made)
    assert len({event_id(f"cam:{i}", r, began) for i in range(50) for r in (1, 2)}) == 100


@pytest.mark.parametrize(
    ("ago_s", "expected"), [(0.0, 600_000_000_000), (-5.0, 600_000_000_000), (600.0, 0), (600.001, None)]
)
def test_the_time_since_boot_is_that_of_the_event_or_unknown(ago_s: float, expected: int | None) -> None:
    began = parse("2026-08-12T22:00:00Z")
    assert mono_ns(began, began.timestamp() + ago_s, 600_000) == expected
