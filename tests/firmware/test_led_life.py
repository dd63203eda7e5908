"""The light over a whole life, from the first power-on to a reset, as a person beside the station sees it."""

from firmware.fakes import FakeLed
from firmware.pattern import pattern_for
from statemachine.lifecycle import Lifecycle, Trigger

T = Trigger

# what happens -> what the light then says
LIFE = [
    (None, "red triangle: booting"),
    (T.POWER_ON, "amber triangle: initializing"),
    (T.FINGERPRINT_READY, "blue ring: waiting_for_user"),
    (T.CLIENT_JOINED, "blue ring: waiting_for_user"),
    (T.CREDENTIALS_RECEIVED, "amber triangle: connecting"),
    (T.CONNECT_FAILED, "blue ring: waiting_for_user"),
    (T.CLIENT_JOINED, "blue ring: waiting_for_user"),
    (T.CREDENTIALS_RECEIVED, "amber triangle: connecting"),
    (T.CONNECTED, "green ring: ready_to_register"),
    (T.WAITING_FOR_CLAIM, "green ring: ready_to_register"),
    (T.CLAIM_STARTED, "amber triangle: claiming"),
    (T.CLAIM_SUCCEEDED, "amber triangle: claiming"),
    (T.ACTIVATED, "green circle: operational"),
    ("locate", "white ring: locate"),
    ("found", "green circle: operational"),
    ("backlog grows", "green circle: degraded"),
    ("backlog sent", "green circle: operational"),
    (T.UPDATE_RECEIVED, "amber triangle: updating"),
    (T.UPDATE_FAILED, "green circle: operational"),
    (T.NETWORK_LOST, "amber triangle: reconnecting"),
    (T.RECONNECT_FAILED, "blue ring: waiting_for_user"),
    (T.LINK_UP, "green circle: operational"),
    (T.RESET_REQUESTED, "blue ring: waiting_for_user"),
    (T.LINK_UP, "green ring: ready_to_register"),
    (T.CLAIM_STARTED, "amber triangle: claiming"),
    (T.CLAIM_SUCCEEDED, "amber triangle: claiming"),
    (T.ACTIVATION_FAILED, "red square: error"),
    (T.FATAL, "red square: halted"),
]


def test_the_light_tells_a_whole_life_in_this_order() -> None:
    owner: list[str] = []
    machine = Lifecycle(is_claimed=lambda: bool(owner))
    led = FakeLed()
    locate = degraded = False
    told = []
    for happening, _ in LIFE:
        if isinstance(happening, Trigger):
            machine.fire(happening)
            owner = {T.CLAIM_SUCCEEDED: ["ada"], T.RESET_REQUESTED: []}.get(happening, owner)
        locate = happening == "locate"
        degraded = happening == "backlog grows"
        led.show(pattern_for(machine.state, degraded=degraded, locate=locate))
        assert led.pattern is not None
        told.append((happening, f"{led.pattern.colour} {led.pattern.shape}: {led.pattern.name}"))
    assert told == LIFE


def test_the_light_changes_only_when_it_has_something_else_to_say() -> None:
    led = FakeLed()
    for state in ("setup", "setup", "configuring", "connecting"):
        led.show(pattern_for(state))
    assert [pattern.name for pattern in led.history] == ["waiting_for_user", "connecting"]
