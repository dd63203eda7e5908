"""A station that needs no station: scriptable for tests, and lively enough to show every page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from portal.sentences import refusal
from portal.ssid import display
from portal.view import (
    NOTHING,
    Attempt,
    Backlog,
    Breaker,
    Check,
    ClaimCard,
    Clock,
    Duty,
    Finding,
    Host,
    JoinRequest,
    Led,
    Network,
    NetworkInfo,
    PhoneTrail,
    Picture,
    Recording,
    Refusal,
    Sentence,
    Snapshot,
    Uploads,
    Waiting,
)

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)

CARD = ClaimCard(
    short_id="KXPMVT",
    pin="482913",
    claim_url="https://cloud.example.org/claim#KXPMVT.q8Yw3fJr0cX2nLk5Vt7bZg",
    cloud_address="cloud.example.org/claim",
)

VERDICTS = {
    "NET-001": (
        Sentence("The password for %(ssid)s was not accepted."),
        Sentence("Check it and try again; capital letters matter."),
    ),
    "NET-002": (
        Sentence("%(ssid)s is not in reach of the station."),
        Sentence("Move the station nearer to the router, or check that the router is on, then try again."),
    ),
}

IN_SETUP = Snapshot(
    state="setup",
    phase="setup",
    progress=20,
    tone="waiting",
    step=Sentence("The station waits for you to choose its network."),
    short_id="KXPMVT",
    hotspot=True,
    card=CARD,
    clock=Clock(NOON, synchronized=False, source="floor"),
    led=Led(
        "waiting_for_user",
        "blue",
        "ring",
        Sentence("Blue, two flashes: the station waits for you. Join its setup hotspot with your phone."),
    ),
    recording=Recording(active=None),
    host=Host(21_400_000_000, 31_000_000_000, 240_000_000, 1_000_000_000, 3.0, 47.5, 3_700.0),
    version="0.1.0",
    key_storage="tpm2",
    log=("12:00:00 INFO portal is open", "12:00:01 INFO the station waits for a network"),
)

ONLINE = NetworkInfo(
    "Home-5G",
    connected=True,
    online=True,
    kind="wifi",
    signal=71,
    address="192.168.1.40",
    pages="http://192.168.1.40/",
    local_name="http://meteor-kxpmvt.local/",
)

WAITING_FOR_CLAIM = replace(
    IN_SETUP,
    state="network_ready",
    phase="claiming",
    progress=60,
    step=Sentence("The station is online and waits for you to claim it."),
    hotspot=False,
    network=ONLINE,
    clock=Clock(NOON, synchronized=True, source="NTP", offset_ms=2.6),
)

CONNECTING = replace(
    IN_SETUP,
    state="connecting",
    phase="configuring",
    progress=40,
    tone="working",
    step=Sentence("The station is joining the network."),
)

RUNNING = replace(
    WAITING_FOR_CLAIM,
    state="operational",
    phase="operational",
    progress=100,
    tone="running",
    step=Sentence("The station is running."),
    led=Led("operational", "green", "circle", Sentence("Green, steady: the station is running.")),
    claimed=True,
    card=None,
    station_name="Roof south",
    recording=Recording(active=True, last_event=NOON.replace(hour=11, minute=52), events=214, picture=True),
    uploads=Uploads(delivered=1203, last=NOON.replace(hour=11, minute=58)),
    backlog=Backlog(
        (
            Waiting("high", 3, 6_400_000, 95.0),
            Waiting("normal", 9, 21_000, 480.0),
            Waiting("low", 40, 88_000, 4_000.0),
        ),
    ),
    breaker=Breaker(),
    duty=Duty(1, Sentence("Everything is sent at once.")),
)

PIN = "739105"

CHECKS = (
    Check(Sentence("Network"), "running", Sentence("The station is connected by cable.")),
    Check(Sentence("The cloud"), "failed", Sentence("The cloud did not answer in time.")),
    Check(Sentence("Answer time"), "unknown", Sentence("Not tried.")),
)

NEARBY = (
    Network(b"Home-5G", 82, "wpa2", "2.4", known=True),
    Network(b"Home-5G", 61, "wpa2", "5"),
    Network("Café Ωmega".encode(), 58, "open", "2.4"),
    Network(b"Observatory", 49, "wpa3", "5"),
    Network(b"eduroam", 40, "enterprise", "2.4"),
    Network(b"dlink", 22, "wep", "2.4"),
)

STUCK_PHONES = {
    "#3f9a1c": {"joined": 2.0},
    "10.42.0.23": {"lease": 3.1},
    "10.42.0.57": {"lease": 4.0, "name": 4.2, "probe": 4.3, "page": 5.0, "form": 31.0, "attempt": 58.0},
    "10.42.0.80": {"lease": 12.0, "name": 12.4, "probe": 12.5},
}
"""For `FakeStation.trails`: phones that stand at different steps."""


FINDINGS = (
    Finding(
        "",
        Sentence("Network"),
        "ok",
        Sentence("All is well."),
        (
            Sentence(
                "By Wi-Fi, signal %(signal)s %%, address %(address)s.",
                {"signal": "71", "address": "192.168.1.40"},
            ),
        ),
    ),
    Finding(
        "NET-012",
        Sentence("Names (DNS)"),
        "fail",
        Sentence(
            "The station is on %(ssid)s, but no internet name can be looked up (DNS).", {"ssid": "Home-5G"}
        ),
        (
            Sentence(
                "DNS of %(server)s did not answer within %(time)s.",
                {"server": "192.168.1.1", "time": Sentence("%(count)s s", {"count": "3"})},
            ),
        ),
        Sentence("Start the router again; if that does not help, set another DNS server in it."),
    ),
    Finding(
        "",
        Sentence("Cloud"),
        "unknown",
        Sentence("This could not be checked, because something before it is wrong."),
        (),
        Sentence("Put the rest right first, then check again."),
    ),
    Finding(
        "DOC-013",
        Sentence("Hardware: %(part)s", {"part": Sentence("Memory")}),
        "warn",
        Sentence("This computer has less than what is recommended for a station."),
        (
            Sentence(
                "%(found)s; recommended: %(wanted)s.",
                {
                    "found": Sentence("%(number)s GB", {"number": "2.0"}),
                    "wanted": Sentence("%(number)s GB", {"number": "4.0"}),
                },
            ),
        ),
        Sentence("Nothing has to be done at once; use a larger one if recordings get lost."),
    ),
)
"""One of each verdict, not in their order."""


def failed_attempt(code: str, ssid: bytes, security: str = "wpa2") -> Attempt:
    """How a try ended that failed with one of `VERDICTS`. Raises KeyError for another code."""
    sentence, action = VERDICTS[code]
    said = replace(sentence, fields={"ssid": display(ssid)})
    return Attempt(ssid, False, code, said, action, NOON, security)


class FakeStation:
    """A `Station` whose snapshot is set by `show`, and which writes down what was asked of it.

    `passwords` maps a network's bytes to the one password it accepts; a network that is missing cannot be
    found. `join` only starts: `settle` ends the try with the verdict, as a radio would. Set `refuse` to have
    the next request refused.
    """

    def __init__(
        self,
        snapshot: Snapshot = IN_SETUP,
        nearby: Sequence[Network] = NEARBY,
        passwords: Mapping[bytes, str | None] | None = None,
    ) -> None:
        self._snapshot = snapshot
        self.nearby = list(nearby)
        self.passwords = dict(passwords or {b"Home-5G": "correct horse"})
        self.asked: list[tuple[str, Any]] = []
        self.seen: list[tuple[str, str]] = []
        self.trails: dict[str, dict[str, float]] = {}
        self.refuse: Refusal | None = None
        self.pin = PIN
        self.findings: tuple[Finding, ...] = FINDINGS
        self._changed = asyncio.Condition()

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def metrics(self) -> str:
        return "# EOF\n"

    async def show(self, snapshot: Snapshot | None = None, **changes: Any) -> None:
        """Show `snapshot`, or the present one with `changes`, and tell the listeners."""
        self._snapshot = replace(snapshot or self._snapshot, **changes)
        async with self._changed:
            self._changed.notify_all()

    async def _move(self, to: Snapshot, **changes: Any) -> None:
        """Show `to`, but its owner, its card and its country stay the same."""
        now = self._snapshot
        place = {"country": now.country, "country_by": now.country_by, "country_guess": now.country_guess}
        await self.show(to, card=now.card, claimed=now.claimed, **place, **changes)

    async def changes(self) -> AsyncIterator[Snapshot]:
        last = self._snapshot
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._snapshot is not last)  # noqa: B023
            last = self._snapshot
            yield last

    async def networks(self, rescan: bool = False) -> Sequence[Network]:
        if rescan:
            self._ask("rescan")
        return tuple(self.nearby)

    async def join(self, request: JoinRequest) -> None:
        self._ask("join", request)
        await self._move(CONNECTING)

    async def settle(self) -> None:
        """End the try that `join` began."""
        request: JoinRequest = [value for name, value in self.asked if name == "join"][-1]
        verdict = self._verdict(request)
        if verdict:
            failed = failed_attempt(verdict, request.ssid, request.security)
            await self._move(IN_SETUP, attempt=failed)
            return
        network = replace(ONLINE, ssid_display=display(request.ssid))
        joined = Attempt(request.ssid, True, "", NOTHING, NOTHING, NOON, request.security)
        await self._move(WAITING_FOR_CLAIM, network=network, attempt=joined)

    def _verdict(self, request: JoinRequest) -> str:
        if request.ssid not in self.passwords:
            return "NET-002"
        return "" if self.passwords[request.ssid] == request.passphrase else "NET-001"

    async def use_claim_code(self, token: str, code: str = "") -> None:
        self._ask("claim code", token)

    async def use_country(self, code: str) -> None:
        self._ask("country", code)
        await self.show(country=code, country_by="person")

    async def cancel(self) -> None:
        self._ask("cancel")
        await self._move(IN_SETUP)

    async def client_seen(self, client: str, step: str) -> None:
        self.seen.append((client, step))
        self.trails.setdefault(client, {}).setdefault(step, float(len(self.seen)))

    def phones(self) -> Sequence[PhoneTrail]:
        return tuple(PhoneTrail(address, dict(steps)) for address, steps in reversed(self.trails.items()))

    async def locate(self) -> None:
        self._ask("locate")

    async def retry(self) -> None:
        self._ask("retry")

    async def check_pin(self, pin: str, client: str) -> None:
        self._ask("pin", client)
        if pin != self.pin:
            raise refusal("WEB-009", field="pin")

    async def test_connection(self) -> Sequence[Check]:
        self._ask("test")
        return CHECKS

    async def restart(self) -> None:
        self._ask("restart")

    async def reset(self, *, purge: bool) -> None:
        self._ask("reset", purge)

    async def forget_networks(self) -> None:
        self._ask("forget")

    async def picture(self) -> Picture:
        self._ask("picture")
        return Picture("image/png", b"\x89PNG played")

    async def diagnose(self) -> Sequence[Finding]:
        self._ask("diagnose")
        return self.findings

    async def support_bundle(self) -> bytes:
        self._ask("bundle")
        return b"\x1f\x8b played"

    def _ask(self, name: str, value: Any = None) -> None:
        if self.refuse is not None:
            refused, self.refuse = self.refuse, None
            raise refused
        self.asked.append((name, value))
