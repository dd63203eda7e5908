"""Nothing more can be done without a person at the station; power off and on begins anew."""

import asyncio

from appliance.device import Device
from statemachine.lifecycle import Trigger


async def run(device: Device) -> Trigger:
    """For ever."""
    await asyncio.Event().wait()
    return Trigger.FATAL
