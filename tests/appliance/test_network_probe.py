"""Is the internet there: the table of the decision, and a probe against servers that behave and misbehave."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import itertools
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.network import probe as probes
from appliance.network import verdict
from appliance.network.internet import InternetEvidence, Met, internet_code, is_online, met_by
from appliance.network.probe import Probe

HEALTHY = b'{"status":"ok","checks":{},"server_time":"2026-01-01T00:00:00Z"}'
UNWELL = HEALTHY.replace(b'"ok"', b'"failed"')

# --- the decision -------------------------------------------------------------------------------------------

CODES = [
    (InternetEvidence(Met.OURS, Met.OURS), None),
    (InternetEvidence(Met.FOREIGN, Met.OURS, portal=True), None),
    (InternetEvidence(Met.FOREIGN, Met.SILENT), verdict.LOGIN_PAGE),
    (InternetEvidence(Met.FOREIGN, Met.NO_TRUST), verdict.LOGIN_PAGE),
    (InternetEvidence(Met.FOREIGN, Met.FOREIGN), verdict.LOGIN_PAGE),
    (InternetEvidence(Met.SILENT, Met.SILENT, portal=True), verdict.LOGIN_PAGE),
    (InternetEvidence(Met.NO_NAME, Met.NO_NAME), verdict.NO_NAMES),
    (InternetEvidence(Met.NO_NAME, Met.NO_NAME, known_address=True), verdict.NO_NAMES),
    (InternetEvidence(Met.NO_NAME, Met.NO_NAME, known_address=False), verdict.NO_INTERNET),
    (InternetEvidence(Met.SILENT, Met.WRONG_CLOCK), verdict.WRONG_CLOCK),
    (InternetEvidence(Met.HOME, Met.NO_TRUST), verdict.NO_TRUST),
    (InternetEvidence(Met.SILENT, Met.ERROR), verdict.CLOUD_SILENT),
    (InternetEvidence(Met.SILENT, Met.REFUSED), verdict.CLOUD_SILENT),
    (InternetEvidence(Met.HOME, Met.SILENT), verdict.CLOUD_SILENT),
    (InternetEvidence(Met.OURS, Met.SILENT), verdict.CLOUD_SILENT),
    (InternetEvidence(Met.SILENT, Met.SILENT, full=True), verdict.CLOUD_SILENT),
    (InternetEvidence(Met.SILENT, Met.SILENT), verdict.NO_INTERNET),
    (InternetEvidence(Met.UNREACHABLE, Met.UNREACHABLE), verdict.NO_INTERNET),
    (InternetEvidence(Met.REFUSED, Met.SILENT), verdict.NO_INTERNET),
]


@pytest.mark.parametrize(("seen", "code"), CODES)
def test_the_verdict_about_the_internet(seen: InternetEvidence, code: str | None) -> None:
    assert internet_code(seen) == code


def test_every_evidence_has_a_verdict() -> None:
    flags = (False, True)
    for plain, cloud, known, portal, full in itertools.product(Met, Met, (None, *flags), flags, flags):
        code = internet_code(InternetEvidence(plain, cloud, known, portal, full))
        assert code is None or code in verdict.VERDICTS
        assert (code is None) == (cloud is Met.OURS)


@pytest.mark.parametrize(
    ("code", "online"),
    [(None, True), (verdict.CLOUD_SILENT, True), (verdict.WRONG_CLOCK, True), (verdict.NO_TRUST, False)],
)
def test_a_network_is_good_when_the_fault_is_behind_the_internet(code: str | None, online: bool) -> None:
    assert is_online(code) is online


ANSWERS = [
    (200, "", HEALTHY, False, Met.OURS),
    (503, "", UNWELL, False, Met.ERROR),
    (200, "", b"<html>Please log in</html>", False, Met.FOREIGN),
    (200, "", b"", False, Met.FOREIGN),
    (200, "", b'{"status":"ok"}', False, Met.FOREIGN),
    (204, "", b"", False, Met.FOREIGN),
    (511, "", b"", False, Met.FOREIGN),
    (302, "http://login.hotel.example/", b"", False, Met.FOREIGN),
    (302, "https://cloud.example.org.evil.example/", b"", False, Met.FOREIGN),
    (301, "https://cloud.example.org/health", b"", False, Met.HOME),
    (308, "https://CLOUD.example.org:8443/", b"", False, Met.HOME),
    (301, "http://cloud.example.org/login", b"", False, Met.FOREIGN),
    (502, "", b"bad gateway", False, Met.ERROR),
    (404, "", b"not found", True, Met.ERROR),
]


@pytest.mark.parametrize(("status", "location", "body", "trusted", "met"), ANSWERS)
def test_what_an_answer_means(status: int, location: str, body: bytes, trusted: bool, met: Met) -> None:
    assert met_by(status, location, body, "cloud.example.org", trusted=trusted) is met


# --- the requests -------------------------------------------------------------------------------------------


@asynccontextmanager
async def answering(
    status: int = 200,
    body: bytes = HEALTHY,
    tls: ssl.SSLContext | None = None,
    *,
    chunked: bool = False,
) -> AsyncIterator[int]:
    """A server on loopback; its port."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.path == "/health"
        response = web.Response(status=status, body=body)
        if chunked:
            response.enable_chunked_encoding()
        return response

    app = web.Application()
    app.router.add_get("/{any:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(handle: Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[int]:
    """A server that says what it wants to whoever connects."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        handle(writer)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def met(
    port: int, scheme: str = "http", host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Met:
    probe = Probe(f"{scheme}://{host}:{port}", f"http://127.0.0.1:{port}/health", lambda: tls, 30.0)
    return (await probe.look("lo")).cloud


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_healthy_cloud_is_met(chunked: bool) -> None:
    async with answering(chunked=chunked) as port:
        assert await met(port) is Met.OURS


async def test_an_unwell_cloud_is_met() -> None:
    async with answering(503, UNWELL) as port:
        assert await met(port) is Met.ERROR


async def test_nobody_listens(free_port: int) -> None:
    assert await met(free_port) is Met.REFUSED


NOISE = [
    b"",
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
    b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000,
    b"\xff" * 50 + b"\r\n\r\n",
]


@pytest.mark.parametrize("noise", NOISE)
async def test_what_is_no_answer_of_ours_never_counts_and_never_raises(noise: bytes) -> None:
    async with speaking(lambda writer: writer.write(noise)) as port:
        assert await met(port) in (Met.FOREIGN, Met.SILENT)


async def test_a_server_that_never_answers_is_silent_after_a_while() -> None:
    async def swallow(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with server:
        port = int(server.sockets[0].getsockname()[1])
        seen = await Probe(f"http://127.0.0.1:{port}", step_seconds=0.3).look("lo")
    assert seen.cloud is Met.SILENT


async def test_a_name_that_nobody_knows() -> None:
    seen = await Probe("https://cloud.invalid", step_seconds=30.0).look(None)
    assert (seen.cloud, seen.plain, seen.known_address) == (Met.NO_NAME, Met.NO_NAME, None)


async def test_a_request_leaves_through_the_given_interface_or_not_at_all() -> None:
    async with answering() as port:
        probe = Probe(f"http://127.0.0.1:{port}", step_seconds=30.0)
        assert (await probe.look("lo")).cloud is Met.OURS
        assert (await probe.look("nowhere0")).cloud is Met.UNREACHABLE


async def test_an_address_that_answered_before_tells_a_dead_dns_from_a_dead_internet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def unknown(_url: object) -> None:
        raise OSError

    async with answering() as port:
        probe = Probe(f"http://127.0.0.1:{port}", "http://check.example.org/health", step_seconds=30.0)
        assert (await probe.look("lo")).cloud is Met.OURS
        monkeypatch.setattr(probes, "_resolve", unknown)
        assert (await probe.look("lo")).known_address is True
    seen = await probe.look("nowhere0")
    assert (seen.cloud, seen.known_address) == (Met.NO_NAME, False)


def test_without_a_check_address_the_clouds_host_is_asked_without_tls() -> None:
    assert probes._plain(urlsplit("https://cloud.example.org:8443/base/health")).geturl() == (
        "http://cloud.example.org/base/health"
    )
    assert probes._plain(urlsplit("https://[2001:db8::1]/health")).geturl() == "http://[2001:db8::1]/health"


def certificate(folder: Path, *, days: tuple[int, int]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate valid from and to so many days from now, and who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    both = folder / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(both)
    return server, ssl.create_default_context(cadata=built.public_bytes(serialization.Encoding.PEM).decode())


@pytest.mark.parametrize(
    ("days", "expected"),
    [((-1, 1), Met.OURS), ((-9, -1), Met.WRONG_CLOCK), ((1, 9), Met.WRONG_CLOCK)],
    ids=["valid", "expired", "not yet valid"],
)
async def test_a_certificate_outside_its_time_means_a_wrong_clock(
    tmp_path: Path, days: tuple[int, int], expected: Met
) -> None:
    server, trusting = certificate(tmp_path, days=days)
    async with answering(tls=server) as port:
        assert await met(port, "https", tls=trusting) is expected


async def test_a_certificate_of_somebody_else_means_inspection(tmp_path: Path) -> None:
    server, _ = certificate(tmp_path, days=(-1, 1))
    async with answering(tls=server) as port:
        assert await met(port, "https") is Met.NO_TRUST


async def test_a_cloud_without_tls_where_tls_is_expected_is_not_trusted() -> None:
    async with answering() as port:
        assert await met(port, "https") in (Met.NO_TRUST, Met.SILENT)
