"""Who the station is, on disk: key, card, credentials, hotspot key and the numbers of its signatures."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.identity.card import CardFile
from appliance.identity.credentials import CredentialsFile, from_claim
from appliance.identity.file_keys import FileKeys, ephemeral
from appliance.identity.hotspot import HotspotKey
from appliance.identity.keys import KeyDamaged, load_or_create
from appliance.identity.nonces import MOST, Nonces
from protocol.codes import short_id
from protocol.signature import thumbprint
from tests.appliance.fakes import FakeCloud


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- the device key -----------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_stays_the_same(tmp_path: Path) -> None:
    first, again = (
        load_or_create(tmp_path / "identity", FileKeys()),
        load_or_create(tmp_path / "identity", FileKeys()),
    )
    assert first.keyid == again.keyid == thumbprint(again.public_key)
    assert first.short_id == short_id(first.keyid)
    assert mode(tmp_path / "identity") == 0o700
    assert mode(tmp_path / "identity" / "device.key") == 0o600


def test_two_stations_have_two_keys(tmp_path: Path) -> None:
    assert (
        load_or_create(tmp_path / "one", FileKeys()).keyid
        != load_or_create(tmp_path / "two", FileKeys()).keyid
    )


@pytest.mark.parametrize(
    "content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_damaged_key_is_told_and_never_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "device.key"
    path.write_bytes(content)
    with pytest.raises(KeyDamaged, match=r"device\.key.*[Rr]estore"):
        load_or_create(tmp_path, FileKeys())
    assert path.read_bytes() == content


def test_a_key_on_another_curve_is_refused(tmp_path: Path) -> None:
    pem = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "device.key").write_bytes(pem)
    with pytest.raises(KeyDamaged, match="P-256"):
        load_or_create(tmp_path, FileKeys())


def test_the_certificate_request_proves_the_key_and_names_the_station() -> None:
    key = ephemeral()
    request = x509.load_pem_x509_csr(key.csr().encode())
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == f"CN={key.short_id}"
    public = request.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert thumbprint(public) == key.keyid


def test_no_representation_shows_a_secret(tmp_path: Path) -> None:
    key, card = load_or_create(tmp_path, FileKeys()), CardFile(tmp_path, "BCDFGH").current()
    exported = key.private.exported
    assert exported is not None
    private = f"{exported.private_numbers().private_value}"
    assert private not in repr(key)
    assert card.pin not in repr(card)
    assert card.link_secret not in repr(card)
    assert card.pin not in str([card])


# --- the claim card -----------------------------------------------------------------------------------------


def test_the_card_survives_a_power_cut(tmp_path: Path) -> None:
    card = CardFile(tmp_path, "BCDFGH").current()
    assert CardFile(tmp_path, "BCDFGH").current() == card
    assert mode(tmp_path / "card.json") == 0o600


def test_a_renewed_card_replaces_the_burnt_one_for_good(tmp_path: Path) -> None:
    file = CardFile(tmp_path, "BCDFGH")
    burnt = file.current()
    fresh = file.renew()
    assert fresh.link_secret != burnt.link_secret
    assert file.current() == file.known == CardFile(tmp_path, "BCDFGH").current() == fresh


@pytest.mark.parametrize("content", [b"", b"{", b'{"short_id": "BCDFGH"}', b'{"short_id":"\xff"}'])
def test_a_damaged_card_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "card.json").write_bytes(content)
    card = CardFile(tmp_path, "BCDFGH").current()
    assert len(card.pin) == 6
    assert CardFile(tmp_path, "BCDFGH").current() == card


def test_a_card_of_another_key_is_not_shown(tmp_path: Path) -> None:
    old = CardFile(tmp_path, "BCDFGH").current()
    new = CardFile(tmp_path, "XZWVTS").current()
    assert new.short_id == "XZWVTS"
    assert new.link_secret != old.link_secret


def test_nothing_is_known_of_the_card_before_it_was_asked_for(tmp_path: Path) -> None:
    assert CardFile(tmp_path, "BCDFGH").known is None
    assert not (tmp_path / "card.json").exists()


# --- credentials --------------------------------------------------------------------------------------------


async def test_credentials_survive_a_power_cut_and_are_private(tmp_path: Path) -> None:
    async with FakeCloud() as cloud:
        kept = from_claim(cloud.complete(), cloud.url)
    CredentialsFile(tmp_path).keep(kept)
    again = CredentialsFile(tmp_path).current
    assert again == kept
    assert mode(tmp_path / "credentials.json") == 0o600
    assert kept.token not in repr(kept)
    assert again is not None
    assert list(again.pinned_keys()) == ["k1"]


async def test_an_endpoint_is_only_ever_a_path_of_the_configured_cloud(tmp_path: Path) -> None:
    async with FakeCloud() as cloud:
        kept = from_claim(cloud.complete(), cloud.url)
    assert kept.path("https://elsewhere.example/v1/devices/x/events") == "/v1/devices/x/events"


async def test_a_new_name_is_kept_and_nothing_else_changes(tmp_path: Path) -> None:
    async with FakeCloud() as cloud:
        kept = from_claim(cloud.complete(), cloud.url)
    file = CredentialsFile(tmp_path)
    file.rename("nobody's")
    assert file.current is None
    file.keep(kept)
    file.rename("South field")
    assert CredentialsFile(tmp_path).current == msgspec.structs.replace(kept, name="South field")


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"device_id": "\xff"}', b"\x00" * 400])
def test_damaged_credentials_are_set_aside_and_the_station_counts_as_unclaimed(
    tmp_path: Path, damage: bytes
) -> None:
    (tmp_path / "credentials.json").write_bytes(damage)
    assert CredentialsFile(tmp_path).current is None
    assert (tmp_path / "credentials.damaged").read_bytes() == damage
    assert CredentialsFile(tmp_path).current is None


# --- the hotspot's key --------------------------------------------------------------------------------------


def test_the_hotspot_key_is_the_same_at_every_return_of_the_hotspot(tmp_path: Path) -> None:
    key = HotspotKey(tmp_path).current()
    assert HotspotKey(tmp_path).current() == key
    assert mode(tmp_path / "hotspot.key") == 0o600
    assert len(key) == 12
    assert not set(key) & set("01ilo")


@pytest.mark.parametrize("content", [b"", b"short", b"twelve;chars", b"\xff" * 12])
def test_a_hotspot_key_that_no_phone_could_use_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "hotspot.key").write_bytes(content)
    key = HotspotKey(tmp_path).current()
    assert len(key) == 12
    assert HotspotKey(tmp_path).current() == key


# --- nonces -------------------------------------------------------------------------------------------------


def test_the_boot_counter_is_on_disk_before_its_first_nonce(tmp_path: Path) -> None:
    first = Nonces(tmp_path)
    assert (tmp_path / "boot_counter").read_text() == "1"
    assert [first.next(), first.next()] == ["1.1", "1.2"]
    assert Nonces(tmp_path).next() == "2.1"


def test_a_higher_counter_of_the_cloud_is_adopted_durably(tmp_path: Path) -> None:
    nonces = Nonces(tmp_path)
    nonces.next()
    nonces.raise_to(42)
    assert nonces.next() == "42.1"
    assert Nonces(tmp_path).next() == "43.1"


@pytest.mark.parametrize("wish", [0, 1, -7, MOST + 1, 10**12])
def test_a_lower_or_an_absurd_counter_is_not_adopted(tmp_path: Path, wish: int) -> None:
    nonces = Nonces(tmp_path)
    nonces.raise_to(wish)
    assert nonces.next() == "1.1"
    assert (tmp_path / "boot_counter").read_text() == "1"


@pytest.mark.parametrize("content", [b"", b"x", b"-5", b"\xff", b"99999999999999"])
def test_a_damaged_counter_begins_anew_and_the_cloud_tells_the_right_one(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "boot_counter").write_bytes(content)
    assert Nonces(tmp_path).next() == "1.1"


def test_a_failed_write_of_the_counter_leaves_the_old_one_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonces = Nonces(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("appliance.identity.nonces.write_atomically", fail)
    with pytest.raises(OSError, match="No space"):
        nonces.raise_to(9)
    assert nonces.next() == "1.1"


def test_the_cards_link_holds_the_secret_in_its_fragment_only(tmp_path: Path) -> None:
    card = CardFile(tmp_path, "BCDFGH").current()
    before, _, fragment = card.link("https://cloud.example/").partition("#")
    assert before == "https://cloud.example/claim"
    assert fragment == f"BCDFGH.{card.link_secret}"
    assert card.pin not in card.link("https://cloud.example/")
