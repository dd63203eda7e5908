"""Something failed that a person may have to mend. Try again by oneself, more and more rarely."""

import asyncio

from appliance.device import Device
from statemachine.lifecycle import Trigger

PAUSES_S = (10.0, 30.0, 60.0, 300.0, 900.0)


async def run(device: Device) -> Trigger:
    """Recovers after a pause. A damaged identity never mends itself: it waits for a reset."""
    if device.fault is not None:
        await asyncio.Event().wait()
    retries = device.journal.record.error_retries
    await asyncio.sleep(PAUSES_S[min(retries, len(PAUSES_S) - 1)])
    return Trigger.RECOVERED
