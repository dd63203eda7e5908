"""The claim as the station speaks it: ask, wait for a person, prove the key, take the credentials."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from appliance.files import to_the_end
from appliance.identity.card import Card
from appliance.identity.keys import KeyUnavailable
from appliance.uplink.client import CloudClient, Refused, Reply, Unreachable
from appliance.uplink.vouched import one_pin, vouched_keys, with_vouched_keys
from protocol import errors
from protocol.messages import (
    ClaimComplete,
    ClaimPending,
    ClaimRequest,
    ConfirmRequest,
    DeviceInfo,
    HardwareFingerprint,
    NetworkInfo,
    ValidateAnswer,
    ValidateRequest,
)
from protocol.timestamp import KeySet


@dataclass(frozen=True)
class Hardware:
    """What the station tells of itself. None of it is a secret or a proof."""

    hardware_id: str
    fingerprint: HardwareFingerprint
    info: DeviceInfo
    boot_id: str


class Claiming:
    """The three messages of a claim. Every method raises `Unreachable` or `Refused`.

    `pin` of the settings, and the one that came with a claim code, say which cloud it must be. Where one is
    known, any other cloud is a `WrongCloud`.
    """

    def __init__(self, client: CloudClient, hardware: Hardware, pin: str = "") -> None:
        self._client = client
        self._hardware = hardware
        self._pin = pin

    async def with_token(
        self, token: str, network: NetworkInfo, pin: str | None = None
    ) -> ClaimPending | ClaimComplete:
        """A person has given this station a token: one message does it all.

        Pending when the cloud first asks its person whether this is a new card of a station they have.
        """
        return await self._ask(await self._request(network, claim_token=token), pin)

    async def with_card(self, card: Card, network: NetworkInfo) -> ClaimPending | ClaimComplete:
        """The station shows its card; the cloud keeps the codes until a person comes.

        Complete at once when the cloud knows this key already: the earlier answer was lost.
        """
        request = await self._request(
            network, registration_type="device_code", pin=card.pin, link_secret=card.link_secret
        )
        return await self._ask(request)

    async def person_came(self, claim_id: str) -> ValidateAnswer | None:
        """The challenge, once a person has come; None while nobody has."""
        reply = await self._post("register/validate", ValidateRequest(claim_id=claim_id))
        return None if reply.status == 202 else reply.read(ValidateAnswer)

    async def prove(self, answer: ValidateAnswer, pin: str | None = None) -> ClaimComplete:
        """Sends the challenge back, signed like every request, with the certificate request."""
        challenge = answer.challenge
        request = ConfirmRequest(
            claim_id=answer.claim_id,
            challenge_id=challenge.id,
            nonce=challenge.nonce,
            csr=await self._csr(),
        )
        expected = one_pin(self._pin, pin)
        keys = await vouched_keys(self._client, expected) if expected else None
        complete = (await self._post("register/confirm", request)).read(ClaimComplete)
        return self._with(complete, keys, expected)

    async def _ask(self, request: ClaimRequest, pin: str | None = None) -> ClaimPending | ClaimComplete:
        expected = one_pin(self._pin, pin)
        keys = await vouched_keys(self._client, expected) if expected else None
        answer = _read(await self._post("claim", request))
        return answer if isinstance(answer, ClaimPending) else self._with(answer, keys, expected)

    def _with(self, complete: ClaimComplete, keys: KeySet | None, pin: str | None) -> ClaimComplete:
        return (
            complete if keys is None or pin is None else with_vouched_keys(complete, keys, pin, self._client)
        )

    async def _csr(self) -> str:
        try:
            return await to_the_end(self._client.key.csr)
        except KeyUnavailable as error:
            raise Unreachable("key", str(error)) from None

    async def _request(self, network: NetworkInfo, **codes: str) -> ClaimRequest:
        wish = {
            "hardware_id": self._hardware.hardware_id,
            "hardware_fingerprint": self._hardware.fingerprint,
            "device_info": self._hardware.info,
            "boot_id": self._hardware.boot_id,
            "csr": await self._csr(),
            "key_storage": self._client.key.storage,
            "clock": self._client.time.report(),
            "network_info": network,
            **codes,
        }
        return ClaimRequest(**wish)  # type: ignore[arg-type]

    async def _post(self, action: str, message: msgspec.Struct) -> Reply:
        return await self._client.send("POST", f"/v1/devices/{action}", msgspec.json.encode(message))


def _read(reply: Reply) -> ClaimPending | ClaimComplete:
    return reply.read(ClaimPending) if reply.status == 202 else reply.read(ClaimComplete)


def needs_new_pin(refusal: Refused) -> bool:
    """Somebody guessed too often: the old PIN is burnt."""
    return refusal.reason == errors.TOO_MANY_ATTEMPTS


def claim_is_over(refusal: Refused) -> bool:
    """The claim ran out or was denied; a new one may begin."""
    return refusal.status in (403, 404, 410)
