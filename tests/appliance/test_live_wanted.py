"""When the station's condition asks for the live connection, as a table."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from appliance.station import _live_wanted
from buffer.breaker import BreakerState
from buffer.degradation import Judgement, Level
from statemachine.lifecycle import State

CLOSED, OPEN = BreakerState.CLOSED, BreakerState.OPEN


@pytest.mark.parametrize(
    ("state", "network", "supplies", "breaker", "standing", "wanted"),
    [
        (State.OPERATIONAL, Level.FULL, Level.FULL, CLOSED, False, True),
        (State.OPERATIONAL, Level.REDUCED, Level.FULL, CLOSED, False, True),
        (State.OPERATIONAL, Level.REDUCED, Level.FULL, OPEN, False, False),
        (State.OPERATIONAL, Level.REDUCED, Level.FULL, OPEN, True, True),
        (State.OPERATIONAL, Level.OFFLINE, Level.FULL, OPEN, True, False),
        (State.OPERATIONAL, Level.FULL, Level.CONSERVE, CLOSED, True, False),
        (State.UPDATING, Level.FULL, Level.FULL, CLOSED, True, True),
        (State.RECONNECTING, Level.FULL, Level.FULL, CLOSED, True, False),
        (State.SETUP, Level.FULL, Level.FULL, CLOSED, False, False),
    ],
)
def test_it_is_wanted_while_the_station_is_well(
    state: State, network: Level, supplies: Level, breaker: BreakerState, standing: bool, wanted: bool
) -> None:
    conductor: Any = SimpleNamespace(state=state)
    drain: Any = SimpleNamespace(progress=lambda: SimpleNamespace(breaker=SimpleNamespace(state=breaker)))
    governor: Any = SimpleNamespace(judgement=Judgement(network, supplies))
    assert _live_wanted(conductor, drain, governor, standing) is wanted
