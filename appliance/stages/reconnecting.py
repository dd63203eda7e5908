"""The link is lost: try the known networks with growing pauses; recording and buffering go on meanwhile."""

import asyncio
import logging

from appliance.device import Device
from appliance.network.port import JoinFailed
from appliance.network.quality import Quality
from appliance.network.recovery import Action, Plan, plan
from statemachine.lifecycle import Trigger

log = logging.getLogger(__name__)


async def run(device: Device) -> Trigger:
    """Back on a network, or out of ideas."""
    step: Plan | None = None
    now = device.time.system.monotonic
    while step is None or step.action is not Action.RESCUE:
        if device.network.link().online:
            return await _back(device)
        if not await device.network.stored():
            return Trigger.RECONNECT_FAILED  # there is nothing to try; a person has to choose a network
        try:
            await device.network.reconnect()
        except JoinFailed as failure:
            await device.journal.fail(failure.code, str(failure))
            step = plan(Quality.NONE, step, now())
            if step.action is Action.RECONNECT:
                await asyncio.sleep(step.check_at - now())
        else:
            return await _back(device)
    return Trigger.RECONNECT_FAILED


async def _back(device: Device) -> Trigger:
    await device.journal.recovered("NET-")
    return Trigger.RECONNECTED
