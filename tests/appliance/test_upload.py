"""One file in pieces: resumed after a cut at any byte, and honest about files that changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from appliance.uplink import upload as module
from appliance.uplink.client import Refused, Unreachable
from appliance.uplink.endpoints import Endpoints
from appliance.uplink.upload import ChangedFile, NotNow, Upload
from buffer.errors import MediaMissing
from tests.appliance.fakes import DEVICE_ID, Handler, cut, done_then_cut, problem, says
from tests.appliance.uplink_world import Uplink, uplink

PLACE = f"/v1/devices/{DEVICE_ID}/uploads"
SIZE = 10_000
PIECE = 1_000


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Uplink]:
    monkeypatch.setattr(module, "PIECE", PIECE)
    async with uplink(tmp_path) as made:
        yield made


async def at_once() -> None:
    """Makes way for nobody."""


def upload(world: Uplink) -> Upload:
    return Upload(world.client, world.media, PLACE)


def path_of(world: Uplink, sha256: str) -> Path:
    [path] = (world.folder / "buffer" / "media").glob(f"??/{sha256}")
    return path


async def test_a_file_arrives_whole_and_in_pieces(world: Uplink) -> None:
    ref, data = await world.file(SIZE)
    await upload(world).run(await world.put_media(ref), make_way=at_once)
    assert world.cloud.media[ref.sha256] == data
    assert [len(each.body) for each in world.cloud.requests if each.method == "PATCH"] == [PIECE] * 10


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1])
async def test_files_of_every_size_arrive(world: Uplink, size: int) -> None:
    ref, data = await world.file(size)
    await upload(world).run(await world.put_media(ref), make_way=at_once)
    assert bytes(world.cloud.uploads[f"upl_{ref.sha256[:26]}"].data) == data


@pytest.mark.parametrize("piece", range(10))
@pytest.mark.parametrize("answered", [False, True])
async def test_a_cut_at_any_piece_costs_one_piece_at_most(world: Uplink, piece: int, answered: bool) -> None:
    ref, data = await world.file(SIZE)
    ticket = await world.put_media(ref)
    cloud = world.cloud
    fault: Handler = done_then_cut(cloud) if answered else cut
    cloud.script("PATCH", ref.sha256[:26], *[cloud.honest] * piece, fault)
    with pytest.raises(Unreachable):
        await upload(world).run(ticket, make_way=at_once)
    cloud.requests.clear()
    await upload(world).run(ticket, make_way=at_once)
    assert cloud.media[ref.sha256] == data
    sent = sum(len(each.body) for each in cloud.requests if each.method == "PATCH")
    assert sent == SIZE - (piece + answered) * PIECE


class CuttingProxy:
    """A way to the cloud that breaks once, after so many bytes in one direction, and is well afterwards."""

    def __init__(self, port: int, *, upward: int | None = None, downward: int | None = None) -> None:
        self._port = port
        self._left = {"up": upward, "down": downward}
        self.cuts = 0

    async def take(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        far, far_out = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump("up", near, far_out))
                group.create_task(self._pump("down", far, near_out))
        except* ConnectionError:
            pass
        for writer in (near_out, far_out):
            writer.transport.abort()

    async def _pump(self, way: str, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(512):
            left = self._left[way]
            if left is not None and left <= len(data):
                self._left[way] = None
                self.cuts += 1
                target.write(data[:left])
                await target.drain()
                raise ConnectionResetError
            if left is not None:
                self._left[way] = left - len(data)
            target.write(data)
            await target.drain()
        raise ConnectionResetError


@pytest.mark.parametrize("way", ["upward", "downward"])
@pytest.mark.parametrize("after", [1, 700, 1_337, 2_500, 5_003, 9_999, 12_345])
async def test_a_cut_after_any_byte_in_any_direction_is_resumed(world: Uplink, way: str, after: int) -> None:
    ref, data = await world.file(SIZE)
    ticket = await world.put_media(ref)
    after = after if way == "upward" else after // 8  # answers are shorter than pieces
    proxy = CuttingProxy(URL(world.cloud.url).port or 80, **{way: after})
    async with await asyncio.start_server(proxy.take, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        world.client.endpoints = Endpoints([address], lambda: 0.5)
        tries = 0
        while ref.sha256 not in world.cloud.media:
            tries += 1
            with contextlib.suppress(Unreachable):
                await upload(world).run(ticket, make_way=at_once)
        await world.client.close()
    assert proxy.cuts == 1
    assert tries <= 2
    assert world.cloud.media[ref.sha256] == data


async def test_a_file_that_the_cloud_has_already_is_not_sent_again(world: Uplink) -> None:
    ref, data = await world.file(SIZE)
    world.cloud.media[ref.sha256] = data
    await upload(world).run(await world.put_media(ref), make_way=at_once)
    assert [each.method for each in world.cloud.requests] == ["POST"]


async def test_the_clouds_offset_is_the_truth(world: Uplink) -> None:
    ref, data = await world.file(SIZE)
    ticket = await world.put_media(ref)
    cloud = world.cloud

    async def forgets_half(request: web.Request, body: bytes) -> web.StreamResponse:
        place = cloud.uploads[f"upl_{ref.sha256[:26]}"]
        del place.data[1500:]
        return await cloud.honest(request, body)

    cloud.script("PATCH", ref.sha256[:26], *[cloud.honest] * 4, forgets_half)
    await upload(world).run(ticket, make_way=at_once)
    assert cloud.media[ref.sha256] == data
    assert len(cloud.heard("HEAD", ref.sha256[:26])) == 1


async def test_a_cloud_that_does_not_move_is_left_alone_for_a_while(world: Uplink) -> None:
    ref, _ = await world.file(SIZE)
    ticket = await world.put_media(ref)
    world.cloud.script("PATCH", ref.sha256[:26], *[problem(409, reason="offset_mismatch")] * 50)
    with pytest.raises(NotNow, match="stays at byte 0"):
        await upload(world).run(ticket, make_way=at_once)
    assert len(world.cloud.heard("PATCH", ref.sha256[:26])) == 1


@pytest.mark.parametrize("status", [404, 410])
async def test_an_upload_that_the_cloud_forgot_begins_anew_later(world: Uplink, status: int) -> None:
    ref, data = await world.file(SIZE)
    ticket = await world.put_media(ref)
    world.cloud.script("PATCH", ref.sha256[:26], problem(status))
    with pytest.raises(NotNow, match="forgot"):
        await upload(world).run(ticket, make_way=at_once)
    await upload(world).run(ticket, make_way=at_once)
    assert world.cloud.media[ref.sha256] == data


@pytest.mark.parametrize(
    ("status", "reason"), [(460, "checksum_mismatch"), (422, "hash_mismatch"), (460, None)]
)
async def test_damage_on_the_way_is_tried_again_and_never_blamed_on_the_file(
    world: Uplink, status: int, reason: str | None
) -> None:
    ref, data = await world.file(SIZE)
    ticket = await world.put_media(ref)
    world.cloud.script("PATCH", ref.sha256[:26], problem(status, reason=reason))
    with pytest.raises(NotNow, match="on its way"):
        await upload(world).run(ticket, make_way=at_once)
    await upload(world).run(ticket, make_way=at_once)
    assert world.cloud.media[ref.sha256] == data


async def test_a_file_that_changed_on_the_disk_is_told_by_the_clouds_hash(world: Uplink) -> None:
    ref, data = await world.file(SIZE)
    ticket = await world.put_media(ref)
    path = path_of(world, ref.sha256)
    path.chmod(0o600)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ChangedFile, match="changed on this station's disk"):
        await upload(world).run(ticket, make_way=at_once)
    assert ref.sha256 not in world.cloud.media


async def test_a_file_that_became_shorter_ends_the_upload(world: Uplink) -> None:
    ref, data = await world.file(SIZE)
    ticket = await world.put_media(ref)
    path = path_of(world, ref.sha256)
    path.chmod(0o600)
    path.write_bytes(data[:3000])
    with pytest.raises(ChangedFile, match="shorter"):
        await upload(world).run(ticket, make_way=at_once)


async def test_a_file_that_is_gone_is_told(world: Uplink) -> None:
    ref, _ = await world.file(SIZE)
    ticket = await world.put_media(ref)
    path_of(world, ref.sha256).unlink()
    with pytest.raises(MediaMissing):
        await upload(world).run(ticket, make_way=at_once)


async def test_it_lets_others_go_first_between_two_pieces(world: Uplink) -> None:
    ref, data = await world.file(SIZE)
    ticket = await world.put_media(ref)
    there: list[int] = []

    async def others() -> None:
        there.append(len(world.cloud.uploads[f"upl_{ref.sha256[:26]}"].data))

    await upload(world).run(ticket, make_way=others)
    assert there == [number * PIECE for number in range(1, 10)]
    assert world.cloud.media[ref.sha256] == data


BROKEN: list[tuple[str, Handler]] = [
    ("POST", says(201)),
    ("POST", says(201, Location=f"{PLACE}/upl_x")),
    ("POST", says(201, Upload_Offset="0")),
    ("POST", says(201, Location=f"{PLACE}/upl_x", Upload_Offset="-1")),
    ("POST", says(201, Location=f"{PLACE}/upl_x", Upload_Offset="99999999")),
    ("POST", says(200, b"<html>log in</html>")),
    ("PATCH", says(204)),
    ("PATCH", says(204, Upload_Offset="one")),
    ("PATCH", says(200, b"<html>log in</html>")),
    ("PATCH", says(302, Location="http://login.example/")),
]


@pytest.mark.parametrize(("method", "nonsense"), BROKEN)
async def test_something_that_speaks_no_tus_is_no_cloud(
    world: Uplink, method: str, nonsense: Handler
) -> None:
    ref, _ = await world.file(SIZE)
    ticket = await world.put_media(ref)
    world.cloud.script(method, "uploads" if method == "POST" else ref.sha256[:26], nonsense)
    with pytest.raises(Unreachable):
        await upload(world).run(ticket, make_way=at_once)


@pytest.mark.parametrize("status", [401, 403, 413, 429, 500, 503])
async def test_other_refusals_are_handed_on(world: Uplink, status: int) -> None:
    ref, _ = await world.file(SIZE)
    ticket = await world.put_media(ref)
    world.cloud.script("PATCH", ref.sha256[:26], problem(status, code="REG-009"))
    with pytest.raises(Refused) as refused:
        await upload(world).run(ticket, make_way=at_once)
    assert refused.value.status == status


async def test_the_cloud_learns_which_file_this_is_and_whose(world: Uplink) -> None:
    ref, _ = await world.file(10)
    await upload(world).run(await world.put_media(ref, event_id="event-7"), make_way=at_once)
    created = world.cloud.heard("POST", "uploads")[0].headers
    assert created["upload-length"] == "10"
    assert created["tus-resumable"] == "1.0.0"
    names = [pair.split(" ")[0] for pair in created["upload-metadata"].split(",")]
    assert names == ["sha256", "event_id", "mime"]


def test_one_piece_has_time_enough_on_a_slow_link() -> None:
    timeout: aiohttp.ClientTimeout = module.PIECE_TIMEOUT
    assert timeout.total is not None
    assert module.PIECE * 8 / timeout.total < 100_000, "bits per second"
