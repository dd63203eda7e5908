"""Sizes, durations and ages in a person's words and language; pure."""

from __future__ import annotations

from datetime import datetime

from portal.languages import Language
from portal.sentences import N_

_UNITS = ("B", "kB", "MB", "GB", "TB")
_AGES = (
    (90.0, 1.0, N_("%(count)s s")),
    (90 * 60.0, 60.0, N_("%(count)s min")),
    (48 * 3600.0, 3600.0, N_("%(count)s h")),
)


def size(count: int | None, language: Language) -> str:
    """Bytes in the largest unit that keeps at least one digit before the point (decimal units)."""
    if count is None:
        return unknown(language)
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    number = f"{value:.0f}" if unit == 0 or value >= 9.95 else f"{value:.1f}"
    return language.measure(f"{number} {_UNITS[unit]}")


def duration(seconds: float | None, language: Language) -> str:
    """A length of time in one rounded unit."""
    if seconds is None:
        return unknown(language)
    for limit, unit, text in _AGES:
        if seconds < limit:
            return language.messages.gettext(text) % {"count": f"{max(seconds, 0) / unit:.0f}"}
    return language.count(N_("%(count)s day"), N_("%(count)s days"), round(seconds / 86400))


def ago(when: datetime | None, now: datetime | None, language: Language) -> str:
    """How long before `now` something was; empty if either is not known."""
    if when is None or now is None:
        return ""
    return language.tell(N_("%(time)s ago"), time=duration((now - when).total_seconds(), language))


def clock_time(when: datetime | None, language: Language) -> str:
    """A moment as date and time in UTC, which is what a station's log and its owner's notes share."""
    if when is None:
        return unknown(language)
    return language.measure(f"{when:%Y-%m-%d %H:%M:%S} UTC")


def unknown(language: Language) -> str:
    """What stands where a value is not known."""
    return language.messages.gettext(N_("not known"))
