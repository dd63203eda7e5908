"""A newer configuration is here: check it and put it in force, or keep the last good one."""

import asyncio

from appliance.device import Device
from statemachine.lifecycle import Trigger


async def run(device: Device) -> Trigger:
    """Applied, or refused with the reason reported by the next heartbeat."""
    envelope, credentials = device.envelope, device.credentials.current
    device.envelope = None
    if envelope is None or credentials is None:
        return Trigger.UPDATE_FAILED
    applied = await asyncio.to_thread(device.configuration.apply, envelope, credentials)
    return Trigger.UPDATE_APPLIED if applied else Trigger.UPDATE_FAILED
