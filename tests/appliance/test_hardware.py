"""Which network backend the settings and the machine choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import hardware
from appliance.errors import StartRefused
from appliance.network.host import HostNetwork
from appliance.network.networkmanager.backend import NetworkManagerNetwork
from appliance.network.simulated import SimulatedNetwork
from appliance.paths import Paths
from appliance.settings import NetworkSection, Settings, SettingsRefused, load
from tests.networkmanager.conftest import bus, nm
from tests.networkmanager.fake import FakeNetworkManager

assert bus and nm  # fixtures


@pytest.fixture
def no_bus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without D-Bus."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'nowhere'}")


CHOICES: list[tuple[str, type]] = [
    ("auto", HostNetwork),
    ("host", HostNetwork),
    ("networkmanager", NetworkManagerNetwork),
    ("simulated", SimulatedNetwork),
]


@pytest.mark.parametrize(("backend", "expected"), CHOICES)
async def test_without_networkmanager_the_settings_choose(
    no_bus: None, tmp_path: Path, backend: str, expected: type
) -> None:
    settings = load(None, {"METEOR_APPLIANCE_NETWORK_BACKEND": backend}, {})
    assert isinstance(await hardware.network(settings, Paths(tmp_path)), expected)


async def test_where_networkmanager_runs_it_is_taken_by_itself(
    nm: FakeNetworkManager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", nm.address)
    assert isinstance(await hardware.network(Settings(), Paths(tmp_path)), NetworkManagerNetwork)
    await nm.stop()
    assert isinstance(await hardware.network(Settings(), Paths(tmp_path)), HostNetwork)


async def test_a_scenario_that_cannot_be_played_is_refused(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text("nonsense = 1\n")
    settings = Settings(network=NetworkSection(backend="simulated", scenario=str(scenario)))
    with pytest.raises(StartRefused):
        await hardware.network(settings, Paths(tmp_path))


@pytest.mark.parametrize(
    "address", ["https://cloud.example.org/health", "cloud.example.org", "http://", "http://a:b"]
)
def test_a_check_address_must_be_plain_http(address: str) -> None:
    with pytest.raises(SettingsRefused, match=r"network\.check_url: .* is no plain address\. Write it like"):
        load(None, {"METEOR_APPLIANCE_NETWORK_CHECK_URL": address}, {})
