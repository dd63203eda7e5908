"""A station for tests: it holds a P-256 key, signs every request as the real one does, and keeps no state."""

from __future__ import annotations

import base64
import hashlib
import secrets
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from yarl import URL

from appliance.identity.keys import DeviceKey
from protocol.codes import new_link_secret, new_pin, short_id, uuid7
from protocol.errors import Problem
from protocol.event import Event, EventAnswer, Media
from protocol.messages import (
    ClaimComplete,
    ClaimPending,
    ClaimRequest,
    Clock,
    ConfirmRequest,
    DeviceInfo,
    HardwareFingerprint,
    HeartbeatAnswer,
    HeartbeatRequest,
    ValidateAnswer,
    ValidateRequest,
)
from protocol.signature import Request, sign, signer, thumbprint

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def read(self, kind: type[T]) -> T:
        return msgspec.json.decode(self.body, type=kind)

    @property
    def problem(self) -> Problem:
        return self.read(Problem)

    @property
    def reason(self) -> str | None:
        return self.problem.reason


class Station:
    """One simulated device. `now` is in seconds since 1970; `alter` may spoil a signed request."""

    def __init__(self, session: aiohttp.ClientSession, base: str, now: Callable[[], float]) -> None:
        self.session, self.base, self.now = session, base, now
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.pin, self.link_secret = new_pin(), new_link_secret()
        self.boot, self.sequence, self.beats = 1, 0, 0
        self.serial = secrets.token_hex(8)
        self.parts: dict[str, Any] = {}
        """Of the fingerprint, beside the processor."""
        self.device_id = ""
        self.certificate = ""
        self.tls: ssl.SSLContext | bool = True

    def takes_over(self, key: DeviceKey) -> None:
        """Speaks with the key of a real station, which must be one in a file."""
        exported = key.private.exported
        assert exported is not None
        self.key = exported

    @property
    def keyid(self) -> str:
        return thumbprint(self.key.public_key())

    @property
    def short_id(self) -> str:
        return short_id(self.keyid)

    def csr(self, key: ec.EllipticCurvePrivateKey | None = None) -> str:
        own = key or self.key
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wishes are ignored")])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(own, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def nonce(self) -> str:
        self.sequence += 1
        return f"{self.boot}.{self.sequence}"

    def signed(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        nonce: str | None = None,
        created: int | None = None,
        content_type: str = "application/json",
    ) -> dict[str, str]:
        """All headers of a signed request."""
        given = {name.lower(): value for name, value in (headers or {}).items()}
        if body:
            given.setdefault("content-type", content_type)
        request = Request(method, URL(self.base).authority, path, given, body)
        moment = int(self.now()) if created is None else created
        return given | sign(
            request, signer(self.key), self.keyid, created=moment, nonce=nonce or self.nonce()
        )

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | msgspec.Struct = b"",
        headers: Mapping[str, str] | None = None,
        **signing: Any,
    ) -> Reply:
        """One signed request."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self.raw(method, path, data, self.signed(method, path, data, headers, **signing))

    async def raw(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """One request with exactly these headers."""
        async with self.session.request(
            method,
            URL(self.base + path, encoded=True),
            data=body or None,
            headers=headers,
            skip_auto_headers=["Content-Type"],
            ssl=self.tls,
        ) as response:
            return Reply(response.status, response.headers, await response.read())

    # --- claim ----------------------------------------------------------------------------------------------

    def claim_request(self, **changes: Any) -> ClaimRequest:
        values: dict[str, Any] = {
            "hardware_id": f"CPU_{self.serial}",
            "hardware_fingerprint": HardwareFingerprint(cpu_id=self.serial, **self.parts),
            "device_info": DeviceInfo(model="Test board", firmware_version="1.0"),
            "csr": self.csr(),
            "boot_id": "boot-1",
            "clock": Clock(synced=True, source="ntp", utc="2026-01-01T00:00:00Z", mono_ms=1),
        }
        return ClaimRequest(**(values | changes))

    def card_request(self, **changes: Any) -> ClaimRequest:
        codes = {
            "registration_type": "device_code",
            "pin": self.pin,
            "link_secret": self.link_secret,
        }
        return self.claim_request(**(codes | changes))

    async def claim_with_card(self, **changes: Any) -> Reply:
        return await self.send("POST", "/v1/devices/claim", self.card_request(**changes))

    async def claim_with_token(self, token: str, **signing: Any) -> Reply:
        return await self.send("POST", "/v1/devices/claim", self.claim_request(claim_token=token), **signing)

    async def validate(self, claim_id: str) -> Reply:
        return await self.send("POST", "/v1/devices/register/validate", ValidateRequest(claim_id=claim_id))

    def answer_to(self, answer: ValidateAnswer, **changes: Any) -> ConfirmRequest:
        values = {
            "claim_id": answer.claim_id,
            "challenge_id": answer.challenge.id,
            "nonce": answer.challenge.nonce,
            "csr": self.csr(),
        }
        return ConfirmRequest(**(values | changes))

    async def confirm(self, answer: ValidateAnswer, **changes: Any) -> Reply:
        return await self.send("POST", "/v1/devices/register/confirm", self.answer_to(answer, **changes))

    async def wait_on_card(self) -> str:
        """Shows the card to the cloud; the claim's id."""
        reply = await self.claim_with_card()
        assert reply.status == 202, reply
        return reply.read(ClaimPending).claim_id

    async def finish(self, claim_id: str) -> ClaimComplete:
        """Validate and confirm a claim that a person has joined."""
        reply = await self.validate(claim_id)
        assert reply.status == 200, reply
        done = await self.confirm(reply.read(ValidateAnswer))
        assert done.status == 201, done
        return self.take(done)

    def take(self, reply: Reply) -> ClaimComplete:
        """Keeps the credentials of an answer."""
        complete = reply.read(ClaimComplete)
        self.device_id, self.certificate = complete.device_id, complete.device_certificate
        return complete

    # --- work -----------------------------------------------------------------------------------------------

    @property
    def place(self) -> str:
        return f"/v1/devices/{self.device_id}"

    async def beat(self, state: str = "operational", **changes: Any) -> Reply:
        self.beats += 1
        values: dict[str, Any] = {"uptime": 1.0, "boot_id": "boot-1", "seq": self.beats, "state": state}
        return await self.send("POST", f"{self.place}/heartbeat", HeartbeatRequest(**(values | changes)))

    async def beaten(self, state: str = "operational", **changes: Any) -> HeartbeatAnswer:
        reply = await self.beat(state, **changes)
        assert reply.status == 200, reply
        return reply.read(HeartbeatAnswer)

    def event(self, *files: bytes, **changes: Any) -> Event:
        event_id = uuid7(int(self.now() * 1000))
        media = [
            Media(name=f"{i}.jpg", mime="image/jpeg", sha256=hashlib.sha256(file).hexdigest(), size=len(file))
            for i, file in enumerate(files)
        ]
        values: dict[str, Any] = {
            "event_id": event_id,
            "client_event_id": f"test-{event_id}",
            "event_type": "meteor",
            "timestamp": "2026-01-01T00:00:00Z",
            "media": media,
        }
        return Event(**(values | changes))

    async def report(self, event: Event | bytes, **signing: Any) -> Reply:
        return await self.send("POST", f"{self.place}/events", event, **signing)

    async def reported(self, event: Event) -> EventAnswer:
        reply = await self.report(event)
        assert reply.status in (200, 201), reply
        return reply.read(EventAnswer)

    async def create_upload(self, file: bytes, **metadata: str) -> Reply:
        values = {"sha256": hashlib.sha256(file).hexdigest()} | metadata
        encoded = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in values.items())
        headers = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(len(file)),
            "Upload-Metadata": encoded,
        }
        return await self.send("POST", f"{self.place}/uploads", headers=headers)

    async def patch(self, location: str, offset: int, piece: bytes, **headers: str) -> Reply:
        given = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(offset)}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send(
            "PATCH", location, piece, given, content_type="application/offset+octet-stream"
        )

    async def offset(self, location: str) -> int:
        reply = await self.send("HEAD", location, headers={"Tus-Resumable": "1.0.0"})
        assert reply.status == 200, reply
        return int(reply.headers["Upload-Offset"])

    async def upload(self, file: bytes, piece: int = 1 << 20) -> None:
        """A whole file, in pieces, from wherever the cloud has got to."""
        reply = await self.create_upload(file)
        assert reply.status == 201, reply
        location, offset = reply.headers["Location"], int(reply.headers["Upload-Offset"])
        while offset < len(file):
            reply = await self.patch(location, offset, file[offset : offset + piece])
            assert reply.status == 204, reply
            offset = int(reply.headers["Upload-Offset"])
