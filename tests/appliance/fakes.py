"""A cloud in memory that speaks real HTTP and verifies every signature; a test may script what goes wrong."""

from __future__ import annotations

import base64
import hashlib
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocol import errors, signature
from protocol.clock import from_unix
from protocol.codes import base64url, new_claim_token, uuid7
from protocol.compression import CODING, unpack
from protocol.envelope import Envelope, seal
from protocol.errors import PROBLEM_TYPE, Problem, Refusal
from protocol.event import (
    BatchAnswer,
    Event,
    EventAnswer,
    EventBatch,
    KeptAnswer,
    KeptRequest,
    PendingMedia,
)
from protocol.messages import (
    ApiEndpoints,
    Challenge,
    ClaimComplete,
    ClaimPending,
    ClaimRequest,
    Command,
    ConfigAnswer,
    ConfigKey,
    ConfigUpdates,
    ConfirmRequest,
    HeartbeatAnswer,
    HeartbeatRequest,
    Pending,
    ValidateAnswer,
    ValidateRequest,
)

DEVICE_ID = "dev_" + "0" * 25 + "1"
CLAIM_ID = "clm_" + "0" * 25 + "1"

Handler = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Heard:
    """One request as it arrived. `honest` is false when a script answered it."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    honest: bool

    @property
    def nonce(self) -> str:
        """The nonce of its signature."""
        return self.headers["signature-input"].split('nonce="')[1].split('"')[0]


@dataclass
class Place:
    """One upload: where it is, what arrived, how long it will be."""

    sha256: str
    size: int
    data: bytearray = field(default_factory=bytearray)


async def _healthy(_request: web.Request) -> web.Response:
    """What anybody may ask."""
    return web.json_response({"status": "ok", "checks": {}, "server_time": "2026-01-01T00:00:00Z"})


class FakeCloud:
    """Use it as a context. `requests` is all that came; `script` puts answers before the honest ones."""

    def __init__(self) -> None:
        self.requests: list[Heard] = []
        self.keys: dict[str, ec.EllipticCurvePublicKey] = {}
        self.windows: dict[str, signature.ReplayWindow] = {}
        self.skew = 0.0
        self.token = new_claim_token()
        self.person_came = False
        self.owned = False
        self.name = "North roof"
        self.epoch = 1
        self.next_heartbeat_in = 30
        self.commands: list[Command] = []
        self.heartbeats: list[HeartbeatRequest] = []
        self.signing = Ed25519PrivateKey.generate()
        self.config_version = 1
        self.desired: dict[str, Any] = {}
        self.events: dict[str, bytes] = {}
        self.media: dict[str, bytes] = {}
        self.uploads: dict[str, Place] = {}
        self.cards: list[ClaimRequest] = []
        self.nonce = "n" * 43
        self.interval = 1
        self._scripts: defaultdict[tuple[str, str], deque[Handler]] = defaultdict(deque)
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/{path:.*}", self._take)
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server(auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        """Its address."""
        return str(self._server.make_url("")).rstrip("/")

    def script(self, method: str, path_end: str, *answers: Handler) -> None:
        """The next requests of `method` to a path that ends so get these answers, not the honest one."""
        self._scripts[method, path_end].extend(answers)

    def heard(self, method: str, path_end: str) -> list[Heard]:
        """The requests of `method` to a path that ends so."""
        return [each for each in self.requests if each.method == method and each.path.endswith(path_end)]

    # --- the door -------------------------------------------------------------------------------------------

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        script = self._script_for(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(
            Heard(request.method, request.path, plain(request, body), headers, script is None)
        )
        if script is not None:
            return await script(request, body)
        return await self.honest(request, body)

    def _script_for(self, request: web.Request) -> Handler | None:
        for (method, path_end), answers in self._scripts.items():
            if answers and method == request.method and request.path.endswith(path_end):
                return answers.popleft()
        return None

    async def honest(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """What a well cloud answers."""
        if request.path == "/health":
            return await _healthy(request)
        try:
            self._verify(request, body)
            return self._route(request, plain(request, body))
        except Refusal as refusal:
            return self.refused(refusal)

    def refused(self, refusal: Refusal) -> web.Response:
        """A problem, as the cloud sends it."""
        told = refusal.problem(server_time=from_unix(self.now()), correlation_id="c-1")
        return problem_response(told, refusal.retry_after)

    def now(self) -> float:
        """The cloud's time in seconds since 1970."""
        return time.time() + self.skew

    def _verify(self, request: web.Request, body: bytes) -> None:
        seen = signature.Request(
            request.method,
            request.headers["Host"],
            request.raw_path,
            {name.lower(): value for name, value in request.headers.items()},
            body,
        )
        parsed = signature.parse(seen)
        signature.verify(parsed, seen, self._key(parsed.keyid, request, body), now=self.now())
        window = self.windows.get(parsed.keyid, signature.ReplayWindow())
        moved = window.accept(parsed.boot, parsed.sequence)
        if moved is None:
            raise Refusal("REG-004", errors.REPLAYED_NONCE, "Again?", min_boot_ctr=window.boot + 1)
        self.windows[parsed.keyid] = moved

    def _key(self, keyid: str, request: web.Request, body: bytes) -> ec.EllipticCurvePublicKey:
        if request.path.endswith("/devices/claim"):
            csr = x509.load_pem_x509_csr(msgspec.json.decode(body, type=ClaimRequest).csr.encode())
            key = csr.public_key()
            assert isinstance(key, ec.EllipticCurvePublicKey) and csr.is_signature_valid
            self.keys[signature.thumbprint(key)] = key
        if keyid not in self.keys:
            raise Refusal("REG-004", errors.UNKNOWN_KEY, "Who are you?")
        return self.keys[keyid]

    def _route(self, request: web.Request, body: bytes) -> web.Response:
        path, mine = request.path, f"/v1/devices/{DEVICE_ID}"
        match request.method, path:
            case "POST", "/v1/devices/claim":
                return self._claim(msgspec.json.decode(body, type=ClaimRequest))
            case "POST", "/v1/devices/register/validate":
                return self._validate(msgspec.json.decode(body, type=ValidateRequest))
            case "POST", "/v1/devices/register/confirm":
                return self._confirm(msgspec.json.decode(body, type=ConfirmRequest))
            case "GET", _ if path == f"/v1/devices/config/{DEVICE_ID}" and self.owned:
                return self._config()
            case "POST", _ if path == f"{mine}/heartbeat" and self.owned:
                return self._heartbeat(msgspec.json.decode(body, type=HeartbeatRequest))
            case "POST", _ if path == f"{mine}/events" and self.owned:
                return self._events(msgspec.json.decode(body, type=EventBatch))
            case "POST", _ if path == f"{mine}/events/kept" and self.owned:
                return self._kept(msgspec.json.decode(body, type=KeptRequest))
            case "POST", _ if path == f"{mine}/uploads" and self.owned:
                return self._create(request)
            case (("PATCH" | "HEAD"), _) if path.startswith(f"{mine}/uploads/") and self.owned:
                return self._upload(request, body)
        raise errors.not_found()

    # --- claims ---------------------------------------------------------------------------------------------

    def _claim(self, request: ClaimRequest) -> web.Response:
        if request.claim_token is not None:
            if request.claim_token != self.token:
                raise Refusal("REG-004", "unknown_token", "This claim code is not valid.")
            return answer(self.complete(), 201)
        self.cards.append(request)
        if self.owned:
            return answer(self.complete())
        return answer(
            ClaimPending(
                claim_id=CLAIM_ID,
                status="scanning",
                expires_in=900,
                interval=self.interval,
                verification_uri=f"{self.url}/claim",
                server_time=from_unix(self.now()),
            ),
            202,
        )

    def _validate(self, request: ValidateRequest) -> web.Response:
        told = from_unix(self.now())
        if not self.person_came:
            return answer(
                Pending(status="authorization_pending", interval=self.interval, server_time=told), 202
            )
        challenge = Challenge(id="chl_1", nonce=self.nonce, expires_in=120)
        return answer(ValidateAnswer(claim_id=request.claim_id, challenge=challenge, server_time=told))

    def _confirm(self, request: ConfirmRequest) -> web.Response:
        if request.nonce != self.nonce or not self.person_came:
            raise Refusal("REG-004", errors.CHALLENGE_EXPIRED, "This challenge is unknown, used or too old.")
        return answer(self.complete(), 201)

    def complete(self) -> ClaimComplete:
        """The claim's outcome; from now on the station is somebody's."""
        self.owned = True
        mine = f"{self.url}/v1/devices/{DEVICE_ID}"
        return ClaimComplete(
            claim_id=CLAIM_ID,
            device_id=DEVICE_ID,
            device_name=self.name,
            device_token="secret-device-token",
            device_certificate="certificate",
            ca_certificate="ca",
            api_endpoints=ApiEndpoints(
                events=f"{mine}/events",
                telemetry=f"{mine}/telemetry",
                config=f"{self.url}/v1/devices/config/{DEVICE_ID}",
                heartbeat=f"{mine}/heartbeat",
                commands=f"{mine}/commands",
            ),
            initial_config={},
            config_envelope=self.envelope(),
            config_keys=[ConfigKey(kid="k1", x=base64url(self.signing.public_key().public_bytes_raw()))],
            epoch=self.epoch,
            renew_after=from_unix(self.now() + 1e6),
            certificate_not_after=from_unix(self.now() + 2e6),
            server_time=from_unix(self.now()),
        )

    # --- configuration and heartbeat ------------------------------------------------------------------------

    def envelope(self, **changes: Any) -> Envelope:
        """The signed configuration of now, with changes to its payload."""
        payload = {
            "device_id": DEVICE_ID,
            "epoch": self.epoch,
            "version": self.config_version,
            "issued_at": from_unix(self.now()),
            "desired": self.desired,
        } | changes
        return seal(msgspec.json.encode(payload), "k1", self.signing)

    def _config(self) -> web.Response:
        told = from_unix(self.now())
        return answer(
            ConfigAnswer(
                version=self.config_version,
                config=self.desired,
                config_envelope=self.envelope(),
                server_time=told,
            )
        )

    def _heartbeat(self, request: HeartbeatRequest) -> web.Response:
        self.heartbeats.append(request)
        updates = None
        if request.config_version < self.config_version:
            updates = ConfigUpdates(version=self.config_version, updates={}, signature=self.envelope())
        acknowledged = {ack.id for ack in request.command_acks}
        self.commands = [each for each in self.commands if each.id not in acknowledged]
        return answer(
            HeartbeatAnswer(
                status="ok",
                server_time=from_unix(self.now()),
                next_heartbeat_in=self.next_heartbeat_in,
                device_name=self.name,
                commands=self.commands,
                config_updates=updates,
            )
        )

    # --- events and files -----------------------------------------------------------------------------------

    def _events(self, batch: EventBatch) -> web.Response:
        results = []
        for raw in batch.events:
            event = msgspec.json.decode(bytes(raw), type=Event)
            known = event.event_id in self.events
            self.events[event.event_id] = bytes(raw)
            missing = [
                PendingMedia(sha256=file.sha256, size=file.size, upload_url=f"{self.url}/uploads")
                for file in event.media
                if file.sha256 not in self.media
            ]
            results.append(
                EventAnswer(
                    event_id=event.event_id, status="received", duplicate=known, media_pending=missing
                )
            )
        return answer(BatchAnswer(results=results))

    def _kept(self, question: KeptRequest) -> web.Response:
        return answer(
            KeptAnswer(
                missing_events=[each for each in question.events if each not in self.events],
                missing_media=[each for each in question.media if each not in self.media],
            )
        )

    def _create(self, request: web.Request) -> web.Response:
        pairs = [pair.split(" ") for pair in request.headers["Upload-Metadata"].split(",")]
        metadata = {name: base64.b64decode(value).decode() for name, value in pairs}
        sha256, size = metadata["sha256"], int(request.headers["Upload-Length"])
        place = self.uploads.setdefault(f"upl_{sha256[:26]}", Place(sha256, size))
        offset = size if sha256 in self.media else len(place.data)
        location = f"{self.url}/v1/devices/{DEVICE_ID}/uploads/upl_{sha256[:26]}"
        headers = {"Location": location, "Upload-Offset": str(offset), "Tus-Resumable": "1.0.0"}
        return web.Response(status=201, headers=headers)

    def _upload(self, request: web.Request, body: bytes) -> web.Response:
        name = request.path.rpartition("/")[2]
        if name not in self.uploads:
            raise errors.not_found()
        place = self.uploads[name]
        if request.method == "PATCH":
            self.receive(name, int(request.headers["Upload-Offset"]), body, request.headers)
        headers = {"Upload-Offset": str(len(place.data)), "Tus-Resumable": "1.0.0"}
        return web.Response(status=204 if request.method == "PATCH" else 200, headers=headers)

    def receive(self, name: str, offset: int, body: bytes, headers: Any) -> None:
        """One piece of a file. Raises `Refusal` 409, 460 or 422."""
        place = self.uploads[name]
        expected = "sha256 " + base64.b64encode(hashlib.sha256(body).digest()).decode()
        if headers["Upload-Checksum"] != expected:
            raise Refusal(None, "checksum_mismatch", "The piece arrived damaged.", status=460)
        if offset != len(place.data):
            raise Refusal(None, "offset_mismatch", f"The next byte is {len(place.data)}.", status=409)
        place.data += body
        if len(place.data) < place.size:
            return
        if hashlib.sha256(place.data).hexdigest() != place.sha256:
            del self.uploads[name]
            raise Refusal("REG-007", "hash_mismatch", "The file that arrived does not have its SHA-256.")
        self.media[place.sha256] = bytes(place.data)


def plain(request: web.Request, body: bytes) -> bytes:
    """The body without its coding."""
    return unpack(body, 8 << 20) if request.headers.get("Content-Encoding") == CODING else body


# --- answers for scripts ------------------------------------------------------------------------------------


def answer(message: msgspec.Struct, status: int = 200) -> web.Response:
    """A message as JSON."""
    return web.Response(body=msgspec.json.encode(message), status=status, content_type="application/json")


def problem_response(told: Problem, retry_after: float | None = None) -> web.Response:
    """A problem as RFC 9457 has it."""
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:.0f}"}
    return web.Response(
        body=msgspec.json.encode(told), status=told.status, content_type=PROBLEM_TYPE, headers=headers
    )


def problem(status: int, *, retry_after: float | None = None, **members: Any) -> Handler:
    """Refuses with a problem; `members` are those of `Problem`."""

    async def refuse(_request: web.Request, _body: bytes) -> web.StreamResponse:
        return problem_response(Problem(title="Scripted", status=status, **members), retry_after)

    return refuse


def says(status: int, body: bytes = b"", **headers: str) -> Handler:
    """Any answer at all; header names with underscores."""

    async def say(_request: web.Request, _body: bytes) -> web.StreamResponse:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=told)

    return say


async def cut(request: web.Request, _body: bytes) -> web.StreamResponse:
    """The connection ends without an answer, and nothing was done."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def done_then_cut(cloud: FakeCloud) -> Handler:
    """What was asked is done, and the answer is lost on its way."""

    async def lose(request: web.Request, body: bytes) -> web.StreamResponse:
        await cloud.honest(request, body)
        return await cut(request, body)

    return lose


def event(number: int = 1, **changes: Any) -> Event:
    """An event as the station keeps it."""
    values: dict[str, Any] = {
        "event_id": uuid7(1_800_000_000_000 + number),
        "client_event_id": f"e-{number}",
        "event_type": "meteor",
        "timestamp": "2026-08-12T22:14:03.250Z",
    }
    return Event(**values | changes)
