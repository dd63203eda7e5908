"""What can be seen of a station from outside: the facts that the probes judge."""

from __future__ import annotations

import msgspec


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the station that runs. `ticks` grows while its loop turns; `free` is bytes of disk."""

    alive: bool = False
    ticks: int | None = None
    control: bool = False
    portal: bool = False
    buffer: bool = False
    migrated: bool = False
    network: bool = False
    cloud: bool = False
    clock: bool = False
    free: int | None = None
