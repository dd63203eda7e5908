"""The stages around a start: where a station resumes, and what it does when something is broken for good."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.identity.credentials import from_claim
from appliance.network.scenario import ScenarioRefused
from appliance.settings import IdentitySection
from appliance.stages import error, halted, initializing, uninitialized
from statemachine.lifecycle import Trigger
from statemachine.record import CONNECTED, NetworkAttempt
from tests.appliance.fakes import DEVICE_ID, FakeCloud
from tests.appliance.workshop import HOME, station, write_scenario


async def test_a_program_that_has_started_goes_on_at_once(tmp_path: Path) -> None:
    async with station(tmp_path) as made:
        assert await uninitialized.run(made.device) is Trigger.POWER_ON


async def test_a_new_station_waits_for_a_person_and_has_its_card_ready(tmp_path: Path) -> None:
    async with station(tmp_path) as made:
        assert await initializing.run(made.device) is Trigger.FINGERPRINT_READY
        assert made.device.card.known is not None
        assert made.device.journal.record.device_id is None


async def test_an_unclaimed_station_with_a_known_network_asks_nobody_for_the_password_again(
    tmp_path: Path,
) -> None:
    async with station(tmp_path) as made:
        await made.device.network.start()
        await made.device.network.join(HOME)
    async with station(tmp_path) as again:
        assert await initializing.run(again.device) is Trigger.NETWORK_KNOWN


@pytest.mark.parametrize(
    ("result", "trigger"),
    [
        (None, Trigger.NETWORK_KNOWN),
        (CONNECTED, Trigger.NETWORK_KNOWN),
        ("NET-001", Trigger.FINGERPRINT_READY),
    ],
)
async def test_an_attempt_that_was_cut_off_is_tried_again_and_a_failed_one_is_not(
    tmp_path: Path, result: str | None, trigger: Trigger
) -> None:
    async with station(tmp_path) as made:
        attempt = NetworkAttempt(b"Home".hex(), result, 1.0)
        await made.device.journal.change(lambda record: replace(record, network_attempt=attempt))
    async with station(tmp_path) as again:
        assert await initializing.run(again.device) is trigger


async def test_a_claimed_station_goes_back_to_work_and_its_record_is_put_right(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    async with station(tmp_path, cloud.url) as made:
        made.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
        assert await initializing.run(made.device) is Trigger.RESUMED
        assert made.device.journal.record.device_id == DEVICE_ID
        assert made.device.card.known is None, "a claimed station has nothing to show"


async def test_the_credentials_and_not_the_record_say_whether_the_station_is_claimed(tmp_path: Path) -> None:
    async with station(tmp_path) as made:
        await made.device.journal.change(lambda record: replace(record, device_id="dev_of_before"))
        assert await initializing.run(made.device) is Trigger.FINGERPRINT_READY
        assert made.device.journal.record.device_id is None


async def test_a_damaged_key_is_a_fault_that_only_a_person_ends(tmp_path: Path, quick: None) -> None:
    async with station(tmp_path) as made:
        keyid = made.device.key.keyid
    key = tmp_path / "data" / "identity" / "device.key"
    key.write_bytes(b"damaged")
    async with station(tmp_path) as broken:
        device = broken.device
        assert await initializing.run(device) is Trigger.HARDWARE_FAILED
        assert device.journal.record.last_error is not None
        assert device.journal.record.last_error.code == "HW-006"
        assert "device.key" in device.journal.record.last_error.text
        assert device.key.keyid != keyid
        waiting = asyncio.create_task(error.run(device))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        waiting.cancel()
    assert key.read_bytes() == b"damaged", "a new key would be a new station"


async def test_a_damaged_key_does_not_burn_the_card_of_the_real_one(tmp_path: Path) -> None:
    async with station(tmp_path) as made:
        card = made.device.card.current()
        key = (tmp_path / "data" / "identity" / "device.key").read_bytes()
    path = tmp_path / "data" / "identity" / "device.key"
    path.write_bytes(b"damaged")
    async with station(tmp_path) as broken:
        assert await initializing.run(broken.device) is Trigger.HARDWARE_FAILED
        await broken.board.gather()
        assert broken.board.snapshot().card is None
    path.write_bytes(key)
    async with station(tmp_path) as mended:
        assert mended.device.card.current() == card


async def test_an_error_is_retried_more_and_more_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with station(tmp_path) as made:
        monkeypatch.setattr(error.asyncio, "sleep", sleep)  # type: ignore[attr-defined]
        for retries in (0, 1, 2, 4, 50):
            await made.device.journal.change(lambda record, n=retries: replace(record, error_retries=n))  # type: ignore[misc]
            assert await error.run(made.device) is Trigger.RECOVERED
        monkeypatch.undo()
    assert slept == [error.PAUSES_S[0], error.PAUSES_S[1], error.PAUSES_S[2], *[error.PAUSES_S[-1]] * 2]


async def test_a_halted_station_does_nothing_by_itself(tmp_path: Path) -> None:
    async with station(tmp_path) as made:
        waiting = asyncio.create_task(halted.run(made.device))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        waiting.cancel()


async def test_a_world_that_cannot_be_played_is_not_taken_for_a_network(tmp_path: Path) -> None:
    async with station(tmp_path) as made:
        write_scenario(tmp_path).write_text("join_seconds = 'soon'")
        with pytest.raises(ScenarioRefused, match="join_seconds"):
            await initializing.run(made.device)


# --- the key in a TPM ---------------------------------------------------------------------------------------


async def test_a_tpm_that_is_wanted_and_cannot_be_used_stops_the_start_and_makes_no_other_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tpm2_pytss", None)
    async with station(tmp_path, identity=IdentitySection(key_store="tpm")) as made:
        assert await initializing.run(made.device) is Trigger.HARDWARE_FAILED
        await made.board.gather()
        shown = made.board.snapshot()
        assert [notice.code for notice in shown.warnings] == ["HW-008"]
        assert shown.key_storage == ""
        assert made.device.journal.record.last_error is not None
        assert "python3-tpm2-pytss" in made.device.journal.record.last_error.text
        assert not made.paths.device_key.exists()
        assert not made.paths.sealed_key.exists()


async def test_two_keys_stop_the_start_until_a_person_chose(tmp_path: Path) -> None:
    async with station(tmp_path) as made:
        assert made.board.snapshot().key_storage == "file"
        key = made.paths.device_key
        made.paths.sealed_key.write_bytes(b"another one")
    async with station(tmp_path) as torn:
        assert await initializing.run(torn.device) is Trigger.HARDWARE_FAILED
        assert torn.device.journal.record.last_error is not None
        text = torn.device.journal.record.last_error.text
        assert torn.device.journal.record.last_error.code == "HW-006"
        assert "device.key" in text
        assert "device.tpm" in text
    torn.paths.sealed_key.unlink()
    async with station(tmp_path) as mended:
        assert mended.device.fault is None
        assert key.exists()


async def test_a_lost_key_does_not_stop_a_claimed_station_from_saying_so_over_tls(
    tmp_path: Path, cloud: FakeCloud
) -> None:
    """Its certificate fits no key that is here, so there is nothing to present."""
    async with station(tmp_path) as made:
        made.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
        made.paths.device_key.write_bytes(b"damaged")
    async with station(tmp_path, "https://localhost:1") as broken:
        assert broken.device.fault is not None
        assert await initializing.run(broken.device) is Trigger.HARDWARE_FAILED
