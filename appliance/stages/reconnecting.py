"""The link is lost: try the known networks with growing pauses; recording and buffering go on meanwhile."""

import asyncio
import logging

from appliance.device import Device
from appliance.network.port import JoinFailed
from statemachine.lifecycle import Trigger

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""After the sixth failure the rescue hotspot opens."""


async def run(device: Device) -> Trigger:
    """Back on a network, or out of ideas."""
    for pause in (*PAUSES_S, 0.0):
        if device.network.link().online:
            return await _back(device)
        if not await device.network.stored():
            return Trigger.RECONNECT_FAILED  # there is nothing to try; a person has to choose a network
        try:
            await device.network.reconnect()
        except JoinFailed as failure:
            await device.journal.fail(failure.code, str(failure))
            await asyncio.sleep(pause)
        else:
            return await _back(device)
    return Trigger.RECONNECT_FAILED


async def _back(device: Device) -> Trigger:
    await device.journal.recovered("NET-")
    return Trigger.RECONNECTED
