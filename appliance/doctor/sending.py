"""Does what was recorded leave the station, and what was set aside?"""

from __future__ import annotations

from collections.abc import Sequence

from appliance import sentences
from appliance.doctor.visit import Visit
from appliance.doctor.words import span, well, wrong
from appliance.recognised import reason
from buffer.breaker import BreakerSnapshot, BreakerState
from buffer.listing import Depth
from portal.sentences import N_
from portal.view import Finding, Sentence

NAME = N_("Sending")
FILES = N_("Sending files")
DEAD = N_("Refused for good")
PAUSED = N_("Sending pauses for %(time)s: %(reason)s")
WAITING = N_("Waiting messages: %(count)s.")
WAITING_SINCE = N_("Waiting messages: %(count)s, the oldest for %(time)s.")
TIMES = N_("%(count)s times: %(reason)s")

MOST_REASONS = 3


async def check(visit: Visit) -> Sequence[Finding]:
    """Events, files and what was set aside; nothing where the buffer cannot be read."""
    facts = visit.patient.buffer
    if facts is None:
        return []
    lanes = [_lane(NAME, facts.events, _depth(facts.depth))]
    if facts.files is not None and _is_open(facts.files):
        lanes.append(_lane(FILES, facts.files, _depth(facts.depth)))
    if facts.depth.dead:
        often = sorted(facts.dead.items(), key=lambda each: -each[1])[:MOST_REASONS]
        seen = [Sentence(TIMES, {"count": str(count), "reason": reason(why)}) for why, count in often]
        sentence = Sentence(sentences.DEAD, {"count": str(facts.depth.dead)})
        lanes.append(wrong("warn", "BUF-020", DEAD, sentence, sentences.DEAD_ACTION, *seen))
    return lanes


def _lane(name: str, breaker: BreakerSnapshot | None, waiting: Sentence) -> Finding:
    if breaker is None or not _is_open(breaker):
        return well(name, waiting)
    why = reason(breaker.last_reason) if breaker.last_reason else Sentence("–")
    paused = Sentence(PAUSED, {"time": span(breaker.retry_in), "reason": why})
    code, text, action = sentences.LEVELS[3]
    return wrong("warn", code, name, text, action, paused, waiting)


def _is_open(breaker: BreakerSnapshot) -> bool:
    return breaker.state is BreakerState.OPEN


def _depth(depth: Depth) -> Sentence:
    ages = [level.oldest_age for level in depth.levels.values() if level.oldest_age is not None]
    count = str(depth.count)
    if not depth.count or not ages:
        return Sentence(WAITING, {"count": count})
    return Sentence(WAITING_SINCE, {"count": count, "time": span(max(ages))})
