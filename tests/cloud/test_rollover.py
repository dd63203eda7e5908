"""Keys of the server give way to new ones: what was signed before holds, and stations follow."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cloud import keys
from cloud.errors import StartError
from cloud.registry.certificates import Certificates
from cloud.registry.tokens import DeviceTokens, TokenRefused
from cloud.security import rollover, vault
from cloud.security.cloud_keys import CloudKeys
from cloud.security.vault import Vault
from protocol.envelope import EnvelopeRefused, open_config
from protocol.messages import ConfigAnswer
from protocol.timestamp import (
    KeysAnswer,
    SignedTime,
    TimeRefused,
    check_time,
    open_keys,
    public_keys,
)
from tests.cloud.cloud_server import Cloud, running_cloud
from tests.cloud.people_parts import START_MS, Clock
from tests.cloud.station_client import Station

NOW = datetime.now(UTC)
DEVICE = "dev_01JZ8Q4W6TABCDEFGHJKMNPQRS"
NONCE = "A" * 22


@pytest.fixture
def made(tmp_path: Path) -> Vault:
    found = Vault(tmp_path / "secrets")
    found.make_authority()
    found.make_missing_keys()
    return found


def verified(folder: Path, leaf: str, mid: str, root: str) -> bool:
    for name, text in {"leaf": leaf, "mid": mid, "root": root}.items():
        (folder / f"{name}.pem").write_text(text)
    command = ["openssl", "verify", "-CAfile", "root.pem", "-untrusted", "mid.pem", "leaf.pem"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def key() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def test_chains_of_both_intermediates_hold_and_both_are_published(made: Vault, tmp_path: Path) -> None:
    before = made.load().authority
    old = before.issue(key(), DEVICE, NOW, timedelta(days=90))
    rollover.roll_over(made, "intermediate")
    after = made.load().authority
    new = after.issue(key(), DEVICE, NOW, timedelta(days=90))
    assert old.issuer != new.issuer
    for issued in (old, new):
        assert verified(tmp_path, issued.pem, after.issuer_pem(issued.issuer), after.root_pem)
        assert verified(tmp_path, issued.pem, after.published_pem, after.published_pem)
    assert not verified(tmp_path, old.pem, after.intermediate_pem, after.root_pem), "it has one of its own"
    assert len(x509.load_pem_x509_certificates(after.published_pem.encode())) == 3
    assert Certificates(after, timedelta(days=1)).authority.root_pem == before.root_pem


def test_each_intermediate_signs_a_list_of_its_own(made: Vault) -> None:
    rollover.roll_over(made, "intermediate")
    authority = made.load().authority
    lists = authority.revocation_lists([], NOW, timedelta(days=7), 1)
    assert lists.count(b"BEGIN X509 CRL") == 2


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_roll_over_that_is_cut_is_mended_by_the_same_command(
    made: Vault, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut before the first, second or third write of a file."""
    written, write = 0, vault.write_secret

    def cutting(path: Path, content: bytes) -> None:
        nonlocal written
        written += 1
        if written > cut:
            raise KeyboardInterrupt
        write(path, content)

    old = made.load().authority.issue(key(), DEVICE, NOW, timedelta(days=90))
    monkeypatch.setattr(rollover, "write_secret", cutting)
    with pytest.raises(KeyboardInterrupt):
        rollover.roll_over(made, "intermediate")
    monkeypatch.undo()
    rollover.roll_over(made, "intermediate")
    after = made.load().authority
    intermediate = x509.load_pem_x509_certificate(after.issuer_pem(old.issuer).encode())
    x509.load_pem_x509_certificate(old.pem.encode()).verify_directly_issued_by(intermediate)


def test_only_the_roots_own_key_makes_an_intermediate(made: Vault, tmp_path: Path) -> None:
    other = Vault(tmp_path / "other")
    other.make_authority()
    before = made.intermediate_certificate.read_bytes()
    for path in (other.root_key, tmp_path / "nothing", made.pepper):
        with pytest.raises(StartError, match="root"):
            rollover.roll_over(made, "intermediate", path)
    assert made.intermediate_certificate.read_bytes() == before


def test_a_token_of_the_old_key_is_good_until_that_is_forgotten(made: Vault) -> None:
    def tokens() -> DeviceTokens:
        secrets = made.load()
        return DeviceTokens(secrets.token_key, secrets.previous_token_keys)

    old = tokens().issue(DEVICE, 1, "k" * 43, "00" * 32, START_MS)
    rollover.roll_over(made, "token")
    assert tokens().verify(old, START_MS).device_id == DEVICE
    kids = [each["kid"] for each in tokens().jwks()["keys"]]
    assert len(kids) == len(set(kids)) == 2
    new = tokens().issue(DEVICE, 1, "k" * 43, "00" * 32, START_MS)
    assert rollover.forget(made, "token") == 1
    assert tokens().verify(new, START_MS).device_id == DEVICE
    with pytest.raises(TokenRefused):
        tokens().verify(old, START_MS)


# --- what a station follows ---------------------------------------------------------------------------------


async def keys_of(cloud: Cloud) -> KeysAnswer:
    async with cloud.session.get(f"{cloud.base}/v1/keys") as reply:
        return msgspec.json.decode(await reply.read(), type=KeysAnswer)


async def time_of(cloud: Cloud, nonce: str = NONCE) -> SignedTime:
    async with cloud.session.get(f"{cloud.base}/time", params={"nonce": nonce}) as reply:
        assert reply.status == 200, await reply.text()
        return msgspec.json.decode(await reply.read(), type=SignedTime)


async def test_configuration_and_time_change_keys_without_a_visit(made: Vault, tmp_path: Path) -> None:
    """A station that pinned the first keys follows to the second; the first are forgotten; it goes on."""
    clock, folder = Clock(), tmp_path / "cloud"
    async with running_cloud(folder, made.load(), clock) as cloud:
        station = cloud.station()
        token = (await (await cloud.person()).token())["claim_token"]
        complete = station.take(await station.claim_with_token(token))
        config_pins, time_pins = public_keys(complete.config_keys), public_keys(complete.time_keys)
        first = await keys_of(cloud)
        held, identity = station.key, station.device_id
    known = open_keys(first.envelope, config_pins, 0)
    assert known is not None
    rollover.roll_over(made, "config")
    rollover.roll_over(made, "time")
    async with running_cloud(folder, made.load(), clock) as cloud:
        station = Station(cloud.session, cloud.base, lambda: clock.now_ms / 1000)
        station.key, station.device_id, station.boot = held, identity, 2
        assert check_time(await time_of(cloud), NONCE, time_pins) == clock.now_ms / 1000
        await opened(station, config_pins)
        fresh = open_keys((await keys_of(cloud)).envelope, config_pins, known.version)
        assert fresh is not None
        new_config, new_time = public_keys(fresh.config_keys), public_keys(fresh.time_keys)
    assert {rollover.forget(made, kind) for kind in ("config", "time")} == {1}
    async with running_cloud(folder, made.load(), clock) as cloud:
        station = Station(cloud.session, cloud.base, lambda: clock.now_ms / 1000)
        station.key, station.device_id, station.boot = held, identity, 3
        assert check_time(await time_of(cloud), NONCE, new_time) == clock.now_ms / 1000
        await opened(station, new_config)
        with pytest.raises(TimeRefused):
            check_time(await time_of(cloud), NONCE, time_pins)
        with pytest.raises(EnvelopeRefused, match="No pinned key"):
            open_keys((await keys_of(cloud)).envelope, config_pins, fresh.version)
        last = open_keys((await keys_of(cloud)).envelope, new_config, fresh.version)
        assert last is not None
        assert len(last.config_keys) == len(last.time_keys) == 1
        with pytest.raises(EnvelopeRefused, match="older"):
            open_keys(first.envelope, config_pins, fresh.version)


async def opened(station: Station, pins: object) -> None:
    answer = (await station.send("GET", f"{station.place}/config")).read(ConfigAnswer)
    payload = open_config(
        answer.config_envelope,
        pins,  # type: ignore[arg-type]
        device_id=station.device_id,
        epoch=1,
        applied=0,
    )
    assert payload.version == 1


# --- the time -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nonce", ["", "short", "A" * 23, "A" * 21 + "!", "A" * 2000])
async def test_the_time_needs_a_nonce(cloud: Cloud, nonce: str) -> None:
    async with cloud.session.get(f"{cloud.base}/time", params={"nonce": nonce}) as reply:
        assert (reply.status, (await reply.json())["field"]) == (422, "$.nonce")


async def test_a_forged_time_is_refused(cloud: Cloud, made: Vault) -> None:
    pins = public_keys(cloud.app[keys.CLOUD_KEYS].time_keys)
    honest = await time_of(cloud)
    assert check_time(honest, NONCE, pins) == cloud.clock.now_ms / 1000
    stranger = CloudKeys(made.load()).time(NONCE, START_MS)
    forged = {
        "another time": msgspec.structs.replace(honest, server_time_ms=honest.server_time_ms + 1),
        "another radius": msgspec.structs.replace(honest, radius_ms=0),
        "another nonce": await time_of(cloud, "B" * 22),
        "a nonce put in": msgspec.structs.replace(await time_of(cloud, "B" * 22), nonce=NONCE),
        "another key": stranger,
        "another key under a known name": msgspec.structs.replace(stranger, key_id=honest.key_id),
        "no signature": msgspec.structs.replace(honest, sig=""),
        "nonsense": msgspec.structs.replace(honest, sig="!!"),
        "the end of time": msgspec.structs.replace(honest, server_time_ms=10**18),
    }
    for kind, answer in forged.items():
        with pytest.raises(TimeRefused):
            check_time(answer, NONCE, pins)
            pytest.fail(f"{kind} was believed")


def test_a_server_of_an_earlier_version_gets_its_time_key_by_itself(made: Vault) -> None:
    made.time_key.unlink()
    first = made.load().time_key
    assert made.load().time_key.private_bytes_raw() == first.private_bytes_raw()
    assert made.time_key.stat().st_mode & 0o777 == 0o600
