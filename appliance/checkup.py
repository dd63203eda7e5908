"""The technician's test of the connection: asks the cloud a few times and says in words what came of it.

It goes the way that events go: same addresses, same trust, same network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from appliance.network.port import Link
from appliance.recognised import reason
from appliance.uplink.client import CloudClient, Unreachable
from portal.sentences import N_
from portal.ssid import display
from portal.view import Check, Sentence

TRIES = 5
SLOW_MS = 500.0

NETWORK, NAMES, INTERNET, CLOUD = N_("Network"), N_("Names (DNS)"), N_("Internet"), N_("The cloud")
ANSWER_TIME, LOST = N_("Answer time"), N_("Lost")
NO_NETWORK = N_("The station is on no network.")
BY_CABLE = N_("The station is connected by cable.")
BY_MODEM = N_("The station is connected by mobile network.")
BY_WIFI = N_("The station is on %(ssid)s.")
FOUND, NOT_FOUND = N_("Names are found."), N_("The cloud's name is not found.")
REACHED, NOT_REACHED = N_("The internet is reached."), N_("Nothing outside answers.")
WELL = N_("The cloud answers and is well.")
ONLY_ANSWERS = N_("The cloud answers, but it is not well.")
TOOK = N_("%(number)s ms")
LOST_OF = N_("Without an answer: %(lost)s of %(sent)s tries.")
NOT_TRIED = N_("Not tried.")


@dataclass(frozen=True, slots=True)
class Round:
    """What the tries met: seconds of each answer, the fault of each without one, the words of the first."""

    answers: tuple[float, ...] = ()
    faults: tuple[str, ...] = ()
    why: str = ""
    ill: bool = False


async def test_connection(link: Link, client: CloudClient) -> tuple[Check, ...]:
    """At most a minute; raises nothing that a network can cause."""
    return told(link, Round() if link.kind == "none" else await _ask(client))


async def _ask(client: CloudClient) -> Round:
    answers, faults, why, ill = list[float](), list[str](), "", False
    for _ in range(TRIES):
        try:
            seconds, well = await client.knock()
        except Unreachable as fault:
            faults.append(fault.fault)
            why = why or str(fault)
            if len(faults) > 1 and not answers:
                break  # two in a row say it; a person waits
        else:
            answers.append(seconds)
            ill = ill or not well
    return Round(tuple(answers), tuple(faults), why, ill)


def told(link: Link, seen: Round) -> tuple[Check, ...]:
    """The six lines for a person; pure."""
    return (
        _network(link),
        _names(seen),
        _internet(seen),
        _cloud(seen),
        _time(seen.answers),
        _lost(seen),
    )


def _network(link: Link) -> Check:
    if link.kind == "none":
        return Check(Sentence(NETWORK), "failed", Sentence(NO_NETWORK))
    if link.kind == "wifi" and link.ssid:
        return Check(Sentence(NETWORK), "running", Sentence(BY_WIFI, {"ssid": display(link.ssid)}))
    way = BY_MODEM if link.kind == "cellular" else BY_CABLE
    return Check(Sentence(NETWORK), "running", Sentence(way))


def _names(seen: Round) -> Check:
    if not seen.answers and not seen.faults:
        return _not_tried(NAMES)
    found = bool(seen.answers) or any(fault != "dns" for fault in seen.faults)
    return _yes_or_no(NAMES, found, FOUND, NOT_FOUND)


def _internet(seen: Round) -> Check:
    """Whoever refuses or cannot prove who it is answers all the same."""
    if not seen.answers and not seen.faults:
        return _not_tried(INTERNET)
    reached = bool(seen.answers) or not {"refused", "tls"}.isdisjoint(seen.faults)
    return _yes_or_no(INTERNET, reached, REACHED, NOT_REACHED)


def _cloud(seen: Round) -> Check:
    if seen.answers:
        text = ONLY_ANSWERS if seen.ill else WELL
        return Check(Sentence(CLOUD), "working" if seen.ill else "running", Sentence(text))
    return Check(Sentence(CLOUD), "failed", reason(seen.why)) if seen.why else _not_tried(CLOUD)


def _time(answers: Sequence[float]) -> Check:
    if not answers:
        return _not_tried(ANSWER_TIME)
    took = median(answers) * 1000
    tone = "working" if took > SLOW_MS else "running"
    return Check(Sentence(ANSWER_TIME), tone, Sentence(TOOK, {"number": f"{took:.0f}"}))


def _lost(seen: Round) -> Check:
    lost, sent = len(seen.faults), len(seen.faults) + len(seen.answers)
    if not sent:
        return _not_tried(LOST)
    tone = "failed" if lost == sent else "working" if lost else "running"
    return Check(Sentence(LOST), tone, Sentence(LOST_OF, {"lost": str(lost), "sent": str(sent)}))


def _yes_or_no(name: str, yes: bool, good: str, bad: str) -> Check:
    return Check(Sentence(name), "running" if yes else "failed", Sentence(good if yes else bad))


def _not_tried(name: str) -> Check:
    return Check(Sentence(name), "unknown", Sentence(NOT_TRIED))
