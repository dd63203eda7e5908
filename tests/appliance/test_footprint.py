"""Starting quickly and staying small: only a process that asked for it collects differently."""

from __future__ import annotations

import subprocess
import sys

from appliance import footprint

HURRIED = """
import asyncio, gc
from appliance import footprint

footprint.hurry()
assert not gc.isenabled()
waits = []

async def sleep(seconds):
    waits.append(seconds)

asyncio.run(footprint.settle(sleep))
assert waits == [footprint.SETTLED_AFTER_S]
assert gc.isenabled()
assert gc.get_freeze_count() > 1000
"""


def test_a_hurried_process_collects_again_when_it_has_settled() -> None:
    subprocess.run([sys.executable, "-c", HURRIED], check=True)


async def test_a_process_that_did_not_hurry_is_left_alone() -> None:
    async def never(_seconds: float) -> None:
        raise AssertionError("there is nothing to wait for")

    await footprint.settle(never)
