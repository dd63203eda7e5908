"""A station whose key lies in a TPM: from its first start to an event, and the day the TPM is cleared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.people import Browser, Owner
from scripts.processes import Station, eventually
from scripts.steps import arrived, claim, event, go_online
from tests.appliance.software_tpm import SoftwareTpm, needs_tpm
from tests.e2e.conftest import StationFactory

pytestmark = needs_tpm


@pytest.fixture
def tpm() -> Iterator[SoftwareTpm]:
    chip = SoftwareTpm()
    chip.start()
    yield chip
    chip.remove()


@pytest.fixture
def sealed(new_station: StationFactory, tpm: SoftwareTpm) -> Station:
    """A station that was told to use the TPM."""
    return new_station(**{"identity.key_store": "tpm", "identity.tpm": tpm.name})


def test_a_station_works_with_its_key_in_the_tpm_and_its_disk_holds_none(
    sealed: Station, owner: Owner
) -> None:
    go_online(sealed)
    device = claim(sealed, owner)
    sealed.drop("first", event(1))
    arrived(owner, device, {1})
    assert sealed.status()["key_storage"] == "tpm2"
    assert "In the TPM" in Browser(sealed.url()).get("/status").text
    sealed.stop()
    sealed.start()
    sealed.wait_for("operational", seconds=60)
    sealed.drop("second", event(2))
    arrived(owner, device, {1, 2})
    assert (sealed.data / "identity/device.tpm").exists()
    for path in sealed.data.rglob("*"):
        if path.is_file():
            data = path.read_bytes().replace(b"TSS2 PRIVATE KEY", b"")
            assert b"PRIVATE KEY" not in data, path


def test_what_waits_outlives_a_tpm_that_does_not_answer(
    sealed: Station, owner: Owner, tpm: SoftwareTpm
) -> None:
    go_online(sealed)
    device = claim(sealed, owner)
    sealed.drop("first", event(1))
    arrived(owner, device, {1})
    tpm.stop()
    sealed.drop("second", event(2))
    eventually(lambda: "cannot be opened" in sealed.text(), "the log says that the TPM does not answer")
    tpm.start()
    arrived(owner, device, {1, 2})


def test_a_cleared_tpm_is_told_and_no_new_key_is_made(
    sealed: Station, owner: Owner, tpm: SoftwareTpm
) -> None:
    go_online(sealed)
    claim(sealed, owner)
    sealed.stop()
    before = (sealed.data / "identity/device.tpm").read_bytes()
    tpm.clear()
    sealed.start()
    sealed.wait_for("error", seconds=60)
    told = eventually(lambda: sealed.status()["warnings"], "the station says what is wrong")
    assert told[0]["code"] == "HW-006"
    assert sealed.status()["key_storage"] == ""
    assert (sealed.data / "identity/device.tpm").read_bytes() == before
    assert not (sealed.data / "identity/device.key").exists()
