"""What a person sees of a state: phase, progress, tone and the word for it; no pages, no LEDs, no language.

The words are the English source texts; whoever shows them translates them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType

from statemachine.lifecycle import State


class Phase(StrEnum):
    """The four steps of a station's start, and the two ways of standing still."""

    SETUP = "setup"
    CONFIGURING = "configuring"
    CLAIMING = "claiming"
    OPERATIONAL = "operational"
    ERROR = "error"
    HALTED = "halted"


class Tone(Enum):
    """How a state looks: always one colour and one shape together, since colour alone excludes people."""

    STOPPED = ("red", "square")
    WORKING = ("amber", "triangle")
    RUNNING = ("green", "circle")
    WAITING = ("blue", "ring")
    UNKNOWN = ("grey", "dash")

    @property
    def colour(self) -> str:
        """Name of the colour."""
        return self.value[0]

    @property
    def shape(self) -> str:
        """Name of the shape; no two tones share one."""
        return self.value[1]


STEPS: tuple[Phase, ...] = (Phase.SETUP, Phase.CONFIGURING, Phase.CLAIMING, Phase.OPERATIONAL)
"""The phases of the stepper, in the order in which a person meets them."""

WORDS: Mapping[Phase, str] = MappingProxyType(
    {
        Phase.SETUP: "Set up",
        Phase.CONFIGURING: "Connect",
        Phase.CLAIMING: "Claim",
        Phase.OPERATIONAL: "Running",
        Phase.ERROR: "Failed",
        Phase.HALTED: "Stopped",
    }
)
"""What people read in place of a phase's name."""


@dataclass(frozen=True, slots=True)
class View:
    """One state as a person sees it. `progress` is the share of the way to a running station, 0 to 100."""

    phase: Phase
    progress: int
    tone: Tone

    @property
    def word(self) -> str:
        """The word for the phase."""
        return WORDS[self.phase]


VIEWS: Mapping[State, View] = MappingProxyType(
    {
        State.UNINITIALIZED: View(Phase.SETUP, 0, Tone.WORKING),
        State.INITIALIZING: View(Phase.SETUP, 5, Tone.WORKING),
        State.SETUP: View(Phase.SETUP, 15, Tone.WAITING),
        State.CONFIGURING: View(Phase.CONFIGURING, 30, Tone.WAITING),
        State.CONNECTING: View(Phase.CONFIGURING, 45, Tone.WORKING),
        State.NETWORK_READY: View(Phase.CLAIMING, 60, Tone.WAITING),
        State.CLAIMING: View(Phase.CLAIMING, 75, Tone.WORKING),
        State.ACTIVATING: View(Phase.CLAIMING, 90, Tone.WORKING),
        State.OPERATIONAL: View(Phase.OPERATIONAL, 100, Tone.RUNNING),
        State.UPDATING: View(Phase.OPERATIONAL, 100, Tone.WORKING),
        State.RECONNECTING: View(Phase.OPERATIONAL, 100, Tone.WORKING),
        State.ERROR: View(Phase.ERROR, 0, Tone.STOPPED),
        State.HALTED: View(Phase.HALTED, 0, Tone.STOPPED),
    }
)


def view_of(state: State) -> View:
    """What a person sees of `state`."""
    return VIEWS[state]
