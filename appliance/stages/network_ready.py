"""Online and unclaimed: show the card to the cloud and wait until a person comes with it, or with a token."""

import logging
from dataclasses import replace

from appliance.device import Device
from appliance.files import to_the_end
from appliance.network.port import JoinFailed
from appliance.uplink.claim import claim_is_over, needs_new_pin
from appliance.uplink.client import Refused, Unreachable
from protocol.messages import ClaimComplete
from statemachine.lifecycle import Trigger

log = logging.getLogger(__name__)

REACH = "REG-005"
"""The code of a cloud that cannot be reached."""
RETRY_S = (2.0, 4.0, 8.0, 16.0, 32.0)
SHORTEST_S = 1.0
"""Between two questions, whatever the cloud asks for."""


async def run(device: Device) -> Trigger:
    """Until the claim can go on. A claimed station that got another network has nothing to wait for."""
    await device.network.stop_hotspot()
    if device.claimed:
        return Trigger.CLAIM_STARTED
    await device.publish_card()
    await device.note_start()
    failures = 0
    while True:
        if device.journal.record.claim_token is not None and device.network.link().online:
            return Trigger.CLAIM_STARTED
        try:
            wait, started = await _ask(device)
            # What was said about a claim code stays for the person to read.
            await device.journal.recovered(*(() if failures else (REACH, "NET-")))
            failures = 0
        except Unreachable as error:
            failures += 1
            wait, started = await _offline(device, error, failures), False
        except Refused as refusal:
            failures += 1
            wait, started = await _refused(device, refusal, failures), False
        if started:
            return Trigger.CLAIM_STARTED
        await device.inbox.wait_claim(wait)


async def _ask(device: Device) -> tuple[float, bool]:
    """One question to the cloud: how long to wait for the next, and whether somebody came."""
    claim = device.claim
    if claim.id is None:
        answer = await device.claiming.with_card(device.card.current(), device.network_info())
        if isinstance(answer, ClaimComplete):
            claim.complete = answer
            return 0.0, True
        claim.id, claim.interval = answer.claim_id, max(SHORTEST_S, float(answer.interval))
        await device.journal.change(lambda record: replace(record, claim_id=answer.claim_id))
        log.info("claim %s waits for a person", answer.claim_id)
        return claim.interval, False
    claim.challenge = await device.claiming.person_came(claim.id)
    return claim.interval, claim.challenge is not None


async def _offline(device: Device, error: Unreachable, failures: int) -> float:
    await device.journal.fail(REACH, str(error))
    if not device.network.link().online:
        try:
            await device.network.reconnect()
        except JoinFailed as failure:
            log.info("the network is away: %s", failure.code)
    return RETRY_S[min(failures, len(RETRY_S)) - 1]


async def _refused(device: Device, refusal: Refused, failures: int) -> float:
    claim = device.claim
    if needs_new_pin(refusal):
        log.warning("too many wrong PINs were tried; the card gets a new one")
        await to_the_end(device.card.renew)
        await device.publish_card()
    if claim.id is not None and claim_is_over(refusal):
        claim.id = None
        return 0.0 if refusal.status == 410 else RETRY_S[-1]
    if refusal.status != 429:  # we asked too often, which is nothing that a person should read about
        await device.journal.fail(refusal.code or "REG-004", str(refusal))
    return max(refusal.retry_after or 0.0, RETRY_S[min(failures, len(RETRY_S)) - 1])
