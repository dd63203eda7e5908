"""Whether this is the cloud that a claim code or the settings mean: asked before a token or a card goes out.

The way from the pinned root to the keys of the cloud is checked in `protocol/vouched.py`. Whoever stands in
the middle with another authority gets nothing; whoever only passes messages on can put no key of their own
into the claim. An intermediate may be exchanged at any time, because only the root is pinned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives import serialization

from appliance.uplink.client import CloudClient, Refused
from protocol.errors import Problem
from protocol.messages import ClaimComplete
from protocol.timestamp import KeysAnswer, KeySet
from protocol.vouched import NotVouched, check_leaf, open_vouched

CODE = "CERT-005"
WRONG = "wrong_cloud"
T = TypeVar("T")

_STATUS = 421
"""Misdirected Request (RFC 9110 §15.5.20): this server is not the one for that question."""


class WrongCloud(Refused):
    """The station refuses the cloud, and not the other way about."""

    def __init__(self, detail: str) -> None:
        said = f"This is not the cloud that the claim code or cloud.ca_pin names: {detail}."
        super().__init__(
            Problem(title="Wrong cloud", status=_STATUS, code=CODE, reason=WRONG, detail=said), None
        )

    def __str__(self) -> str:
        return f"{CODE} {self.problem.detail}"


def one_pin(*known: str | None) -> str | None:
    """The pin that counts; None when none is known. Raises `WrongCloud` when they name two clouds."""
    pins = {each for each in known if each}
    if len(pins) > 1:
        raise WrongCloud("the two differ")
    return next(iter(pins), None)


async def vouched_keys(client: CloudClient, pin: str) -> KeySet:
    """The keys of the cloud. Raises `WrongCloud`, `Unreachable` or `Refused`."""
    answer = (await client.send("GET", "/v1/keys")).read(KeysAnswer)
    return _judged(lambda: open_vouched(answer, {pin}))


def with_vouched_keys(answer: ClaimComplete, keys: KeySet, pin: str, client: CloudClient) -> ClaimComplete:
    """The outcome of a claim, with the keys that the root vouches for. Raises `WrongCloud`."""
    own = client.key.public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _judged(lambda: check_leaf(answer.device_certificate, answer.ca_certificate, {pin}, own))
    return msgspec.structs.replace(answer, config_keys=keys.config_keys, time_keys=keys.time_keys)


def _judged(check: Callable[[], T]) -> T:
    try:
        return check()
    except NotVouched as error:
        raise WrongCloud(str(error)) from None
