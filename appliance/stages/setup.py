"""Offer the hotspot and wait for a phone; on a claimed station known networks are tried meanwhile."""

import asyncio
import logging

from appliance.device import Device
from appliance.network.port import JoinFailed
from statemachine.lifecycle import Trigger

log = logging.getLogger(__name__)


async def run(device: Device) -> Trigger:
    """Until a phone joins, a link comes up, or it is time to look again."""
    if device.network.link().online:
        return Trigger.LINK_UP
    await device.open_hotspot()
    if not device.claimed:
        await device.publish_card()
    await device.note_start()
    try:
        async with asyncio.timeout(device.settings.network.retry_seconds):
            await device.inbox.wait_client()
            return Trigger.CLIENT_JOINED
    except TimeoutError:
        return await _look_again(device)


async def _look_again(device: Device) -> Trigger:
    """Nobody came: a router that boots slower than the station must not strand it."""
    if device.boot.wifi is not None:
        device.inbox.join(device.boot.wifi)  # its router may be away, or slower than the station
        return Trigger.CLIENT_JOINED
    if not await device.network.stored():
        return Trigger.WAITING_FOR_USER
    try:
        await device.network.reconnect()
    except JoinFailed as failure:
        log.info("known networks are still away: %s", failure.code)
        return Trigger.WAITING_FOR_USER
    return Trigger.LINK_UP
