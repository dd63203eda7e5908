"""A real station's client and a real cloud with TLS: clocks wrong by years, and forged times."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.identity.credentials import CredentialsFile, from_claim
from appliance.identity.file_keys import FileKeys
from appliance.identity.keys import load_or_create
from appliance.identity.nonces import Nonces
from appliance.identity.renewal import NextPair
from appliance.recognised import explained
from appliance.uplink.client import CloudClient, Unreachable, trust
from appliance.uplink.first_time import FirstTime, pinned_in_settings, time_address
from appliance.uplink.pins import KeyFollower
from appliance.uplink.renewal import LOOK_S, Renewal
from appliance.uplink.time import CloudTime
from cloud import keys, server
from cloud.security import rollover
from cloud.security.cloud_keys import CloudKeys
from cloud.security.vault import Secrets, Vault
from cloud.settings import load
from firmware.clock import SystemClock, keep_past, read_kept_time
from protocol.codes import base64url
from protocol.messages import ClaimComplete
from protocol.timestamp import SignedTime, public_keys
from protocol.vouched import pin_of_pem
from tests.cloud.cloud_server import Cloud, running_cloud
from tests.cloud.people_parts import Clock
from tests.cloud.station_client import Station
from tests.netfaults.certificates import make

YEAR, DAY = 365 * 86_400, 86_400
WRONG = {"1970": -time.time(), "three years ahead": 3 * YEAR, "three months behind": -90 * DAY}


@dataclass
class World:
    """A cloud with TLS on one port and the time without it on another."""

    cloud: Cloud
    trusted: Path
    folder: Path
    time_url: str
    complete: ClaimComplete

    def station(
        self, off: float, *, kept: float | None = None, time_url: str = "", root: str | None = None
    ) -> Life:
        return Life(self, off, kept, time_url or self.time_url, root)


class Life:
    """One start of a station whose system clock is `off` seconds wrong and which nobody synchronises."""

    def __init__(
        self, world: World, off: float, kept: float | None, time_url: str, root: str | None = None
    ) -> None:
        self.floor = world.folder / "clock"
        self.clock = SystemClock(
            built=time.time() - YEAR,
            kept=kept,
            root=world.folder,
            kernel=lambda: None,
            wall=lambda: time.time() + off,
        )
        self.time = CloudTime(self.clock)
        folder = world.folder / "identity"
        self.credentials = CredentialsFile(folder)
        self.tls = trust(str(world.trusted), world.cloud.base, time=self.time)
        self.key = load_or_create(folder, FileKeys())
        self.client = CloudClient(
            world.cloud.base, self.key, Nonces(folder), self.time, aiohttp.TCPConnector, self.tls
        )
        self.first = FirstTime(
            self.time,
            time_url,
            dict if root is not None else self._pins,
            aiohttp.TCPConnector,
            lambda at: keep_past(self.floor, at),
            lambda: [root] if root else [],
        )
        self.client.before_request = self.first.ensure
        self.renewal = Renewal(self.client, self.credentials, NextPair(folder, FileKeys()), self.first.ensure)

    def _pins(self) -> Mapping[str, Ed25519PublicKey]:
        current = self.credentials.current
        return public_keys(current.time_keys) if current else {}

    async def ask(self) -> int:
        """A request as stations make it: over TLS, signed."""
        current = self.credentials.current
        assert current is not None
        return (await self.client.send("GET", f"/v1/devices/config/{current.device_id}")).status

    @property
    def wrong_by(self) -> float:
        return abs(self.time.now() - time.time())


@asynccontextmanager
async def world_of(
    tmp_path: Path, secrets: Secrets, port: int, require: str = "signature"
) -> AsyncIterator[World]:
    trusted = make(tmp_path, "localhost")
    changes: dict[str, Any] = {
        "tls_certificate": tmp_path / "good.pem",
        "public_url": "https://localhost:0",
        "auth_require": require,
    }
    clock = Clock(time.time_ns() // 1_000_000)
    async with running_cloud(tmp_path / "cloud", secrets, clock, **changes) as cloud:
        settings = load(None, {}, {"plain_port": port, "data_dir": tmp_path})
        async with server.plain_door(cloud.app, settings):
            complete = await claimed(cloud, trusted, tmp_path / "identity")
            yield World(cloud, trusted, tmp_path, f"http://127.0.0.1:{port}/time", complete)


async def claimed(cloud: Cloud, trusted: Path, folder: Path) -> ClaimComplete:
    """Makes a key and its credentials in `folder`."""
    shape = cloud.station()
    shape.tls = ssl.create_default_context(cafile=trusted)
    shape.takes_over(load_or_create(folder, FileKeys()))
    owner = await cloud.person()
    owner.headers = {**owner.headers, "Cookie": f"__Host-{owner.headers['Cookie']}"}
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=trusted))
    async with aiohttp.ClientSession(connector=connector) as session:
        owner.session = session
        token = (await owner.token())["claim_token"]
    complete = (await shape.claim_with_token(token)).read(ClaimComplete)
    CredentialsFile(folder).keep(from_claim(complete, cloud.base))
    return complete


@pytest.fixture
async def world(tmp_path: Path, secrets: Secrets, unused_tcp_port: int) -> AsyncIterator[World]:
    async with world_of(tmp_path, secrets, unused_tcp_port) as made:
        yield made


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_clock_recovers_by_the_signed_time(world: World, name: str) -> None:
    life = world.station(WRONG[name])
    assert life.wrong_by > 80 * DAY
    assert await life.ask() == 200
    assert life.wrong_by < 5
    await life.client.close()


@pytest.mark.parametrize("name", WRONG)
async def test_without_the_signed_time_a_wrong_clock_ends_at_the_server_certificate(
    world: World, name: str
) -> None:
    life = world.station(WRONG[name])
    life.client.before_request = None
    with pytest.raises(Unreachable, match=r"not yet valid|has expired") as refused:
        await life.ask()
    assert refused.value.fault == "tls"
    await life.client.close()


async def test_a_server_certificate_newer_than_the_floor_is_no_obstacle(world: World) -> None:
    """Off for three months: the kept floor is older than the certificate that the cloud got meanwhile."""
    life = world.station(-time.time(), kept=time.time() - 90 * DAY)
    assert 80 * DAY < life.wrong_by < 100 * DAY, "the floor counts up from what was kept"
    assert await life.ask() == 200
    assert life.wrong_by < 5
    kept = read_kept_time(life.floor)
    assert kept is not None
    assert abs(kept - time.time()) < 120, "and the next start begins from here"
    await life.client.close()


async def test_the_floor_alone_opens_the_connection_where_it_is_new_enough(world: World) -> None:
    """The system's clock says 1970; OpenSSL reads that one, the station does not."""
    life = world.station(-time.time(), kept=time.time() - 3600)
    life.client.before_request = None
    assert await life.ask() == 200
    await life.client.close()


@pytest.mark.parametrize("name", WRONG)
async def test_a_station_that_knows_no_key_learns_the_time_by_the_pin_of_the_root(
    world: World, secrets: Secrets, name: str
) -> None:
    """As before its claim, with nothing but the pin of a claim code or of the settings."""
    life = world.station(WRONG[name], root=pin_of_pem(secrets.authority.root_pem))
    assert await life.ask() == 200
    assert life.wrong_by < 5
    await life.client.close()


async def test_without_any_pin_the_refusal_names_the_clock(world: World) -> None:
    life = world.station(-90 * DAY, root="")
    with pytest.raises(Unreachable) as refused:
        await life.ask()
    sentence, action = explained("REG-005", str(refused.value))
    assert "clock" in sentence.text
    assert "claim code" in action.text
    await life.client.close()


async def test_the_pin_of_another_root_brings_no_time(world: World) -> None:
    life = world.station(-90 * DAY, root="a" * 64)
    with pytest.raises(Unreachable, match="not yet valid"):
        await life.ask()
    assert not life.time.trusted
    await life.client.close()


async def test_a_station_whose_pinned_time_keys_are_forgotten_comes_back_by_its_root(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    vault = Vault(tmp_path / "secrets")
    vault.make_authority()
    vault.make_missing_keys()
    old = CloudKeys(vault.load()).time_keys
    roll(vault)
    forget(vault)
    root = pin_of_pem(vault.load().authority.root_pem)
    async with world_of(tmp_path, vault.load(), unused_tcp_port) as world:
        life = world.station(-90 * DAY, root=root)
        life.first = FirstTime(
            life.time, world.time_url, lambda: public_keys(old), aiohttp.TCPConnector, print, lambda: [root]
        )
        life.client.before_request = life.first.ensure
        assert await life.ask() == 200
        await life.client.close()


Forge = Callable[[SignedTime], SignedTime | bytes]
FORGERIES: dict[str, Forge] = {
    "another time": lambda honest: msgspec.structs.replace(honest, server_time_ms=1),
    "another nonce": lambda honest: msgspec.structs.replace(honest, nonce="A" * 22),
    "no signature": lambda honest: msgspec.structs.replace(honest, sig=""),
    "another page": lambda _: b"<html>sign in to this Wi-Fi</html>",
    "no text": lambda _: b"\xff\xfe",
    "endless": lambda _: b"[" * 100_000,
}


@pytest.mark.parametrize("name", [*FORGERIES, "another key"])
async def test_a_forged_time_changes_nothing(
    world: World, secrets: Secrets, tmp_path: Path, name: str
) -> None:
    stranger = Vault(tmp_path / "stranger")
    stranger.make_authority()
    stranger.make_missing_keys()
    signer = CloudKeys(stranger.load() if name == "another key" else secrets)

    async def answer(request: web.Request) -> web.Response:
        honest = signer.time(request.query["nonce"], time.time_ns() // 1_000_000 + 7 * DAY * 1000)
        told = FORGERIES[name](honest) if name in FORGERIES else honest
        return web.Response(body=told if isinstance(told, bytes) else msgspec.json.encode(told))

    app = web.Application()
    app.router.add_get("/time", answer)
    async with TestServer(app) as forger:
        life = world.station(-90 * DAY, time_url=str(forger.make_url("/time")))
        with pytest.raises(Unreachable, match="not yet valid"):
            await life.ask()
        assert 80 * DAY < life.wrong_by < 100 * DAY
        assert not life.time.trusted
        assert read_kept_time(life.floor) is None
        await life.client.close()


async def test_a_replayed_time_is_refused(world: World) -> None:
    """An answer that was honest once, heard on the air, and given to another question."""
    asked = world.cloud.session.get(world.time_url, params={"nonce": "A" * 22})
    async with asked as reply:
        heard = await reply.read()

    async def replay(_request: web.Request) -> web.Response:
        return web.Response(body=heard)

    app = web.Application()
    app.router.add_get("/time", replay)
    async with TestServer(app) as forger:
        life = world.station(-90 * DAY, time_url=str(forger.make_url("/time")))
        await life.first.ensure()
        assert not life.time.trusted
        await life.client.close()


async def test_the_time_is_not_asked_where_somebody_vouches_for_it(world: World) -> None:
    life = world.station(0.0, time_url="http://127.0.0.1:1/time")
    (world.folder / "run/systemd/timesync").mkdir(parents=True)
    (world.folder / "run/systemd/timesync/synchronized").touch()
    assert life.time.trusted
    assert await life.ask() == 200
    await life.client.close()


async def test_a_station_in_strict_mode_presents_its_certificate_and_its_next_one(
    tmp_path: Path, secrets: Secrets, unused_tcp_port: int
) -> None:
    async with world_of(tmp_path, secrets, unused_tcp_port, "mtls+signature") as world:
        life = world.station(0.0)
        assert life.credentials.current is not None
        await life.client.present(life.credentials.current.certificate)
        assert await life.ask() == 200
        life.renewal.heard("certificate_expired")
        before = life.key.keyid
        assert await life.renewal.look() == LOOK_S
        assert life.key.keyid != before
        assert await life.ask() == 200
        await life.client.close()


async def test_a_station_follows_new_keys_without_a_visit(tmp_path: Path, unused_tcp_port: int) -> None:
    vault = Vault(tmp_path / "secrets")
    vault.make_authority()
    vault.make_missing_keys()
    clock, folder, life = Clock(), tmp_path / "cloud", tmp_path / "identity"
    pins: list[list[str]] = []
    for change in (None, roll, forget):
        if change is not None:
            change(vault)
        async with running_cloud(folder, vault.load(), clock) as cloud:
            credentials, key = CredentialsFile(life), load_or_create(life, FileKeys())
            if credentials.current is None:
                shape = Station(cloud.session, cloud.base, lambda: clock.now_ms / 1000)
                shape.takes_over(key)
                token = (await (await cloud.person()).token())["claim_token"]
                complete = (await shape.claim_with_token(token)).read(ClaimComplete)
                credentials.keep(from_claim(complete, cloud.base))
            fixed = CloudTime(SystemClock(built=clock.now_ms / 1000, wall=lambda: clock.now_ms / 1000))
            client = CloudClient(cloud.base, key, Nonces(life), fixed, aiohttp.TCPConnector)
            assert await KeyFollower(client, credentials, client.close).look()
            assert credentials.current is not None
            assert credentials.current.key_version == vault.load().key_version
            pins.append([each.kid for each in credentials.current.config_keys])
            assert list(credentials.current.time_keys) == cloud.app[keys.CLOUD_KEYS].time_keys
            await client.close()
    first, both, last = pins
    assert both == [*last, *first]
    assert first != last


def roll(vault: Vault) -> None:
    for kind in ("config", "time"):
        rollover.roll_over(vault, kind)


def forget(vault: Vault) -> None:
    for kind in ("config", "time"):
        rollover.forget(vault, kind)


@pytest.mark.parametrize(
    ("cloud_url", "wished", "address"),
    [
        ("https://cloud.example", "", "http://cloud.example/time"),
        ("https://cloud.example:8443", "", "http://cloud.example/time"),
        ("https://[2001:db8::1]", "", "http://[2001:db8::1]/time"),
        ("http://localhost:8800/", "", "http://localhost:8800/time"),
        ("https://cloud.example", "http://other.example:81/time", "http://other.example:81/time"),
    ],
)
def test_where_the_time_is_asked(cloud_url: str, wished: str, address: str) -> None:
    assert time_address(cloud_url, wished) == address


def test_a_key_of_the_settings_is_pinned_under_the_name_that_the_cloud_gives_it(secrets: Secrets) -> None:
    raw = base64url(secrets.time_key.public_key().public_bytes_raw())
    assert pinned_in_settings((raw,)) == CloudKeys(secrets).time_keys
