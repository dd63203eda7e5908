"""Asking the cloud whether it kept what it said yes to; a receipt is how the buffer remembers what to ask."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from appliance.identity.credentials import Credentials
from appliance.uplink.client import CloudClient
from protocol.event import KeptAnswer, KeptRequest

_EVENT = "event:"
_MEDIA = "media:"


def event_receipt(event_id: str) -> str:
    """For an event that is kept under this id."""
    return _EVENT + event_id


def media_receipt(sha256: str) -> str:
    """For a file."""
    return _MEDIA + sha256


async def ask(client: CloudClient, credentials: Credentials, receipts: Sequence[str]) -> list[bool]:
    """Whether each is still there. Raises `Unreachable` or `Refused`."""
    question = KeptRequest(
        events=[each.removeprefix(_EVENT) for each in receipts if each.startswith(_EVENT)],
        media=[each.removeprefix(_MEDIA) for each in receipts if each.startswith(_MEDIA)],
    )
    path = f"/v1/devices/{credentials.device_id}/events/kept"
    answer = (await client.send("POST", path, msgspec.json.encode(question))).read(KeptAnswer)
    missing = {event_receipt(each) for each in answer.missing_events}
    missing |= {media_receipt(each) for each in answer.missing_media}
    return [each not in missing for each in receipts]
