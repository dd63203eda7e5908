"""The life of a device: its states, its triggers, the one table of edges and the machine that walks them.

What the device *does* in a state is not here, nor is anything that reads a clock, a file or the network.

Rules that hold whatever happens:

1. The machine has the edges of `EDGES` and no other.
2. A trigger that has no edge from the current state raises `Refused` and changes nothing.
3. `link_up` asks `is_claimed` at the moment it fires; no other edge depends on anything but the state.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Literal

from transitions import EventData, Machine, MachineError

from statemachine.errors import LifecycleError


class State(StrEnum):
    """Where a device stands. The values are the names used in logs, in the record and on the wire."""

    UNINITIALIZED = "uninitialized"
    INITIALIZING = "initializing"
    SETUP = "setup"
    CONFIGURING = "configuring"
    CONNECTING = "connecting"
    NETWORK_READY = "network_ready"
    CLAIMING = "claiming"
    ACTIVATING = "activating"
    OPERATIONAL = "operational"
    UPDATING = "updating"
    RECONNECTING = "reconnecting"
    ERROR = "error"
    HALTED = "halted"


class Trigger(StrEnum):
    """What can happen to a device. A stage ends by naming one; buttons, commands and links name others."""

    POWER_ON = "power_on"
    FINGERPRINT_READY = "fingerprint_ready"
    HARDWARE_FAILED = "hardware_failed"
    WAITING_FOR_USER = "waiting_for_user"
    CLIENT_JOINED = "client_joined"
    CREDENTIALS_RECEIVED = "credentials_received"
    CANCELLED = "cancelled"
    CONNECTED = "connected"
    CONNECT_FAILED = "connect_failed"
    WAITING_FOR_CLAIM = "waiting_for_claim"
    CLAIM_STARTED = "claim_started"
    CLAIM_SUCCEEDED = "claim_succeeded"
    CLAIM_FAILED = "claim_failed"
    ACTIVATED = "activated"
    ACTIVATION_FAILED = "activation_failed"
    RUNNING = "running"
    NETWORK_LOST = "network_lost"
    RESET_REQUESTED = "reset_requested"
    UPDATE_RECEIVED = "update_received"
    UPDATE_APPLIED = "update_applied"
    UPDATE_FAILED = "update_failed"
    RECONNECTED = "reconnected"
    RECONNECT_FAILED = "reconnect_failed"
    RECOVERED = "recovered"
    FATAL = "fatal"
    RESUMED = "resumed"
    NETWORK_KNOWN = "network_known"
    LINK_UP = "link_up"
    RELEASED = "released"


Guard = Literal["claimed", "unclaimed"]


@dataclass(frozen=True, slots=True)
class Edge:
    """One permitted step. `reason` is empty where the registration specification itself draws the edge."""

    trigger: Trigger
    source: State
    target: State
    guard: Guard | None = None
    reason: str = ""


_S, _T = State, Trigger

_SPECIFIED = (
    Edge(_T.POWER_ON, _S.UNINITIALIZED, _S.INITIALIZING),
    Edge(_T.FINGERPRINT_READY, _S.INITIALIZING, _S.SETUP),
    Edge(_T.HARDWARE_FAILED, _S.INITIALIZING, _S.ERROR),
    Edge(_T.WAITING_FOR_USER, _S.SETUP, _S.SETUP),
    Edge(_T.CLIENT_JOINED, _S.SETUP, _S.CONFIGURING),
    Edge(_T.CREDENTIALS_RECEIVED, _S.CONFIGURING, _S.CONNECTING),
    Edge(_T.CANCELLED, _S.CONFIGURING, _S.SETUP),
    Edge(_T.CONNECTED, _S.CONNECTING, _S.NETWORK_READY),
    Edge(_T.CONNECT_FAILED, _S.CONNECTING, _S.SETUP),
    Edge(_T.WAITING_FOR_CLAIM, _S.NETWORK_READY, _S.NETWORK_READY),
    Edge(_T.CLAIM_STARTED, _S.NETWORK_READY, _S.CLAIMING),
    Edge(_T.CLAIM_SUCCEEDED, _S.CLAIMING, _S.ACTIVATING),
    Edge(_T.CLAIM_FAILED, _S.CLAIMING, _S.NETWORK_READY),
    Edge(_T.ACTIVATED, _S.ACTIVATING, _S.OPERATIONAL),
    Edge(_T.ACTIVATION_FAILED, _S.ACTIVATING, _S.ERROR),
    Edge(_T.RUNNING, _S.OPERATIONAL, _S.OPERATIONAL),
    Edge(_T.NETWORK_LOST, _S.OPERATIONAL, _S.RECONNECTING),
    Edge(_T.RESET_REQUESTED, _S.OPERATIONAL, _S.SETUP),
    Edge(_T.UPDATE_RECEIVED, _S.OPERATIONAL, _S.UPDATING),
    Edge(_T.UPDATE_APPLIED, _S.UPDATING, _S.OPERATIONAL),
    Edge(_T.RECONNECTED, _S.RECONNECTING, _S.OPERATIONAL),
    Edge(_T.RECONNECT_FAILED, _S.RECONNECTING, _S.SETUP),
    Edge(_T.RECOVERED, _S.ERROR, _S.SETUP),
    Edge(_T.FATAL, _S.ERROR, _S.HALTED),
)

_LINK_REASON = "a cable was plugged in, or a known network came back, while the hotspot was open"
_RESET_REASON = "a person must be able to start over from anywhere, not only from a running station"

_RELEASE_REASON = "its owner gave it up at the cloud: it shows its card again, without a hand at the station"

_OURS = (
    Edge(
        _T.RESUMED,
        _S.INITIALIZING,
        _S.RECONNECTING,
        reason="a claimed station goes back to work after a power cut without asking anyone",
    ),
    Edge(
        _T.NETWORK_KNOWN,
        _S.INITIALIZING,
        _S.CONNECTING,
        reason="nobody should have to type a password twice because the power failed before the claim",
    ),
    Edge(_T.LINK_UP, _S.SETUP, _S.NETWORK_READY, "unclaimed", _LINK_REASON),
    Edge(_T.LINK_UP, _S.CONFIGURING, _S.NETWORK_READY, "unclaimed", _LINK_REASON),
    Edge(_T.LINK_UP, _S.SETUP, _S.OPERATIONAL, "claimed", _LINK_REASON),
    Edge(_T.LINK_UP, _S.CONFIGURING, _S.OPERATIONAL, "claimed", _LINK_REASON),
    Edge(
        _T.UPDATE_FAILED,
        _S.UPDATING,
        _S.OPERATIONAL,
        reason="an update that was rolled back leaves a working station, with the cause kept in the record",
    ),
    *(
        Edge(_T.RELEASED, source, _S.NETWORK_READY, reason=_RELEASE_REASON)
        for source in (_S.ACTIVATING, _S.OPERATIONAL, _S.UPDATING, _S.RECONNECTING)
    ),
    *(
        Edge(_T.RESET_REQUESTED, source, _S.SETUP, reason=_RESET_REASON)
        for source in State
        if source not in (_S.OPERATIONAL, _S.HALTED)
    ),
)

EDGES: tuple[Edge, ...] = (*_SPECIFIED, *_OURS)
"""Every permitted step: first those of the registration specification, then ours with their reasons."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A step that was taken."""

    source: State
    trigger: Trigger
    target: State

    @property
    def moved(self) -> bool:
        """False where the step leads back to where it began, as `waiting_for_user` does."""
        return self.source is not self.target


class Refused(LifecycleError):
    """The trigger has no edge from the current state; the machine is where it was."""

    code: ClassVar[str] = "FSM-001"
    action: ClassVar[str] = "Look at the station's state and do one of the things that are possible in it."

    def __init__(self, state: State, trigger: Trigger, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.trigger = trigger
        self.reason = reason


class _Model:
    """What `transitions` drives: it adds `state` and `trigger` to this object."""

    state: str
    trigger: Callable[[str], bool]

    def __init__(self, is_claimed: Callable[[], bool]) -> None:
        self._is_claimed = is_claimed

    def claimed(self, _event: EventData) -> bool:
        return self._is_claimed()


class Lifecycle:
    """The running machine. It belongs to one task, and that task alone calls `fire`."""

    def __init__(self, state: State = State.UNINITIALIZED, *, is_claimed: Callable[[], bool]) -> None:
        """`is_claimed` is asked each time `link_up` fires and must answer at once."""
        self._model = _Model(is_claimed)
        self._machine = Machine(
            model=self._model,
            states=[each.value for each in State],
            initial=State(state).value,
            send_event=True,
            auto_transitions=False,
            ignore_invalid_triggers=False,
            queued=True,
        )
        for edge in EDGES:
            self._add(edge)

    @property
    def state(self) -> State:
        """The current state."""
        return State(self._model.state)

    def allowed(self) -> frozenset[Trigger]:
        """The triggers that have an edge from the current state."""
        return frozenset(Trigger(name) for name in self._machine.get_triggers(self._model.state))

    def fire(self, trigger: Trigger) -> Transition:
        """Take the step `trigger` names and say which it was; raise `Refused` if there is none."""
        source = self.state
        try:
            self._model.trigger(Trigger(trigger).value)
        except MachineError as error:
            raise Refused(source, Trigger(trigger), self._why_not(trigger)) from error
        return Transition(source, Trigger(trigger), self.state)

    def mermaid(self) -> str:
        """The edges this machine really has, as a Mermaid `stateDiagram-v2`; the same text every time."""
        lines = ["stateDiagram-v2", f"    [*] --> {State.UNINITIALIZED}"]
        for source in State:
            for target in State:
                if labels := self._labels(source, target):
                    lines.append(f"    {source} --> {target}: {', '.join(labels)}")
        lines.append(f"    {State.HALTED} --> [*]")
        return "\n".join(lines) + "\n"

    def _add(self, edge: Edge) -> None:
        self._machine.add_transition(
            edge.trigger.value,
            edge.source.value,
            edge.target.value,
            conditions=["claimed"] if edge.guard == "claimed" else None,
            unless=["claimed"] if edge.guard == "unclaimed" else None,
        )

    def _why_not(self, trigger: Trigger) -> str:
        possible = ", ".join(sorted(self.allowed())) or "nothing"
        return f"{trigger} is not possible in {self.state}; possible here: {possible}."

    def _labels(self, source: State, target: State) -> list[str]:
        """The triggers between two states in the order of `Trigger`: `transitions` promises no order."""
        return [
            trigger + "".join(f" [{'' if each.target else 'not '}{each.func}]" for each in step.conditions)
            for trigger in Trigger
            for step in self._machine.get_transitions(trigger.value, source.value, target.value)
        ]
