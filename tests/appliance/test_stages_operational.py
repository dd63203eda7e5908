"""The stages of normal life: running, and taking up a new configuration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.identity.credentials import from_claim
from appliance.stages import operational, updating
from appliance.station import Station
from protocol.messages import ConfigUpdates
from statemachine.lifecycle import Trigger
from tests.appliance.fakes import FakeCloud
from tests.appliance.workshop import HOME, station


@pytest.fixture
async def made(tmp_path: Path, cloud: FakeCloud) -> AsyncIterator[Station]:
    """A claimed station that is online."""
    async with station(tmp_path, cloud.url) as built:
        await built.device.network.start()
        await built.device.network.join(HOME)
        built.device.credentials.keep(from_claim(cloud.complete(), cloud.url))
        yield built


async def test_a_running_station_closes_its_hotspot_and_rests(
    made: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made.device.open_hotspot()
    monkeypatch.setattr(operational, "REST_S", 0.01)
    assert await operational.run(made.device) is Trigger.RUNNING
    assert made.device.network.hotspot() is None


async def test_a_running_station_without_a_link_looks_for_one(made: Station) -> None:
    await made.device.network.forget_all()
    assert await operational.run(made.device) is Trigger.NETWORK_LOST


async def test_a_configuration_that_waits_is_taken_up(made: Station, cloud: FakeCloud) -> None:
    cloud.config_version, cloud.desired = 2, {"monitoring": {"telemetry_interval_seconds": 9}}
    made.device.envelope = cloud.envelope()
    assert await operational.run(made.device) is Trigger.UPDATE_RECEIVED
    assert await updating.run(made.device) is Trigger.UPDATE_APPLIED
    assert made.device.configuration.current.monitoring.telemetry_interval_seconds == 9
    assert made.device.envelope is None


async def test_a_refused_configuration_keeps_the_old_one_and_the_reason_in_the_record(
    made: Station, cloud: FakeCloud
) -> None:
    made.device.envelope = cloud.envelope(epoch=9)
    assert await updating.run(made.device) is Trigger.UPDATE_FAILED
    last = made.device.journal.record.last_error
    assert last is not None
    assert last.code == "REG-007"
    assert "wrong_epoch" in last.text


async def test_an_update_that_vanished_is_no_update(made: Station) -> None:
    assert await updating.run(made.device) is Trigger.UPDATE_FAILED


async def test_a_configuration_that_was_refused_is_not_taken_up_with_every_heartbeat(
    made: Station, cloud: FakeCloud
) -> None:
    """The cloud repeats it until its owner corrects it, and each step to `operational` beats at once."""
    owner = made.device.heartbeat._owner
    bad = ConfigUpdates(version=5, updates={}, signature=cloud.envelope(version=5, epoch=9))
    owner.configured(bad)
    assert made.device.envelope is not None
    await updating.run(made.device)
    owner.configured(bad)
    resigned = ConfigUpdates(
        version=5, updates={}, signature=cloud.envelope(version=5, epoch=9, issued_at="")
    )
    owner.configured(resigned)
    assert made.device.envelope is None
    cloud.config_version = 6
    owner.configured(ConfigUpdates(version=6, updates={}, signature=cloud.envelope()))
    assert made.device.envelope is not None
    assert await updating.run(made.device) is Trigger.UPDATE_APPLIED


async def test_an_announced_version_that_is_in_force_already_is_left_alone(
    made: Station, cloud: FakeCloud
) -> None:
    made.device.envelope = cloud.envelope()
    await updating.run(made.device)
    made.device.heartbeat._owner.configured(
        ConfigUpdates(version=1, updates={}, signature=cloud.envelope(version=9))
    )
    assert made.device.envelope is None


async def test_the_owners_name_is_kept_with_the_credentials(made: Station) -> None:
    await made.device.heartbeat._owner.renamed("South field")
    assert made.device.name == "South field"
    assert "South field" in made.paths.credentials.read_text()
