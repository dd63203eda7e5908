"""Claimed: fetch and apply the signed configuration, then report to the cloud for the first time."""

import asyncio
import logging

from appliance.device import Device
from appliance.files import to_the_end
from appliance.ownership import forget_owner, is_release
from appliance.uplink.client import Refused, Unreachable
from protocol.messages import ConfigAnswer
from statemachine.lifecycle import Trigger

log = logging.getLogger(__name__)

RETRY_S = 5.0
TRIES = 60
"""Five minutes without an answer end in `error`, which tries again by itself."""


async def run(device: Device) -> Trigger:
    """Activated, or failed with the reason kept."""
    for _ in range(TRIES):
        try:
            await _configure(device)
            await device.heartbeat.beat()
        except Unreachable as error:
            await device.journal.fail("REG-005", str(error))
            await asyncio.sleep(RETRY_S)
        except Refused as refusal:
            if is_release(refusal):
                await forget_owner(device)
                return Trigger.RELEASED
            if refusal.status not in (429, 500, 502, 503, 504):
                await device.journal.fail(refusal.code or "REG-004", str(refusal))
                return Trigger.ACTIVATION_FAILED
            await device.journal.fail(refusal.code or "REG-005", str(refusal))
            await asyncio.sleep(max(refusal.retry_after or 0.0, RETRY_S))
        else:
            await device.journal.recovered()
            return Trigger.ACTIVATED
    return Trigger.ACTIVATION_FAILED


async def _configure(device: Device) -> None:
    """A configuration that must be refused leaves the defaults in force and is reported, not fatal."""
    credentials = device.credentials.current
    assert credentials is not None, "activating is entered with credentials only"  # noqa: S101
    reply = await device.client.send("GET", f"/v1/devices/config/{credentials.device_id}")
    newest = reply.read(ConfigAnswer).config_envelope
    await to_the_end(device.configuration.apply, newest, credentials)
    device.envelope = None
