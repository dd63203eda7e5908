"""Media packed at rest: the same bytes from any offset, at any moment, and after any crash."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from buffer import packing
from buffer.errors import MediaDamaged, MediaMissing
from buffer.media import MediaStore
from buffer.message import Draft, MediaRef, Priority
from buffer.retention import MediaRules
from buffer.shelves import Shelves
from buffer.store import Store
from buffer.upkeep import Upkeep

CHANCE = random.Random(7)
TABLE = b"".join(b"%d,%.4f,%.4f\n" % (n, CHANCE.random(), CHANCE.random()) for n in range(3000))


def jpeg() -> bytes:
    shown = io.BytesIO()
    Image.frombytes("L", (320, 240), CHANCE.randbytes(320 * 240)).save(shown, "JPEG")
    return shown.getvalue()


def fits(noise: float) -> bytes:
    """A frame of 200 by 200 pixels of 16 bits: sky, noise and a few stars."""
    pixels = [max(-32768, min(32767, round(1000 + CHANCE.gauss(0, noise)))) for _ in range(40_000)]
    for _ in range(50):
        pixels[CHANCE.randrange(40_000)] = 30_000
    head = "".join(f"{card:80}" for card in ("SIMPLE  =                    T", "BITPIX  =   16"))
    return head.encode().ljust(2880) + struct.pack(">40000h", *pixels)


FTPDETECT = b"".join(
    b"%08.4f %07.2f %07.2f 123.4567 +45.6789 000.%03d\n" % (n, n, n, n % 999) for n in range(900)
)
KINDS: list[tuple[str, bytes, bool]] = [
    ("csv", TABLE, True),
    ("json", json.dumps([{"frame": n, "x": n / 7} for n in range(900)]).encode(), True),
    ("xml", b"<f>" + b"".join(b'<p x="%d" y="%d"/>' % (n, n * n) for n in range(900)) + b"</f>", True),
    ("text", b"".join(b"%d: a line of a log, %d\n" % (n, n * 7) for n in range(500)), True),
    ("ftpdetectinfo", FTPDETECT, True),
    ("fits, little noise", fits(20), True),
    ("fits, much noise", fits(9000), False),
    ("jpeg", jpeg(), False),
    ("mp4", b"\x00\x00\x00\x18ftypisom" + bytes(50_000), False),
    ("gzip", gzip.compress(TABLE), False),
    ("too small to save a block", b"a" * 5000, False),
    ("random", CHANCE.randbytes(50_000), False),
]


@pytest.mark.parametrize(("content", "worth"), [kind[1:] for kind in KINDS], ids=[kind[0] for kind in KINDS])
def test_only_what_shrinks_by_a_fifth_is_worth_it(tmp_path: Path, content: bytes, worth: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert packing.worth_packing(path) is worth


@given(
    content=st.binary(max_size=400),
    offset=st.integers(0, 450),
    length=st.integers(0, 450),
    member=st.integers(1, 99),
)
def test_any_piece_is_that_of_the_plain_file(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, offset: int, length: int, member: int
) -> None:
    path = tmp_path_factory.mktemp("packed") / "file.gz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "MEMBER", member)
        with path.open("wb") as target:
            assert packing.pack(io.BytesIO(content), target) == target.tell()
        assert packing.read_at(path, offset, length) == content[offset : offset + length]
        assert packing.plain_size(path) == len(content)
        assert b"".join(packing.pieces(path)) == content
    assert gzip.decompress(path.read_bytes() or gzip.compress(b"")) == content, "any gzip unpacks it"


@pytest.mark.parametrize("where", [0, 3, 13, 17, 40, -5, -1])
def test_a_flipped_bit_anywhere_is_found(tmp_path: Path, where: int) -> None:
    path = tmp_path / "file.gz"
    with path.open("wb") as target:
        packing.pack(io.BytesIO(TABLE), target)
    content = bytearray(path.read_bytes())
    content[where] ^= 16
    path.write_bytes(content)
    with pytest.raises(packing.Damaged):
        list(packing.pieces(path))


# --- in the media store -------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "media"


@pytest.fixture
def media(store: Store, root: Path) -> MediaStore:
    return MediaStore(root, store, keep_uploaded=True)


async def add(media: MediaStore, folder: Path, content: bytes, name: str = "frames.csv") -> MediaRef:
    (folder / name).write_bytes(content)
    ref = await media.add_file(folder / name, "text/csv", name, "frames", move=False)
    await media.release(ref.sha256)
    return ref


def forms(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("??/*"))


async def test_a_packed_file_reads_like_the_plain_one_and_takes_less(
    media: MediaStore, root: Path, tmp_path: Path
) -> None:
    ref, picture = await add(media, tmp_path, TABLE), await add(media, tmp_path, jpeg(), "sky.jpg")
    written = (root / ref.sha256[:2] / ref.sha256).stat().st_mtime_ns
    assert await media.pack(10) == 1
    assert forms(root) == sorted([f"{ref.sha256}.gz", picture.sha256])
    packed = root / ref.sha256[:2] / f"{ref.sha256}.gz"
    assert packed.stat().st_size < 0.8 * len(TABLE)
    assert packed.stat().st_mtime_ns == written, "its age counts for the retention"
    assert await media.size(ref.sha256) == len(TABLE)
    assert await media.verify(ref.sha256) is True
    assert await media.read(ref.sha256, 1000, 70) == TABLE[1000:1070]
    assert await media.read(ref.sha256, len(TABLE), 70) == b""
    with await media.open(ref.sha256) as file:
        assert file.read() == TABLE
    assert await media.pack(10) == 0


async def test_no_more_than_asked_is_looked_at_in_one_round_and_the_rest_later(
    media: MediaStore, root: Path, tmp_path: Path
) -> None:
    for number in range(3):
        await add(media, tmp_path, TABLE + b"%d" % number)
    assert [await media.pack(2), await media.pack(2), await media.pack(2)] == [2, 1, 0]


async def test_a_file_that_is_being_taken_in_is_left_alone(
    media: MediaStore, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_bytes(TABLE)
    ref = await media.add_file(tmp_path / "a.csv", "text/csv", "a.csv", "frames", move=False)
    assert await media.pack(10) == 0
    await media.release(ref.sha256)
    assert await media.pack(10) == 1
    again = await add(media, tmp_path, TABLE)
    assert await media.verify(again.sha256) is True


async def test_a_file_that_lost_its_hash_is_not_made_official_by_packing(
    media: MediaStore, root: Path, tmp_path: Path
) -> None:
    ref = await add(media, tmp_path, TABLE)
    (root / ref.sha256[:2] / ref.sha256).write_bytes(TABLE.replace(b"7", b"8", 1))
    assert await media.pack(10) == 0
    assert await media.verify(ref.sha256) is False
    assert not list((root / "incoming").iterdir())


async def test_a_damaged_packed_file_is_told_as_damaged(
    media: MediaStore, root: Path, tmp_path: Path
) -> None:
    ref = await add(media, tmp_path, TABLE)
    await media.pack(10)
    packed = root / ref.sha256[:2] / f"{ref.sha256}.gz"
    packed.write_bytes(packed.read_bytes()[:-100])
    assert await media.verify(ref.sha256) is False
    with pytest.raises(MediaDamaged, match="BUF-010"):
        await media.read(ref.sha256, 0, 10)


@pytest.mark.parametrize("crash", ["before the rename", "after the rename"])
async def test_a_power_cut_while_packing_costs_nothing(
    media: MediaStore, store: Store, root: Path, tmp_path: Path, crash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await add(media, tmp_path, TABLE)
    plain = root / ref.sha256[:2] / ref.sha256

    def power_cut(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(Path, "replace" if crash.startswith("before") else "unlink", power_cut)
    with pytest.raises(SystemExit):
        shelves = Shelves([root])
        temporary = shelves.pack(ref.sha256)
        assert temporary is not None
        shelves.settle_packed(temporary, ref.sha256)
    monkeypatch.undo()
    assert plain.exists()
    again = MediaStore(root, store, keep_uploaded=True)
    await again.sweep()
    assert not list((root / "incoming").iterdir())
    assert await again.verify(ref.sha256) is True
    assert await again.pack(10) == 1
    assert forms(root) == [f"{ref.sha256}.gz"]


async def test_a_reader_does_not_notice_that_the_file_is_packed_under_it(
    media: MediaStore, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment: between finding the plain file and opening it."""
    ref = await add(media, tmp_path, TABLE)
    shelves = Shelves([root])
    found: list[tuple[Path, bool]] = []

    def find(sha256: str) -> tuple[Path, bool]:
        place = Shelves._find(shelves, sha256)
        if not found:
            found.append(place)
            packer = Shelves([root])
            temporary = packer.pack(sha256)
            assert temporary is not None
            assert packer.settle_packed(temporary, sha256)
        return place

    monkeypatch.setattr(shelves, "_find", find)
    assert shelves.read(ref.sha256, 10, 20) == TABLE[10:30]
    assert found[0][1] is False


async def test_packed_files_obey_the_rules_by_what_they_take_on_the_disk(
    media: MediaStore, store: Store, root: Path, tmp_path: Path
) -> None:
    ref = await add(media, tmp_path, TABLE)
    await media.pack(10)
    size = (root / ref.sha256[:2] / f"{ref.sha256}.gz").stat().st_size
    room = MediaRules(max_storage_gb=(size + 1) / 1e9, retention_days=9)
    assert not (await media.tidy(room, clock_trusted=True)).remove
    tight = MediaRules(max_storage_gb=(size - 1) / 1e9, retention_days=9)
    [gone] = (await media.tidy(tight, clock_trusted=True)).remove
    assert (gone.sha256, gone.size) == (ref.sha256, size)
    assert forms(root) == []
    with pytest.raises(MediaMissing):
        await media.size(ref.sha256)


@pytest.mark.parametrize("asked", [True, False])
async def test_the_upkeep_packs_when_the_owner_wants_it(
    media: MediaStore, store: Store, root: Path, tmp_path: Path, asked: bool
) -> None:
    ref = await add(media, tmp_path, TABLE)
    await store.put(Draft("event", b"{}", Priority.HIGH, media=(ref,)))
    rules = MediaRules(pack=asked)
    await Upkeep(store, media, lambda: rules, clock_trusted=lambda: True).once()
    assert forms(root) == [ref.sha256 + (".gz" if asked else "")]


# --- several folders ----------------------------------------------------------------------------------------


async def test_files_of_an_earlier_folder_are_found_counted_and_removed(
    store: Store, root: Path, tmp_path: Path
) -> None:
    old = await add(MediaStore(root, store, keep_uploaded=True), tmp_path, TABLE)
    new_root = tmp_path / "disk"
    media = MediaStore(new_root, store, keep_uploaded=True, also=[root])
    fresh = await add(media, tmp_path, TABLE + b"new")
    assert (forms(root), forms(new_root)) == ([old.sha256], [fresh.sha256])
    await store.put(Draft("event", b"{}", Priority.HIGH, media=(old, fresh)))
    assert (await media.sweep()).missing == frozenset()
    assert await media.verify(old.sha256) is True
    assert await media.pack(10) == 2
    assert await media.verify(old.sha256) is True
    assert (forms(root), forms(new_root)) == ([f"{old.sha256}.gz"], [f"{fresh.sha256}.gz"])
    assert sorted(os.listdir(root / "incoming") if (root / "incoming").exists() else []) == []
    lost = await media.tidy(MediaRules(hard_storage_gb=0), clock_trusted=True)
    assert {file.sha256 for file in lost.lose} == {old.sha256, fresh.sha256}
    assert forms(root) + forms(new_root) == []
    assert hashlib.sha256(TABLE).hexdigest() == old.sha256
