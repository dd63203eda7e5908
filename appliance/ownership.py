"""The owner gave this station up at the cloud: it forgets whose it was and asks to be claimed. Keeps its key.

What waits in the buffer stays, and nobody else gets it (`appliance.former`). A forged answer gains nothing:
the cloud gives a station that still has an owner its credentials again, for its key alone, and with the same
id all is sent that waited.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from appliance.device import Device
from appliance.files import to_the_end
from appliance.uplink.client import Refused
from protocol.errors import RELEASED

log = logging.getLogger(__name__)

CODE = "OWN-001"


def is_release(refusal: Refused) -> bool:
    """Whether the cloud says that this station has no owner any more."""
    return refusal.status == 403 and refusal.reason == RELEASED


async def forget_owner(device: Device) -> None:
    """Durable before it returns. The former owner knew PIN and link of the card, so it gets new ones."""
    current = device.credentials.current
    if current is None:
        return
    await device.former.left(current.device_id)  # before the owner is forgotten: a power cut repeats it
    await to_the_end(device.card.renew)
    await to_the_end(device.credentials.forget)
    device.claim.clear()
    device.envelope = None
    await device.journal.change(
        lambda record: replace(record, device_id=None, claim_id=None, claim_token=None, ca_pin=None)
    )
    await device.journal.fail(CODE, "The owner released this station. It can be claimed anew.")
    log.warning("released by its owner; waiting to be claimed")
