"""What the disk allows: the fastest that plain writes with `fdatasync` get, as floors for the rows.

`append` is what a log of one's own would do for each message, `append 100` for a hundred at once; `overwrite`
goes over bytes that were written before, so that the file system notes nothing: no message can be made
durable for less.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.buffer.slices import Floors, Row, Sample

PAYLOAD = os.urandom(512).hex().encode()
"""1 KB, which is what a message carries in every row."""

_PAGE = 4096
_PLACES = 2048


@contextmanager
def floors(folder: Path) -> Iterator[Floors]:
    """The three floors of the disk that holds `folder`."""
    path = folder / "overwritten"
    path.write_bytes(os.urandom(_PAGE * _PLACES))
    handle = os.open(path, os.O_WRONLY)
    os.fsync(handle)
    try:
        yield {
            "append": lambda seconds: append(folder, seconds, 1),
            "append 100": lambda seconds: append(folder, seconds, 100),
            "overwrite": lambda seconds: overwrite(handle, seconds),
        }
    finally:
        os.close(handle)
        path.unlink()


def rows(named: Floors) -> list[Row]:
    """The floors as rows of their own, beside `append`."""

    def row(name: str) -> Row:
        async def measured(seconds: float) -> Sample:
            return named[name](seconds)

        async def restore() -> None:
            """Nothing is left over."""

        return Row(f"floor: {name}", "append", measured, restore)

    return [row(name) for name in named if name != "append"]


def append(folder: Path, seconds: float, group: int) -> Sample:
    """A new file, and `fdatasync` after each group of messages."""
    path = folder / "appended"
    with path.open("wb", buffering=0) as file:
        chunk = PAYLOAD * group

        def write() -> None:
            file.write(chunk)
            os.fdatasync(file.fileno())

        sample = repeat(write, seconds, group)
    path.unlink()
    return sample


def overwrite(handle: int, seconds: float) -> Sample:
    """One message in each page of a file that is there, `fdatasync` after each."""
    place = 0

    def write() -> None:
        nonlocal place
        os.pwrite(handle, PAYLOAD, place % _PLACES * _PAGE)
        os.fdatasync(handle)
        place += 1

    return repeat(write, seconds, 1)


def repeat(step: Callable[[], object], seconds: float, count: int) -> Sample:
    """This step for so long, at least once; it does `count` messages each time."""
    times: list[float] = []
    began = now = time.perf_counter()
    while not times or now - began < seconds:
        step()
        then, now = now, time.perf_counter()
        times.append(now - then)
    return Sample(count * len(times), now - began, tuple(times))
