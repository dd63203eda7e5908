"""A snapshot as words: the one dictionary behind the pages, the event stream and the status JSON; pure.

`shown` holds what a page shows, in the reader's language; `facts` the same truth for programs. Neither
holds the claim card: its PIN and link stand on the claim page alone.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import asdict
from datetime import datetime
from typing import Any

from language.languages import Language
from portal.answers import answers
from portal.measures import ago, clock_source, clock_time, duration, measure, size, unknown
from portal.sentences import N_, TITLES
from portal.view import (
    PRIORITIES,
    TONES,
    Attempt,
    Breaker,
    Duty,
    Host,
    Led,
    NetworkInfo,
    Snapshot,
    Update,
    Waiting,
)

_HOME = {
    "uninitialized": "/progress",
    "initializing": "/progress",
    "setup": "/setup",
    "configuring": "/setup",
    "connecting": "/progress",
    "network_ready": "/claim",
    "claiming": "/claim",
    "activating": "/claim",
}


PERCENT = N_("%(number)s%%")


def home(snapshot: Snapshot) -> str:
    """The page a person should see now."""
    return _HOME.get(snapshot.state, "/status")


def revision(snapshot: Snapshot, secret: bytes) -> str:
    """Changes whenever a page that waits should be loaded anew; tells nothing about the card behind it."""
    attempt = snapshot.attempt
    told = (
        home(snapshot),
        snapshot.claimed,
        snapshot.network.online,
        attempt and attempt.code,
        snapshot.card,
    )
    parts = [repr(told), *((snapshot.card.pin, snapshot.card.claim_url) if snapshot.card else ())]
    return hmac.new(secret, "|".join(parts).encode(), hashlib.sha256).hexdigest()[:12]


def shown(snapshot: Snapshot, language: Language) -> dict[str, Any]:
    """What pages show of the station, as text."""
    now = snapshot.clock.time
    return {
        "tone": snapshot.tone if snapshot.tone in TONES else "unknown",
        "title": language.tell(TITLES.get(snapshot.state, N_("Not known yet"))),
        "step": language.say(snapshot.step),
        "progress": max(0, min(100, snapshot.progress)),
        "answers": {name: asdict(answer) for name, answer in answers(snapshot, language).items()},
        "network": _network(snapshot.network, language),
        "backlog": _backlog(snapshot, language),
        "breaker": _breaker(snapshot.breaker, language),
        "files": _breaker(snapshot.files, language),
        "uploads": {
            "delivered": language.number(snapshot.uploads.delivered),
            "last": ago(snapshot.uploads.last, now, language) or language.tell(N_("never")),
        },
        "orders": language.tell(
            N_("They arrive at once")
            if snapshot.realtime == "connected"
            else N_("They arrive with the next heartbeat")
        ),
        "clock": _clock(snapshot, language),
        "duty": _duty(snapshot.duty, language),
        "led": _led(snapshot.led, language),
        "host": _host(snapshot.host, language),
        "release": _update(snapshot.update, language),
        "recording": {"events": language.number(snapshot.recording.events)},
        "log": "\n".join(snapshot.log),
        "as_of": clock_time(now, language),
    }


def facts(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot for programs: seconds, bytes, ISO 8601 times; without the claim card."""
    told = {name: _plain(value) for name, value in asdict(snapshot).items() if name != "card"}
    told["attempt"] = _attempt(snapshot.attempt)
    return told


def _plain(value: Any) -> Any:
    """`value` with times as text and sentences as English."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        if value.keys() == {"text", "fields"}:
            return value["text"] % _plain(value["fields"])
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _attempt(attempt: Attempt | None) -> dict[str, Any] | None:
    return None if attempt is None else _plain(asdict(attempt) | {"ssid": attempt.ssid.hex()})


def _network(network: NetworkInfo, language: Language) -> dict[str, str]:
    kinds = {"wifi": N_("Wi-Fi"), "ethernet": N_("Cable"), "cellular": N_("Mobile network")}
    return {
        "kind": language.tell(kinds.get(network.kind, N_("none"))),
        "name": network.ssid_display or "–",
        "signal": "–" if network.signal is None else _number(network.signal, PERCENT, language),
        "address": network.address or "–",
        "local_name": network.local_name or "–",
        "online": language.tell(N_("Yes") if network.online else N_("No")),
    }


def _backlog(snapshot: Snapshot, language: Language) -> dict[str, Any]:
    rows = {row.priority: row for row in snapshot.backlog.waiting}
    named = [*PRIORITIES, *(name for name in rows if name not in PRIORITIES)]
    return {
        "rows": {name: _waiting(rows.get(name, Waiting(name)), language) for name in named},
        "dead": language.number(snapshot.backlog.dead),
    }


def _waiting(row: Waiting, language: Language) -> dict[str, str]:
    return {
        "count": language.number(row.count),
        "size": size(row.size, language) if row.count else "–",
        "oldest": "–" if row.oldest is None else duration(row.oldest, language),
    }


def _breaker(breaker: Breaker, language: Language) -> dict[str, str]:
    states = {
        "closed": N_("Sending normally"),
        "open": N_("Paused, because the cloud did not answer"),
        "half_open": N_("Trying one message"),
    }
    return {
        "state": language.tell(states.get(breaker.state, N_("not known"))),
        "reason": language.say(breaker.reason) or "–",
        "retry": "–" if breaker.retry_in is None else duration(breaker.retry_in, language),
    }


def _duty(duty: Duty, language: Language) -> dict[str, str]:
    if duty.level is None:
        return {"level": "–", "meaning": ""}
    level = language.tell(N_("%(level)s of 4"), level=language.number(duty.level))
    return {"level": level, "meaning": language.say(duty.meaning)}


def _update(update: Update, language: Language) -> dict[str, str]:
    done = _number(update.percent, PERCENT, language)
    return {
        "version": update.version or "–",
        "step": language.say(update.step),
        "percent": "–" if update.result or not update.version else done,
        "reason": language.say(update.reason, update.action) or "–",
    }


def _clock(snapshot: Snapshot, language: Language) -> dict[str, str]:
    clock = snapshot.clock
    return {
        "time": clock_time(clock.time, language),
        "source": clock_source(clock.source, language),
        "offset": _number(clock.offset_ms, N_("%(number)s ms"), language, signed=True),
    }


def _number(value: float | None, text: str, language: Language, *, signed: bool = False) -> str:
    if value is None:
        return unknown(language)
    return measure(text, language.number(value, signed=signed), language)


def _led(led: Led, language: Language) -> dict[str, str]:
    return {
        "pattern": led.pattern or "–",
        "colour": led.colour,
        "shape": led.shape,
        "description": language.say(led.description) or language.tell(N_("The light is off")),
    }


def _host(host: Host, language: Language) -> dict[str, str]:
    def part_of(part: int | None, whole: int | None, text: str) -> str:
        if part is None or whole is None:
            return unknown(language)
        return language.tell(text, part=size(part, language), whole=size(whole, language))

    return {
        "disk": part_of(host.disk_free, host.disk_total, N_("%(part)s free of %(whole)s")),
        "memory": part_of(host.memory_used, host.memory_total, N_("%(part)s used of %(whole)s")),
        "cpu": _number(host.cpu_percent, PERCENT, language),
        "temperature": _number(host.temperature, N_("%(number)s °C"), language),
        "uptime": duration(host.uptime, language),
    }
