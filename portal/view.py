"""The portal's port: what a page may know (`Snapshot`) and what it may ask for (`Station`); no HTTP here.

Everything is immutable. A page never reaches behind this file, so whoever can fill a `Snapshot` and
answer `Station` (the real appliance, the simulator, a test's fake) can stand behind the portal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from language.sentence import Sentence as Sentence

PHASES = ("setup", "configuring", "claiming", "operational")
"""The four phases a person walks through, in order; `error` and `halted` stand apart."""

TONES = ("failed", "working", "running", "waiting", "unknown")
"""One colour and one shape each: red square, amber triangle, green circle, blue ring, grey dash."""

PRIORITIES = ("critical", "high", "normal", "low")

FUNNEL = ("joined", "lease", "name", "probe", "page", "form", "attempt", "result")
"""What a phone on the hotspot does, in this order: it comes to the radio, gets an address, asks for a name,
looks for the internet, shows the page and a network's form, sends the form, and reads how that ended."""

SECURITIES = ("open", "wep", "wpa2", "wpa3", "enterprise")


NOTHING = Sentence("")


class Refusal(Exception):
    """A request that is not granted: a stable code, why, what to do, and the form field it belongs to.

    `field` is the name of an input of the form, or None for the whole form.
    `keep_as_typed` offers a box with which the person may insist on what was typed.
    """

    def __init__(
        self,
        code: str,
        sentence: Sentence,
        action: Sentence = NOTHING,
        *,
        field: str | None = None,
        keep_as_typed: bool = False,
    ) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.action = action
        self.field = field
        self.keep_as_typed = keep_as_typed


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """How the station reaches the world now. `signal` is 0-100; `address` the numeric local address.

    `pages` is the URL of these pages with that address, `local_name` the one with the name that mDNS tells.
    """

    ssid_display: str = ""
    connected: bool = False
    online: bool = False
    kind: str = "none"  # wifi, ethernet, cellular or none
    signal: int | None = None
    address: str = ""
    pages: str = ""
    local_name: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How the last try to join a network ended; kept until the next try, so a returning phone finds it.

    `ssid` are the name's bytes, so that the form can be shown again for the same network. `code` is empty
    when `ok`.
    """

    ssid: bytes
    ok: bool
    code: str
    sentence: Sentence
    action: Sentence
    when: datetime | None = None
    security: str = "wpa2"


@dataclass(frozen=True, slots=True)
class ClaimCard:
    """What proves to the cloud that a person stands at this station. Secret outside the claim page."""

    short_id: str
    pin: str = field(repr=False)
    claim_url: str = field(repr=False)
    cloud_address: str = ""
    valid: bool = True
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of one priority waits to be sent. `oldest` is the age in seconds of the oldest message."""

    priority: str
    count: int = 0
    size: int = 0  # bytes
    oldest: float | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """All that waits, most urgent first, and the number of dead messages that will not be tried again."""

    waiting: tuple[Waiting, ...] = ()
    dead: int = 0

    @property
    def count(self) -> int:
        return sum(row.count for row in self.waiting)

    @property
    def size(self) -> int:
        return sum(row.size for row in self.waiting)

    @property
    def oldest(self) -> float | None:
        return max((row.oldest for row in self.waiting if row.oldest is not None), default=None)


@dataclass(frozen=True, slots=True)
class Breaker:
    """A circuit breaker of the uplink: `closed` lets through, `open` waits, `half_open` tries one."""

    state: str = "closed"
    reason: Sentence = NOTHING
    retry_in: float | None = None  # seconds


@dataclass(frozen=True, slots=True)
class Uploads:
    """What reached the cloud so far."""

    delivered: int = 0
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """The station's idea of UTC and how far to trust it. `offset_ms` is the last known error."""

    time: datetime | None = None
    synchronized: bool = False
    source: str = ""
    offset_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Led:
    """What the light on the station shows now. `shape` is one of square, triangle, circle, ring, dash."""

    pattern: str = ""
    colour: str = "off"  # red, yellow, green, blue, white or off
    shape: str = "dash"
    description: Sentence = NOTHING


@dataclass(frozen=True, slots=True)
class Recording:
    """Whether sources deliver. `active` is None while nothing is known yet."""

    active: bool | None = None
    last_event: datetime | None = None
    events: int = 0
    detail: Sentence = NOTHING
    picture: bool = False  # whether there is a last one to look at


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that came with an event, as its file is."""

    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Host:
    """Facts about the computer: bytes, percent, degrees Celsius, seconds; None where there is no sensor."""

    disk_free: int | None = None
    disk_total: int | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    cpu_percent: float | None = None
    temperature: float | None = None
    uptime: float | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the person should know and can act on."""

    code: str
    sentence: Sentence
    action: Sentence = NOTHING


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a test: what was looked at, a tone, and what came of it."""

    name: Sentence
    tone: str
    text: Sentence


@dataclass(frozen=True, slots=True)
class Duty:
    """How much the station does now: the level, 1 for everything to 4 for the least, and what it means."""

    level: int | None = None
    meaning: Sentence = NOTHING


@dataclass(frozen=True, slots=True)
class Update:
    """The update that goes on, or the last one; `version` is empty if there was none.

    `result` is empty while it goes on, then installed, taken_back or given_up.
    """

    version: str = ""
    former: str = ""
    step: Sentence = NOTHING
    percent: int = 0
    reason: Sentence = NOTHING
    action: Sentence = NOTHING
    code: str = ""
    result: str = ""
    job: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent picture of the station; every page and the status JSON are drawn from it alone."""

    state: str
    phase: str
    progress: int = 0  # percent
    tone: str = "unknown"
    step: Sentence = NOTHING
    station_name: str = ""
    short_id: str = ""
    claimed: bool = False
    hotspot: bool = False
    hotspot_open: bool = False
    code_needed: bool = False  # before a network or a claim code is taken: the hotspot's key
    country: str = ""  # ISO 3166-1 alpha-2, as far as it is known
    country_by: str = ""  # who says it: settings, person, guess (the networks nearby) or nobody
    country_guess: str = ""  # what the networks nearby say, even where somebody else decides
    network: NetworkInfo = NetworkInfo()
    attempt: Attempt | None = None
    card: ClaimCard | None = None
    backlog: Backlog = Backlog()
    breaker: Breaker = Breaker()
    files: Breaker = Breaker()  # events and their files have one each
    uploads: Uploads = Uploads()
    realtime: str = "off"  # the live connection: off, resting, trying, connected or blocked
    clock: Clock = Clock()
    led: Led = Led()
    recording: Recording = Recording()
    duty: Duty = Duty()
    host: Host = Host()
    warnings: tuple[Notice, ...] = ()
    log: tuple[str, ...] = ()
    version: str = ""
    key_storage: str = ""  # where the device key lies: file or tpm2; empty while it cannot be used
    update: Update = Update()


FINDINGS = ("fail", "warn", "unknown", "ok")
"""How a check may come out, what matters most first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to: a verdict of `FINDINGS`, what was measured, and the one thing to do.

    Where all is well there is neither a code nor an action.
    """

    code: str
    name: Sentence
    verdict: str
    sentence: Sentence
    evidence: tuple[Sentence, ...] = ()
    action: Sentence = NOTHING


@dataclass(frozen=True, slots=True)
class PhoneTrail:
    """How far one phone came: its address, and the first time of each step of `FUNNEL` that it took.

    Seconds since the hotspot opened last, or since the station started where none has. One without an address
    has a name of its own, which begins with `#`. `wrong_key` is when it last came with a wrong key.
    """

    address: str
    steps: Mapping[str, float] = field(default_factory=dict)
    wrong_key: float | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """One network in the air. `signal` is 0-100, `band` "2.4", "5" or "" when unknown; `beyond` is
    one that asks for WPA3 where the radio cannot do it."""

    ssid: bytes
    signal: int = 0
    security: str = "wpa2"
    band: str = ""
    known: bool = False
    beyond: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """Who the station is on a network with accounts. `ca` is PEM text; without it `domain` is proved by the
    operating system's authorities, and without both nothing is: the person has said so."""

    identity: str
    method: str = "peap"  # or ttls
    anonymous: str = ""
    ca: str = field(default="", repr=False)
    domain: str = ""


@dataclass(frozen=True, slots=True)
class FixedAddress:
    """IPv4 by hand: `address` with prefix."""

    address: str
    gateway: str
    dns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What the person asked for; already checked for shape. `passphrase` is None for an open network."""

    ssid: bytes
    passphrase: str | None = field(default=None, repr=False)
    hidden: bool = False
    security: str = "wpa2"
    code: str = field(default="", repr=False)
    account: Account | None = None
    fixed: FixedAddress | None = None
    five_ghz: bool = False  # in this band alone


class Station(Protocol):
    """What the portal asks of the station. Every method may raise `Refusal`."""

    def snapshot(self) -> Snapshot:
        """The picture now. Cheap: called for every page."""
        ...

    def metrics(self) -> str:
        """The station's figures in the OpenMetrics 1.0 text format, for programs that collect them."""
        ...

    async def networks(self, rescan: bool = False) -> Sequence[Network]:
        """Networks in the air, in any order and with duplicates; from the last scan unless `rescan`."""
        ...

    async def join(self, request: JoinRequest) -> None:
        """Take the request and return at once; the outcome comes as `Snapshot.attempt`.

        The implementer leaves the person's phone about three seconds to load the progress page before it
        takes the hotspot down.
        """
        ...

    async def use_claim_code(self, token: str, code: str = "") -> None:
        """Keep a claim code from the person's account and use it as soon as the station is online."""
        ...

    async def use_country(self, code: str) -> None:
        """Keep the country (ISO 3166-1 alpha-2) that a person named, and follow its rules."""
        ...

    async def cancel(self) -> None:
        """Stop trying to join and go back to the choice of networks."""
        ...

    async def client_seen(self, client: str, step: str) -> None:
        """A client reached a step of the funnel: probe, page, form, attempt or result. Must not fail."""
        ...

    def phones(self) -> Sequence[PhoneTrail]:
        """Who came how far, the one seen last first; kept after the hotspot closed, until it opens again."""
        ...

    async def locate(self) -> None:
        """Blink the light for a while, so that a person finds the station."""
        ...

    async def retry(self) -> None:
        """Try to send what waits now, without waiting for the breaker."""
        ...

    async def check_pin(self, pin: str, client: str) -> None:
        """Returns when `pin` is the technician's; raises `Refusal` for a wrong one and while tries wait."""
        ...

    async def test_connection(self) -> Sequence[Check]:
        """Try the way to the cloud now; takes up to a minute."""
        ...

    async def restart(self) -> None:
        """End the program in good order and start it again; returns at once."""
        ...

    async def reset(self, *, purge: bool) -> None:
        """Make this a new station, with `purge` without what waits to be sent; returns once it is sure."""
        ...

    async def forget_networks(self) -> None:
        """Forget every stored network and keep all else; returns once it is sure."""
        ...

    async def picture(self) -> Picture:
        """The last picture that came with an event; raises `Refusal` when it is not here any more."""
        ...

    async def diagnose(self) -> Sequence[Finding]:
        """Look at everything that can be wrong, now. Takes up to half a minute, and never fails."""
        ...

    async def support_bundle(self) -> bytes:
        """The redacted support bundle, a .tar.gz."""
        ...

    def changes(self) -> AsyncIterator[Snapshot]:
        """Every new snapshot from now on; a slow reader may miss ones in between, never the last."""
        ...
