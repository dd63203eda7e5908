"""The light language: which colour, shape and rhythm stands for which state; no LED is driven here.

Three rules, each with its test:

1. The shape always tells how things are, the same as on every page: square = stopped, triangle = working on
   it, circle = running, ring = waiting for you. The colour does too, except for the start of a station, where
   the registration specification fixes it: red booting, yellow initializing, green ready to register.
2. The rhythm alone is enough: no two patterns look the same to a person who sees no colour, or on a board
   whose only LED has one colour. Dark with n flashes, lit with n gaps, even, and long-short are told apart by
   counting.
3. No pattern flashes more than three times within a second, the limit of WCAG 2.1 criterion 2.3.1 for light
   that could trigger a seizure.

A running station shines steadily and without flashes: a camera for faint light may stand beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Colour(StrEnum):
    """Colours that an LED of three channels can show. Amber is what people call yellow."""

    RED = "red"
    AMBER = "amber"
    GREEN = "green"
    BLUE = "blue"
    WHITE = "white"


class Shape(StrEnum):
    """The shape that stands beside the colour wherever a pattern is drawn."""

    SQUARE = "square"
    TRIANGLE = "triangle"
    CIRCLE = "circle"
    RING = "ring"


Blink = tuple[tuple[float, float], ...]
"""Pairs of (seconds on, seconds off), repeated without end."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One thing that the LED can say. `spoken` is what a screen reader or a loudspeaker says instead."""

    name: str
    colour: Colour
    shape: Shape
    blink: Blink
    spoken: str

    @property
    def period(self) -> float:
        """Seconds until the rhythm begins anew."""
        return sum(on + off for on, off in self.blink)

    @property
    def steady(self) -> bool:
        """Whether the LED shines without a break."""
        return all(off == 0 for _, off in self.blink)

    def lit(self, at: float) -> bool:
        """Whether the LED is on, `at` seconds after the pattern began."""
        rest = at % self.period
        for on, off in self.blink:
            if rest < on:
                return True
            if rest < on + off:
                return False
            rest -= on + off
        return False


def _flashes(count: int, dark: float) -> Blink:
    """`count` short flashes, then `dark` seconds without light."""
    return ((0.2, 0.2),) * (count - 1) + ((0.2, dark),)


def _gaps(count: int, light: float) -> Blink:
    """Light with `count` short gaps, then `light` seconds without a gap."""
    return ((light, 0.4),) + ((0.4, 0.4),) * (count - 1)


def N_(text: str) -> str:
    """Marks a sentence for translation."""
    return text


_SHORT, _LONG = ((0.2, 0.2),), ((0.6, 0.2),)

BOOTING = Pattern(
    "booting",
    Colour.RED,
    Shape.TRIANGLE,
    _flashes(1, 1.8),
    N_("Red, one flash every two seconds: the station is starting."),
)
INITIALIZING = Pattern(
    "initializing",
    Colour.AMBER,
    Shape.TRIANGLE,
    ((1.0, 1.0),),
    N_("Yellow, slowly on and off: the station is checking its hardware."),
)
WAITING_FOR_USER = Pattern(
    "waiting_for_user",
    Colour.BLUE,
    Shape.RING,
    _flashes(2, 1.4),
    N_("Blue, two flashes: the station waits for you. Join its setup hotspot with your phone."),
)
CONNECTING = Pattern(
    "connecting",
    Colour.AMBER,
    Shape.TRIANGLE,
    ((0.3, 0.3),),
    N_("Yellow, quickly on and off: the station is joining your network."),
)
READY_TO_REGISTER = Pattern(
    "ready_to_register",
    Colour.GREEN,
    Shape.RING,
    ((0.9, 0.3), (0.2, 0.6)),
    N_("Green, long and short: the station is online and waits for you to claim it."),
)
CLAIMING = Pattern(
    "claiming",
    Colour.AMBER,
    Shape.TRIANGLE,
    _flashes(3, 1.2),
    N_("Yellow, three flashes: the station is being claimed."),
)
OPERATIONAL = Pattern(
    "operational",
    Colour.GREEN,
    Shape.CIRCLE,
    ((1.0, 0.0),),
    N_("Green, steady: the station is running."),
)
DEGRADED = Pattern(
    "degraded",
    Colour.GREEN,
    Shape.CIRCLE,
    _gaps(1, 3.6),
    N_("Green with one short gap: the station is recording, but does not send everything at once."),
)
RECONNECTING = Pattern(
    "reconnecting",
    Colour.AMBER,
    Shape.TRIANGLE,
    _gaps(2, 2.8),
    N_(
        "Yellow with two short gaps: the station lost its network and is looking for it. "
        "It goes on recording."
    ),
)
UPDATING = Pattern(
    "updating",
    Colour.AMBER,
    Shape.TRIANGLE,
    _gaps(3, 2.0),
    N_("Yellow with three short gaps: the station is being updated. Please leave it switched on."),
)
ERROR = Pattern(
    "error",
    Colour.RED,
    Shape.SQUARE,
    _flashes(5, 2.0),
    N_("Red, five flashes: something failed. The station's page says what to do."),
)
HALTED = Pattern(
    "halted",
    Colour.RED,
    Shape.SQUARE,
    _SHORT * 3 + _LONG * 3 + _SHORT * 2 + ((0.2, 2.0),),
    N_("Red, S O S in Morse code: the station stopped and needs a person. Switch it off and on again."),
)
LOCATE = Pattern(
    "locate",
    Colour.WHITE,
    Shape.RING,
    _SHORT * 3 + ((1.0, 0.6),),
    N_("White, three short flashes and a long one: this is the station you are looking for."),
)
RESET_ARMED = Pattern(
    "reset_armed",
    Colour.RED,
    Shape.RING,
    ((0.2, 0.2),),
    N_(
        "Red, very quickly on and off: let go of the button now "
        "to reset the station to how it left the factory."
    ),
)

PATTERNS: tuple[Pattern, ...] = (
    BOOTING,
    INITIALIZING,
    WAITING_FOR_USER,
    CONNECTING,
    READY_TO_REGISTER,
    CLAIMING,
    OPERATIONAL,
    DEGRADED,
    RECONNECTING,
    UPDATING,
    ERROR,
    HALTED,
    LOCATE,
    RESET_ARMED,
)
"""The whole language, in the order in which a station speaks it."""

OF_STATE: Mapping[str, Pattern] = MappingProxyType(
    {
        "uninitialized": BOOTING,
        "initializing": INITIALIZING,
        "setup": WAITING_FOR_USER,
        "configuring": WAITING_FOR_USER,
        "connecting": CONNECTING,
        "network_ready": READY_TO_REGISTER,
        "claiming": CLAIMING,
        "activating": CLAIMING,
        "operational": OPERATIONAL,
        "updating": UPDATING,
        "reconnecting": RECONNECTING,
        "error": ERROR,
        "halted": HALTED,
    }
)
"""The pattern of each state, by the state's name: this room does not know the state machine itself."""


def pattern_for(state: str, *, degraded: bool = False, locate: bool = False) -> Pattern:
    """What the LED says in `state`; raise `ValueError` for a name that is no state.

    `locate` outshines everything for as long as someone looks for the station; `degraded` changes only a
    station that runs, since every other state already says more.
    """
    if state not in OF_STATE:
        raise ValueError(f"no light pattern for the state {state!r}")
    if locate:
        return LOCATE
    found = OF_STATE[state]
    return DEGRADED if degraded and found is OPERATIONAL else found
