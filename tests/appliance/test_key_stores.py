"""What every store of device keys does, wherever it keeps them."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.identity.file_keys import FileKeys
from appliance.identity.keys import KeyDamaged, KeyStore, KeyUnavailable, load_or_create
from appliance.identity.renewal import NextPair
from appliance.identity.tpm_keys import TpmKeys
from appliance.uplink.tls import station_tls
from protocol.signature import Request, parse, sign, thumbprint, verify
from tests.appliance.key_stores import HoldingKeys
from tests.appliance.software_tpm import SoftwareTpm, needs_tpm


@pytest.fixture(params=["file", "memory", pytest.param("tpm", marks=needs_tpm)])
def store(request: pytest.FixtureRequest) -> Iterator[KeyStore]:
    if request.param == "tpm":
        chip = SoftwareTpm()
        chip.start()
        yield TpmKeys(chip.name)
        chip.remove()
    else:
        yield FileKeys() if request.param == "file" else HoldingKeys()


def test_a_key_is_made_once_and_found_again(tmp_path: Path, store: KeyStore) -> None:
    first, again = (load_or_create(tmp_path / "identity", store) for _ in range(2))
    assert first.keyid == again.keyid == thumbprint(again.public_key)
    assert [path.name for path in (tmp_path / "identity").iterdir()] == [store.file]
    assert stat.S_IMODE((tmp_path / "identity" / store.file).stat().st_mode) == 0o600


def test_every_key_is_another_one(tmp_path: Path, store: KeyStore) -> None:
    assert len({load_or_create(tmp_path / name, store).keyid for name in "abc"}) == 3


def test_its_signatures_are_those_of_the_profile(tmp_path: Path, store: KeyStore) -> None:
    key = load_or_create(tmp_path, store)
    plain = Request("POST", "cloud.example", "/v1/x?y=1", {"content-type": "application/json"}, b"{}")
    for number in range(20):  # a short r or s must be filled up with zeros
        added = sign(plain, key.private.sign, key.keyid, created=1_790_000_000, nonce=f"1.{number}")
        request = Request("POST", "cloud.example", "/v1/x?y=1", {**plain.headers, **added}, b"{}")
        verify(parse(request), request, key.public_key, now=1_790_000_000)


def test_openssl_accepts_its_certificate_request(tmp_path: Path, store: KeyStore) -> None:
    key = load_or_create(tmp_path, store)
    (tmp_path / "request.pem").write_text(key.csr())
    command = ["openssl", "req", "-in", str(tmp_path / "request.pem"), "-noout", "-verify", "-subject"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "verify OK" in done.stdout + done.stderr
    assert key.short_id in done.stdout


def test_the_request_is_byte_for_byte_what_the_library_would_have_signed(
    tmp_path: Path, store: KeyStore
) -> None:
    key = load_or_create(tmp_path, store)
    request = x509.load_pem_x509_csr(key.csr().encode())
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == f"CN={key.short_id}"
    assert request.public_key() == key.public_key
    other = ec.generate_private_key(ec.SECP256R1())
    like = x509.CertificateSigningRequestBuilder().subject_name(request.subject)
    theirs = like.sign(other, request.signature_hash_algorithm).tbs_certrequest_bytes  # type: ignore[arg-type]
    der, spki = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    mine = key.public_key.public_bytes(der, spki)
    assert request.tbs_certrequest_bytes == theirs.replace(other.public_key().public_bytes(der, spki), mine)


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff" * 300])
def test_a_damaged_file_is_told_with_its_name_and_left_alone(
    tmp_path: Path, store: KeyStore, content: bytes
) -> None:
    path = tmp_path / store.file
    path.write_bytes(content)
    with pytest.raises(KeyDamaged, match=r"device\.\w+ .*[Rr]eset the station"):
        load_or_create(tmp_path, store)
    assert path.read_bytes() == content


def test_a_file_that_is_not_there_is_no_damage(tmp_path: Path, store: KeyStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.read(tmp_path / store.file)


def test_the_next_key_is_kept_until_it_takes_the_place(tmp_path: Path, store: KeyStore) -> None:
    old, pair = load_or_create(tmp_path, store), NextPair(tmp_path, store)
    new = thumbprint(pair.key().public_key)
    assert thumbprint(NextPair(tmp_path, store).key().public_key) == new != old.keyid
    assert load_or_create(tmp_path, store).keyid == old.keyid
    pair.keep(b"{}")
    pair.install()
    assert load_or_create(tmp_path, store).keyid == new
    assert sorted(path.name for path in tmp_path.iterdir()) == ["credentials.json", store.file]


def test_a_damaged_next_key_is_made_anew(tmp_path: Path, store: KeyStore) -> None:
    (tmp_path / (store.file + ".new")).write_bytes(b"damage")
    pair = NextPair(tmp_path, store)
    assert pair.key().public_key == pair.key().public_key


# --- a holder that falls silent -----------------------------------------------------------------------------


def test_a_silent_holder_costs_no_next_key(tmp_path: Path) -> None:
    store = HoldingKeys()
    new = NextPair(tmp_path, store).key().public_key
    store.silent = True
    with pytest.raises(KeyUnavailable):
        NextPair(tmp_path, store).key()
    store.silent = False
    assert NextPair(tmp_path, store).key().public_key == new


def test_nothing_is_written_while_the_holder_is_silent(tmp_path: Path) -> None:
    store = HoldingKeys()
    store.silent = True
    with pytest.raises(KeyUnavailable):
        load_or_create(tmp_path, store)
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_without_its_key_in_memory_is_not_presented(tmp_path: Path) -> None:
    """OpenSSL wants the key itself; what cannot be done is left, and the signature is the proof."""
    key = load_or_create(tmp_path, HoldingKeys())
    station_tls(None).present("no certificate at all", key.private.exported)
