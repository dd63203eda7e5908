"""Certificates, tokens and secret files: what openssl accepts, what is never there, what is refused."""

from __future__ import annotations

import hmac
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from cloud.errors import SecretMissing, StartError
from cloud.registry.authority import Authority, Issued
from cloud.registry.tokens import DeviceTokens, TokenRefused
from cloud.security.vault import Secrets, Vault
from protocol.codes import base64url
from protocol.errors import Refusal
from tests.cloud.cloud_server import Cloud
from tests.cloud.people_parts import START_MS
from tests.cloud.station_client import Station

NOW = datetime.now(UTC)
DEVICE = "dev_01JZ8Q4W6TABCDEFGHJKMNPQRS"


def leaf_of(authority: Authority, days: int = 90) -> tuple[Issued, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    issued = authority.issue(key, DEVICE, NOW, timedelta(days=days))
    return issued, x509.load_pem_x509_certificate(issued.pem.encode())


def openssl(folder: Path, authority: Authority, leaf: str, *options: str) -> subprocess.CompletedProcess[str]:
    names = {"root.pem": authority.root_pem, "mid.pem": authority.intermediate_pem, "leaf.pem": leaf}
    for name, text in names.items():
        (folder / name).write_text(text)
    command = ["openssl", "verify", *options, "-CAfile", "root.pem", "-untrusted", "mid.pem", "leaf.pem"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_openssl_accepts_the_chain_for_a_client(tmp_path: Path, secrets: Secrets) -> None:
    issued, _ = leaf_of(secrets.authority)
    done = openssl(tmp_path, secrets.authority, issued.pem, "-x509_strict", "-purpose", "sslclient")
    assert done.returncode == 0, done.stdout + done.stderr


def test_openssl_refuses_a_leaf_as_server_or_as_authority(tmp_path: Path, secrets: Secrets) -> None:
    issued, _ = leaf_of(secrets.authority)
    assert openssl(tmp_path, secrets.authority, issued.pem, "-purpose", "sslserver").returncode != 0
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(ValueError):
        Authority(
            x509.load_pem_x509_certificate(secrets.authority.root_pem.encode()),
            x509.load_pem_x509_certificate(issued.pem.encode()),
            key,
        )


def test_openssl_refuses_the_leaf_of_another_authority(tmp_path: Path, secrets: Secrets) -> None:
    other = Vault(tmp_path / "other")
    other.make_authority()
    other.make_missing_keys()
    issued, _ = leaf_of(other.load().authority)
    assert openssl(tmp_path, secrets.authority, issued.pem).returncode != 0


def test_a_leaf_is_exactly_what_the_protocol_says(secrets: Secrets) -> None:
    issued, leaf = leaf_of(secrets.authority)
    assert leaf.subject.rfc4514_string() == f"CN={DEVICE}"
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=90, hours=1)
    extensions = leaf.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"urn:meteor:device:{DEVICE}"]
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert int(issued.serial, 16) == leaf.serial_number
    assert len(issued.serial) == 32


def test_serials_are_128_random_bits(secrets: Secrets) -> None:
    serials = [leaf_of(secrets.authority)[1].serial_number for _ in range(30)]
    assert len(set(serials)) == 30
    assert max(serials).bit_length() > 120
    assert max(serials).bit_length() <= 128


def test_a_leaf_never_outlives_its_authority(secrets: Secrets) -> None:
    with pytest.raises(Refusal) as refused:
        leaf_of(secrets.authority, days=6 * 365)
    assert (refused.value.code, refused.value.status) == ("REG-008", 503)


def test_the_roots_key_is_apart_and_not_needed(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    vault.make_authority()
    vault.make_missing_keys()
    vault.root_key.unlink()
    assert vault.load().authority.root_pem.startswith("-----BEGIN CERTIFICATE")
    modes = {path: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()}
    assert set(modes.values()) == {0o600}
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_every_missing_secret_is_named(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    with pytest.raises(SecretMissing) as missing:
        vault.load()
    for name in vault.needed():
        assert name in str(missing.value)


def test_an_authority_is_never_made_over_another(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    vault.make_authority()
    before = vault.root_certificate.read_bytes()
    with pytest.raises(StartError):
        vault.make_authority()
    vault.make_missing_keys()
    pepper = vault.pepper.read_bytes()
    vault.make_missing_keys()
    assert (vault.root_certificate.read_bytes(), vault.pepper.read_bytes()) == (before, pepper)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("pepper", b"00" * 8),
        ("pepper", b"not hex"),
        ("intermediate_key", b"-----BEGIN nothing"),
        ("config_key", None),
        ("token_key", b""),
        ("root_certificate", b"x"),
    ],
)
def test_a_damaged_secret_is_named_and_not_shown(tmp_path: Path, file: str, content: bytes | None) -> None:
    vault = Vault(tmp_path)
    vault.make_authority()
    vault.make_missing_keys()
    path: Path = getattr(vault, file)
    path.write_bytes(vault.token_key.read_bytes() if content is None else content)
    with pytest.raises(StartError, match="cannot be used") as refused:
        vault.load()
    assert "PRIVATE" not in str(refused.value)


def test_secrets_have_no_representation(secrets: Secrets) -> None:
    assert secrets.pepper.hex() not in repr(secrets)


# --- tokens -------------------------------------------------------------------------------------------------


@pytest.fixture
def tokens(secrets: Secrets) -> DeviceTokens:
    return DeviceTokens(secrets.token_key)


def token_of(tokens: DeviceTokens, **changes: Any) -> str:
    values: dict[str, Any] = {
        "device_id": DEVICE,
        "epoch": 1,
        "keyid": "k" * 43,
        "certificate_sha256": "ab" * 32,
        "now_ms": START_MS,
    }
    return tokens.issue(**(values | changes))


def test_a_token_says_which_key_it_belongs_to(tokens: DeviceTokens) -> None:
    claims = tokens.verify(token_of(tokens), START_MS)
    assert (claims.device_id, claims.epoch, claims.keyid) == (DEVICE, 1, "k" * 43)
    raw = jwt.decode(token_of(tokens), options={"verify_signature": False})
    assert raw["aud"] == "meteor-device"
    assert raw["exp"] - raw["iat"] == 3600
    assert raw["cnf"]["x5t#S256"]


@pytest.mark.parametrize(("seconds", "good"), [(-61, False), (-59, True), (3599, True), (3600, False)])
def test_a_token_lives_one_hour(tokens: DeviceTokens, seconds: int, good: bool) -> None:
    token = token_of(tokens)
    if good:
        assert tokens.verify(token, START_MS + seconds * 1000).device_id == DEVICE
    else:
        with pytest.raises(TokenRefused):
            tokens.verify(token, START_MS + seconds * 1000)


def forged(tokens: DeviceTokens, secrets: Secrets) -> dict[str, str]:
    good = jwt.decode(token_of(tokens), options={"verify_signature": False})
    header = {"typ": "device+jwt", "kid": tokens.kid}
    key, other = secrets.token_key, ec.generate_private_key(ec.SECP256R1())
    public = json.dumps(tokens.jwks())
    return {
        "another key": jwt.encode(good, other, "ES256", headers=header),
        "no signature": jwt.encode(good, "", "none", headers=header),
        "shared secret": hmac_token(good, public.encode(), tokens.kid),
        "another kind": jwt.encode(good, key, "ES256", headers={"kid": tokens.kid}),
        "another audience": jwt.encode(good | {"aud": "meteor-user"}, key, "ES256", headers=header),
        "no end": jwt.encode({k: v for k, v in good.items() if k != "exp"}, key, "ES256", headers=header),
        "no key": jwt.encode({k: v for k, v in good.items() if k != "cnf"}, key, "ES256", headers=header),
        "text as end": jwt.encode(good | {"exp": "never"}, key, "ES256", headers=header),
        "another kid": jwt.encode(good, key, "ES256", headers=header | {"kid": "x" * 43}),
        "no kid": jwt.encode(good, key, "ES256", headers={"typ": "device+jwt"}),
        "nonsense": "a.b.c",
        "empty": "",
    }


def hmac_token(claims: dict[str, Any], secret: bytes, kid: str) -> str:
    """The public key used as a shared secret: libraries refuse to make such a token, attackers do not."""
    head = base64url(json.dumps({"alg": "HS256", "typ": "device+jwt", "kid": kid}).encode())
    body = base64url(json.dumps(claims).encode())
    mac = hmac.digest(secret, f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64url(mac)}"


def test_a_forged_token_proves_nothing(tokens: DeviceTokens, secrets: Secrets) -> None:
    for kind, token in forged(tokens, secrets).items():
        with pytest.raises(TokenRefused):
            tokens.verify(token, START_MS)
            pytest.fail(f"{kind} was accepted")


async def test_the_token_of_a_claim_verifies_with_the_published_key(cloud: Cloud) -> None:
    station = cloud.station()
    opened = await (await cloud.person()).token()
    complete = station.take(await station.claim_with_token(opened["claim_token"]))
    async with cloud.session.get(f"{cloud.base}/v1/jwks") as reply:
        (published,) = (await reply.json())["keys"]
    assert "d" not in published
    key = jwt.PyJWK(published).key
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    claims = jwt.decode(complete.device_token, key, ["ES256"], audience="meteor-device", options=options)
    assert claims["cnf"]["jkt"] == station.keyid


async def test_no_private_key_of_a_station_is_anywhere_on_the_server(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    ada = await cloud.person()
    stations: list[Station] = [await cloud.claimed(ada)]
    by_card = cloud.station()
    claim_id = await by_card.wait_on_card()
    await ada.named(short_id=by_card.short_id, pin=by_card.pin)
    await by_card.finish(claim_id)
    stations.append(by_card)
    files = cloud.stored()
    assert stations[0].keyid.encode() in files, "the search looks at the right files and rows"
    for station in stations:
        scalar = station.key.private_numbers().private_value
        for form in (scalar.to_bytes(32, "big"), f"{scalar:064x}".encode(), str(scalar).encode()):
            assert form not in files
    assert b"PRIVATE KEY" not in files
    assert "PRIVATE" not in capsys.readouterr().err
