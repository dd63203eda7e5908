"""A newer configuration is here: check it and put it in force, or keep the last good one."""

from appliance.device import Device
from appliance.files import to_the_end
from statemachine.lifecycle import Trigger


async def run(device: Device) -> Trigger:
    """Applied, or refused with the reason in the record and in the next heartbeat."""
    envelope, credentials = device.envelope, device.credentials.current
    device.envelope = None
    if envelope is None or credentials is None:
        return Trigger.UPDATE_FAILED
    applied = await to_the_end(device.configuration.apply, envelope, credentials)
    if applied:
        return Trigger.UPDATE_APPLIED
    if device.configuration.error is not None:
        await device.journal.fail("REG-007", device.configuration.error)
    return Trigger.UPDATE_FAILED
