"""Try the chosen network, or after a power cut the stored ones; keep the verdict for the phone."""

import asyncio
import logging
from dataclasses import replace

from appliance.device import Device
from appliance.files import to_the_end
from appliance.network.port import Credentials, JoinFailed, Link
from statemachine.lifecycle import Trigger
from statemachine.record import CONNECTED, NetworkAttempt

log = logging.getLogger(__name__)

PHONE_S = 3.0
"""Time for the phone to load the progress page before the hotspot goes away with the radio."""


async def run(device: Device) -> Trigger:
    """Connected, or back to setup with the reason."""
    credentials = device.inbox.take_credentials()
    ssid = credentials.ssid if credentials else b""
    if credentials is not None:
        await _note(device, ssid, None)
    try:
        link = await _join(device, credentials)
    except JoinFailed as failure:
        log.warning("joining failed: %s", failure.code)
        await _note(device, ssid, failure.code)
        return Trigger.CONNECT_FAILED
    await _note(device, link.ssid or ssid, CONNECTED)
    if credentials is not None:
        await to_the_end(device.boot.joined)
    return Trigger.CONNECTED


async def _join(device: Device, credentials: Credentials | None) -> Link:
    if credentials is None:
        return await device.network.reconnect()
    if device.network.hotspot() is not None:
        await asyncio.sleep(PHONE_S)
        await device.network.stop_hotspot()
    return await device.network.join(credentials)


async def _note(device: Device, ssid: bytes, result: str | None) -> None:
    attempt = NetworkAttempt(ssid.hex(), result, device.time.now())
    await device.journal.change(lambda record: replace(record, network_attempt=attempt))
