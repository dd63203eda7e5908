"""A phone is here: wait for its choice of network."""

import asyncio

from appliance.device import Device
from statemachine.lifecycle import Trigger


async def run(device: Device) -> Trigger:
    """Until the person chooses, goes back, or goes away."""
    chosen = asyncio.ensure_future(device.inbox.wait_credentials())
    cancelled = asyncio.ensure_future(device.inbox.wait_cancelled())
    try:
        await asyncio.wait(
            {chosen, cancelled},
            timeout=device.settings.network.configuring_timeout_seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
        return Trigger.CREDENTIALS_RECEIVED if chosen.done() else Trigger.CANCELLED
    finally:
        chosen.cancel()
        cancelled.cancel()
