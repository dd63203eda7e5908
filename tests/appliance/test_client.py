"""The signed client against a real HTTP server that verifies every signature with the protocol's own code."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.errors import StartRefused
from appliance.identity.file_keys import ephemeral
from appliance.identity.keys import DeviceKey
from appliance.identity.nonces import Nonces
from appliance.uplink import client as module
from appliance.uplink.client import CloudClient, Refused, Unreachable, trust
from appliance.uplink.time import CloudTime
from firmware.clock import ClockQuality, Source, SystemClock
from protocol import errors
from protocol.messages import ConfigAnswer, Pending
from protocol.signature import ReplayWindow
from tests.appliance.fakes import DEVICE_ID, FakeCloud, cut, problem, says

HEARTBEAT = f"/v1/devices/{DEVICE_ID}/heartbeat"
CONFIG = f"/v1/devices/config/{DEVICE_ID}"


class UnsureClock(SystemClock):
    """This machine's clock, run `off` seconds wrong and vouched for by nobody."""

    def __init__(self, off: float = 0.0) -> None:
        super().__init__(built=0.0, wall=lambda: time.time() + off)

    def quality(self) -> ClockQuality:
        return ClockQuality(False, Source.UNKNOWN, None)


def make_client(url: str, folder: Path, *, key: DeviceKey | None = None, off: float = 0.0) -> CloudClient:
    return CloudClient(
        url, key or ephemeral(), Nonces(folder), CloudTime(UnsureClock(off)), aiohttp.TCPConnector
    )


@pytest.fixture
async def cloud() -> AsyncIterator[FakeCloud]:
    async with FakeCloud() as started:
        started.owned = True
        yield started


@pytest.fixture
async def client(cloud: FakeCloud, tmp_path: Path) -> AsyncIterator[CloudClient]:
    made = make_client(cloud.url, tmp_path)
    cloud.keys[made.key.keyid] = made.key.public_key
    yield made
    await made.close()


# --- signatures ---------------------------------------------------------------------------------------------


async def test_the_cloud_verifies_requests_with_and_without_a_body(
    cloud: FakeCloud, client: CloudClient
) -> None:
    assert (await client.send("GET", CONFIG)).read(ConfigAnswer).version == 1
    body = b'{"claim_id": "clm_00000000000000000000000001"}'
    assert (await client.send("POST", "/v1/devices/register/validate", body)).read(Pending).interval == 1
    assert [each.honest for each in cloud.requests] == [True, True]


async def test_a_query_and_extra_headers_are_signed_as_they_are_sent(
    cloud: FakeCloud, client: CloudClient
) -> None:
    await client.send("GET", f"{CONFIG}?a=b%20c&d=%C3%A9", headers={"Idempotency-Key": "k1"})
    assert '"idempotency-key"' in cloud.requests[0].headers["signature-input"]


async def test_another_key_is_refused_with_the_clouds_own_words(cloud: FakeCloud, tmp_path: Path) -> None:
    stranger = make_client(cloud.url, tmp_path)
    with pytest.raises(Refused) as refused:
        await stranger.send("GET", CONFIG)
    await stranger.close()
    assert (refused.value.status, refused.value.code) == (401, "REG-004")
    assert refused.value.reason == errors.UNKNOWN_KEY
    assert str(refused.value) == "401 REG-004 Who are you?"


async def test_no_two_requests_carry_the_same_nonce(cloud: FakeCloud, client: CloudClient) -> None:
    await asyncio.gather(*(client.send("GET", CONFIG) for _ in range(20)))
    assert len({each.nonce for each in cloud.requests}) == 20


# --- corrections --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [-86_400.0, 3600.0, 1e8])
async def test_a_wrong_clock_is_corrected_and_the_request_repeated_once(
    cloud: FakeCloud, tmp_path: Path, off: float
) -> None:
    client = make_client(cloud.url, tmp_path, off=off)
    cloud.keys[client.key.keyid] = client.key.public_key
    assert (await client.send("GET", CONFIG)).status == 200
    assert len(cloud.requests) == 2
    await client.send("GET", CONFIG)
    assert len(cloud.requests) == 3, "the next request knows the time already"
    await client.close()
    assert client.time.now() == pytest.approx(time.time(), abs=5)
    assert client.time.skew() == pytest.approx(off, abs=5)


@pytest.mark.parametrize("reason", [errors.CLOCK_SKEW, errors.REPLAYED_NONCE])
async def test_a_cloud_that_is_never_content_is_asked_twice_and_not_for_ever(
    cloud: FakeCloud, client: CloudClient, reason: str
) -> None:
    again = problem(401, code="REG-004", min_boot_ctr=1000, reason=reason)
    cloud.script("GET", CONFIG, *[again] * 5)
    with pytest.raises(Refused):
        await client.send("GET", CONFIG)
    assert len(cloud.requests) == 2


async def test_a_station_whose_counter_fell_back_adopts_the_clouds_and_goes_on(
    cloud: FakeCloud, client: CloudClient, tmp_path: Path
) -> None:
    cloud.windows[client.key.keyid] = ReplayWindow(40, 7, 1)
    assert (await client.send("GET", CONFIG)).status == 200
    assert [each.nonce for each in cloud.requests] == ["1.1", "41.1"]
    assert (tmp_path / "boot_counter").read_text() == "41"


async def test_requests_at_the_same_time_all_survive_the_adoption(
    cloud: FakeCloud, client: CloudClient
) -> None:
    cloud.windows[client.key.keyid] = ReplayWindow(40, 7, 1)
    replies = await asyncio.gather(*(client.send("GET", CONFIG) for _ in range(6)))
    assert [reply.status for reply in replies] == [200] * 6
    assert len({each.nonce for each in cloud.requests}) == len(cloud.requests)


async def test_a_replay_without_a_hint_is_not_repeated(cloud: FakeCloud, client: CloudClient) -> None:
    cloud.script("GET", CONFIG, problem(401, reason=errors.REPLAYED_NONCE))
    with pytest.raises(Refused):
        await client.send("GET", CONFIG)
    assert len(cloud.requests) == 1


# --- answers ------------------------------------------------------------------------------------------------


async def test_an_answer_that_comes_in_many_packets_is_read_whole(
    cloud: FakeCloud, client: CloudClient
) -> None:
    body = msgspec.json.encode(
        {"status": "authorization_pending", "interval": 5, "server_time": "x" * 50_000}
    )

    async def drip(request: web.Request, _body: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for start in range(0, len(body), 5000):
            await response.write(body[start : start + 5000])
            await asyncio.sleep(0.005)
        return response

    cloud.script("GET", CONFIG, drip)
    assert (await client.send("GET", CONFIG)).body == body


async def test_an_endless_answer_is_cut_off(
    cloud: FakeCloud, client: CloudClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER", 10_000)
    cloud.script("GET", CONFIG, says(200, b"x" * 10_001))
    with pytest.raises(Unreachable) as failed:
        await client.send("GET", CONFIG)
    assert failed.value.fault == "connect"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_login_page_in_the_way_is_no_answer_of_the_cloud(
    cloud: FakeCloud, client: CloudClient, status: int
) -> None:
    cloud.script("GET", CONFIG, says(status, Location="http://login.example/"))
    with pytest.raises(Unreachable, match="in the cloud's place"):
        await client.send("GET", CONFIG)
    assert len(cloud.requests) == 1, "a signed request is not sent elsewhere"


async def test_a_page_in_the_cloud_s_place_is_called_that(cloud: FakeCloud, client: CloudClient) -> None:
    page = web.Response(body=b"<h1>Free Wi-Fi", content_type="text/html")

    async def show(_request: web.Request, _body: bytes) -> web.Response:
        return page

    cloud.script("GET", CONFIG, show)
    with pytest.raises(Unreachable, match="in the cloud's place"):
        await client.send("GET", CONFIG)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"version": "x"}', b'{"version": "\xff"}', b"[" * 2000])
async def test_an_answer_that_makes_no_sense_is_a_refusal_and_no_crash(
    cloud: FakeCloud, client: CloudClient, body: bytes
) -> None:
    cloud.script("GET", CONFIG, says(200, body))
    reply = await client.send("GET", CONFIG)
    with pytest.raises(Refused) as refused:
        reply.read(ConfigAnswer)
    assert refused.value.status == 502


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b'{"title": "\xff"}', b'{"status": "x"}'])
async def test_an_error_that_is_no_problem_document_keeps_its_status(
    cloud: FakeCloud, client: CloudClient, body: bytes
) -> None:
    cloud.script("GET", CONFIG, says(503, body, Retry_After="7"))
    with pytest.raises(Refused) as refused:
        await client.send("GET", CONFIG)
    assert (refused.value.status, refused.value.retry_after, refused.value.code) == (503, 7.0, None)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("0", 1.0), ("30", 30.0), ("99999999999", 86_400.0), ("-1", None), ("²", None), ("soon", None)],
)
async def test_retry_after_is_read_and_bounded(
    cloud: FakeCloud, client: CloudClient, header: str, seconds: float | None
) -> None:
    cloud.script("GET", CONFIG, says(429, Retry_After=header))
    with pytest.raises(Refused) as refused:
        await client.send("GET", CONFIG)
    assert refused.value.retry_after == seconds


async def test_every_answer_teaches_the_time_even_a_refusal(cloud: FakeCloud, client: CloudClient) -> None:
    assert client.time.skew() is None
    with pytest.raises(Refused):
        await client.send("GET", "/v1/devices/nothing")
    assert client.time.skew() == pytest.approx(0, abs=5)


# --- no answer ----------------------------------------------------------------------------------------------


async def test_a_closed_port_is_told_as_a_service_that_does_not_run(tmp_path: Path, free_port: int) -> None:
    client = make_client(f"http://127.0.0.1:{free_port}", tmp_path)
    with pytest.raises(Unreachable) as failed:
        await client.send("GET", "/")
    await client.close()
    assert failed.value.fault == "refused"


async def test_a_connection_that_is_cut_is_told_as_not_connected(
    cloud: FakeCloud, client: CloudClient
) -> None:
    cloud.script("POST", "/cut", cut)
    with pytest.raises(Unreachable) as failed:
        await client.send("POST", "/cut", b"x")
    assert failed.value.fault == "connect"


async def test_an_unknown_name_is_told_as_dns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_name(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    client = make_client("http://cloud.invalid", tmp_path)
    with pytest.raises(Unreachable) as failed:
        await client.send("GET", "/")
    await client.close()
    assert failed.value.fault == "dns"


async def test_a_cloud_that_does_not_answer_in_time_is_told_as_timeout(
    cloud: FakeCloud, client: CloudClient
) -> None:
    never = asyncio.Event()

    async def hang(_request: web.Request, _body: bytes) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    cloud.script("GET", CONFIG, hang)
    with pytest.raises(Unreachable) as failed:
        await client.send("GET", CONFIG, timeout=aiohttp.ClientTimeout(total=0.2))
    never.set()
    assert failed.value.fault == "timeout"


async def test_after_a_failure_the_same_client_works_again(cloud: FakeCloud, client: CloudClient) -> None:
    cloud.script("GET", CONFIG, cut, cut)  # aiohttp itself repeats a GET once on a connection it kept
    with pytest.raises(Unreachable):
        await client.send("GET", CONFIG)
    cloud._scripts.clear()
    assert (await client.send("GET", CONFIG)).status == 200


# --- TLS ----------------------------------------------------------------------------------------------------


def authority(folder: Path, name: str = "localhost") -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for `name`, and a server that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "ca.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = folder / "ca.key"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path, private)
    return path, context


@pytest.mark.parametrize(
    ("name", "trusted", "fault"),
    [("localhost", True, None), ("localhost", False, "tls"), ("elsewhere.example", True, "tls")],
)
async def test_only_the_right_certificate_for_the_right_name_is_trusted(
    tmp_path: Path, name: str, trusted: bool, fault: str | None
) -> None:
    ca, context = authority(tmp_path, name)
    app = web.Application()
    app.router.add_get("/", _hello)
    server = TestServer(app, host="localhost")
    await server.start_server(ssl=context)
    url = f"https://localhost:{server.port}"
    tls = trust(str(ca), url) if trusted else None
    client = CloudClient(
        url, ephemeral(), Nonces(tmp_path), CloudTime(UnsureClock()), aiohttp.TCPConnector, tls
    )
    try:
        if fault is None:
            assert (await client.send("GET", "/")).body == b"hello"
        else:
            with pytest.raises(Unreachable) as failed:
                await client.send("GET", "/")
            assert failed.value.fault == fault
    finally:
        await client.close()
        await server.close()


async def _hello(_request: web.Request) -> web.Response:
    return web.Response(body=b"hello")


def test_a_file_that_holds_no_certificate_is_refused_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(StartRefused, match=r"cloud\.ca_certificate: .*ca\.pem"):
        trust(str(tmp_path / "ca.pem"), "https://cloud.example")
    assert trust(str(tmp_path / "ca.pem"), "http://localhost") is None
