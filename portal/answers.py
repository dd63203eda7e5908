"""The five questions a technician asks first, answered from one snapshot; pure, in the reader's language."""

from __future__ import annotations

from dataclasses import dataclass

from language.languages import Language
from portal.measures import ago, clock_source, duration, size
from portal.sentences import N_, P_
from portal.view import Snapshot


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: a tone for colour and shape, a word or two, and what stands behind it."""

    tone: str
    text: str
    more: str = ""


def answers(snapshot: Snapshot, language: Language) -> dict[str, Answer]:
    """All five, by name, in the order in which they are asked."""
    return {
        "recording": recording(snapshot, language),
        "online": online(snapshot, language),
        "waiting": waiting(snapshot, language),
        "clock": clock(snapshot, language),
        "todo": todo(snapshot, language),
    }


def recording(snapshot: Snapshot, language: Language) -> Answer:
    """Is it recording?"""
    facts = snapshot.recording
    last = ago(facts.last_event, snapshot.clock.time, language)
    more = language.say(facts.detail)
    if not more and last:
        more = language.tell(N_("Last event %(ago)s"), ago=last)
    if facts.active is None:
        return Answer("unknown", language.tell(N_("Not known yet")), more)
    if facts.active:
        return Answer("running", language.tell(N_("Yes")), more)
    return Answer("failed", language.tell(N_("No")), more)


def online(snapshot: Snapshot, language: Language) -> Answer:
    """Is it online?"""
    network = snapshot.network
    if not network.connected:
        tone = "waiting" if snapshot.hotspot else "failed"
        more = N_("The setup hotspot is open") if snapshot.hotspot else N_("No network")
        return Answer(tone, language.tell(N_("No")), language.tell(more))
    ways = {"ethernet": N_("By network cable"), "cellular": N_("By mobile network")}
    way = (
        language.tell(ways[network.kind])
        if network.kind in ways
        else language.tell(N_("Through %(ssid)s"), ssid=network.ssid_display)
    )
    if network.online:
        return Answer("running", language.tell(N_("Yes")), way)
    return Answer("working", language.tell(N_("No internet")), way)


def waiting(snapshot: Snapshot, language: Language) -> Answer:
    """Is anything waiting?"""
    backlog = snapshot.backlog
    if not backlog.count:
        if backlog.dead:
            return Answer("failed", language.tell(N_("No")), _dead(backlog.dead, language))
        return Answer("running", language.tell(N_("No")), language.tell(N_("Everything is sent")))
    amount = language.count(P_("%(count)s message", "%(count)s messages"), backlog.count)
    return Answer(
        "working" if snapshot.claimed else "waiting",
        language.messages.gettext(N_("%(amount)s, %(size)s"))
        % {"amount": amount, "size": size(backlog.size, language)},
        _why_waiting(snapshot, language),
    )


def _why_waiting(snapshot: Snapshot, language: Language) -> str:
    if not snapshot.claimed:
        return language.tell(N_("Kept until the station is claimed"))
    if not snapshot.network.online:
        return language.tell(N_("Kept until the station is online"))
    if snapshot.breaker.state == "open" and snapshot.breaker.retry_in is not None:
        wait = duration(snapshot.breaker.retry_in, language)
        return language.tell(N_("The cloud does not answer; next try in %(time)s"), time=wait)
    if snapshot.backlog.dead:
        return _dead(snapshot.backlog.dead, language)
    return language.tell(N_("Being sent now"))


def _dead(count: int, language: Language) -> str:
    forms = P_("%(count)s message was refused for good", "%(count)s messages were refused for good")
    return language.count(forms, count)


def clock(snapshot: Snapshot, language: Language) -> Answer:
    """Is the clock right?"""
    facts = snapshot.clock
    if facts.time is None:
        return Answer("unknown", language.tell(N_("Not known yet")))
    if not facts.synchronized:
        heard = facts.source == "server"  # what is sent gets the right time; the clock itself is not set
        more = N_("The cloud's time is used") if heard else N_("No time source heard yet")
        return Answer("working", language.tell(N_("Not sure")), language.tell(more))
    if facts.offset_ms is None:
        return Answer("running", language.tell(N_("Yes")), clock_source(facts.source, language))
    more = language.tell(
        N_("Within %(offset)s ms, from %(source)s"),
        offset=language.number(abs(facts.offset_ms)),
        source=clock_source(facts.source or "ntp", language),
    )
    return Answer("running", language.tell(N_("Yes")), more)


_ADVICE = {
    "setup": N_("Choose a network"),
    "configuring": N_("Choose a network"),
    "connecting": N_("Wait until it has joined"),
    "network_ready": N_("Claim the station"),
    "claiming": N_("Wait a moment"),
    "activating": N_("Wait a moment"),
    "error": N_("Restart the station"),
    "halted": N_("Restart the station"),
}


def todo(snapshot: Snapshot, language: Language) -> Answer:
    """What should I do?"""
    if snapshot.warnings:
        first = snapshot.warnings[0]
        return Answer("working", language.say(first.action or first.sentence), first.code)
    text = _ADVICE.get(snapshot.state)
    if text is None:
        well = snapshot.state == "operational"
        more = language.tell(N_("All is well")) if well else language.say(snapshot.step)
        return Answer("running", language.tell(N_("Nothing")), more)
    tone = "failed" if snapshot.state in ("error", "halted") else "waiting"
    return Answer(tone, language.tell(text), language.say(snapshot.step))
