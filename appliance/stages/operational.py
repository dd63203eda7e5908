"""Running. The work itself is done by services that run in every state; this stage only watches."""

import asyncio

from appliance.device import Device
from statemachine.lifecycle import Trigger

REST_S = 3600.0


async def run(device: Device) -> Trigger:
    """Until the link is lost, an update is there, or an hour has passed."""
    if not device.claimed:  # released in a state that had no way out, or just before a power cut
        return Trigger.RELEASED
    await device.network.stop_hotspot()
    device.heartbeat.kick()
    if device.envelope is not None:
        return Trigger.UPDATE_RECEIVED
    if not device.network.link().online:
        return Trigger.NETWORK_LOST
    await asyncio.sleep(REST_S)
    return Trigger.RUNNING
