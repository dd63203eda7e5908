"""What leads from a pinned root to the cloud's keys, and what does not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.security import rollover
from cloud.security.cloud_keys import CloudKeys
from cloud.security.vault import Secrets, Vault
from protocol.timestamp import KeysAnswer
from protocol.vouched import NotVouched, check_leaf, open_vouched, pin_of_pem
from tests.cloud.test_rollover import DEVICE, NOW


def vault(folder: Path) -> Vault:
    made = Vault(folder)
    made.make_authority()
    made.make_missing_keys()
    return made


def told(secrets: Secrets) -> KeysAnswer:
    return CloudKeys(secrets).answer("")


def test_one_hash_is_enough_to_believe_all_keys(tmp_path: Path) -> None:
    secrets = vault(tmp_path).load()
    found = open_vouched(told(secrets), {pin_of_pem(secrets.authority.root_pem)})
    assert found.time_keys == CloudKeys(secrets).time_keys
    assert found.config_keys


@pytest.mark.parametrize("kinds", [("intermediate",), ("config",), ("time",), rollover.KINDS])
def test_the_pin_outlives_every_roll_over_also_when_the_old_is_forgotten(
    tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    made = vault(tmp_path)
    pin = pin_of_pem(made.load().authority.root_pem)
    for change in (rollover.roll_over, rollover.forget):
        for kind in kinds:
            change(made, kind)
        secrets = made.load()
        assert open_vouched(told(secrets), {pin}).time_keys == CloudKeys(secrets).time_keys


def test_another_authority_is_refused_whatever_it_shows(tmp_path: Path) -> None:
    honest, stranger = vault(tmp_path / "one").load(), vault(tmp_path / "two").load()
    pin = pin_of_pem(honest.authority.root_pem)
    mine, its = told(honest), told(stranger)
    both = mine.ca_certificate + its.ca_certificate
    replace = msgspec.structs.replace
    for answer, why in (
        (its, "root is another"),
        (replace(its, ca_certificate=mine.ca_certificate), "vouches for none"),
        (replace(its, ca_certificate=both), "vouches for none"),
        (replace(its, ca_certificate=mine.ca_certificate, vouchers=mine.vouchers), "pinned key"),
        (replace(mine, envelope=its.envelope), "pinned key"),
        (replace(mine, vouchers=[]), "vouches for none"),
        (replace(mine, ca_certificate=""), "root is another"),
        (replace(mine, ca_certificate="-----BEGIN CERTIFICATE-----\nAAAA\n", vouchers=["é"]), "another"),
    ):
        with pytest.raises(NotVouched, match=why):
            open_vouched(answer, {pin})


def test_the_certificate_of_a_station_vouches_for_nothing(tmp_path: Path) -> None:
    secrets = vault(tmp_path).load()
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    leaf = secrets.authority.issue(key, DEVICE, NOW, timedelta(days=90))
    answer = msgspec.structs.replace(told(secrets), vouchers=[leaf.pem])
    with pytest.raises(NotVouched, match="vouches for none"):
        open_vouched(answer, {pin_of_pem(secrets.authority.root_pem)})


def test_a_stations_own_certificate_must_be_its_own_and_of_that_root(tmp_path: Path) -> None:
    honest, stranger = vault(tmp_path / "one").load(), vault(tmp_path / "two").load()
    pin = {pin_of_pem(honest.authority.root_pem)}
    key, other = (ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(2))
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ca, life = honest.authority.published_pem, timedelta(days=90)
    check_leaf(honest.authority.issue(key, DEVICE, NOW, life).pem, ca, pin, encoded)
    with pytest.raises(NotVouched, match="not for this station"):
        check_leaf(honest.authority.issue(other, DEVICE, NOW, life).pem, ca, pin, encoded)
    with pytest.raises(NotVouched, match="not issued under"):
        check_leaf(stranger.authority.issue(key, DEVICE, NOW, life).pem, ca, pin, encoded)
    with pytest.raises(NotVouched, match="not for this station"):
        check_leaf("", ca, pin, encoded)
