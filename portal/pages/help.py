"""Something is wrong? What the station found, problems first; and what a code means, from the guide."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from aiohttp import web

from language.languages import Language
from portal import context, guide
from portal.measures import clock_time
from portal.pages.forms import posted, require_token, see_other
from portal.render import page
from portal.sentences import N_
from portal.view import FINDINGS, Finding, Station

FRESH_S = 10.0
"""So long a page that is loaded again shows what was found before: looking costs the station something."""

TONES = {"fail": "failed", "warn": "working", "unknown": "unknown", "ok": "running"}
WORDS = {"fail": N_("Wrong"), "warn": N_("Needs a look")}


class Checkup:
    """The last findings, looked for by one visitor for all."""

    def __init__(self, station: Station, now: Callable[[], float]) -> None:
        """`now` is monotonic seconds."""
        self._station = station
        self._now = now
        self._one = asyncio.Lock()
        self._found: Sequence[Finding] = ()
        self._at: float | None = None
        self._when: datetime | None = None

    async def look(self, *, again: bool = False) -> tuple[list[Finding], datetime | None]:
        """Problems first, and when they were found. `again` wants newer ones than those of before."""
        asked = self._now()
        async with self._one:
            oldest = asked if again else asked - FRESH_S
            if self._at is None or self._at < oldest:
                self._found = await self._station.diagnose()
                self._at, self._when = self._now(), self._station.snapshot().clock.time
            return sorted(self._found, key=lambda each: FINDINGS.index(each.verdict)), self._when


CHECKUP = web.AppKey("checkup", Checkup)


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /help`: looks, unless somebody has just looked."""
    found, when = await request.app[CHECKUP].look()
    language = context.language(request)
    return page(
        request,
        "help.html",
        problems=[_told(each, language) for each in found if each.verdict in ("fail", "warn")],
        open=[_told(each, language) for each in found if each.verdict == "unknown"],
        fine=[_told(each, language) for each in found if each.verdict == "ok"],
        checked=clock_time(when, language),
    )


async def again(request: web.Request) -> web.StreamResponse:
    """`POST /help/again`: look now."""
    require_token(request, await posted(request))
    await request.app[CHECKUP].look(again=True)
    return see_other("/help")


async def explain(request: web.Request) -> web.StreamResponse:
    """`GET /help/{code}`: the guide's row. The guide is in English."""
    row = guide.find(request.match_info["code"])
    if row is None:
        raise web.HTTPNotFound
    return page(request, "guide.html", row=row)


def _told(finding: Finding, language: Language) -> dict[str, str]:
    return {
        "tone": TONES[finding.verdict],
        "word": language.tell(WORDS.get(finding.verdict, "")),
        "name": language.say(finding.name),
        "sentence": language.say(finding.sentence),
        "seen": language.say(*finding.evidence),
        "action": language.say(finding.action),
        "both": language.say(finding.sentence, finding.action),
        "code": finding.code,
    }
