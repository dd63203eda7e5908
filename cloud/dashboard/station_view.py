"""What a station's page says about its last heartbeat: facts in plain words, the backlog as a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from cloud.dashboard.measures import ENGLISH, duration, exact, share, size
from cloud.dashboard.words import (
    FAILED,
    N_,
    RUNNING,
    UNKNOWN,
    WAITING,
    WORKING,
    breaker_state,
    text_to_ms,
)
from cloud.fleet.commands import CommandState
from cloud.fleet.liveness import liveness
from language.languages import Language
from protocol.messages import (
    Backlog,
    BufferState,
    CameraStatus,
    Clock,
    DeviceInfo,
    HeartbeatRequest,
    Location,
    NetworkInfo,
)

HOT_C = 80.0
"""Where a Raspberry Pi slows itself down."""
NEARLY_FULL = 0.9


@dataclass(frozen=True)
class Fact:
    """One line: label, value, perhaps a tone and a small detail; or a moment (ms), as an age if `age`."""

    label: str
    value: str = ""
    tone: str = ""
    detail: str = ""
    at_ms: int | None = None
    age: bool = False


@dataclass(frozen=True)
class BacklogRow:
    """One priority of the buffer: how many wait, how large, how old the oldest is."""

    label: str
    count: int
    size: str
    oldest: str


def facts(
    reported: HeartbeatRequest | None,
    network: NetworkInfo | None,
    *,
    online: bool,
    language: Language = ENGLISH,
) -> list[Fact]:
    """What a person asks first: connected, sending, clock right, camera working.

    What an offline station said last may be wrong by now, so it has no colour.
    """
    if reported is None:
        return []
    found: Iterable[Fact | None] = (
        _network(latest(reported, network), reported.network_quality.signal_strength, language),
        _sending(reported),
        _files(reported.buffer),
        _last_upload(reported.buffer),
        _clock(reported.clock, language),
        _camera(reported.camera_status),
    )
    return [_as_of(fact, online) for fact in found if fact]


def latest(reported: HeartbeatRequest | None, network: NetworkInfo | None) -> NetworkInfo | None:
    """How the station was connected when it was last heard."""
    if reported is not None and reported.network_info.connection_type:
        return reported.network_info
    return network


def _as_of(fact: Fact, online: bool) -> Fact:
    return fact if online or not fact.tone else replace(fact, tone=UNKNOWN)


_LINKS = {"wifi": N_("Wi-Fi"), "ethernet": N_("Cable"), "cellular": N_("Mobile network")}


def _network(network: NetworkInfo | None, signal: float | None, language: Language) -> Fact | None:
    if network is None or network.connection_type is None:
        return None
    strength = signal if signal is not None else network.signal_strength
    details = [exact(strength, "dBm", language)] if strength is not None else []
    details += [network.local_ip] if network.local_ip else []
    return Fact(N_("Network"), _LINKS[network.connection_type], detail=", ".join(details))


_PROGRESS = {
    "uploading": (WORKING, N_("Uploading what waited")),
    "stuck": (FAILED, N_("Stuck: nothing gets through")),
}


def _sending(reported: HeartbeatRequest) -> Fact:
    tone, label = _PROGRESS.get(liveness(reported, online=True)) or breaker_state(reported.buffer.breaker)
    return Fact(N_("Uplink"), label, tone)


def _files(buffer: BufferState) -> Fact | None:
    if buffer.files_breaker == "closed":
        return None
    tone, label = breaker_state(buffer.files_breaker)
    return Fact(N_("Files"), label, tone)


def _last_upload(buffer: BufferState) -> Fact | None:
    at_ms = text_to_ms(buffer.last_upload)
    return Fact(N_("Last upload"), at_ms=at_ms, age=True) if at_ms is not None else None


def _clock(clock: Clock | None, language: Language) -> Fact | None:
    if clock is None:
        return None
    error = f", ±{exact(clock.est_error_ms, 'ms', language)}" if clock.est_error_ms is not None else ""
    if clock.synced:
        return Fact(N_("Clock"), N_("Right"), RUNNING, f"{clock.source}{error}")
    return Fact(N_("Clock"), N_("Not synchronised"), WORKING, clock.source)


def _camera(camera: CameraStatus) -> Fact | None:
    if camera.error:
        return Fact(N_("Camera"), N_("Reports an error"), FAILED, camera.error)
    if camera.connected is False:
        return Fact(N_("Camera"), N_("Not connected"), FAILED)
    if camera.recording is not None:
        return Fact(N_("Camera"), N_("Recording") if camera.recording else N_("Idle"), _on(camera.recording))
    return Fact(N_("Camera"), N_("Connected"), RUNNING) if camera.connected else None


def _on(value: bool) -> str:
    return RUNNING if value else UNKNOWN


def host_facts(reported: HeartbeatRequest | None, language: Language = ENGLISH) -> list[Fact]:
    """The computer: temperature, memory, storage, time since its start."""
    if reported is None:
        return []
    memory, disk, heat = reported.memory_usage, reported.disk_usage, reported.cpu_usage.temperature
    found: list[Fact | None] = [
        Fact(N_("Processor"), exact(heat, "°C", language), WORKING if heat >= HOT_C else "")
        if heat is not None
        else None,
        _share(N_("Memory"), memory.used, memory.total, language),
        _share(N_("Storage"), disk.used, disk.total, language),
        Fact(N_("Up for"), duration(reported.uptime, language)),
    ]
    return [fact for fact in found if fact]


def _share(label: str, used: int | None, total: int | None, language: Language) -> Fact | None:
    if used is None or not total:
        return None
    part = used / total
    tone = WORKING if part >= NEARLY_FULL else ""
    both = f"{size(used, language)} / {size(total, language)}"
    return Fact(label, share(part, language), tone, both)


NOT_KNOWN = "–"
_KEYS = {"file": N_("In a file"), "tpm2": N_("In the TPM"), "se": N_("In a secure element")}


def about_facts(
    info: DeviceInfo | None,
    location: Location | None,
    version: str | None,
    network: NetworkInfo | None = None,
    key_storage: str | None = None,
    language: Language = ENGLISH,
) -> list[Fact]:
    """What it is and where it stands. What a station did not tell of its machine has a dash."""
    found = [Fact(N_("Software"), version or (info.firmware_version if info else ""))]
    if info is not None:
        found += _machine(info, language)
        found.append(Fact(N_("Network address"), (network and network.mac_address) or NOT_KNOWN))
        found.append(Fact(N_("Key"), _KEYS.get(key_storage or "", NOT_KNOWN)))
    if location is not None:
        found.append(Fact(N_("Place"), _place(location), detail=_known_by(location)))
    return [fact for fact in found if fact.value]


def _machine(info: DeviceInfo, language: Language) -> list[Fact]:
    camera = info.camera_info
    rate = camera.frame_rate if camera else None
    return [
        Fact(N_("Model"), info.model or NOT_KNOWN),
        Fact(N_("Revision"), info.hardware_revision or NOT_KNOWN),
        Fact(N_("Memory"), _size(info.total_memory, language)),
        Fact(N_("Storage"), _size(info.total_storage, language)),
        Fact(N_("Can do"), ", ".join(info.capabilities) or NOT_KNOWN),
        Fact(N_("Camera"), camera.model if camera else NOT_KNOWN),
        Fact(N_("Resolution"), (camera and camera.resolution) or NOT_KNOWN),
        Fact(N_("Frame rate"), NOT_KNOWN if rate is None else _per_second(rate, language)),
    ]


def _size(count: int | None, language: Language) -> str:
    return NOT_KNOWN if count is None else size(count, language)


def _per_second(rate: float, language: Language) -> str:
    return exact(rate, "fps", language, digits=0 if rate == int(rate) else 2)


_SOURCES = {"gps": "GPS", "network": N_("from the network"), "manual": ""}


def _known_by(location: Location) -> str:
    """Where the numbers come from, and how far they may be off."""
    radius = f"±{location.accuracy:.0f}\u00a0m" if location.accuracy is not None else ""
    return ", ".join(filter(None, (_SOURCES[location.source], radius)))


def _place(location: Location) -> str:
    north = "N" if location.latitude >= 0 else "S"
    east = "E" if location.longitude >= 0 else "W"
    height = f", {location.altitude:.0f}\u00a0m" if location.altitude is not None else ""
    return f"{abs(location.latitude):.4f}°\u00a0{north}, {abs(location.longitude):.4f}°\u00a0{east}{height}"


def backlog(reported: HeartbeatRequest | None, language: Language = ENGLISH) -> list[BacklogRow]:
    """The buffer by priority, most urgent first."""
    if reported is None:
        return []
    buffer = reported.buffer
    named = (
        (N_("Critical"), buffer.critical),
        (N_("High"), buffer.high),
        (N_("Normal"), buffer.normal),
        (N_("Low"), buffer.low),
    )
    return [_row(label, one, language) for label, one in named]


def _row(label: str, one: Backlog, language: Language) -> BacklogRow:
    oldest = duration(one.oldest_s, language) if one.count and one.oldest_s is not None else "–"
    return BacklogRow(label, one.count, size(one.bytes, language) if one.count else "–", oldest)


@dataclass(frozen=True)
class OrderRow:
    """An order and how far it is; `at_ms` is when it was given."""

    id: str
    type: str
    at_ms: int
    tone: str
    label: str
    detail: str


_ORDERS = {
    "QUEUED": (WAITING, N_("Not fetched yet")),
    "IN_PROGRESS": (WORKING, N_("Being carried out")),
    "SUCCEEDED": (RUNNING, N_("Carried out")),
    "FAILED": (FAILED, N_("It failed")),
    "TIMED_OUT": (FAILED, N_("It took too long")),
    "REJECTED": (FAILED, N_("Refused by the station")),
    "CANCELED": (UNKNOWN, N_("Cancelled")),
}


def orders(given: Iterable[CommandState]) -> list[OrderRow]:
    """What became of orders, in words."""
    return [
        OrderRow(each.id, each.type, each.created_ms, *_ORDERS[each.state], _cut(each.detail or ""))
        for each in given
    ]


DEEPEST = 5
LONGEST_VALUE = 400
"""What a camera program may put on a page; the whole body is in the API."""


def flat(metadata: Mapping[str, object], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """An event's own data as lines `begin.az: 222.03`; lists of plain values stay on one line."""
    for name, value in metadata.items():
        if isinstance(value, dict) and depth < DEEPEST:
            yield from flat(value, f"{prefix}{name}.", depth + 1)
        elif isinstance(value, list):
            yield f"{prefix}{name}", _cut(", ".join(map(_plain, value)))
        else:
            yield f"{prefix}{name}", _cut(_plain(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def _plain(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "…" if isinstance(value, (dict, list)) else str(value)
