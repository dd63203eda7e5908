"""A person has come: prove the key, and keep what the cloud gives before anything depends on it."""

import logging
from dataclasses import replace

from appliance.device import Device
from appliance.files import to_the_end
from appliance.identity.credentials import from_claim
from appliance.uplink.client import Refused, Unreachable
from appliance.uplink.vouched import CODE, WrongCloud
from protocol.messages import ClaimComplete
from statemachine.lifecycle import Trigger
from statemachine.record import Record

log = logging.getLogger(__name__)

RETRY_S = (2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds before the second to the sixth try, when one said nothing about the claim. After the sixth failure
the stage before looks at the network again."""

_FOR_THE_MOMENT = {408, 429, 500, 502, 503, 504}
"""Answers that are no verdict on the claim: token and challenge stay good."""


async def run(device: Device) -> Trigger:
    """Claimed, or back to waiting with the reason."""
    if device.claimed:
        return Trigger.CLAIM_SUCCEEDED
    for wait in (*RETRY_S, None):
        try:
            answer = await _complete(device)
        except Unreachable as error:
            await device.journal.fail("REG-005", str(error))
            await _pause(device, wait)
        except WrongCloud as refusal:  # the code stays good: the right cloud may be met on another network
            await device.journal.fail(refusal.code or CODE, str(refusal))
            await device.inbox.wait_claim(RETRY_S[-1] if wait is None else wait)
        except Refused as refusal:
            if refusal.status not in _FOR_THE_MOMENT:
                return await _failed(device, refusal)
            await device.journal.fail(refusal.code or "REG-005", str(refusal))
            await _pause(device, wait, refusal.retry_after or 0.0)
        else:
            return await _keep(device, answer) if answer else await _again(device, claim_id=device.claim.id)
    return Trigger.CLAIM_FAILED


async def _pause(device: Device, wait: float | None, at_least: float = 0.0) -> None:
    """None after the last try, when nothing is left to wait for but what the cloud asked for."""
    if wait is not None or at_least:
        await device.time.system.sleep(max(wait or 0.0, at_least))


async def _complete(device: Device) -> ClaimComplete | None:
    """The credentials; None when the person is not there after all."""
    claim, token = device.claim, device.journal.record.claim_token
    if claim.complete is not None:
        return claim.complete
    if token is not None:
        return await _with_token(device, token)
    if claim.challenge is None and claim.id is not None:
        claim.challenge = await device.claiming.person_came(claim.id)
    if claim.challenge is None:
        return None
    return await device.claiming.prove(claim.challenge, device.journal.record.ca_pin)


async def _with_token(device: Device, token: str) -> ClaimComplete | None:
    """None when its person is asked first; the token is used up, and the claim goes on as with a card."""
    pin = device.journal.record.ca_pin
    answer = await device.claiming.with_token(token, device.network_info(), pin)
    if isinstance(answer, ClaimComplete):
        return answer
    device.claim.id, device.claim.interval = answer.claim_id, max(1.0, float(answer.interval))
    log.info("claim %s waits for its person, who may have this station already", answer.claim_id)
    return None


async def _keep(device: Device, answer: ClaimComplete) -> Trigger:
    credentials = from_claim(answer, device.client.url)
    await to_the_end(device.credentials.keep, credentials)
    await device.client.present(credentials.certificate)
    await device.journal.change(
        lambda record: replace(
            record,
            device_id=credentials.device_id,
            claim_id=None,
            claim_token=None,
            ca_pin=None,
            last_error=None,
        )
    )
    device.claim.clear()
    log.info("claimed as %s (%s)", credentials.name, credentials.device_id)
    return Trigger.CLAIM_SUCCEEDED


async def _failed(device: Device, refusal: Refused) -> Trigger:
    log.warning("the claim was refused: %s", refusal)
    await device.journal.fail(refusal.code or "REG-004", str(refusal))
    return await _again(device)


async def _again(device: Device, *, claim_id: str | None = None) -> Trigger:
    """A used token and a used challenge are worth nothing; the card still is, and so is an open claim."""
    device.claim.clear()
    device.claim.id = claim_id

    def follow(record: Record) -> Record:
        pin = record.ca_pin if claim_id else None
        return replace(record, claim_token=None, claim_id=claim_id, ca_pin=pin)

    await device.journal.change(follow)
    return Trigger.CLAIM_FAILED
