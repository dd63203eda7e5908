"""Who gets a release and when: shares, pauses, windows, channels, least versions, and versions' order."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.update.manifest import Manifest, parse_manifest
from firmware.update.rollout import Facts, bucket, hold, unfit
from firmware.update.version import is_version, newer, order
from tests.firmware.update.maker import values

FACTS = Facts("station", "1.0.0")


def manifest(**changes: Any) -> Manifest:
    return parse_manifest(json.dumps(values(**changes)).encode())


def code(reason: Any) -> str:
    return reason.code if reason else ""


def test_versions_come_in_their_order() -> None:
    sorted_ = ["0.9", "1.0~rc1", "1.0~rc2", "1.0", "1.0.1", "1.2", "1.10"]
    assert sorted(sorted_, key=order) == sorted_
    assert not newer("1.0.0", "1.0")
    assert not is_version("1.0/..")
    with pytest.raises(ValueError, match="write it like"):
        order("current")


@pytest.mark.parametrize(
    ("change", "facts", "expected"),
    [
        ({}, FACTS, ""),
        ({"channel": "testing"}, FACTS, "UPD-006"),
        ({"channel": "testing"}, replace(FACTS, channel="testing"), ""),
        ({}, replace(FACTS, running="1.1.0"), "UPD-007"),
        ({}, replace(FACTS, running="1.2.0"), "UPD-007"),
        ({}, replace(FACTS, running="1.1.0~rc2"), ""),
        ({"minimum": {"from": "1.0.5"}}, FACTS, "UPD-008"),
        ({"minimum": {"from": "1.0.0"}}, FACTS, ""),
        ({}, replace(FACTS, failed={"1.1.0": 0}), "UPD-009"),
        ({"retry": 1}, replace(FACTS, failed={"1.1.0": 0}), ""),
        ({"retry": 1}, replace(FACTS, failed={"1.1.0": 1}, asked=True), "UPD-009"),
    ],
)
def test_whether_a_release_fits(change: dict[str, Any], facts: Facts, expected: str) -> None:
    assert code(unfit(manifest(**change), facts)) == expected


NIGHT = [{"from": "22:00", "to": "04:00"}]


@pytest.mark.parametrize(
    ("rollout", "facts", "expected"),
    [
        ({"paused": True}, FACTS, "UPD-010"),
        ({"paused": True}, replace(FACTS, asked=True), "UPD-010"),
        ({"percentage": 0}, FACTS, "UPD-011"),
        ({"percentage": 0}, replace(FACTS, asked=True), ""),
        ({"windows": NIGHT}, replace(FACTS, local=datetime(2026, 1, 1, 12)), "UPD-012"),
        ({"windows": NIGHT}, replace(FACTS, local=datetime(2026, 1, 1, 23)), ""),
        ({"windows": NIGHT}, replace(FACTS, local=datetime(2026, 1, 1, 3, 59)), ""),
        ({"windows": NIGHT}, replace(FACTS, local=datetime(2026, 1, 1, 4)), "UPD-012"),
        ({"windows": NIGHT}, FACTS, "UPD-012"),
        ({"windows": NIGHT}, replace(FACTS, asked=True), ""),
        ({"windows": NIGHT, "urgent": True}, FACTS, ""),
        ({"windows": NIGHT, "urgent": True, "paused": True}, FACTS, "UPD-010"),
    ],
)
def test_what_a_release_waits_for(rollout: dict[str, Any], facts: Facts, expected: str) -> None:
    assert code(hold(manifest(rollout=rollout), facts)) == expected


def test_a_share_of_the_stations_is_about_that_share_and_stays() -> None:
    names = [f"station-{number}" for number in range(5000)]
    taken = Counter(bucket(name, "1.1.0") for name in names)
    assert len(taken) == 100
    assert max(taken.values()) < 100
    assert [bucket(name, "1.1.0") for name in names[:50]] == [bucket(name, "1.1.0") for name in names[:50]]
    assert bucket("station", "1.1.0") != bucket("station", "1.2.0")


@given(st.text(), st.integers(0, 100), st.integers(0, 100))
def test_a_larger_share_never_takes_a_station_out(name: str, one: int, other: int) -> None:
    small, large = sorted((one, other))
    facts = replace(FACTS, device_id=name)
    if hold(manifest(rollout={"percentage": small}), facts) is None:
        assert hold(manifest(rollout={"percentage": large}), facts) is None
