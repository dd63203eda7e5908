"""The device key in a real TPM 2.0, played by swtpm: what a chip adds to the contract of all stores."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.identity import tpm_chip
from appliance.identity.keys import KeyDamaged, KeyUnavailable, load_or_create
from appliance.identity.renewal import NextPair
from appliance.identity.tpm_keys import TpmKeys
from protocol.signature import Request, parse, sign, verify
from tests.appliance.software_tpm import SoftwareTpm, needs_tpm

PLAIN = Request("GET", "cloud.example", "/v1/x", {}, b"")


@pytest.fixture
def tpm() -> Iterator[SoftwareTpm]:
    chip = SoftwareTpm()
    chip.start()
    yield chip
    chip.remove()


def check(key: object, sign_with: object, keyid: str) -> None:
    added = sign(PLAIN, sign_with, keyid, created=1_790_000_000, nonce="1.1")  # type: ignore[arg-type]
    request = Request("GET", "cloud.example", "/v1/x", added, b"")
    verify(parse(request), request, key, now=1_790_000_000)  # type: ignore[arg-type]


@needs_tpm
def test_the_file_holds_no_private_key_and_says_so(tmp_path: Path, tpm: SoftwareTpm) -> None:
    key = load_or_create(tmp_path, TpmKeys(tpm.name))
    text = (tmp_path / "device.tpm").read_text()
    assert text.startswith("-----BEGIN TSS2 PRIVATE KEY-----")
    assert (key.storage, key.private.exported) == ("tpm2", None)


@needs_tpm
def test_the_key_signs_again_after_the_chip_lost_its_power(tmp_path: Path, tpm: SoftwareTpm) -> None:
    key = load_or_create(tmp_path, TpmKeys(tpm.name))
    check(key.public_key, key.private.sign, key.keyid)
    tpm.stop()
    with pytest.raises(KeyUnavailable, match=r"cannot be opened.*identity\.tpm"):
        key.private.sign(b"x")
    tpm.start()
    check(key.public_key, key.private.sign, key.keyid)
    assert load_or_create(tmp_path, TpmKeys(tpm.name)).keyid == key.keyid


@needs_tpm
def test_it_leaves_nothing_in_the_chip(tmp_path: Path, tpm: SoftwareTpm) -> None:
    """A chip has room for three loaded keys; the fourth use would fail."""
    store = TpmKeys(tpm.name)
    key, pair = load_or_create(tmp_path, store), NextPair(tmp_path, store)
    for _ in range(8):
        key.private.sign(b"x")
        pair.key().sign(b"y")


@needs_tpm
def test_many_threads_may_sign_at_once(tmp_path: Path, tpm: SoftwareTpm) -> None:
    key = load_or_create(tmp_path, TpmKeys(tpm.name))
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: check(key.public_key, key.private.sign, key.keyid), range(12)))


@needs_tpm
@pytest.mark.parametrize("loss", ["clear", "replace"])
def test_a_cleared_or_replaced_chip_is_told_and_the_file_stays(
    tmp_path: Path, tpm: SoftwareTpm, loss: str
) -> None:
    key = load_or_create(tmp_path, TpmKeys(tpm.name))
    key.private.sign(b"x")
    before = (tmp_path / "device.tpm").read_bytes()
    getattr(tpm, loss)()
    with pytest.raises(KeyUnavailable, match="cleared or replaced"):
        key.private.sign(b"x")
    with pytest.raises(KeyDamaged, match=r"device\.tpm.*cleared or replaced") as told:
        load_or_create(tmp_path, TpmKeys(tpm.name))
    assert not isinstance(told.value, KeyUnavailable)
    assert (tmp_path / "device.tpm").read_bytes() == before


@needs_tpm
def test_the_key_of_another_machine_is_worth_nothing(tmp_path: Path, tpm: SoftwareTpm) -> None:
    """Whoever copies the card has the file, and no key."""
    load_or_create(tmp_path, TpmKeys(tpm.name))
    other = SoftwareTpm()
    other.start()
    try:
        with pytest.raises(KeyDamaged, match="does not know"):
            load_or_create(tmp_path, TpmKeys(other.name))
    finally:
        other.remove()


@needs_tpm
def test_a_file_with_a_flipped_bit_is_damaged(tmp_path: Path, tpm: SoftwareTpm) -> None:
    load_or_create(tmp_path, TpmKeys(tpm.name))
    path = tmp_path / "device.tpm"
    lines = path.read_text().splitlines()
    for number in range(1, len(lines) - 2):  # the last of the key is short
        line = lines[number]
        turned = line[:30] + ("A" if line[30:31] != "A" else "B") + line[31:]
        path.write_text("\n".join([*lines[:number], turned, *lines[number + 1 :]]) + "\n")
        with pytest.raises(KeyDamaged):
            load_or_create(tmp_path, TpmKeys(tpm.name))


@needs_tpm
def test_a_password_of_the_owner_is_named(tmp_path: Path, tpm: SoftwareTpm) -> None:
    from tpm2_pytss import ESAPI, ESYS_TR

    with ESAPI(tpm.name) as chip:
        chip.hierarchy_change_auth(ESYS_TR.OWNER, b"secret")
    with pytest.raises(KeyUnavailable, match=r"owner hierarchy.*password"):
        load_or_create(tmp_path, TpmKeys(tpm.name))
    assert list(tmp_path.iterdir()) == []


# --- without a chip -----------------------------------------------------------------------------------------


@needs_tpm
def test_no_device_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable, match=r"no /.*/tpmrm9\. Switch the TPM on"):
        load_or_create(tmp_path / "identity", TpmKeys(f"device:{tmp_path}/tpmrm9"))
    assert list((tmp_path / "identity").iterdir()) == []


@needs_tpm
def test_a_device_that_the_station_may_not_use_names_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tpmrm0").touch()
    monkeypatch.setattr(tpm_chip.os, "access", lambda *_: False)  # type: ignore[attr-defined]
    with pytest.raises(KeyUnavailable, match="group `tss`"):
        load_or_create(tmp_path / "identity", TpmKeys(f"device:{tmp_path}/tpmrm0"))


def test_a_missing_library_is_told_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tpm2_pytss", None)
    with pytest.raises(KeyUnavailable, match="apt install python3-tpm2-pytss"):
        load_or_create(tmp_path, TpmKeys())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "device.tpm").write_bytes(b"something")
    with pytest.raises(KeyUnavailable, match="apt install python3-tpm2-pytss"):
        load_or_create(tmp_path, TpmKeys())
