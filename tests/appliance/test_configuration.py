"""Signed configuration: what is applied, what is refused, and what stays in force after a power cut."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.configuration.apply import Configuration
from appliance.configuration.schema import DeviceConfig
from appliance.identity.credentials import Credentials, from_claim
from protocol.envelope import Envelope, seal
from protocol.messages import ConfigKey
from tests.appliance.fakes import FakeCloud

TEN = {"monitoring": {"heartbeat_interval_seconds": 10}}


@dataclass
class World:
    """A station's configuration and the cloud that signs it."""

    folder: Path
    cloud: FakeCloud
    credentials: Credentials
    configuration: Configuration

    def apply(self, **changes: Any) -> bool:
        return self.configuration.apply(self.cloud.envelope(**changes), self.credentials)

    @property
    def interval(self) -> int:
        return self.configuration.current.monitoring.heartbeat_interval_seconds


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with FakeCloud() as cloud:
        credentials = from_claim(cloud.complete(), cloud.url)
        yield World(tmp_path, cloud, credentials, Configuration(tmp_path))


async def test_a_configuration_is_in_force_and_survives_a_power_cut(world: World) -> None:
    assert world.apply(version=3, desired=TEN) is True
    again = Configuration(world.folder)
    assert (again.version, again.current) == (3, world.configuration.current)
    assert again.current.monitoring.heartbeat_interval_seconds == 10


async def test_observers_hear_of_the_values_now_and_of_each_change_after_it_is_durable(world: World) -> None:
    heard: list[tuple[int, int]] = []

    def note(config: DeviceConfig) -> None:
        heard.append((Configuration(world.folder).version, config.monitoring.heartbeat_interval_seconds))

    world.configuration.observe(note)
    world.apply(version=2, desired=TEN)
    assert heard == [(0, 60), (2, 10)]


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("rollback", {"version": 4}),
    ("wrong_device", {"version": 9, "device_id": "dev_other"}),
    ("wrong_epoch", {"version": 9, "epoch": 2}),
    ("damaged", {"version": "nine"}),
    ("invalid", {"version": 9, "desired": {"monitoring": {"heartbeat_interval_seconds": 0}}}),
    ("invalid", {"version": 9, "desired": {"detection": {"sensitivity": 1.5}}}),
    ("invalid", {"version": 9, "desired": []}),
    ("invalid", {"version": 9, "desired": {"monitoring": {"log_level": "LOUD"}}}),
]


@pytest.mark.parametrize(("word", "changes"), REFUSED)
async def test_a_refused_configuration_leaves_the_last_good_one_and_gives_its_reason(
    world: World, word: str, changes: dict[str, Any]
) -> None:
    world.apply(version=5, desired=TEN)
    assert world.apply(**changes) is False
    assert (world.configuration.version, world.interval) == (5, 10)
    assert world.configuration.error is not None
    assert world.configuration.error.startswith(f"REG-007 {word}: ")
    assert len(world.configuration.error) <= 200, "it must fit into a heartbeat"
    assert Configuration(world.folder).version == 5


async def test_the_reason_names_the_field(world: World) -> None:
    world.apply(version=9, desired={"detection": {"sensitivity": 1.5}})
    assert "$.detection.sensitivity" in (world.configuration.error or "")


@pytest.mark.parametrize("forgery", ["key", "payload", "keyid", "type", "base64"])
async def test_only_what_a_pinned_key_signed_is_looked_at(world: World, forgery: str) -> None:
    genuine = world.cloud.envelope(version=9)
    payload = msgspec.json.encode({"device_id": "x"})
    forged: dict[str, Envelope] = {
        "key": seal(payload, "k1", Ed25519PrivateKey.generate()),
        "payload": msgspec.structs.replace(genuine, payload=seal(payload, "k1", world.cloud.signing).payload),
        "keyid": seal(payload, "k2", world.cloud.signing),
        "type": seal(payload, "k1", world.cloud.signing, "text/plain"),
        "base64": msgspec.structs.replace(genuine, payload="*"),
    }
    assert world.configuration.apply(forged[forgery], world.credentials) is False
    assert world.configuration.version == 0


async def test_a_pinned_key_that_is_none_refuses_instead_of_crashing(world: World) -> None:
    bad = msgspec.structs.replace(world.credentials, config_keys=[ConfigKey(kid="k1", x="AAAA")])
    assert world.configuration.apply(world.cloud.envelope(), bad) is False
    assert world.configuration.error is not None


async def test_keys_of_a_newer_cloud_are_ignored(world: World) -> None:
    assert world.apply(version=2, desired=TEN | {"weather": {"x": 1}}) is True
    assert world.interval == 10


async def test_a_good_configuration_ends_the_complaint_about_a_bad_one(world: World) -> None:
    world.apply(version=9, epoch=7)
    assert world.configuration.error is not None
    assert world.apply(version=10) is True
    assert world.configuration.error is None


async def test_the_same_version_again_changes_nothing(world: World) -> None:
    world.apply(version=2, desired=TEN)
    assert world.apply(version=2, desired={}) is False
    assert world.interval == 10
    assert world.configuration.error is None


async def test_another_ownership_counts_its_versions_anew(world: World) -> None:
    world.apply(version=7, desired=TEN)
    world.cloud.epoch = 2
    world.credentials = from_claim(world.cloud.complete(), world.cloud.url)
    assert world.apply(version=1) is True
    assert (world.configuration.version, world.interval) == (1, 60)


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"version": "x"}', b'{"version": 1, "config": {"device": {"name": "\xff']
)
async def test_a_damaged_file_means_the_defaults_until_the_cloud_sends_it_again(
    world: World, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (world.folder / "config.json").write_bytes(damage)
    damaged = Configuration(world.folder)
    assert (damaged.version, damaged.current) == (0, DeviceConfig())
    assert "config.json" in caplog.text
    assert damaged.apply(world.cloud.envelope(version=1, desired=TEN), world.credentials) is True
