"""What the doctor may look at: facts about one station, running or stopped; nothing is judged here."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from appliance.doctor.names import Server, name_servers
from appliance.intakes import IntakeStats
from appliance.network.port import NO_LINK, Link
from appliance.network.quality import Measurement
from appliance.settings import Settings
from appliance.telemetry.host import HostFacts
from buffer.breaker import BreakerSnapshot
from buffer.listing import Depth
from firmware.sight import Radio, cameras, radios, undervoltage
from portal.view import Notice
from statemachine.record import NetworkAttempt


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """The station's idea of UTC. `skew` in seconds against the cloud, None before its first answer."""

    now: datetime
    synchronized: bool
    source: str
    skew: float | None = None
    skew_error: float = 0.0


@dataclass(frozen=True, slots=True)
class BoardFacts:
    """What the computer is made of, and how it fares."""

    cores: int | None = None
    memory: int | None = None  # bytes
    radios: tuple[Radio, ...] = ()
    cameras: tuple[str, ...] = ()
    undervoltage: bool | None = None

    @classmethod
    def read(cls, root: Path, cores: int | None, memory: int | None) -> BoardFacts:
        """Blocks for a few small files below `root`."""
        return cls(cores, memory, radios(root), cameras(root), undervoltage(root))


@dataclass(frozen=True, slots=True)
class BufferFacts:
    """What waits and what keeps it; `dead` counts by reason. A breaker is only known of a running station."""

    depth: Depth
    dead: Mapping[str, int] = field(default_factory=dict)
    events: BreakerSnapshot | None = None
    files: BreakerSnapshot | None = None


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One station at one moment. None means that nobody can tell.

    `waiting` means that the station stands where a person chooses its network; `backend` is the network's
    driver: networkmanager, simulated or host.
    """

    settings: Settings
    clock: ClockFacts
    board: BoardFacts
    host: HostFacts | None
    cloud_url: str
    tls: Callable[[], ssl.SSLContext | None]
    running: bool = True
    silent: bool = False  # it runs, and did not answer
    state: str = ""
    claimed: bool = False
    waiting: bool = False
    backend: str = "host"
    link: Link = NO_LINK
    hotspot: bool = False
    known: int | None = None
    attempt: NetworkAttempt | None = None
    measurement: Measurement | None = None
    intake: IntakeStats | None = None
    disk_full: bool = False
    buffer: BufferFacts | None = None
    buffer_trouble: Notice | None = None
    notices: tuple[Notice, ...] = ()
    servers: Callable[[], tuple[Server, ...]] = name_servers
    threads: Executor | None = None
