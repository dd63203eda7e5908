"""Sizes, durations, moments and shares in the language of the page. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from babel import Locale
from babel.dates import format_datetime

from language import pseudo
from language.languages import DEFAULT, Language
from language.marks import N_

ENGLISH = Language(DEFAULT)

_SIZES = (
    N_("%(number)s B"),
    N_("%(number)s kB"),
    N_("%(number)s MB"),
    N_("%(number)s GB"),
    N_("%(number)s TB"),
)
_DAYS, _HOURS, _MINUTES, _SECONDS = (
    N_("%(count)s d"),
    N_("%(count)s h"),
    N_("%(count)s min"),
    N_("%(count)s s"),
)
_STEPS = ((_DAYS, _HOURS, 86400, 3600), (_HOURS, _MINUTES, 3600, 60), (_MINUTES, _SECONDS, 60, 1))


def size(count: float, language: Language = ENGLISH) -> str:
    """Bytes in the unit that leaves at most three digits; decimal units, as on packages."""
    index = 0
    while count >= 999.5 and index < len(_SIZES) - 1:
        count, index = count / 1000, index + 1
    digits = 0 if index == 0 or count >= 9.95 else 1
    return _measured(_SIZES[index], language, number=language.number(count, digits))


def duration(seconds: float, language: Language = ENGLISH) -> str:
    """Seconds in the largest unit that fits, with the next one where it still matters: `3 h 12 min`."""
    whole = max(0, int(seconds))
    for unit, small, length, part in _STEPS:
        if whole >= length:
            rest = whole % length // part
            big = _measured(unit, language, count=language.number(whole // length))
            if not rest or whole >= 10 * length:
                return big
            return f"{big} {_measured(small, language, count=language.number(rest))}"
    return _measured(_SECONDS, language, count=language.number(whole))


def share(part: float, language: Language = ENGLISH) -> str:
    """A part of one in percent."""
    return _measured(N_("%(number)s %%"), language, number=language.number(100 * part))


def exact(value: float, unit: str, language: Language = ENGLISH, digits: int = 0) -> str:
    """A value with a unit that is written alike everywhere, such as °C or dBm."""
    number = language.number(value, digits).replace("-", "\u2212")
    return language.measure(f"{number}\u00a0{unit}")


def moment(at: datetime, language: Language = ENGLISH) -> str:
    """A moment in UTC as the language writes it; the page's script shows the reader's own zone."""
    if language.tag in (DEFAULT, pseudo.LONG, pseudo.RIGHT_TO_LEFT):
        return at.isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC")
    locale = Locale.parse(language.tag, sep="-")
    return f"{format_datetime(at, 'medium', tzinfo=UTC, locale=locale)} UTC"


def _measured(text: str, language: Language, **values: str) -> str:
    said = (language.messages.gettext(text) % values).replace(" ", "\u00a0")
    return language.measure(said)
