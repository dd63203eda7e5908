"""Runs the station's announcer inside a namespace, and prints its name whenever it changes.

Called with the short id and a folder, in which `address` and `owner` say what the station would know.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from appliance.network import mdns


async def main(short_id: str, folder: Path) -> None:
    """Until killed."""

    def where() -> str | None:
        address = folder / "address"
        return address.read_text().strip() or None if address.exists() else None

    def claimed() -> bool:
        return (folder / "owner").exists()

    announcer = mdns.Announcer(short_id, 8080, where, claimed)
    announcer.observe(lambda: print(f"name={announcer.name}", flush=True))
    running = asyncio.create_task(announcer.run())
    known = where(), claimed()
    while not running.done():
        await asyncio.sleep(0.1)
        if (where(), claimed()) != known:
            known = where(), claimed()
            announcer.look()
    await running


if __name__ == "__main__":
    logging.basicConfig(level="INFO", stream=sys.stdout)
    mdns.RETRY_S = 0.5
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
