"""Which module runs in which state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from appliance.device import Device
from appliance.stages import (
    activating,
    claiming,
    configuring,
    connecting,
    error,
    halted,
    initializing,
    network_ready,
    operational,
    reconnecting,
    setup,
    uninitialized,
    updating,
)
from statemachine.lifecycle import State, Trigger

STAGES: Mapping[State, Callable[[Device], Awaitable[Trigger]]] = {
    State.UNINITIALIZED: uninitialized.run,
    State.INITIALIZING: initializing.run,
    State.SETUP: setup.run,
    State.CONFIGURING: configuring.run,
    State.CONNECTING: connecting.run,
    State.NETWORK_READY: network_ready.run,
    State.CLAIMING: claiming.run,
    State.ACTIVATING: activating.run,
    State.OPERATIONAL: operational.run,
    State.UPDATING: updating.run,
    State.RECONNECTING: reconnecting.run,
    State.ERROR: error.run,
    State.HALTED: halted.run,
}
