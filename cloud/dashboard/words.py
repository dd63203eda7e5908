"""How things are said on a page: codes, times, and the words and shapes of states. Pure.

A text that a template shows through the filter `tr` is marked with `N_` here, so that translators find it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cloud.dashboard.measures import ENGLISH, moment
from language.languages import Language
from language.marks import N_ as N_

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

RUNNING, WORKING, FAILED, WAITING, UNKNOWN = "running", "working", "failed", "waiting", "unknown"


_STATES = {
    "uninitialized": N_("Starting up"),
    "initializing": N_("Starting up"),
    "setup": N_("Being set up"),
    "configuring": N_("Being set up"),
    "connecting": N_("Connecting"),
    "network_ready": N_("Waiting to be claimed"),
    "claiming": N_("Being claimed"),
    "activating": N_("Starting"),
    "operational": N_("Running"),
    "reconnecting": N_("Reconnecting"),
    "updating": N_("Updating"),
    "error": N_("Needs help"),
    "halted": N_("Stopped"),
}


def station_label(state: str | None, *, online: bool) -> str:
    """A station's state in a word or two. What is not heard from is offline, whatever it said last."""
    if state == "released":
        return N_("Released")
    if state is None:
        return N_("Not heard from yet")
    return _STATES.get(state, N_("Unknown state")) if online else N_("Offline")


_ADVICE = {
    "error": N_("It cannot go on by itself. Its own page says why; open it at the address below, at home."),
    "halted": N_("It has stopped for safety. Its own page says why; it starts again after a reset."),
    "setup": N_("It lost its network and opened its rescue hotspot. It goes on recording meanwhile."),
    "reconnecting": N_("Its network comes and goes. It goes on recording, and sends later."),
    "updating": N_("It installs new software and comes back by itself."),
}


def station_advice(state: str | None, *, online: bool) -> str:
    """What to know or to do about a state, in a sentence or two; empty when all is well."""
    if state == "released":
        return N_("You gave it up. Its history up to then stays here for you to read.")
    if state is None:
        return N_("It is yours. It starts now, and reports within three minutes if it has power and network.")
    if not online:
        return N_("It may go on recording and send later. Check its power and its network.")
    return _ADVICE.get(state, "")


_BREAKERS = {
    "closed": (RUNNING, N_("Sending")),
    "half_open": (WORKING, N_("Trying again")),
    "half-open": (WORKING, N_("Trying again")),
    "open": (FAILED, N_("Paused after failures")),
}


def breaker_state(name: str) -> tuple[str, str]:
    """Tone and label of the circuit breaker of a station's uplink."""
    return _BREAKERS.get(name, (UNKNOWN, N_("Unknown state")))


def event_name(event_type: str) -> str:
    """The type of an event as a person reads it: `meteor_candidate` is "Meteor candidate"."""
    return event_type.replace("_", " ").capitalize()


def grouped(code: str | None) -> str:
    """A six-part code as it is read aloud: `BCD FGH`. Anything else stays as it is."""
    text = code or ""
    return f"{text[:3]}\u00a0{text[3:]}" if len(text) == 6 and text.isalnum() else text


def iso(ms: int) -> str:
    """RFC 3339 for `<time datetime>`."""
    # Not strftime: the C library writes the year 1 as "1".
    return _moment(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc(ms: int, language: Language = ENGLISH) -> str:
    """The moment for people, in UTC; the page's script shows the reader's own zone."""
    return moment(_moment(ms), language)


def _moment(ms: int) -> datetime:
    # Not fromtimestamp: a station's clock may have said anything, and years before 1970 are legal too.
    try:
        return _EPOCH + timedelta(milliseconds=ms)
    except OverflowError:
        return _EPOCH


def text_to_ms(text: str | None) -> int | None:
    """Milliseconds since 1970 of RFC 3339 text, or None for what is no time."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return (moment - _EPOCH) // timedelta(milliseconds=1)
