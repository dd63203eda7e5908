"""The program has started; nothing is known yet."""

from appliance.device import Device
from statemachine.lifecycle import Trigger


async def run(device: Device) -> Trigger:
    """Goes on at once."""
    return Trigger.POWER_ON
