"""Stations and people of the registration bench: signed requests over real HTTP, each timed."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from protocol.codes import new_link_secret, new_pin, short_id
from protocol.messages import (
    ClaimComplete,
    ClaimPending,
    ClaimRequest,
    ClaimTokenAnswer,
    ClaimTokenRequest,
    Clock,
    ConfirmRequest,
    DeviceInfo,
    HardwareFingerprint,
    HeartbeatRequest,
    InitiateRequest,
    ValidateAnswer,
    ValidateRequest,
)
from protocol.signature import Request, sign, signer, thumbprint


@dataclass
class Times:
    """Seconds of each request, by what was asked."""

    each: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    async def of(self, what: str, asking: Awaitable[Any]) -> Any:
        """Waits for an answer and keeps how long it took."""
        began = time.perf_counter()
        answer = await asking
        self.each[what].append(time.perf_counter() - began)
        return answer


class Client:
    """One station that claims itself and beats."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session, self._base = session, base
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._keyid = thumbprint(self._key.public_key())
        self.pin, self.link_secret = new_pin(), new_link_secret()
        self.short_id = short_id(self._keyid)
        self._csr = _csr(self._key)
        self._sequence = itertools.count(1)
        self.device_id = ""

    async def ask(self, method: str, path: str, message: msgspec.Struct | None, *expected: int) -> bytes:
        """One signed request. Raises `RuntimeError` for another answer."""
        body = b"" if message is None else msgspec.json.encode(message)
        headers = {"content-type": "application/json"} if body else {}
        request = Request(method, URL(self._base).authority, path, headers, body)
        nonce = f"1.{next(self._sequence)}"
        headers |= sign(request, signer(self._key), self._keyid, created=int(time.time()), nonce=nonce)
        url = URL(self._base + path, encoded=True)
        async with self._session.request(method, url, data=body or None, headers=headers) as answer:
            content = await answer.read()
            if answer.status not in expected:
                raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
            return content

    def hello(self, **codes: Any) -> ClaimRequest:
        """The first message of a station."""
        return ClaimRequest(
            hardware_id=f"CPU_{self._keyid[:16]}",
            hardware_fingerprint=HardwareFingerprint(cpu_id=self._keyid[:16]),
            device_info=DeviceInfo(model="Bench", firmware_version="1.0"),
            csr=self._csr,
            boot_id="boot-1",
            clock=Clock(synced=True, source="ntp", utc="2026-01-01T00:00:00Z", mono_ms=1),
            **codes,
        )

    def take(self, content: bytes) -> None:
        """It belongs to somebody now."""
        self.device_id = msgspec.json.decode(content, type=ClaimComplete).device_id

    async def by_token(self, token: str, times: Times) -> None:
        """Claims in one message."""
        asking = self.ask("POST", "/v1/devices/claim", self.hello(claim_token=token), 201)
        self.take(await times.of("a claim in one message", asking))

    async def by_card(self, person: Person, times: Times) -> None:
        """Shows its card, is named by a person, answers a challenge."""
        hello = self.hello(registration_type="device_code", pin=self.pin, link_secret=self.link_secret)
        waiting = msgspec.json.decode(
            await times.of("a card shown", self.ask("POST", "/v1/devices/claim", hello, 202)),
            type=ClaimPending,
        )
        await person.ask(
            "/v1/devices/register/initiate",
            InitiateRequest(short_id=self.short_id, link_secret=self.link_secret),
        )
        question = ValidateRequest(claim_id=waiting.claim_id)
        content = await times.of(
            "a challenge", self.ask("POST", "/v1/devices/register/validate", question, 200)
        )
        asked = msgspec.json.decode(content, type=ValidateAnswer)
        answer = ConfirmRequest(
            claim_id=asked.claim_id,
            challenge_id=asked.challenge.id,
            nonce=asked.challenge.nonce,
            csr=self._csr,
        )
        confirming = self.ask("POST", "/v1/devices/register/confirm", answer, 201)
        self.take(await times.of("the answer to a challenge", confirming))

    async def configuration(self, times: Times) -> None:
        """Fetches it once."""
        await times.of("a configuration", self.ask("GET", f"/v1/devices/config/{self.device_id}", None, 200))

    async def beat(self, number_of_it: int, times: Times) -> None:
        """One heartbeat."""
        message = HeartbeatRequest(uptime=1.0, boot_id="boot-1", seq=number_of_it, state="operational")
        path = f"/v1/devices/{self.device_id}/heartbeat"
        await times.of("a heartbeat", self.ask("POST", path, message, 200))


def _csr(key: ec.EllipticCurvePrivateKey) -> str:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode("ascii")


@dataclass(frozen=True)
class Person:
    """Somebody with a session."""

    session: aiohttp.ClientSession
    base: str
    token: str
    csrf: str

    async def ask(self, path: str, message: msgspec.Struct) -> bytes:
        """One request of a signed-in person. Raises `RuntimeError` for another answer than 200 or 201."""
        headers = {
            "content-type": "application/json",
            "origin": self.base,
            "cookie": f"session={self.token}",
            "x-csrf-token": self.csrf,
        }
        body = msgspec.json.encode(message)
        async with self.session.post(self.base + path, data=body, headers=headers) as answer:
            content = await answer.read()
            if answer.status not in (200, 201):
                raise RuntimeError(f"{path}: {answer.status} {content[:300]!r}")
            return content

    async def claim_token(self) -> str:
        """A new one."""
        content = await self.ask("/v1/devices/claim-token", ClaimTokenRequest())
        return msgspec.json.decode(content, type=ClaimTokenAnswer).claim_token
