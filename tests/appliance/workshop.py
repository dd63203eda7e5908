"""A whole station for tests, made by the product's composition root on a simulated radio; not yet running."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from appliance.files import private_folder
from appliance.logs import Tail
from appliance.network.hotspot.phones import Phones
from appliance.network.port import Credentials, Security
from appliance.network.simulated import SimulatedNetwork
from appliance.paths import Paths
from appliance.settings import (
    CloudSection,
    DeviceSection,
    IdentitySection,
    NetworkSection,
    PortalSection,
    Settings,
    SourcesSection,
)
from appliance.station import Station, build
from buffer.media import MediaStore
from buffer.store import Store

PASSWORD = "correct horse"
HOME = Credentials(b"Home", PASSWORD, Security.WPA2, hidden=False)
WRONG = Credentials(b"Home", "wrong horse", Security.WPA2, hidden=False)

SCENARIO = f"""
join_seconds = 0.0
scan_seconds = 0.0
ethernet = {{ethernet}}

[[networks]]
name = "Home"
signal = 80
password = "{PASSWORD}"
in_range = {{in_range}}
"""


def settings_for(folder: Path, cloud_url: str, *, port: int = 1, **network: Any) -> Settings:
    """Settings of a simulated station whose files lie in `folder`."""
    return Settings(
        device=DeviceSection(data_dir=str(folder / "data")),
        cloud=CloudSection(url=cloud_url),
        portal=PortalSection(host="127.0.0.1", port=port),
        network=NetworkSection(backend="simulated", scenario=str(folder / "scenario.toml"), **network),
        sources=SourcesSection(settle_seconds=0.1),
    )


def write_scenario(folder: Path, *, ethernet: bool = False, in_range: bool = True) -> Path:
    """The world around the station; may be written again while it runs."""
    path = folder / "scenario.toml"
    text = SCENARIO.format(ethernet=str(ethernet).lower(), in_range=str(in_range).lower())
    path.write_text(text)
    return path


@asynccontextmanager
async def station(
    folder: Path,
    cloud_url: str = "http://localhost:1",
    *,
    ethernet: bool = False,
    in_range: bool = True,
    identity: IdentitySection | None = None,
    **network: Any,
) -> AsyncIterator[Station]:
    """Builds it in `folder`; what an earlier one left there is still there. Its radio is not started."""
    scenario = write_scenario(folder, ethernet=ethernet, in_range=in_range)
    settings = settings_for(folder, cloud_url, **network)
    if identity is not None:
        settings = msgspec.structs.replace(settings, identity=identity)
    paths = Paths(settings.data_dir)
    private_folder(paths.state)
    radio = SimulatedNetwork(paths.state, scenario, check_seconds=0.02)
    async with await Store.open(paths.buffer_file) as store:
        media = MediaStore(paths.media, store)
        built = build(settings, paths, radio, store, media, Tail(), Phones(time.monotonic))
        try:
            yield built
        finally:
            await built.device.client.close()
            await radio.close()


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits until something is true, and fails if that takes too long."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for may be anything
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(*services: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Runs services as the daemon does; one that fails fails the test."""

    async def run(service: Callable[[], Awaitable[None]]) -> None:
        await service()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(service)) for service in services]
        yield
        for task in tasks:
            task.cancel()
