"""`python -m portal.demo`: every page in a browser with a station that is only played.

Joining takes ten seconds; the password of Home-5G is "correct horse". Being claimed takes half a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
from dataclasses import replace

from portal.fakes import RUNNING, WAITING_FOR_CLAIM, FakeStation
from portal.server import create_app, serving
from portal.settings import PortalSettings


async def play(station: FakeStation) -> None:
    """Let time pass for the station: joins end, and whoever waits long enough is claimed."""
    async for snapshot in station.changes():
        if snapshot.state == "connecting":
            await asyncio.sleep(10)
            if station.snapshot().state == "connecting":
                await station.settle()
        if station.snapshot().state == "network_ready":
            await asyncio.sleep(30)
            await station.show(replace(WAITING_FOR_CLAIM, state="activating", claimed=True, card=None))
            await asyncio.sleep(5)
            await station.show(RUNNING)


async def run(host: str, port: int) -> None:
    """Serve until interrupted."""
    station = FakeStation()
    app = create_app(station, settings=PortalSettings(pseudo_locales=True))
    async with serving(app, host, port) as address:
        logging.getLogger(__name__).info("the portal is at %s", address)
        await play(station)


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(arguments.host, arguments.port))


if __name__ == "__main__":
    main()
