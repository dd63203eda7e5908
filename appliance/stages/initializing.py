"""Find out who we are and where to resume: the record and the stored networks decide, no person is asked."""

import logging
from dataclasses import replace

from appliance.device import Device
from appliance.files import to_the_end
from statemachine.lifecycle import Trigger
from statemachine.record import resume

log = logging.getLogger(__name__)


async def run(device: Device) -> Trigger:
    """Checks the identity, starts the radio, and names the way on."""
    if device.fault is not None:
        await device.journal.fail(device.fault.code, device.fault.text)
        return Trigger.HARDWARE_FAILED
    credentials = device.credentials.current
    device_id = credentials.device_id if credentials else None
    record = await device.journal.change(lambda record: replace(record, device_id=device_id))
    if credentials is None:
        await to_the_end(device.card.current)
    log.info("fingerprint generated: %s, station %s", device.hardware.hardware_id, device.key.short_id)
    await _take_up(device)
    await device.country.apply()  # before the first scan
    await device.network.start()
    known = device.inbox.has_credentials or bool(await device.network.stored())
    return resume(record, network_stored=known)


async def _take_up(device: Device) -> None:
    """The file on the boot partition becomes a choice of a network and the claim code of the record."""
    if device.boot.wifi is not None:
        device.inbox.join(device.boot.wifi)
    if device.boot.country:
        await device.country.told(device.boot.country)
    code = device.boot.claim_code
    if code is not None:
        if not device.claimed:
            await device.journal.change(
                lambda record: replace(record, claim_token=code.token, ca_pin=code.ca_pin)
            )
        await to_the_end(device.boot.recorded)
