"""How many bytes the buffer writes to the device per message, over the message's whole life.

Run as root with `python -m bench.buffer_wear [--messages N] [--folder DIR] [--json]`: a file in the folder
becomes a loop device with an ext4 of its own, so that the kernel's counters of that device count this and
nothing else. Messages are 1 KB; life means put, lease and acknowledgement. As a floor, the same bytes are
written into a file that is there already.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from buffer.message import Draft, Priority
from buffer.store import Store

PAYLOAD = os.urandom(512).hex().encode()
MIX = (Priority.CRITICAL,) * 2 + (Priority.HIGH,) * 8 + (Priority.NORMAL,) * 50 + (Priority.LOW,) * 40
SECTOR = 512
IMAGE_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class Device:
    """A file system of its own and the counters of its device."""

    mount: Path
    name: str

    def counters(self) -> tuple[int, int]:
        """Bytes written and flushes so far; everything that was cached is written first."""
        os.sync()
        fields = Path(f"/sys/block/{self.name}/stat").read_text(encoding="ascii").split()
        return int(fields[6]) * SECTOR, int(fields[15]) if len(fields) > 15 else 0


@contextmanager
def device(folder: Path) -> Iterator[Device]:
    """A mounted loop device. Raises CalledProcessError without the rights for that."""
    image, mount = folder / "image", folder / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
    found = subprocess.run(
        ["losetup", "--find", "--show", "--direct-io=on", image], check=True, capture_output=True, text=True
    )
    loop = found.stdout.strip()
    try:
        subprocess.run(["mount", "-o", "noatime", loop, mount], check=True)
        try:
            yield Device(mount, Path(loop).name)
        finally:
            subprocess.run(["umount", mount], check=True)
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


async def live(store: Store, messages: int, group: int, *, keyed: bool) -> None:
    """Put `group` at a time; every hundred are leased and acknowledged, as while the link is up."""
    for start in range(0, messages, max(group, 100)):
        for first in range(start, start + max(group, 100), group):
            await asyncio.gather(
                *(
                    store.put(
                        Draft(
                            "bench", PAYLOAD, MIX[n % 100], idempotency_key=f"{group}-{n}" if keyed else None
                        )
                    )
                    for n in range(first, first + group)
                )
            )
        await store.ack([message.id for message in await store.lease(max(group, 100))])


async def pile_up(store: Store, messages: int, group: int) -> None:
    """Put everything, then drain it: a night without a link."""
    for first in range(0, messages, group):
        await asyncio.gather(
            *(store.put(Draft("bench", PAYLOAD, MIX[n % 100])) for n in range(first, first + group))
        )
    while batch := await store.lease(100):
        await store.ack([message.id for message in batch])


def overwrite(file: Path, writes: int) -> None:
    """The floor: bytes over bytes that are there, fdatasync after each."""
    handle = os.open(file, os.O_WRONLY)
    for number in range(writes):
        os.pwrite(handle, PAYLOAD, number * 4096)
        os.fdatasync(handle)
    os.close(handle)


async def measure(folder: Path, messages: int) -> dict[str, dict[str, float]]:
    """Bytes and flushes per message, row by row."""
    rows: dict[str, dict[str, float]] = {}
    with device(folder) as disk:
        file = disk.mount / "floor"
        file.write_bytes(bytes(4096 * messages))
        before = disk.counters()
        overwrite(file, messages // 10)
        rows["floor: overwrite in place"] = _per(before, disk.counters(), messages // 10)
        async with await Store.open(disk.mount / "buffer.db") as store:
            await asyncio.sleep(10)  # the room it takes for itself is taken once, not per message
            steps: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
                "life, 1 per commit": (messages // 10, lambda: live(store, messages // 10, 1, keyed=False)),
                "life, 1 per commit, with key": (
                    messages // 10, lambda: live(store, messages // 10, 1, keyed=True),
                ),
                "life, 10 per commit": (messages, lambda: live(store, messages, 10, keyed=False)),
                "life, 100 per commit": (messages, lambda: live(store, messages, 100, keyed=False)),
                "life, 100 per commit, with key": (messages, lambda: live(store, messages, 100, keyed=True)),
                "a night offline, 100 per commit": (messages, lambda: pile_up(store, messages, 100)),
            }  # fmt: skip
            for name, (count, step) in steps.items():
                before = disk.counters()
                await step()
                await store._read(lambda c: c.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())
                rows[name] = _per(before, disk.counters(), count)
    return rows


def _per(before: tuple[int, int], after: tuple[int, int], count: int) -> dict[str, float]:
    size = (after[0] - before[0]) / count
    return {"bytes": size, "times_payload": size / len(PAYLOAD), "flushes": (after[1] - before[1]) / count}


def main() -> None:
    """Measure and print, as a table or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rows = asyncio.run(measure(Path(folder), arguments.messages))
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'':34}{'bytes':>8}{'of payload':>12}{'flushes':>9}")
    for name, row in rows.items():
        print(f"{name:34}{row['bytes']:8.0f}{row['times_payload']:11.1f}x{row['flushes']:9.3f}")


if __name__ == "__main__":
    main()
