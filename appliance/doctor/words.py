"""Findings, and what several families say in the same words; no checks here.

A sentence stands in its verdict's own table where there is one (`VERDICTS`, `recognised.CODES`); a code of
this folder, `DOC-…`, is only for what had none.
"""

from __future__ import annotations

from datetime import UTC, datetime

from appliance.network.verdict import VERDICTS
from portal.sentences import N_
from portal.view import Finding, Sentence

WELL = N_("All is well.")
FOLLOWS = N_("This could not be checked, because something before it is wrong.")
FOLLOWS_ACTION = N_("Put the rest right first, then check again.")

_SIZES = ((10**9, N_("%(number)s GB")), (10**6, N_("%(number)s MB")), (10**3, N_("%(number)s kB")))
_BYTES = N_("%(number)s B")
_SPANS = ((2 * 3600.0, 3600.0, N_("%(count)s h")), (90.0, 60.0, N_("%(count)s min")))
_SECONDS = N_("%(count)s s")
_MILLISECONDS = N_("%(number)s ms")


def well(name: str | Sentence, *evidence: Sentence) -> Finding:
    """Nothing to do."""
    return Finding("", _name(name), "ok", Sentence(WELL), evidence)


def follows(name: str | Sentence, *evidence: Sentence) -> Finding:
    """Nobody can tell as long as something else is wrong."""
    return Finding("", _name(name), "unknown", Sentence(FOLLOWS), evidence, Sentence(FOLLOWS_ACTION))


def wrong(
    verdict: str,
    code: str,
    name: str | Sentence,
    sentence: str | Sentence,
    action: str | Sentence,
    *evidence: Sentence,
) -> Finding:
    """`verdict` is fail or warn."""
    return Finding(code, _name(name), verdict, _name(sentence), evidence, _name(action))


def judged(code: str, name: str, *evidence: Sentence, ssid: str = "") -> Finding:
    """A fault that the table of the networks' verdicts knows. `ssid` is the name as it is shown."""
    verdict = VERDICTS[code]
    return wrong("fail", code, name, Sentence(verdict.sentence, {"ssid": ssid}), verdict.action, *evidence)


def _name(text: str | Sentence) -> Sentence:
    return text if isinstance(text, Sentence) else Sentence(text)


def size(count: int) -> Sentence:
    """Bytes in the largest unit that keeps a digit before the point (decimal units)."""
    for unit, text in _SIZES:
        if count >= unit:
            number = count / unit
            return Sentence(text, {"number": f"{number:.0f}" if number >= 10 else f"{number:.1f}"})
    return Sentence(_BYTES, {"number": str(count)})


def span(seconds: float) -> Sentence:
    """A length of time in one rounded unit."""
    for least, unit, text in _SPANS:
        if seconds >= least:
            return Sentence(text, {"count": f"{seconds / unit:.0f}"})
    if seconds >= 1:
        return Sentence(_SECONDS, {"count": f"{seconds:.0f}"})
    return Sentence(_MILLISECONDS, {"number": f"{seconds * 1000:.0f}"})


def moment(when: datetime) -> str:
    """In UTC, to the second."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
