"""The station's figures, read by the parser of those who collect them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from appliance.metrics import Facts, families
from appliance.network.quality import Measurement
from appliance.station import Station
from appliance.telemetry.openmetrics import Family, Sample, exposition
from buffer.degradation import Judgement
from buffer.message import Draft, Lane, Priority
from statemachine.lifecycle import State
from tests.appliance.fakes import FakeCloud
from tests.appliance.workshop import station
from tests.test_docs import rows


@pytest.fixture
async def made(tmp_path: Path, cloud: FakeCloud) -> AsyncIterator[Station]:
    async with station(tmp_path, cloud.url) as built:
        yield built


def read(text: str) -> dict[str, Metric]:
    found = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {family.name: family for family in found}


def value(metrics: dict[str, Metric], name: str, **labels: str) -> float:
    [found] = [sample for sample in metrics[name].samples if labels.items() <= sample.labels.items()]
    return float(found.value)


async def test_what_waits_is_told_by_priority(made: Station) -> None:
    await made.board._store.put(Draft("event", b"{}", Priority.HIGH))
    await made.board._store.put(Draft("media", b"12345", Priority.NORMAL, lane=Lane.BULK))
    await made.board.gather()
    told = read(made.front.metrics())
    assert value(told, "meteor_buffer_waiting_messages", priority="high") == 1
    assert value(told, "meteor_buffer_waiting_bytes", priority="normal") == 5
    assert value(told, "meteor_buffer_waiting_messages", priority="critical") == 0
    oldest = {sample.labels["priority"] for sample in told["meteor_buffer_oldest_seconds"].samples}
    assert oldest == {"high", "normal"}, "what is empty has no oldest"


async def test_each_lane_has_the_state_of_its_breaker_and_its_counts(made: Station) -> None:
    told = read(made.front.metrics())
    for lane in ("events", "files"):
        assert value(told, "meteor_breaker_state", lane=lane, state="closed") == 1
        assert value(told, "meteor_breaker_state", lane=lane, state="open") == 0
        assert value(told, "meteor_breaker_openings", lane=lane) == 0
        assert value(told, "meteor_uplink_unconfirmed_messages", lane=lane) == 0
    assert value(told, "meteor_degradation_level") == 1


async def test_exactly_one_state_is_told(made: Station) -> None:
    states = {
        sample.labels["state"]: sample.value for sample in read(made.front.metrics())["meteor_state"].samples
    }
    assert set(states) == {state.value for state in State}
    assert [state for state, on in states.items() if on] == ["uninitialized"]


def test_what_is_not_known_has_no_sample() -> None:
    unknown = Facts(State.SETUP, None, {}, Judgement(), None, False, None)
    told = read(exposition(families(unknown)))
    assert "meteor_buffer_waiting_messages" not in told
    for name in ("meteor_connection_latency_seconds", "meteor_clock_offset_seconds"):
        assert told[name].samples == []


def test_a_connection_is_told_in_base_units() -> None:
    seen = Measurement(dns=True, latency_ms=250, bandwidth_mbps=8, loss=0.05)
    told = read(exposition(families(Facts(State.OPERATIONAL, None, {}, Judgement(), seen, True, -1.5))))
    assert value(told, "meteor_connection_latency_seconds") == 0.25
    assert value(told, "meteor_connection_bandwidth_bytes") == 1_000_000
    assert value(told, "meteor_connection_loss_ratio") == 0.05
    assert value(told, "meteor_clock_offset_seconds") == -1.5


def test_labels_with_quotes_and_newlines_survive() -> None:
    odd = 'a "b"\\c\nd'
    text = exposition([Family("x", "gauge", odd, [Sample(1.5, {"y": odd})])])
    [sample] = read(text)["x"].samples
    assert sample.labels == {"y": odd}


async def test_every_metric_stands_in_the_docs(made: Station) -> None:
    await made.board.gather()
    shown = rows("metrics.md", r"`meteor_\w+`")
    told = read(made.front.metrics())
    assert set(shown) == {f"`{name}`" for name in told}
    for name, family in told.items():
        kind, labels, words = shown[f"`{name}`"]
        assert kind == family.type
        assert words == family.documentation
        used = {label for sample in family.samples for label in sample.labels}
        assert used <= set(labels.replace("`", "").split(", ")), name
