"""The task that brings a station back to the cloud's first address once that is well."""

from __future__ import annotations

import asyncio

from appliance.uplink.client import CloudClient

LOOK_S = 10.0
"""How often it is looked whether a backup is in use; nothing is sent for that."""


async def return_to_primary(client: CloudClient, look_s: float = LOOK_S) -> None:
    """Until cancelled."""
    clock = client.time.system
    while True:
        await asyncio.sleep(look_s)
        wait = client.endpoints.health_wait(clock.monotonic())
        if wait == 0:
            reason = await client.unhealthy(client.endpoints.primary)
            client.endpoints.asked(reason is None, clock.monotonic(), reason or "")
