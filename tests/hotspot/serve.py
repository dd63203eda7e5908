"""Runs the hotspot's services until it is told to stop: `serve.py FOLDER PORT INTERFACE ADDRESS...`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from appliance.network.hotspot.phones import Phones
from appliance.network.hotspot.services import HotspotServer


async def main(folder: str, port: str, interface: str, *addresses: str) -> None:
    """Says `ready`, then every step of every phone."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    phones = Phones(time.monotonic)
    server = HotspotServer(Path(folder), int(port), phones)
    await server.start(interface, addresses)
    print("ready", server.pid, flush=True)
    await over.wait()
    await server.stop()
    for trail in phones.trails():
        print("trail", trail.address, *trail.steps, flush=True)


logging.basicConfig(level=logging.INFO, format="%(message)s")
asyncio.run(main(*sys.argv[1:]))
