"""TLS that ends at the cloud: who gets in with which certificate, in optional and in strict mode."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloud import server
from cloud.errors import SettingsError
from cloud.security.vault import Secrets, Vault
from cloud.settings import load
from cloud.tls import server_context
from protocol.certificate_messages import RenewAnswer, RenewRequest
from tests.cloud.cloud_server import Cloud, Person, running_cloud
from tests.cloud.people_parts import Clock
from tests.cloud.station_client import Reply, Station
from tests.netfaults.certificates import make

DAY = 86_400


@dataclass
class Secure:
    """A cloud with TLS, and what a client must trust to speak to it."""

    cloud: Cloud
    trusted: Path
    folder: Path
    owner: Person

    def context(self, certificate: str = "", key: ec.EllipticCurvePrivateKey | None = None) -> ssl.SSLContext:
        """A client's side, with a certificate or without."""
        context = ssl.create_default_context(cafile=self.trusted)
        if key is not None:
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            path = self.folder / "client.pem"
            path.write_bytes(pem + certificate.encode())
            context.load_cert_chain(path)
        return context

    async def station(self) -> Station:
        """A claimed one that presents its certificate."""
        station = self.cloud.station()
        station.tls = self.context()
        token = (await self.owner.token())["claim_token"]
        reply = await station.claim_with_token(token)
        assert reply.status == 201, reply
        station.take(reply)
        station.tls = self.context(station.certificate, station.key)
        return station


async def secure_cloud(tmp_path: Path, secrets: Secrets, require: str) -> AsyncIterator[Secure]:
    trusted = make(tmp_path, "localhost")
    clock = Clock(time.time_ns() // 1_000_000)
    changes: dict[str, Any] = {
        "tls_certificate": tmp_path / "good.pem",
        "public_url": "https://localhost:0",
        "auth_require": require,
    }
    async with running_cloud(tmp_path / "cloud", secrets, clock, **changes) as cloud:
        everywhere = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=trusted))
        async with aiohttp.ClientSession(connector=everywhere) as session:
            owner = await cloud.person()
            owner.session = session
            owner.headers = {**owner.headers, "Cookie": f"__Host-{owner.headers['Cookie']}"}
            yield Secure(cloud, trusted, tmp_path, owner)


@pytest.fixture
async def optional(tmp_path: Path, secrets: Secrets) -> AsyncIterator[Secure]:
    async for made in secure_cloud(tmp_path, secrets, "signature"):
        yield made


@pytest.fixture
async def strict(tmp_path: Path, secrets: Secrets) -> AsyncIterator[Secure]:
    async for made in secure_cloud(tmp_path, secrets, "mtls+signature"):
        yield made


async def renew(station: Station, key: ec.EllipticCurvePrivateKey) -> Reply:
    request = RenewRequest(csr=station.csr(key))
    return await station.send("POST", f"{station.place}/certificates/renew", request)


async def test_the_own_certificate_is_accepted_in_both_modes(strict: Secure) -> None:
    station = await strict.station()
    assert (await station.beat()).status == 200
    assert (await station.report(station.event())).status == 201


async def test_without_a_certificate_a_signature_is_enough_unless_both_are_asked_for(
    optional: Secure,
) -> None:
    station = await optional.station()
    assert (await station.beat()).status == 200
    station.tls = optional.context()
    assert (await station.beat()).status == 200


async def test_strict_mode_refuses_who_presents_none(strict: Secure) -> None:
    station = await strict.station()
    station.tls = strict.context()
    reply = await station.beat()
    assert (reply.status, reply.problem.code, reply.reason) == (401, "REG-004", "no_certificate")


async def test_a_certificate_of_another_authority_does_not_get_a_connection(
    optional: Secure, tmp_path: Path
) -> None:
    station = await optional.station()
    other = Vault(tmp_path / "other")
    other.make_authority()
    other.make_missing_keys()
    foreign = other.load().authority
    now = datetime.now(UTC)
    leaf = foreign.issue(station.key.public_key(), station.device_id, now, timedelta(days=90))
    station.tls = optional.context(leaf.pem + foreign.intermediate_pem, station.key)
    with pytest.raises(aiohttp.ClientError):
        await station.beat()


async def test_another_stations_certificate_proves_nothing_for_this_one(optional: Secure) -> None:
    station, other = await optional.station(), await optional.station()
    station.tls = optional.context(other.certificate, other.key)
    reply = await station.beat()
    assert (reply.status, reply.reason) == (401, "wrong_certificate")


async def test_an_ended_certificate_is_refused_and_can_still_be_renewed(
    strict: Secure, secrets: Secrets
) -> None:
    """Its dates are judged by the cloud's clock, which is moved: the connection itself still opens."""
    station, key = await strict.station(), ec.generate_private_key(ec.SECP256R1())
    strict.cloud.clock.move(91 * DAY)
    reply = await station.beat()
    assert (reply.status, reply.reason) == (403, "certificate_expired")
    made = (await renew(station, key)).read(RenewAnswer)
    station.key, station.tls = key, strict.context(made.device_certificate, key)
    assert (await station.beat()).status == 200


async def test_a_certificate_that_tls_itself_calls_ended_opens_the_connection(
    strict: Secure, secrets: Secrets
) -> None:
    station = await strict.station()
    past = datetime.now(UTC) - timedelta(days=200)
    leaf = secrets.authority.issue(station.key.public_key(), station.device_id, past, timedelta(days=90))
    station.tls = strict.context(leaf.pem + secrets.authority.intermediate_pem, station.key)
    reply = await station.beat()
    assert (reply.status, reply.reason) == (401, "wrong_certificate"), "the cloud never issued this one"
    made = await renew(station, ec.generate_private_key(ec.SECP256R1()))
    assert made.status == 201


async def test_a_revoked_certificate_is_refused_at_the_next_request_of_an_open_connection(
    strict: Secure,
) -> None:
    station = await strict.station()
    assert (await station.beat()).status == 200
    revoked = await strict.owner.send("POST", f"{station.place}/revoke", {})
    assert revoked.status == 200
    assert (await station.beat()).reason == "key_revoked"


async def test_a_new_key_may_first_speak_through_the_old_certificates_connection(strict: Secure) -> None:
    """Else a station could not try its new key before it gives up the old one."""
    station, key = await strict.station(), ec.generate_private_key(ec.SECP256R1())
    made = (await renew(station, key)).read(RenewAnswer)
    station.key = key
    assert (await station.beat()).status == 200
    assert (await station.beat()).reason == "certificate_revoked", "the old certificate is superseded now"
    station.tls = strict.context(made.device_certificate, key)
    assert (await station.beat()).status == 200


async def test_people_need_no_certificate_in_strict_mode(strict: Secure) -> None:
    assert (await strict.owner.send("GET", "/v1/devices")).status == 200


def test_strict_mode_without_tls_is_no_setting(tmp_path: Path, secrets: Secrets) -> None:
    settings = load(None, {"METEOR_CLOUD_AUTH_REQUIRE": "mtls+signature"}, {"data_dir": tmp_path})
    with pytest.raises(SettingsError, match="tls_certificate"):
        server_context(settings, secrets.authority)


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_certificate_that_cannot_be_used_names_its_setting(
    tmp_path: Path, secrets: Secrets, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "x.pem").write_bytes(content)
    settings = load(None, {}, {"data_dir": tmp_path, "tls_certificate": tmp_path / "x.pem"})
    with pytest.raises(SettingsError, match="tls_certificate"):
        server_context(settings, secrets.authority)


async def test_the_plain_door_tells_the_time_and_nothing_else(optional: Secure, unused_tcp_port: int) -> None:
    settings = load(None, {}, {"plain_port": unused_tcp_port, "data_dir": optional.folder})
    async with server.plain_door(optional.cloud.app, settings):
        base = f"http://127.0.0.1:{unused_tcp_port}"
        answers = {}
        for path in (f"/time?nonce={'A' * 22}", "/time", "/crl", "/v1/devices", "/", "/health"):
            async with optional.cloud.session.get(base + path) as reply:
                answers[path] = reply.status
        assert list(answers.values()) == [200, 422, 200, 404, 404, 404]
