"""A file system that turns read-only under the working station, as ext4 does after an error, and is mended.

The kernel refuses `remount,ro` while files are open for writing, which the buffer's always are. So the mount
is aborted, as the kernel does it, and mended as a person does: checked, and mounted in its place again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.sources.schema import Observation
from appliance.station import Station
from buffer.degradation import Level
from buffer.errors import StoreError
from buffer.message import Priority
from buffer.store import Store
from tests.appliance.workshop import station

SIZE = "96M"


def run(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


class Card:
    """An image with an ext4, mounted at the station's data folder."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "card"
        self.place = folder / "data"
        self.place.mkdir()

    def insert(self) -> bool:
        return run("mount", "-o", "loop", str(self.image), str(self.place))

    def turn_read_only(self) -> None:
        subprocess.run(["mount", "-o", "remount,abort", str(self.place)], check=True)

    def mend(self) -> None:
        """A card of the same content, checked, in the place of the first, which still is in use."""
        subprocess.run(["umount", "--lazy", str(self.place)], check=True)
        mended = self.image.with_name("mended")
        shutil.copyfile(self.image, mended)
        assert subprocess.run(["e2fsck", "-fy", str(mended)], check=False, capture_output=True).returncode < 4
        self.image = mended
        assert self.insert()


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Card]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    if shutil.which("mkfs.ext4") is None or shutil.which("e2fsck") is None:
        pytest.skip("e2fsprogs are not installed: no file system can be made")
    made = Card(tmp_path)
    subprocess.run(["truncate", "-s", SIZE, str(made.image)], check=True)
    assert run("mkfs.ext4", "-q", "-m", "0", str(made.image))
    if not made.insert():
        pytest.skip("no loop device can be mounted here")
    yield made
    run("umount", "--lazy", str(made.place))


async def observe(made: Station, number: int) -> None:
    async with made.intake.delivery() as delivery:
        observation = Observation(
            event_type="meteor", timestamp="2026-08-12T22:00:00Z", client_event_id=f"night:{number}"
        )
        await delivery.accept(observation, [], "test")


def codes(made: Station) -> dict[str, str]:
    return {each.code: str(each.action) for each in made.board.snapshot().warnings}


async def test_a_card_that_turns_read_only_is_shown_with_a_remedy_and_recording_resumes_by_itself(
    tmp_path: Path, card: Card
) -> None:
    async with station(tmp_path) as made:
        store = made.front._store
        for number in range(20):
            await observe(made, number)
        await made.board.gather()
        assert "BUF-005" not in codes(made)
        await asyncio.to_thread(card.turn_read_only)
        for number in range(20, 23):
            with pytest.raises(StoreError, match=r"BUF-005.*Check the card"):
                await observe(made, number)
        await made.board.gather()
        assert made.board.supplies()[1] is True, "the disk fails"
        assert "Check the card" in codes(made)["BUF-005"]
        made.governor.look()
        assert made.governor.judgement.level is Level.CONSERVE
        await asyncio.to_thread(card.mend)
        await made.board.gather()
        assert made.board.supplies()[1] is False, "nobody had to store anything for that"
        assert "BUF-005" not in codes(made)
        for number in range(20, 25):
            await observe(made, number)
        assert store.waiting(Priority.HIGH) == 25
        assert not store.incidents
    async with await Store.open(card.place / "buffer" / "buffer.db") as again:
        found = {message.idempotency_key for message in await again.lease(100)}
        assert found == {f"night:{number}" for number in range(25)}
