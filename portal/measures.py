"""Sizes, durations and ages in a person's words and language; pure."""

from __future__ import annotations

from datetime import datetime

from language.languages import Language
from portal.sentences import N_, P_

_SIZES = (
    N_("%(number)s B"),
    N_("%(number)s kB"),
    N_("%(number)s MB"),
    N_("%(number)s GB"),
    N_("%(number)s TB"),
)
_AGES = (
    (90.0, 1.0, N_("%(count)s s")),
    (90 * 60.0, 60.0, N_("%(count)s min")),
    (48 * 3600.0, 3600.0, N_("%(count)s h")),
)
_SOURCES = {"ntp": N_("NTP"), "server": N_("the cloud"), "floor": N_("the time it last knew")}
"""What vouches for the clock, by the name that it has in the protocol."""


def measure(text: str, number: str, language: Language) -> str:
    """A number with its unit, which reads from left to right in every language."""
    return language.measure(language.messages.gettext(text) % {"number": number})


def size(count: int | None, language: Language) -> str:
    """Bytes in the largest unit that keeps at least one digit before the point (decimal units)."""
    if count is None:
        return unknown(language)
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_SIZES) - 1:
        value, unit = value / 1000, unit + 1
    number = language.number(value, 0 if unit == 0 or value >= 9.95 else 1)
    return measure(_SIZES[unit], number, language)


def duration(seconds: float | None, language: Language) -> str:
    """A length of time in one rounded unit."""
    if seconds is None:
        return unknown(language)
    return _short(seconds, language) or language.count(P_("%(count)s day", "%(count)s days"), _days(seconds))


def ago(when: datetime | None, now: datetime | None, language: Language) -> str:
    """How long before `now` something was; empty if either is not known."""
    if when is None or now is None:
        return ""
    seconds = (now - when).total_seconds()
    if short := _short(seconds, language):
        return language.tell(N_("%(time)s ago"), time=short)
    # Not put together from `duration`: in some languages the word for days changes with the one before it.
    return language.count(P_("%(count)s day ago", "%(count)s days ago"), _days(seconds))


def _short(seconds: float, language: Language) -> str:
    """Less than two days in one unit; empty for more."""
    for limit, unit, text in _AGES:
        if seconds < limit:
            return language.messages.gettext(text) % {"count": language.number(max(seconds, 0) / unit)}
    return ""


def _days(seconds: float) -> int:
    return round(seconds / 86400)


def clock_time(when: datetime | None, language: Language) -> str:
    """A moment as date and time in UTC, which is what a station's log and its owner's notes share."""
    if when is None:
        return unknown(language)
    parts = {
        "year": f"{when:%Y}",
        "month": f"{when:%m}",
        "day": f"{when:%d}",
        "time": f"{when:%H:%M:%S}",
    }
    return language.measure(language.messages.gettext(N_("%(year)s-%(month)s-%(day)s %(time)s UTC")) % parts)


def clock_source(name: str, language: Language) -> str:
    """What vouches for the station's clock, in words."""
    if name.lower() in ("", "unknown"):
        return unknown(language)
    known = _SOURCES.get(name.lower())
    return language.tell(known) if known else name


def unknown(language: Language) -> str:
    """What stands where a value is not known."""
    return language.messages.gettext(N_("not known"))
