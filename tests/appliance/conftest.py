"""Fixtures of the appliance's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from appliance.network import recovery
from appliance.stages import activating, claiming, connecting, error, network_ready
from tests.appliance.fakes import FakeCloud


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that wait as little as they can between two tries."""
    monkeypatch.setattr(connecting, "PHONE_S", 0.0)
    monkeypatch.setattr(claiming, "RETRY_S", (0.01,) * 5)
    monkeypatch.setattr(network_ready, "RETRY_S", (0.01,) * 5)
    monkeypatch.setattr(network_ready, "SHORTEST_S", 0.01)
    monkeypatch.setattr(activating, "RETRY_S", 0.01)
    monkeypatch.setattr(recovery, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(error, "PAUSES_S", (0.01, 0.02))


@pytest.fixture
async def cloud() -> AsyncIterator[FakeCloud]:
    """A cloud that knows no station yet."""
    async with FakeCloud() as started:
        yield started
